"""Each disturbance does what its name says, and nothing else."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from stapes.check.disturbance import band, clip, disturbances, level, noise, tilt

RATE = 16000


def sound(amplitude: float = 3000.0, seconds: float = 2.0) -> np.ndarray:
    random = np.random.default_rng(1)
    return np.clip(random.normal(size=round(RATE * seconds)) * amplitude, -32768, 32767).astype(np.int16)


def power(x: np.ndarray) -> float:
    return float(np.mean(x.astype(np.float64) ** 2))


def decibels(ratio: float) -> float:
    return 10 * float(np.log10(ratio))


def tone(hertz: float, amplitude: float = 8000.0) -> np.ndarray:
    return np.rint(amplitude * np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE)).astype(np.int16)


def test_every_condition_keeps_length_and_type_and_repeats_itself() -> None:
    found = list(disturbances())
    assert [(item.group, item.name) for item in found[:2]] == [("clean", "as recorded"), ("level", "-20 dB")]
    assert len({item.name for item in found}) == len(found)
    assert {item.group for item in found} == {"clean", "level", "noise", "microphone", "clipping"}
    for pcm in (sound(), np.zeros(1000, np.int16), np.full(500, -32768, np.int16)):
        for item in found:
            once, again = (item.apply(pcm, RATE, "a clip") for _ in range(2))
            assert once.dtype == np.int16
            assert once.shape == pcm.shape
            np.testing.assert_array_equal(once, again)
    changed = [item.name for item in found if not np.array_equal(item.apply(sound(), RATE, "x"), sound())]
    assert changed == [item.name for item in found[1:]]


@pytest.mark.parametrize("change", [-20, -10, 10])
def test_level(change: float) -> None:
    assert decibels(power(level(sound(), change)) / power(sound())) == pytest.approx(change, abs=0.05)


def test_too_loud_is_saturated_as_a_converter_does() -> None:
    loud = level(sound(9000), 20)
    assert {int(loud.max()), int(loud.min())} == {32767, -32768}
    assert np.all((loud > 0) == (sound(9000) > 0))


@pytest.mark.parametrize(("exponent", "slope"), [(0.0, 0.0), (1.0, -3.0)])
@pytest.mark.parametrize("snr", [20, 10, 0])
def test_noise_has_the_ratio_and_the_colour_that_were_asked_for(
    exponent: float, slope: float, snr: float
) -> None:
    clean = sound()
    added = noise(clean, RATE, "clip", exponent, snr).astype(np.float64) - clean
    assert decibels(power(clean) / power(added)) == pytest.approx(snr, abs=0.15)
    spectrum = np.abs(np.fft.rfft(added)) ** 2
    hertz = np.fft.rfftfreq(len(added), 1 / RATE)
    octaves = [spectrum[(hertz >= low) & (hertz < 2 * low)].mean() for low in (250, 500, 1000, 2000)]
    steps = [decibels(b / a) for a, b in itertools.pairwise(octaves)]
    assert np.mean(steps) == pytest.approx(slope, abs=0.6)
    other = noise(clean, RATE, "another clip", exponent, snr).astype(np.float64) - clean
    assert abs(np.corrcoef(added, other)[0, 1]) < 0.1


def test_a_small_microphone_keeps_the_middle() -> None:
    def loss(hertz: float) -> float:
        return decibels(
            power(band(tone(hertz), RATE, 300.0, 5000.0)[2000:-2000]) / power(tone(hertz)[2000:-2000])
        )

    assert loss(1000) == pytest.approx(0.0, abs=0.1)
    assert loss(300) == pytest.approx(-3.0, abs=0.3)
    assert loss(75) == pytest.approx(-24.1, abs=0.7)
    assert loss(5000) == pytest.approx(-3.0, abs=0.3)


@pytest.mark.parametrize("slope", [-3, 3])
def test_a_tilted_response(slope: float) -> None:
    for hertz, octaves in ((500, -1), (1000, 0), (2000, 1)):
        found = decibels(power(tilt(tone(hertz), RATE, slope)[2000:-2000]) / power(tone(hertz)[2000:-2000]))
        assert found == pytest.approx(slope * octaves, abs=0.15)


def test_clipping_is_below_the_clips_own_peak() -> None:
    pcm = sound(1000.0)
    peak = int(np.abs(pcm.astype(int)).max())
    clipped = clip(pcm, 20)
    assert int(np.abs(clipped.astype(int)).max()) == round(peak / 10)
    low = np.abs(pcm.astype(int)) < peak / 10 - 1
    np.testing.assert_array_equal(clipped[low], pcm[low])
