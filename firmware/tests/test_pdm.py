"""PDM to PCM: signal-to-noise ratio, pass band and rejection through a simulated microphone; the exact arithmetic."""

import ctypes
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from clibrary import FIRMWARE, build_library
from hypothesis import given, settings
from hypothesis import strategies as st
from sines import fit_sine

from stapes.codegen.pdm import generate_pdm
from stapes.features.pdm import PASS, PdmFilters, design, running_sums

SOURCES = ["audio/pdm.c", "audio/half_band.c", "audio/level.c"]
RATE = 16000
WORD_BITS = 16
GAIN_ONE = 256
E_ARGUMENT = -1
SETTLED = 8000  # samples: the mean that is taken away has found its value
Words = npt.NDArray[np.uint16]
Pcm = npt.NDArray[np.int16]


class Pdm:
    """The decimator and the simulated microphone."""

    def __init__(self, directory: Path) -> None:
        self.library = build_library(directory, [*SOURCES, "tests/pdm_modulator.c"])
        self.library.stapes_pdm_push.restype = ctypes.c_size_t

    def listen(
        self, words: Words, *, bits: int = 64, gain: int = GAIN_ONE, chunks: Sequence[int] = ()
    ) -> Pcm:
        table = np.full(1024 * bits // 64 + 1, 4321, np.int16)
        state = ctypes.create_string_buffer(1024)
        assert self.library.stapes_pdm_init(state, bits, gain, ctypes.c_void_p(table.ctypes.data)) == 0
        assert table[-1] == 4321
        parts = []
        start = 0
        for count in [*chunks, len(words)]:
            block = np.ascontiguousarray(words[start : start + count])
            room = len(block) * WORD_BITS // bits + 1
            pcm = np.full(room + 1, 4321, np.int16)
            got = self.library.stapes_pdm_push(
                state,
                ctypes.c_void_p(block.ctypes.data),
                ctypes.c_size_t(len(block)),
                ctypes.c_void_p(pcm.ctypes.data),
            )
            assert got <= room and pcm[-1] == 4321
            parts.append(pcm[:got])
            start += len(block)
        return np.concatenate(parts)

    def sine(
        self,
        frequency: float,
        amplitude: float,
        *,
        bits: int = 64,
        order: int = 4,
        samples: int = 16000,
        offset: float = 0.0,
    ) -> Words:
        b, a = noise_transfer(order, bits)
        words = np.zeros(samples * bits // WORD_BITS, np.uint16)
        double = ctypes.c_double
        self.library.modulate(
            double(amplitude), double(offset), double(2 * np.pi * frequency / (RATE * bits)),
            ctypes.c_void_p(b.ctypes.data), ctypes.c_void_p(a.ctypes.data), order,
            ctypes.c_void_p(words.ctypes.data), ctypes.c_size_t(len(words)),
        )  # fmt: skip
        return words


def noise_transfer(order: int, bits: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Zeros spread over the band as by Schreier, poles of a high-pass that lifts noise at most 1.5 times (Lee)."""
    from scipy.optimize import brentq
    from scipy.signal import butter

    def lift(corner: float) -> float:
        _, a = butter(order, corner, "highpass")
        return float(2**order / abs(np.polyval(a, -1.0)) - 1.5)

    _, a = butter(order, brentq(lift, 1e-3, 0.5), "highpass")
    nodes, _ = np.polynomial.legendre.leggauss(order)
    return np.ascontiguousarray(np.poly(np.exp(1j * np.pi * nodes / bits)).real), np.ascontiguousarray(a)


def bits_of(words: Words) -> npt.NDArray[np.float64]:
    return np.unpackbits(words.astype(">u2").view(np.uint8)).astype(np.float64) * 2 - 1


@pytest.fixture(scope="module")
def pdm(tmp_path_factory: pytest.TempPathFactory) -> Pdm:
    return Pdm(tmp_path_factory.mktemp("pdm"))


@pytest.fixture(scope="module")
def filters() -> PdmFilters:
    return design()


def test_the_committed_taps_are_the_designed_ones(filters: PdmFilters, tmp_path: Path) -> None:
    committed = (FIRMWARE / "audio/pdm_taps.h").read_text(encoding="utf-8")
    assert generate_pdm(filters, tmp_path).read_text(encoding="utf-8") == committed


def test_the_simulated_microphone_is_good_enough(pdm: Pdm) -> None:
    """SciPy with a filter that no microcontroller could afford sees what the microphone gives."""
    from scipy.signal import firwin, upfirdn

    taps = firwin(16 * 1024 + 1, 0.48 * RATE, window=("kaiser", 14), fs=RATE * 64)
    for amplitude, least in ((0.5, 100), (0.05, 84)):
        pcm = upfirdn(taps, bits_of(pdm.sine(997, amplitude)), 1, 64)[SETTLED:-512]
        assert fit_sine(pcm, 997, RATE)[1] > least


@pytest.mark.parametrize("frequency", [55, 440, 997, 3001, 5003, 7109])
@pytest.mark.parametrize(("level", "gain"), [(-6, 256), (-12, 900), (-26, 4096)])
@pytest.mark.parametrize("bits", [64, 128])
def test_signal_to_noise_ratio(pdm: Pdm, frequency: int, level: int, gain: int, bits: int) -> None:
    amplitude = 10 ** (level / 20)
    pcm = pdm.listen(pdm.sine(frequency, amplitude, bits=bits, offset=0.01), bits=bits, gain=gain)
    measured, ratio, mean = fit_sine(pcm[SETTLED:], frequency, RATE)
    print(f"{bits} bits {level} dBFS x {gain / GAIN_ONE:.1f} {frequency} Hz: SNR {ratio:.1f} dB")
    assert ratio >= 80
    assert abs(mean) < 1
    assert abs(20 * np.log10(measured / (32768 * amplitude * gain / GAIN_ONE))) < 0.07


def test_pass_band_and_rejection(pdm: Pdm) -> None:
    """Measured through the whole chain, sines that would fold onto the pass band included."""

    def level(frequency: float) -> float:
        folded = abs((frequency + RATE / 2) % RATE - RATE / 2)
        return 20 * np.log10(fit_sine(pdm.listen(pdm.sine(frequency, 0.4))[SETTLED:], folded, RATE)[0])

    reference = level(1000)
    ripple = [level(frequency) - reference for frequency in [50, 200, 3000, 5000, 6500, PASS * RATE]]
    assert max(map(abs, ripple)) < 0.06
    rejected = [
        reference - level(frequency) for frequency in [8803, 9307, 11003, 15003, 17001, 25003, 33001, 63007]
    ]
    print(f"ripple {max(ripple) - min(ripple):.3f} dB, rejection {min(rejected):.1f} dB")
    assert min(rejected) > 74


@pytest.mark.parametrize("bits", [64, 128])
def test_against_the_exact_convolution(pdm: Pdm, filters: PdmFilters, bits: int) -> None:
    """SciPy convolves the bits of noise with the same taps without rounding; the mean is taken away there, too."""
    from scipy.signal import lfilter, upfirdn

    words = pdm.sine(100, 0.0, bits=bits, samples=4000, offset=0.02)
    noise = np.random.default_rng(5).random(len(words)) < 0.02
    words[noise] ^= 0x0300  # so that every band is loud
    stream = np.concatenate([[0], bits_of(words)])  # a sum is complete at the last bit of its bytes
    sums = upfirdn(running_sums(bits // 64), stream, 1, bits // 8)[1:] / 4096 / (bits // 64) ** 4
    low = lfilter(filters.low_pass / filters.low_pass.sum(), 1, sums)[3::4]
    offset = low[11]
    for i in range(12, len(low)):
        low[i] -= offset
        offset += low[i] / min(1024, 2 ** int(np.log2(i - 10)))
    low[:12] = 0
    fine = lfilter(filters.half_band_taps / filters.half_band_taps.sum(), 1, low)[1::2] * 32768
    pcm = pdm.listen(words, bits=bits)
    count = min(len(fine), len(pcm))
    assert count > 3990
    assert np.abs(fine[:count]).max() > 1000
    np.testing.assert_allclose(pcm[:count], fine[:count], atol=1.5)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    density=st.floats(0, 1),
    gain=st.integers(1, 65535),
    bits=st.sampled_from([64, 128]),
    count=st.integers(0, 900),
    chunks=st.lists(st.integers(0, 90), max_size=20),
)
def test_any_chunks_give_the_same_bits(
    pdm: Pdm, seed: int, density: float, gain: int, bits: int, count: int, chunks: list[int]
) -> None:
    random = np.random.default_rng(seed).random((count, WORD_BITS)) < density
    words = np.packbits(random, axis=1).view(">u2").astype(np.uint16).reshape(-1)
    whole = pdm.listen(words, bits=bits, gain=gain)
    assert len(whole) == count * WORD_BITS // bits
    np.testing.assert_array_equal(pdm.listen(words, bits=bits, gain=gain, chunks=chunks), whole)


def test_full_scale_saturates_and_does_not_wrap(pdm: Pdm) -> None:
    """The steps of a square wave from all zeros to all ones overshoot every stage."""
    words = np.where(np.arange(8000) // 200 % 2, 0xFFFF, 0).astype(np.uint16)
    for gain in (256, 65535):
        pcm = pdm.listen(words, gain=gain)[100:]
        assert pcm.max() == 32767
        assert pcm.min() == -32768
        assert np.abs(np.diff(pcm.astype(int))).max() <= 65535
        assert np.sum(np.diff(np.sign(pcm[pcm != 0])) != 0) <= 41


def test_bad_arguments_are_refused(pdm: Pdm) -> None:
    state, table = ctypes.create_string_buffer(1024), ctypes.create_string_buffer(4096)
    init = pdm.library.stapes_pdm_init
    assert init(None, 64, 256, table) == init(state, 64, 256, None) == E_ARGUMENT
    assert init(state, 63, 256, table) == init(state, 192, 256, table) == E_ARGUMENT
    assert init(state, 64, 0, table) == init(state, 64, 65536, table) == E_ARGUMENT
