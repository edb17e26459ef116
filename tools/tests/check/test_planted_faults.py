"""Thirty faults planted into the device's sources: each is detected, and named at the right stage and layer."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planting import Alter, field, line, more, number, swap, tensor
from small_bundle import make_small_bundle

from stapes.check import ClipSet, Difference, check_bundle, select_clips
from stapes.device import Prepared, prepare
from stapes.firmware import build_firmware
from stapes.link import Client
from stapes.link.messages import PCM_REQUEST, Message
from stapes.recipe import Bundle

MODEL, WEIGHTS, TABLES, BUNDLE = (f"stapes_small{part}.c" for part in ("_model", "_weights", "_frontend", ""))


CONV, DEPTHWISE, POINTWISE = "conv_2d_0", "depthwise_conv_2d_1", "conv_2d_2"
MEAN, MAXIMUM, DENSE, SOFTMAX = "average_pool_2d_3", "max_pool_2d_4", "fully_connected_6", "softmax_7"

# name: (file, alteration, stage, layer)
FAULTS: dict[str, tuple[str, Alter, str, str | None]] = {
    "convolution: weight bit": (
        WEIGHTS,
        number("stapes_small_layer_0_weights", 24, lambda v: v ^ 64),
        "layer",
        CONV,
    ),
    "convolution: bias": (
        WEIGHTS,
        number("stapes_small_layer_0_channels", 6, lambda v: v + 3000),
        "layer",
        CONV,
    ),
    "convolution: multiplier": (WEIGHTS, number("stapes_small_layer_0_channels", 5, more), "layer", CONV),
    "convolution: channels swapped": (WEIGHTS, swap("stapes_small_layer_0_channels", 1, 4), "layer", CONV),
    "convolution: shift": (WEIGHTS, number("stapes_small_layer_0_shifts", 1, lambda v: v - 1), "layer", CONV),
    "convolution: saturates early": (
        MODEL,
        field("layer_0", "maximum", "100"),
        "layer",
        CONV,
    ),
    "convolution: activation missing": (
        MODEL,
        field("layer_0", "minimum", "-128"),
        "layer",
        CONV,
    ),
    "convolution: rows off by one": (
        MODEL,
        field("stapes_input_t inputs_0[]", "before", "1"),
        "layer",
        CONV,
    ),
    "convolution: padding of another zero point": (
        MODEL,
        tensor(0, "zero_point", "3"),
        "layer",
        CONV,
    ),
    "convolution: ring of one row": (
        MODEL,
        tensor(0, "height", "2"),
        "layer",
        CONV,
    ),
    "depthwise: weight bit": (
        WEIGHTS,
        number("stapes_small_layer_1_weights", 33, lambda v: v ^ 64),
        "layer",
        DEPTHWISE,
    ),
    "depthwise: bias": (
        WEIGHTS,
        number("stapes_small_layer_1_channels", 2, lambda v: v + 3000),
        "layer",
        DEPTHWISE,
    ),
    "depthwise: rows off by one": (
        MODEL,
        field("stapes_input_t inputs_1[]", "before", "0"),
        "layer",
        DEPTHWISE,
    ),
    "depthwise: columns off by one": (
        MODEL,
        field("stapes_input_t inputs_1[]", "left", "0"),
        "layer",
        DEPTHWISE,
    ),
    "depthwise: stale ring": (
        MODEL,
        tensor(1, "height", "2"),
        "layer",
        DEPTHWISE,
    ),
    "pointwise: all weights of another layer": (
        MODEL,
        line(".weights = stapes_small_layer_2_weights", ".weights = stapes_small_layer_0_weights"),
        "layer",
        POINTWISE,
    ),
    "pointwise: all multipliers of another layer": (
        MODEL,
        line(".channels = stapes_small_layer_2_channels", ".channels = stapes_small_layer_0_channels"),
        "layer",
        POINTWISE,
    ),
    "average: too few columns": (
        MODEL,
        field("layer_3", "kernel_width", "9"),
        "layer",
        MEAN,
    ),
    "maximum: clipped": (
        MODEL,
        field("layer_4", "maximum", "5"),
        "layer",
        MAXIMUM,
    ),
    "dense: bias": (
        WEIGHTS,
        number("stapes_small_layer_5_channels", 2, lambda v: v + 20000),
        "layer",
        DENSE,
    ),
    "dense: weight bit": (
        WEIGHTS,
        number("stapes_small_layer_5_weights", 5, lambda v: v ^ 64),
        "layer",
        DENSE,
    ),
    "softmax: one class short": (
        MODEL,
        field("layer_6", "channels", "2"),
        "layer",
        SOFTMAX,
    ),
    "front end: window": (TABLES, swap("window", 8, 9), "features", None),
    "front end: twiddles": (TABLES, swap("twiddles", 8, 9), "features", None),
    "front end: split twiddles": (TABLES, swap("split_twiddles", 8, 9), "features", None),
    "front end: mel weights": (TABLES, swap("weights", 2, 3), "features", None),
    "front end: one band": (TABLES, swap("bands", 4, 5), "features", None),
    "front end: logarithm": (TABLES, swap("log_table", 3, 4), "features", None),
    "front end: exponent": (
        TABLES,
        field("stapes_small_frontend", "exponent_factor", "1"),
        "features",
        None,
    ),
    "decision: vote": (BUNDLE, line("stapes_vote_energy", "stapes_vote_mean"), "weight", None),
    "decision: zero point": (
        BUNDLE,
        field("decision", "zero_point", "-100"),
        "confidence",
        None,
    ),
}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_small_bundle(tmp_path_factory.mktemp("faults"))


@pytest.fixture(scope="module")
def clips(bundle: Bundle) -> ClipSet:
    return select_clips(bundle, None, 2)


@pytest.fixture(scope="module")
def sound(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    return prepare(bundle, "host", tmp_path_factory.mktemp("sound"))


@pytest.fixture(scope="module")
def workshop(sound: Prepared, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the generated sources, with its own build directory, so that only what changed is compiled."""
    directory = tmp_path_factory.mktemp("workshop")
    shutil.copytree(sound.generated.directory, directory / "generated")
    return directory


