"""Slots of an I2S frame and conversions of an ADC become the PCM that integers say, in any chunks."""

import ctypes
from fractions import Fraction
from math import floor

import numpy as np
import numpy.typing as npt
import pytest
from clibrary import build_library
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sines import fit_sine

from stapes.features.pdm import design

E_ARGUMENT = -1
GAIN_ONE = 256
RATE = 16000
SEEDS = st.integers(0, 2**32 - 1)
GAINS = st.integers(1, 65535) | st.sampled_from([128, 256, 512, 65535])
SOURCES = ["audio/i2s.c", "audio/adc.c", "audio/half_band.c", "audio/level.c"]
Ints = npt.NDArray[np.int64]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    library = build_library(tmp_path_factory.mktemp("packing"), SOURCES)
    library.stapes_adc_push.restype = ctypes.c_size_t
    return library


@pytest.fixture(scope="module")
def half_band() -> Ints:
    return design().half_band_taps


def levelled(values: Ints, unit: Fraction, gain: int) -> list[int]:
    """The slow mean taken away, the gain, rounding and saturation; written down from docs/audio-sources.md."""
    mean, pcm = 0, []
    for index, value in enumerate(values.tolist()):
        if index == 0:
            mean = value * 1024
            pcm.append(0)
            continue
        length = min(1024, 2 ** int(np.log2(index + 1)))
        change = value - mean // 1024
        mean += change * (1024 // length)
        multiplier = floor(unit * gain / GAIN_ONE)
        pcm.append(max(-32768, min(32767, floor(Fraction(change * multiplier, 2**32) + Fraction(1, 2)))))
    return pcm


def slots_of(
    library: ctypes.CDLL, words: npt.NDArray[np.uint32], cuts: list[int], *setting: int
) -> list[int]:
    state = ctypes.create_string_buffer(256)
    assert library.stapes_i2s_init(state, *setting) == 0
    pcm: list[int] = []
    frames = words.reshape(-1, setting[0])
    for part in np.split(frames, sorted(cut % (len(frames) + 1) for cut in cuts)):
        part = np.ascontiguousarray(part)
        out = np.full(len(part) + 1, 4321, np.int16)
        library.stapes_i2s_push(
            state,
            ctypes.c_void_p(part.ctypes.data),
            ctypes.c_size_t(len(part)),
            ctypes.c_void_p(out.ctypes.data),
        )
        assert out[-1] == 4321
        pcm += out[:-1].tolist()
    return pcm


@settings(max_examples=80, deadline=None)
@given(
    seed=SEEDS, frames=st.integers(0, 1500), bits=st.integers(1, 24), place=st.sampled_from([(1, 0), (2, 0), (2, 1)]),
    swapped=st.booleans(), gain=GAINS,
    offset=st.integers(-(2**22), 2**22), cuts=st.lists(st.integers(0, 2000), max_size=5),
)  # fmt: skip
@example(seed=1, frames=1400, bits=24, place=(2, 1), swapped=True, gain=65535, offset=2**23, cuts=[1])
def test_slots(
    library: ctypes.CDLL, seed: int, frames: int, bits: int, place: tuple[int, int], swapped: bool, gain: int,
    offset: int, cuts: list[int],
) -> None:  # fmt: skip
    slots, slot = place
    random = np.random.default_rng(seed)
    samples = np.clip(random.integers(-(2**bits) // 2, 2**bits // 2, frames) + offset, -(2**23), 2**23 - 1)
    words = random.integers(0, 2**32, (frames, slots)).astype(
        np.uint32
    )  # the other slot and the idle bits: noise
    words[:, slot] = ((samples << 8) | random.integers(0, 256, frames)).astype(np.uint32)
    if swapped:
        words = (words << np.uint32(16)) | (words >> np.uint32(16))
    expected = levelled(samples << 6, Fraction(2**18), gain)
    assert slots_of(library, words, cuts, slots, slot, int(swapped), gain) == expected


def test_full_scale_is_full_scale(library: ctypes.CDLL) -> None:
    """A square wave of the microphone's full scale about a mean of zero."""
    samples = np.where(np.arange(20000) % 2, 2**23 - 1, -(2**23)).astype(np.int64)
    samples[0] = 0
    pcm = slots_of(library, (samples << 8).astype(np.uint32), [], 1, 0, 0, GAIN_ONE)
    assert set(pcm[10000:]) <= {32767, 32766, -32768, -32767}


def conversions_of(
    library: ctypes.CDLL, values: npt.NDArray[np.uint16], ratio: int, gain: int, cuts: list[int]
) -> list[int]:
    state = ctypes.create_string_buffer(512)
    assert library.stapes_adc_init(state, ratio, gain) == 0
    pcm: list[int] = []
    for part in np.split(values, sorted(cut % (len(values) + 1) for cut in cuts)):
        part = np.ascontiguousarray(part)
        room = len(part) // ratio + 1
        out = np.full(room + 1, 4321, np.int16)
        got = library.stapes_adc_push(
            state,
            ctypes.c_void_p(part.ctypes.data),
            ctypes.c_size_t(len(part)),
            ctypes.c_void_p(out.ctypes.data),
        )
        assert got <= room
        assert out[-1] == 4321
        pcm += out[:got].tolist()
    return pcm


@settings(max_examples=60, deadline=None)
@given(
    seed=SEEDS, count=st.integers(0, 9000), ratio=st.sampled_from([2, 4, 8, 16]), gain=GAINS,
    spread=st.integers(1, 2048), cuts=st.lists(st.integers(0, 9000), max_size=5),
)  # fmt: skip
@example(seed=1, count=9000, ratio=2, gain=65535, spread=2048, cuts=[])
def test_conversions(
    library: ctypes.CDLL,
    half_band: Ints,
    seed: int,
    count: int,
    ratio: int,
    gain: int,
    spread: int,
    cuts: list[int],
) -> None:
    random = np.random.default_rng(seed)
    values = random.integers(2048 - spread, 2048 + spread, count).astype(np.uint16)
    halves = values[: count // ratio * ratio].astype(np.int64).reshape(-1, ratio // 2).sum(axis=1)
    level = levelled(halves * (2**29 // 4096 // (ratio // 2)), Fraction(round(2**34 / half_band.sum())), gain)
    filtered = np.convolve(level, half_band)[1 : len(level) : 2] if level else np.zeros(0, np.int64)
    expected = np.clip((filtered + 2**14) >> 15, -32768, 32767).tolist()
    assert conversions_of(library, values | np.uint16(0xA000), ratio, gain, cuts) == expected


@pytest.mark.parametrize("ratio", [2, 8])
def test_a_sine_through_the_converter(library: ctypes.CDLL, ratio: int) -> None:
    """Twelve bits have 74 dB; averaging and filtering must add to that, and leave what lies above 8 kHz out."""
    seconds = np.arange(RATE * ratio) / (RATE * ratio)

    def heard(frequency: float) -> npt.NDArray[np.float64]:
        wave = 2300 + 1700 * np.sin(2 * np.pi * frequency * seconds)  # the mean is not quite in the middle
        return np.array(conversions_of(library, np.round(wave).astype(np.uint16), ratio, GAIN_ONE, []))[8000:]

    amplitude, ratio_db, _ = fit_sine(heard(997), 997, RATE)
    alias = fit_sine(heard(11003), 4997, RATE)[0]
    print(f"{ratio} conversions: SNR {ratio_db:.1f} dB, alias {alias:.2f} of {amplitude:.0f}")
    assert abs(amplitude / (1700 * 16) - 1) < 0.02
    assert ratio_db > (74 if ratio == 2 else 78)
    assert alias < amplitude / 3000


def test_bad_settings_are_refused(library: ctypes.CDLL) -> None:
    state = ctypes.create_string_buffer(512)
    for setting in [
        (0, 0, 0, 256),
        (3, 0, 0, 256),
        (1, 1, 0, 256),
        (2, 0, 2, 256),
        (2, 0, 0, 0),
        (2, 0, 0, 65536),
    ]:
        assert library.stapes_i2s_init(state, *setting) == E_ARGUMENT
    for setting in [(1, 256), (3, 256), (32, 256), (8, 0), (8, 65536)]:
        assert library.stapes_adc_init(state, *setting) == E_ARGUMENT
    assert library.stapes_i2s_init(None, 2, 0, 0, 256) == library.stapes_adc_init(None, 8, 256) == E_ARGUMENT
