"""The front end of a bundle: what holds for all samples, and what was measured."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from stapes.codegen.emitter import Provenance
from stapes.codegen.frontend import generate_frontend
from stapes.errors import ToolError
from stapes.features import FixedFrontend, OutputQuantization, Tables, build_tables
from stapes.features.parity import ParityMeter
from stapes.files import canonical_json, package_hash, parse_json, sha256, write_json
from stapes.firmware import build_firmware
from stapes.firmware.build import compiler_version, source_hash
from stapes.progress import Progress, no_progress
from stapes.proof.claim import FAILED, PROVED, TESTED, Claim, LayerProof
from stapes.proof.frontend_bounds import Step, frontend_steps
from stapes.proof.frontend_device import FrontendDevice, FrontendImage, frontend_work_bytes
from stapes.proof.frontend_tables import CHECKS, Definition
from stapes.recipe import FrontendSpec
from stapes.targets import open_target

APP = "prove_frontend"
POINTS = 128
MANTISSAS = 1 << 24
"""Behind each point of the logarithm's table."""
SWEPT = POINTS
"""How many of them."""
MOST_BINS = 128
"""Whose worst frames are tried."""


@dataclass(frozen=True)
class Frontend:
    """What a bundle's front end is made of."""

    spec: FrontendSpec
    output: OutputQuantization

    @property
    def identity(self) -> list[Any]:
        """What makes it another, for a hash."""
        return [self.spec.hash, asdict(self.output)]


def prove_frontend(
    frontend: Frontend, target: str, board: str, directory: Path, progress: Progress = no_progress
) -> list[LayerProof]:
    """Build `frontend` for `target` and show of each of its parts what can be shown. The mantissas of the logarithm are
    the same for all front ends: what is shown of them is kept beside `directory`.
    """
    spec, output = frontend.spec, frontend.output
    if spec.micro:
        why = "by check and tests only, which compare with pymicro-features: its arithmetic wraps by design"
        return [LayerProof(0, "micro front end", "stapes_frontend_micro", (Claim("rows", TESTED, why),))]
    if target.startswith("board:"):
        why = "by check only: the board runs the program of the network's proof"
        return [LayerProof(0, "front end", "stapes_frontend_mel", (Claim("rows", TESTED, why),))]
    tables = build_tables(spec, output)
    assert isinstance(tables, Tables)
    generated = directory / "frontend" / "generated"
    generate_frontend(tables, generated, Provenance({"front end": spec.hash}), name="app")
    macro = f"STAPES_PROVE_BYTES={frontend_work_bytes(spec.frame_length, spec.hop_length, spec.n_features)}u"
    result = build_firmware(
        generated,
        board,
        directory / "frontend" / board,
        app=APP,
        definitions={"CMAKE_C_FLAGS": f"-D{macro}"},
        progress=progress,
    )
    with open_target(target, result.elf, counts=False) as stream:
        device = FrontendDevice(stream)
        image = device.image()
        definition = Definition(spec, output)
        wrong = definition.settings(image)
        if wrong:
            claim = Claim("constants", FAILED, wrong)
            return [LayerProof(0, "settings", "stapes_frontend_init", (claim,))]
        claims = {row: [_constants(image, definition, row)] for row, _ in CHECKS}
        steps: list[Step] = []
        if all(each[0].verdict != FAILED for each in claims.values()):
            steps = list(frontend_steps(image, tables))
        claims["window"].append(_exponents(device, image))
        for row, each in claims.items():
            if steps:
                each.append(_bounds([step for step in steps if step.row == row]))
        if claims["logarithm"][0].verdict != FAILED:
            kept = directory.parent / f"logarithm-{board}.json"
            claims["logarithm"] += [_values(device, image), _mantissas(device, image, board, kept, progress)]
        pcm = _hard_samples(spec)
        compared = [_products(device), _rows(device, frontend, pcm), _distance(frontend, pcm)]
    names = {
        "window": f"stapes_frontend_load_{image.load}",
        "transform": "stapes_fft_power",
        "bands": "stapes_frontend_mel",
        "logarithm": "fixed_log2",
        "features": f"stapes_frontend_{image.finish}",
    }
    rows = [LayerProof(i, row, names[row], tuple(each)) for i, (row, each) in enumerate(claims.items())]
    return [*rows, LayerProof(len(rows), "rows", "stapes_frontend_push", tuple(compared))]