def plant(sound: Prepared, workshop: Path, name: str, alter: Alter) -> Prepared:
    for original in sound.generated.directory.iterdir():
        text = original.read_text()
        wanted = alter(text) if original.name == name else text
        assert original.name != name or wanted != text, "nothing was planted"
        copy = workshop / "generated" / original.name
        if copy.read_text() != wanted:
            copy.write_text(wanted)
    return replace(sound, build=build_firmware(workshop / "generated", "host", workshop / "host"))


def first(bundle: Bundle, clips: ClipSet, prepared: Prepared, directory: Path) -> Difference | None:
    found = check_bundle(bundle, "host", clips, directory, prepared=prepared).first_difference
    assert found is None or isinstance(found, Difference)
    return found


def test_there_are_enough() -> None:
    assert len(FAULTS) >= 30


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_named(
    bundle: Bundle, clips: ClipSet, sound: Prepared, workshop: Path, tmp_path: Path, name: str
) -> None:
    source, alter, stage, layer = FAULTS[name]
    found = first(bundle, clips, plant(sound, workshop, source, alter), tmp_path)
    assert found is not None, "not detected"
    assert (found.stage, found.layer) == (stage, layer), str(found)


def one_changed(samples: np.ndarray, start: int) -> np.ndarray:
    if start <= 5000 < start + len(samples):
        samples[5000 - start] ^= 0x4000
    return samples


def bytes_swapped(samples: np.ndarray, start: int) -> np.ndarray:
    return samples.byteswap() if start >= 700 else samples


def end_zeroed(samples: np.ndarray, start: int) -> np.ndarray:
    """The last sample of every message is gone, a zero came instead."""
    samples[-1] = 0
    return samples


def end_cut(samples: np.ndarray, start: int) -> np.ndarray:
    return samples[:-1] if start > 3000 else samples


@pytest.mark.parametrize("alter", [one_changed, bytes_swapped, end_zeroed, end_cut])
def test_sound_altered_in_sound_frames_is_named(
    bundle: Bundle,
    clips: ClipSet,
    sound: Prepared,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    alter: Callable[[np.ndarray, int], np.ndarray],
) -> None:
    """The frames are whole, but not what they carry: a driver that truncates, a buffer that is overwritten."""
    request = Client._request

    def damaged(self: Client, message: Message, payload: bytes = b"", **options: Any) -> bytes:
        if message == Message.PCM:
            start = PCM_REQUEST.unpack(payload)["samples"]
            samples = np.frombuffer(payload[PCM_REQUEST.size :], "<i2").copy()
            payload = payload[: PCM_REQUEST.size] + alter(samples, start).tobytes()
        return request(self, message, payload, **options)

    monkeypatch.setattr(Client, "_request", damaged)
    report = check_bundle(bundle, "host", clips, tmp_path, prepared=sound)
    found = report.first_difference
    assert found is not None and found.stage == "pcm" and found.clip == clips.clips[0].name, str(found)
    assert not report.passed and not report.as_json()["pcm_equal"]
    pcm = clips.clips[0].pcm
    if alter is one_changed:
        assert (found.index, found.expected, found.got) == ((5000,), pcm[5000], pcm[5000] ^ 0x4000)
    elif alter is bytes_swapped:
        (index,) = found.index
        assert index >= 700 and found.got == pcm[index : index + 1].byteswap()[0] != found.expected
    elif alter is end_zeroed:
        assert found.index == (int(np.flatnonzero(pcm)[0]),) and found.got == 0
    else:
        assert found.index is None and found.got == found.expected - 1 and "lost" in found.looks_like
