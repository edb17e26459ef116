"""Every augmentation does what it says, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from stapes.features import FixedFrontend
from stapes.recipe import FrontendSpec
from stapes.training.augment import (
    add_noise,
    cut,
    equaliser,
    floor_power,
    louder,
    mask,
    mix,
    piece,
    shift,
    stretch,
    to_log,
    to_power,
    window_energies,
)


def noise(seed: int, *shape: int) -> np.ndarray:
    return (np.random.default_rng(seed).exponential(size=shape) * 1e-2).astype(np.float32)


SPECTRA = ["power", "magnitude"]


@pytest.mark.parametrize("spectrum", SPECTRA)
@pytest.mark.parametrize("log", ["ln", "db", "log2"])
def test_power_and_logarithm_undo_each_other(log: str, spectrum: str) -> None:
    for mode in ("offset", "clamp"):
        spec = FrontendSpec(log=log, log_floor_mode=mode, spectrum=spectrum)
        power = noise(1, 50, 64) + np.float32(1e-4)
        np.testing.assert_allclose(to_power(to_log(power, spec), spec), power, rtol=2e-4)
        silence = to_log(np.zeros((1, 1), np.float32), spec)
        expected = {"ln": np.log(1e-6), "db": -60.0, "log2": np.log2(1e-6)}[log]
        assert silence[0, 0] == pytest.approx(expected, abs=1e-4)


def recording(seed: int, colour: float, level: float) -> np.ndarray:
    """Two seconds of noise: int16, its standard deviation `level`, louder at low frequencies for `colour` near 1."""
    white = np.random.default_rng(seed).normal(size=32000)
    sound = white - colour * np.roll(white, 1) + colour * np.roll(white, 2)
    return np.rint(sound * level / sound.std()).astype(np.int16)


@pytest.mark.parametrize("spectrum", SPECTRA)
@pytest.mark.parametrize("gain_db", [-12.0, 9.0])
def test_a_gain_is_what_the_front_end_makes_of_a_louder_sound(spectrum: str, gain_db: float) -> None:
    frontend = FixedFrontend(FrontendSpec(spectrum=spectrum, log_floor=1e-5))
    quiet = recording(1, 0.9, 800.0)
    louder = np.rint(quiet * 10 ** (gain_db / 20)).astype(np.int16)
    expected = frontend.log_mel_float(louder)
    power = to_power(frontend.log_mel_float(quiet), frontend.spec)
    found = to_log(power * equaliser(64, np.full((1, 5), gain_db)), frontend.spec)
    assert np.abs(found - expected).mean() < 0.01
    assert np.abs(expected - to_log(power, frontend.spec)).mean() > 0.5


@pytest.mark.parametrize("spectrum", SPECTRA)
def test_mixed_powers_are_those_of_mixed_sounds(spectrum: str) -> None:
    """On the mean over frames: where two sounds meet in one line, their phases decide."""
    frontend = FixedFrontend(FrontendSpec(spectrum=spectrum, log_floor=1e-5))
    sounds = [recording(2, 0.9, 3000.0), recording(3, -0.9, 2000.0)]
    first, second = (to_power(frontend.log_mel_float(sound), frontend.spec) for sound in sounds)
    both = to_power(frontend.log_mel_float(sounds[0] + sounds[1]), frontend.spec)
    off = 10 * np.log10((first + second).mean(axis=0) / both.mean(axis=0))
    assert np.abs(off).mean() < 0.5
    assert abs(off.mean()) < 0.25
    assert (10 * np.log10(both.mean(axis=0) / np.maximum(first, second).mean(axis=0))).mean() > 1.0


@pytest.mark.parametrize("spectrum", SPECTRA)
def test_the_floor_is_a_power(spectrum: str) -> None:
    spec = FrontendSpec(spectrum=spectrum, log_floor=1e-3, log_floor_mode="clamp")
    silent = to_log(np.zeros((1, 1), np.float32), spec)
    assert to_power(silent, spec)[0, 0] == pytest.approx(floor_power(spec), rel=1e-4)


def test_the_floor_gives_no_negative_power() -> None:
    spec = FrontendSpec()
    below = np.full((3, 64), np.log(1e-6) - 1e-3, np.float32)
    assert (to_power(below, spec) == 0).all()


def test_window_energies_wrap_around() -> None:
    power = noise(2, 7, 5)
    rows = power.sum(axis=1)
    for frames in (1, 3, 7, 16):
        expected = [sum(rows[(start + i) % 7] for i in range(frames)) for start in range(7)]
        np.testing.assert_allclose(window_energies(power, frames), expected, rtol=1e-5)


@pytest.mark.parametrize(("start", "frames"), [(0, 7), (2, 5), (2, 6), (6, 1), (6, 2), (3, 30), (0, 14)])
def test_a_piece_begins_again_past_the_end(start: int, frames: int) -> None:
    power = noise(2, 7, 5)
    np.testing.assert_array_equal(piece(power, start, frames), np.tile(power, (9, 1))[start : start + frames])


def test_crop_keeps_the_order_of_frames_and_goes_round() -> None:
    power = np.arange(10, dtype=np.float32)[:, None] * np.ones((1, 4), np.float32)
    rng = np.random.default_rng(3)
    for _ in range(50):
        rows = piece(power, louder(window_energies(power, 6), rng), 6)
        assert rows.shape == (6, 4)
        assert rows.dtype == np.float32
        assert (np.diff(rows[:, 0]) % 10 == 1).all()


def test_crop_prefers_what_sounds_but_goes_everywhere() -> None:
    power = np.full((100, 4), 1e-9, np.float32)
    power[20:30] = 1.0
    rng = np.random.default_rng(4)
    energies = window_energies(power, 20)
    crops = np.stack([piece(power, louder(energies, rng), 20) for _ in range(400)])
    loud = (crops.max(axis=(1, 2)) > 0.5).mean()
    # 29 of 100 starts touch the sound: one draw finds it in 29 % of the crops, the louder of two in 50 %.
    assert 0.42 < loud < 0.58


def test_mix_of_one_sound_alone_is_that_sound() -> None:
    first, second = noise(5, 4, 20, 16), noise(6, 4, 20, 16)
    np.testing.assert_allclose(mix(first, second, np.ones(4)), first, rtol=1e-6)
    np.testing.assert_allclose(mix(first, second, np.zeros(4)), second, rtol=1e-6)


def test_mix_compensates_the_levels() -> None:
    """A sound 40 dB louder does not drown the other: at one half both have the same power in the mixture."""
    first, second = np.zeros((1, 20, 16), np.float32), np.zeros((1, 20, 16), np.float32)
    first[:, :, :8], second[:, :, 8:] = 1e4, 1.0
    mixed = mix(first, second, np.array([0.5]))
    assert mixed[:, :, :8].mean() == pytest.approx(mixed[:, :, 8:].mean(), rel=1e-4)
    more = mix(first, second, np.array([0.8]))
    ratio = more[:, :, :8].mean() / more[:, :, 8:].mean()
    assert ratio == pytest.approx((0.8 / 0.2) ** 2, rel=1e-3)


def test_mix_keeps_the_level_of_equally_loud_sounds_and_survives_silence() -> None:
    first = noise(7, 3, 50, 32)
    mixed = mix(first, first[::-1], np.array([0.3, 0.5, 0.9]))
    np.testing.assert_allclose(mixed.mean(axis=(1, 2)), first.mean(axis=(1, 2)), rtol=0.1)
    silent = np.zeros_like(first)
    assert np.isfinite(mix(silent, first, np.full(3, 0.5))).all()
    assert (mix(silent, silent, np.full(3, 0.5)) == 0).all()


def test_equaliser_passes_through_its_knots_and_never_beyond() -> None:
    knots = np.random.default_rng(8).uniform(-6, 6, (10, 5))
    decibels = 10 * np.log10(equaliser(65, knots))
    np.testing.assert_allclose(decibels[:, ::16], knots, atol=1e-4)
    assert np.abs(decibels).max() <= 6.0
    assert equaliser(65, knots).dtype == np.float32


def test_an_equaliser_of_equal_knots_is_a_gain() -> None:
    np.testing.assert_allclose(equaliser(64, np.full((2, 5), 3.0)), 10**0.3, rtol=1e-5)


@pytest.mark.parametrize(("axis", "longest"), [(1, 16), (2, 8)])
def test_mask_covers_one_run_no_longer_than_asked(axis: int, longest: int) -> None:
    features = np.ones((300, 40, 24), np.float32)
    mask(features, axis, longest, np.random.default_rng(9))
    other = 3 - axis
    assert (features.min(axis=other) == features.max(axis=other)).all()
    lines = features.min(axis=other)
    lengths = (lines == 0).sum(axis=1)
    assert lengths.max() == longest
    assert lengths.min() == 0
    assert (np.abs(np.diff(lines, axis=1)).sum(axis=1) <= 2).all()
    assert (lines == 0).any(axis=0).all(), "every place can be masked"


def test_masks_have_the_value_of_their_example() -> None:
    features = np.ones((2, 40, 24), np.float32)
    for axis in (1, 2):
        mask(features, axis, 12, np.random.default_rng(3), np.array([-5.0, -2.0], np.float32))
    assert [set(np.unique(example)) for example in features] == [{-5.0, 1.0}, {-2.0, 1.0}]


def test_no_mask_when_none_is_asked_for() -> None:
    features = np.ones((5, 10, 10), np.float32)
    mask(features, 1, 0, np.random.default_rng(10))
    assert (features == 1).all()


def test_stretch_changes_the_tempo_and_nothing_else() -> None:
    power = noise(11, 30, 8)
    assert stretch(power, 30).dtype == np.float32
    np.testing.assert_allclose(stretch(power, 30), power, rtol=1e-5)
    slower = stretch(power, 59)
    np.testing.assert_allclose(slower[::2], power, rtol=1e-4)
    np.testing.assert_allclose(slower[1::2], (power[:-1] + power[1:]) / 2, rtol=1e-4)
    faster = stretch(power, 15)
    np.testing.assert_allclose(faster[[0, -1]], power[[0, -1]], rtol=1e-5)
    np.testing.assert_allclose(stretch(power[:1], 4), np.repeat(power[:1], 4, axis=0))


def test_cut_leaves_one_run_with_a_quarter_of_the_energy_between_silence() -> None:
    power = noise(13, 400, 40, 8)
    random = np.random.default_rng(15)
    whole, first, last = 0, [], []
    for example in power:
        left = example.copy()
        cut(left, random)
        assert left.dtype == np.float32
        heard = np.flatnonzero(left.any(axis=1))
        run = slice(heard[0], heard[-1] + 1)
        assert len(heard) == run.stop - run.start, "one run"
        np.testing.assert_array_equal(left[run], example[run])
        assert (left[: run.start] == 0).all()
        assert (left[run.stop :] == 0).all()
        assert left.sum() >= 0.2499 * example.sum()
        whole += len(heard) == 40
        first.append(run.start)
        last.append(run.stop)
    assert whole < 20
    assert set(range(25)) <= set(first), "it begins anywhere"
    assert set(range(16, 41)) <= set(last), "it ends anywhere"


def test_cut_never_takes_the_sound_out_of_a_window() -> None:
    power = np.zeros((200, 40, 4), np.float32)
    power[:, 7] = 1.0
    random = np.random.default_rng(16)
    for example in power:
        cut(example, random)
    assert (power[:, 7] == 1.0).all()


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_cut_of_very_short_and_of_silent_windows(frames: int) -> None:
    for seed in range(20):
        power = noise(17, frames, 4)
        cut(power, np.random.default_rng(seed))
        assert power.any()
        silent = np.zeros((frames, 4), np.float32)
        cut(silent, np.random.default_rng(seed))
        assert not silent.any()


def test_shift_moves_bands_and_lets_silence_in() -> None:
    power = noise(12, 3, 20, 16)
    shifted = power.copy()
    shift(shifted, np.array([2.0, -3.0, 0.0]))
    np.testing.assert_allclose(shifted[0, :, 2:], power[0, :, :-2])
    np.testing.assert_allclose(shifted[1, :, :-3], power[1, :, 3:])
    assert (shifted[0, :, :2] == 0).all()
    assert (shifted[1, :, -3:] == 0).all()
    np.testing.assert_array_equal(shifted[2], power[2])
    half = power[:1].copy()
    shift(half, np.array([0.5]))
    np.testing.assert_allclose(half[0, :, 1:], (power[0, :, 1:] + power[0, :, :-1]) / 2, rtol=1e-4)
    beyond = power[:1].copy()
    shift(beyond, np.array([40.0]))
    assert (beyond == 0).all()


def test_noise_has_the_level_and_the_colour_that_were_asked_for() -> None:
    power = np.full((3, 200, 32), 0.1, np.float32)
    random = np.random.default_rng(13)
    add_noise(power, np.array([0.0, 10.0, np.inf]), np.array([0.0, 12.0, 5.0]), random)
    added = power - np.float32(0.1)
    assert added[0].mean() == pytest.approx(0.1, rel=1e-3)
    assert added[1].mean() == pytest.approx(0.01, rel=1e-3)
    assert (power[2] == np.float32(0.1)).all(), "infinitely far below is none"
    assert added.min() >= 0
    tilt = 10 * np.log10(added[1, :, -1].mean() / added[1, :, 0].mean())
    assert tilt == pytest.approx(12.0, abs=1.0)
    spread = added[0].std() / added[0].mean()
    assert spread == pytest.approx(2**-0.5, rel=0.05), "gamma distribution of shape 2"


def test_noise_leaves_silence_silent() -> None:
    silent = np.zeros((1, 10, 8), np.float32)
    add_noise(silent, np.array([0.0]), np.array([0.0]), np.random.default_rng(14))
    assert (silent == 0).all()
