"""Compare what a device computed for one clip with the reference, stage by stage."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace

import numpy as np
import numpy.typing as npt

from stapes.check.difference import Difference, first_difference
from stapes.compiler import Plan
from stapes.files import canonical_json, sha256
from stapes.link import Client, Decision, LostSamplesError, WindowResult
from stapes.reference import ClipReference, Verdict, WindowReference

SEARCH_STEP = 256  # samples


@dataclass(frozen=True)
class Example:
    """One window's features, int8 [frames, n_features]: as they must be, and as the device had them."""

    clip: str
    window: int
    expected: npt.NDArray[np.int8]
    got: npt.NDArray[np.int8]


@dataclass(frozen=True)
class ClipResult:
    """One clip: what the device said, and whether every stage was right.

    `window_counts` holds the counter's value for each window (all layers), `frontend_counts` for each window's
    front end, `layer_counts` one list a window. `bits` is a digest, stage by stage, of all that the device computed.
    """

    clip: str
    label: str
    verdict: Verdict
    expected: Verdict
    windows: int
    pcm_equal: bool
    features_equal: bool
    layers_equal: bool
    scores_equal: bool
    difference: Difference | None
    window_counts: Sequence[float]
    frontend_counts: Sequence[float]
    layer_counts: Sequence[Sequence[float]]
    bits: dict[str, str]

    @property
    def decision_equal(self) -> bool:
        """Class, best class and confidence are all as expected."""
        return self.verdict == self.expected


def crc(values: npt.NDArray[np.generic]) -> int:
    """CRC-32 of an array's bytes, as the device computes it."""
    return zlib.crc32(np.ascontiguousarray(values).tobytes())