def _constants(image: FrontendImage, definition: Definition, row: str) -> Claim:
    wrong = dict(CHECKS)[row](definition, image)
    if wrong:
        return Claim("constants", FAILED, wrong)
    sizes = {
        "window": image.window.size,
        "transform": image.twiddles.size + image.split_twiddles.size,
        "bands": image.weights.size + image.counts.size,
        "logarithm": image.log_table.size + len(image.bands),
        "features": image.scaling.size + image.dct.size,
    }
    how = "read back, each the nearest integer to its definition"
    if row == "logarithm" and image.finish == "pcen":
        return Claim("constants", TESTED, f"{how}; PCEN's own by its rows only", sizes[row])
    return Claim("constants", PROVED, how, sizes[row])


def _bounds(steps: list[Step]) -> Claim:
    for step in steps:
        if not step.holds:
            return Claim("bounds", FAILED, f"{step}: that may leave {step.limits[0]:,} … {step.limits[1]:,}")
    return Claim("bounds", PROVED, f"for all samples: {'; '.join(map(str, steps))}", len(steps))


def _exponents(device: FrontendDevice, image: FrontendImage) -> Claim:
    """A frame's exponent depends on the number of bits of its energy: the least and the greatest energy of each."""
    s = image.settings
    length, factor = s["frame_length"], 4 if s["emphasis"] else 1
    energies = [0] + [e for bits in range(64) for e in ((1 << bits), (2 << bits) - 1) if e <= length << 30]
    energies.append(length << 30)
    for energy in energies:
        frame, left = [], energy
        while left:
            frame.append(-min(32768, math.isqrt(left)))
            left -= frame[-1] ** 2
        if len(frame) > length:
            continue  # so few samples do not make it
        found = device.exponent(0, np.array(frame + [0] * (length - len(frame)), np.int16))
        right = min((60 - (energy * factor).bit_length()) // 2, s["max_exponent"])
        if found != right:
            return Claim("exponents", FAILED, f"of a frame of energy {energy:,}: {found}, not {right}")
    how = "the least and the greatest energy of each number of bits"
    return Claim("exponents", PROVED, how, len(energies))


def _products(device: FrontendDevice) -> Claim:
    """Products whose lower half is at the edge of rounding, where a constant that is wrong by one shows."""
    random = np.random.default_rng(2)
    triples = []
    for low in (0x7FFFFFFF, 0x80000000, 0x80000001, 0xFFFFFFFF, 0, 1):
        for x in random.integers(-(2**29), 2**29, 60) * 2 + 1:
            y = low * pow(int(x), -1, 2**32) % 2**32
            triples.append((int(x), y - 2**32 if y >= 2**31 else y, int(random.integers(-(2**29), 2**29))))
    x, y, total = np.array(triples, np.int64).T
    wanted = np.stack(
        [x * y + 2**31 >> 32, total + (x * y + 2**31 >> 32), total + (2**31 - x * y >> 32)], axis=1
    )
    got = device.products(np.array(triples, np.int32))
    if not np.array_equal(got, wanted):
        at = int(np.nonzero(got != wanted)[0][0])
        return Claim(
            "rounding", FAILED, f"of {x[at]:,} * {y[at]:,}: {got[at].tolist()}, not {wanted[at].tolist()}"
        )
    return Claim("rounding", TESTED, "products at the edges of rounding, random ones else", len(triples))


def _mantissas(
    device: FrontendDevice, image: FrontendImage, board: str, kept: Path, progress: Progress
) -> Claim:
    """The target's logarithm of every mantissa, 2^31 of them, against its definition."""
    table = image.log_table
    parts = [package_hash(), source_hash(board, APP), compiler_version(board), table.tolist()]
    key = sha256(canonical_json(parts))
    done = _done(kept, key)
    for index in range(done, SWEPT):
        progress("front end: logarithms", index, SWEPT)
        base, slope = int(table[index]), int(table[index + 1] - table[index])
        wrong, first, given = device.mantissas(index, base, slope)
        if wrong:
            right = base + (slope * (first & MANTISSAS - 1) >> 24)
            how = (
                f"mantissa {first:#x} becomes {given:,}, not {right:,}; {wrong:,} behind point {index} differ"
            )
            return Claim("mantissas", FAILED, how, index * MANTISSAS)
        write_json(kept, {"key": key, "points": index + 1})
    how = f"each of {SWEPT * MANTISSAS:,} as defined, within {_octaves(image):.1e} octaves of log2"
    return Claim("mantissas", PROVED, how, SWEPT * MANTISSAS)


def _done(kept: Path, key: str) -> int:
    try:
        value = parse_json(kept.read_bytes())
        return int(value["points"]) if value["key"] == key else 0
    except (OSError, ValueError, KeyError, TypeError):
        return 0


def _octaves(image: FrontendImage) -> float:
    """The greatest distance of a table's chords from log2 at any mantissa, rounding down included."""
    most = 0.0
    for index, (low, high) in enumerate(zip(image.log_table[:-1], image.log_table[1:], strict=True)):
        start, slope = 1 + index / POINTS, float(high - low) / 2**24 * POINTS
        # Farthest at the ends, and where the logarithm is as steep as its chord.
        for x in (start, start + 1 / POINTS, 1 / (np.log(2) * slope)):
            chord = float(low) / 2**24 + slope * (x - start)
            error = chord - float(np.log2(x))
            most = max(most, abs(error), abs(error - 2.0**-24))
    return most


def _values(device: FrontendDevice, image: FrontendImage) -> Claim:
    """What the mantissa is of a value: each of 64 places of the highest bit with each other bit below it."""
    values = [1 << top | (1 << low if low < top else 0) for top in range(64) for low in range(top + 1)]
    values += [(2 << top) - 1 for top in range(64)]
    got = device.logarithms(values)
    for value, found in zip(values, got.tolist(), strict=True):
        bits = value.bit_length()
        mantissa = value << 64 >> bits + 32
        index, rest = mantissa >> 24 & POINTS - 1, mantissa & MANTISSAS - 1
        low, high = int(image.log_table[index]), int(image.log_table[index + 1])
        right = (bits - 64 << 24) + low + ((high - low) * rest >> 24)
        if found != right:
            return Claim("places", FAILED, f"the logarithm of {value:#x} is {found:,} less 63, not {right:,}")
    how = "a value's mantissa by shifts alone: every place of the highest bit with every bit below it"
    return Claim("places", PROVED, how, len(values))


def _hard_samples(spec: FrontendSpec) -> npt.NDArray[np.int16]:
    """Frames that are worst for bins (full scale, with the signs of a bin's own waves), noise of every level, the
    lowest value, silence and impulses, one after the other.
    """
    length, half = spec.frame_length, spec.n_fft // 2
    time = np.arange(length)
    frames = []
    for k in np.unique(np.linspace(0, half, MOST_BINS + 1).round().astype(int)):
        angle = 2 * np.pi * k * time / spec.n_fft
        frames += [np.where(wave >= 0, 32767, -32768) for wave in (np.cos(angle), np.sin(angle))]
    random = np.random.default_rng(1)
    for bits in range(16):
        frames += [random.integers(-(1 << bits), 1 << bits, length) for _ in range(4)]
        frames.append(np.where(time == length // 2, (1 << bits) - 1, 0))
    frames += [np.full(length, value) for value in (-32768, 32767, 0, 1, -1)]
    # Twice, so that some frame holds the whole of it, whatever the hop is.
    return np.concatenate([each for frame in frames for each in (frame, frame)]).astype(np.int16)


def _rows(device: FrontendDevice, frontend: Frontend, pcm: npt.NDArray[np.int16]) -> Claim:
    spec = frontend.spec
    wanted = FixedFrontend(spec).features(pcm, frontend.output)
    got = device.rows(pcm, spec.n_features)
    if got.shape != wanted.shape or not np.array_equal(got, wanted):
        if got.shape != wanted.shape:
            return Claim("rows", FAILED, f"{len(got)} rows, not {len(wanted)}")
        frame, feature = (int(at[0]) for at in np.nonzero(got != wanted))
        how = f"frame {frame}, feature {feature}: {got[frame, feature]}, not {wanted[frame, feature]}"
        return Claim("rows", FAILED, how, frame * spec.n_features)
    how = f"{len(wanted):,} rows of hard frames equal to NumPy; no data but a frame's exponent decides what is done"
    return Claim("rows", TESTED, how, wanted.size)


def _distance(frontend: Frontend, pcm: npt.NDArray[np.int16]) -> Claim:
    """From librosa, of the same samples: measured."""
    meter = ParityMeter(frontend.spec, frontend.output)
    try:
        meter.add(pcm)
    except ToolError as error:
        return Claim("librosa", TESTED, f"not measured: {error.message}")
    how = (
        f"measured: int8 differs from librosa's in {meter.cells - meter.equal:,} of {meter.cells:,} features of hard "
        f"frames, by {meter.max_step} at most"
    )
    return Claim("librosa", TESTED, how, meter.cells)
