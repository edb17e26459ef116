"""The other end of firmware/app/prove_frontend.c: a front end's tables, logarithms and rows on a target."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stapes.definitions import numbered
from stapes.proof.line import DEFINITIONS, ProofLine

Int64 = npt.NDArray[np.int64]

_SETTINGS = [name for name, _ in numbered(DEFINITIONS, "SETTING").items()]
_TABLE = {name: value for name, (value, _) in numbered(DEFINITIONS, "TABLE").items()}
_LOAD = ("any", "full", "conditioned")
_FINISH = ("log", "mfcc", "pcen")
SAMPLES = 512
"""Of one request."""


@dataclass(frozen=True)
class FrontendImage:
    """A front end as it is in the image: integers of the widths that stapes/frontend.h says."""

    settings: dict[str, int]
    load: str
    """`any`, `full` or `conditioned`; else another function."""
    finish: str
    """`log`, `mfcc` or `pcen`; else another function."""
    magnitude: bool
    window: Int64
    twiddles: Int64
    """[n_fft / 8, 3, 2]: cos and sin."""
    split_twiddles: Int64
    """[n_fft / 4, 2]."""
    weights: Int64
    bands: Int64
    """[n_mels, 4]: bins, floor, gain, bias."""
    log_table: Int64
    output: Int64
    """[n_features, 2]: gain and bias; where features are bands these are in `bands`."""
    dct: Int64
    """[n_features, n_mels], or nothing."""

    @property
    def counts(self) -> Int64:
        """Bins of each segment, [n_mels + 1]."""
        return np.concatenate([[self.settings["first_count"]], self.bands[:, 0]])

    @property
    def scaling(self) -> Int64:
        """[n_features, 2]: gain and bias of each feature."""
        return self.bands[:, 2:] if self.finish == "log" else self.output


class FrontendDevice(ProofLine):
    """One front end on a target."""

    def image(self) -> FrontendImage:
        """Read everything back."""
        words = np.frombuffer(self.request("F"), "<u4").view("<i4").astype(np.int64)
        settings = dict(zip(_SETTINGS, words.tolist(), strict=False))
        load, finish, magnitude = words[len(_SETTINGS) :].tolist()
        return FrontendImage(
            settings,
            _LOAD[load] if load < len(_LOAD) else "another",
            _FINISH[finish] if finish < len(_FINISH) else "another",
            bool(magnitude),
            window=self._table("WINDOW"),
            twiddles=self._table("TWIDDLES").reshape(-1, 3, 2),
            split_twiddles=self._table("SPLIT_TWIDDLES").reshape(-1, 2),
            weights=self._table("WEIGHTS") & 0xFFFFFFFF,
            bands=self._table("BANDS").reshape(-1, 4) & [0xFFFFFFFF, 0xFFFFFFFF, -1, -1],
            log_table=self._table("LOG_TABLE"),
            output=self._table("OUTPUT").reshape(-1, 2),
            dct=self._table("DCT").reshape(-1, settings["n_mels"]),
        )

    def _table(self, name: str) -> Int64:
        return np.frombuffer(self.request("M", bytes([_TABLE[name]])), "<i4").astype(np.int64)

    def mantissas(self, index: int, base: int, slope: int) -> tuple[int, int, int]:
        """All 2^24 mantissas behind point `index` of the logarithm's table, whose logarithm must be `base` and so much
        of `slope` as the mantissa is behind the point: how many differ, the first that does, and its logarithm.
        """
        wrong, first, given = struct.unpack(
            "<IIi", self.request("L", struct.pack("<BII", index, base, slope))
        )
        return wrong, first, given

    def logarithms(self, values: Sequence[int]) -> Int64:
        """Of uint64 values, Q24, less 63."""
        found = []
        for start in range(0, len(values), 32):
            part = np.array(values[start : start + 32], "<u8")
            found.append(
                np.frombuffer(self.request("N", struct.pack("<H", len(part)) + part.tobytes()), "<i4")
            )
        return np.concatenate(found).astype(np.int64)

    def products(self, triples: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
        """Of x, y and a sum, [n, 3]: the rounded product, the sum with it and without it, [n, 3]."""
        found = []
        for start in range(0, len(triples), 32):
            part = triples[start : start + 32].astype("<i4")
            found.append(
                np.frombuffer(self.request("K", struct.pack("<H", len(part)) + part.tobytes()), "<i4")
            )
        return np.concatenate(found).reshape(-1, 3)

    def exponent(self, before: int, frame: npt.NDArray[np.int16]) -> int:
        """Of a whole frame, behind the sample `before`."""
        (found,) = struct.unpack(
            "<I", self.request("G", struct.pack("<h", before) + frame.astype("<i2").tobytes())
        )
        return int(found)

    def rows(self, pcm: npt.NDArray[np.int16], features: int) -> npt.NDArray[np.int8]:
        """What a front end that begins anew makes of `pcm`; int8[frames, features]."""
        made = b""
        for start in range(0, len(pcm), SAMPLES):
            part = pcm[start : start + SAMPLES].astype("<i2")
            made += self.request("P", struct.pack("<BH", start == 0, len(part)) + part.tobytes())
        return np.frombuffer(made, np.int8).reshape(-1, features)


def frontend_work_bytes(frame_length: int, hop_length: int, features: int) -> int:
    """Memory that prove_frontend.c needs for every request."""
    most = max(4 * SAMPLES + (SAMPLES // hop_length + 1) * features, 2 * frame_length) + 256
    return -(-most // 64) * 64