class ClipComparer:
    """Runs clips on one device and compares them.

    Stages are compared by CRC-32 of all their bytes, computed by the device and by the reference; with `full`, and
    always where a CRC differs, the values themselves are fetched and compared one by one.
    """

    def __init__(self, client: Client, plan: Plan, *, full: bool = False) -> None:
        self.client = client
        self.plan = plan
        self.full = full
        self.example: Example | None = None
        """The first window of all, or the first one with wrong features."""

    def run(self, name: str, label: str, reference: ClipReference) -> ClipResult:
        """Stream the clip's PCM and compare each window as soon as the device has completed it."""
        pcm = reference.pcm
        self.client.reset()
        results: list[WindowResult] = []
        difference: Difference | None = None
        equal = {"pcm": True, "features": True, "layer": True, "scores": True}
        position = 0
        while position < len(pcm):
            try:
                pushed = self.client.push(pcm[position:])
            except LostSamplesError as lost:
                equal["pcm"] = False
                difference = difference or _pcm_difference(
                    name,
                    len(results),
                    lost.sent,
                    lost.taken,
                    "samples were lost: expected and got count them",
                )
                break
            position = pushed.samples
            if pushed.pcm_crc != crc(pcm[:position]):
                equal["pcm"] = False
                difference = difference or _pcm_difference(
                    name,
                    len(results),
                    crc(pcm[:position]),
                    pushed.pcm_crc,
                    "CRC-32 since the clip's start differs: the device took other samples than it was sent",
                )
            if pushed.window_ready:
                window = self.client.window()
                if len(results) < len(reference.windows):
                    expected = reference.windows[len(results)]
                    found = self._compare(name, expected, window, equal)
                    wrong = difference is None and found is not None and found.stage == "features"
                    if self.example is None or wrong:
                        self.example = Example(
                            name, expected.index, expected.features, self.client.features()
                        )
                    difference = difference or found
                results.append(window)
        decided = self.client.decision() if results else Decision(-1, -1, 0, 0, 0, ())
        verdict = Verdict(decided.class_index, decided.best, decided.confidence)
        if difference is not None and difference.stage == "pcm":
            difference = self._locate_sound(difference, pcm)
        if difference is None and len(results) != len(reference.windows):
            difference = _number(name, None, "windows", len(reference.windows), len(results))
        if difference is None and decided.windows != len(results):
            difference = _number(name, None, "windows", len(results), decided.windows)
        weight = sum(window.weight for window in results)
        if difference is None and decided.weight != weight:
            difference = _number(name, None, "weight", weight, decided.weight)
        if difference is None and verdict != reference.verdict:
            difference = self._decision_difference(name, reference.verdict, verdict)
        return ClipResult(
            clip=name,
            label=label,
            verdict=verdict,
            expected=reference.verdict,
            windows=len(results),
            pcm_equal=equal["pcm"],
            features_equal=equal["features"] and len(results) == len(reference.windows),
            layers_equal=equal["layer"],
            scores_equal=equal["scores"],
            difference=difference,
            window_counts=[window.total_count for window in results],
            frontend_counts=[window.frontend_count for window in results],
            layer_counts=[window.layer_counts for window in results],
            bits=_bits(results, verdict),
        )

    def _compare(
        self, clip: str, expected: WindowReference, got: WindowResult, equal: dict[str, bool]
    ) -> Difference | None:
        """The first difference of one window; notes in `equal` which stages were right."""
        first: Difference | None = None
        if self.full or got.features_crc != crc(expected.features):
            first = self._differ(
                clip, expected.index, "features", None, expected.features, self.client.features()
            )
            equal["features"] &= first is None and got.features_crc == crc(expected.features)
            first = first or _checksum(
                clip, expected.index, "features", None, expected.features, got.features_crc
            )
        for layer in self.plan.layers:
            want = np.asarray(expected.activations[layer.tensor])
            same = got.layer_crcs[layer.index] == crc(want)
            if self.full or (not same and first is None):
                shape = _map_shape(want.shape)
                values = self.client.activations(layer.index, want.nbytes).view(want.dtype).reshape(shape)
                found = self._differ(clip, expected.index, "layer", layer.name, want.reshape(shape), values)
                same &= found is None
                first = first or found
            if not same:
                first = first or _checksum(
                    clip, expected.index, "layer", layer.name, want, got.layer_crcs[layer.index]
                )
            equal["layer"] &= same
        scores = self._differ(clip, expected.index, "scores", None, expected.scores, got.scores)
        equal["scores"] &= scores is None
        first = first or scores
        if first is None and got.weight != expected.weight:
            first = _number(clip, expected.index, "weight", expected.weight, got.weight)
        if first is None and got.index != expected.index:
            first = _number(clip, expected.index, "windows", expected.index, got.index)
        return first

    def _locate_sound(self, found: Difference, pcm: npt.NDArray[np.int16]) -> Difference:
        """`found` with its first wrong sample, where the device shows it again when it gets samples one by one."""
        start = 0
        for step in (SEARCH_STEP, 1):
            self.client.reset()
            try:
                wrong = self._first_wrong(pcm, start, step)
            except LostSamplesError:
                return found
            if wrong is None:
                return found
            start, got_crc = wrong
        before = crc(pcm[:start])
        values = range(-(1 << 15), 1 << 15)
        got = next(
            (v for v in values if zlib.crc32(v.to_bytes(2, "little", signed=True), before) == got_crc), None
        )
        if got is None:
            return found
        return replace(
            found,
            index=(start,),
            expected=int(pcm[start]),
            got=got,
            looks_like="the first sample that differs",
        )

    def _first_wrong(self, pcm: npt.NDArray[np.int16], start: int, step: int) -> tuple[int, int] | None:
        """Send all up to `start`, then pieces of `step` samples: start and CRC of the first that comes out wrong."""
        position = 0
        while position < len(pcm):
            end = start if position < start else position + step
            pushed = self.client.push(pcm[position:end])
            if pushed.pcm_crc != crc(pcm[: pushed.samples]):
                return position, pushed.pcm_crc
            position = pushed.samples
        return None

    @staticmethod
    def _differ(
        clip: str,
        window: int,
        stage: str,
        layer: str | None,
        expected: npt.NDArray[np.generic],
        got: npt.NDArray[np.generic],
    ) -> Difference | None:
        return first_difference(expected, got, clip=clip, window=window, stage=stage, layer=layer)

    @staticmethod
    def _decision_difference(clip: str, expected: Verdict, got: Verdict) -> Difference:
        if got.class_index != expected.class_index:
            return _number(clip, None, "decision", expected.class_index, got.class_index)
        if got.best != expected.best:
            return _number(clip, None, "decision", expected.best, got.best)
        return _number(clip, None, "confidence", expected.confidence, got.confidence)


def _bits(windows: Sequence[WindowResult], verdict: Verdict) -> dict[str, str]:
    """Hex SHA-256 of what the device computed in each stage."""
    stages: dict[str, list[object]] = {
        "features": [window.features_crc for window in windows],
        "layers": [window.layer_crcs for window in windows],
        "scores": [window.scores.tolist() for window in windows],
        "decisions": [[window.weight for window in windows], *astuple(verdict)],
    }
    return {stage: sha256(canonical_json(values)) for stage, values in stages.items()}


def _map_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """[1, H, W, C] as [H, W, C]: the index that a person looks for is row, column, channel."""
    return shape[1:] if len(shape) > 1 and shape[0] == 1 else shape


def _pcm_difference(clip: str, window: int, expected: int, got: int, looks_like: str) -> Difference:
    return Difference(clip, window, "pcm", None, None, expected, got, 1, 1, looks_like)


def _number(clip: str, window: int | None, stage: str, expected: int, got: int) -> Difference:
    return Difference(clip, window, stage, None, None, expected, got, 1, 1, "one number")


def _checksum(
    clip: str, window: int, stage: str, layer: str | None, expected: npt.NDArray[np.generic], got_crc: int
) -> Difference | None:
    """A CRC that differs although the values, read again, are right: the device does not repeat itself."""
    want = crc(expected)
    if want == got_crc:
        return None
    return Difference(
        clip,
        window,
        stage,
        layer,
        None,
        want,
        got_crc,
        1,
        1,
        "CRC-32 differs, values read again are right: unstable",
    )
