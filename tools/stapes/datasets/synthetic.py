"""Sounds made by arithmetic: for demonstrations and tests on a machine without recordings.

Each clip imitates one class of ESC-10 well enough to be told from the others by ear. Everything is integer
arithmetic on a counter-based generator and a rounded sine table: the same samples on every machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from stapes.datasets.dataset import Clip, Pcm
from stapes.files import sha256

Wave = npt.NDArray[np.int64]

_VERSION = 1
_FOLDS = 5
_UNIT = 1 << 15
_SINE: Wave = np.rint(np.sin(2 * np.pi * np.arange(4096) / 4096) * (_UNIT - 1)).astype(np.int64)


def synthetic_clips(
    labels: Sequence[str], count: int, sample_rate: int, seconds: float, seed: int
) -> tuple[Clip, ...]:
    """`count` clips, the labels in turn, spread evenly over five folds; samples are made when a clip is read.

    Labels of ESC-10 get a sound of their kind, any other label a tone pattern of its own. The same arguments
    always give the same int16 samples. A speed other than 1 scales every frequency and the duration.
    """
    clips = []
    for index in range(count):
        label = labels[index % len(labels)]
        key = int(sha256(f"{_VERSION}/{seed}/{index}/{label}".encode())[:15], 16)
        clips.append(
            Clip(
                name=f"synthetic-{seed}-{index:03d}-{label}",
                label=label,
                fold=index // len(labels) % _FOLDS + 1,
                identity=lambda key=key: f"synthetic {_VERSION} {key} {sample_rate} {seconds}",  # type: ignore[misc]
                read=partial(_make, label, key, sample_rate, seconds),
            )
        )
    return tuple(clips)


def _make(label: str, key: int, sample_rate: int, seconds: float, speed: float) -> Pcm:
    sound = _Sound(round(sample_rate / speed), round(seconds * sample_rate / speed), key)
    wave = _SOUNDS.get(label, partial(_tones, label))(sound)
    peak = max(1, int(np.abs(wave).max()))
    # Half to nearly full scale, as recordings differ in level.
    level = 14000 + sound.below(16000)
    return (wave * level // peak).astype(np.int16)


class _Sound:
    """The generators that the classes are made of. Amplitudes are integers around ±32767."""

    def __init__(self, rate: int, samples: int, key: int) -> None:
        self.rate, self.samples = rate, samples
        self._key = key
        self._draws = 0

    def random(self, count: int) -> npt.NDArray[np.uint64]:
        """uint64[count], SplitMix64 (Steele, Lea, Flood 2014) of a counter that goes on from call to call."""
        golden = 0x9E3779B97F4A7C15
        start = (self._key * golden + self._draws * golden) % (1 << 64)
        self._draws += count
        with np.errstate(over="ignore"):
            z = np.uint64(start) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(golden)
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))

    def below(self, limit: int) -> int:
        """A random integer in [0, limit)."""
        return int(self.random(1)[0] >> np.uint64(32)) * limit >> 32

    def between(self, low: int, high: int) -> int:
        """A random integer in [low, high)."""
        return low + self.below(high - low)

    def milliseconds(self, value: int) -> int:
        """Samples in `value` ms."""
        return value * self.rate // 1000

    def noise(self) -> Wave:
        """White noise, uniform."""
        return (self.random(self.samples) >> np.uint64(48)).astype(np.int64) - _UNIT

    def constant(self, value: int) -> Wave:
        """`value`, everywhere."""
        return np.full(self.samples, value, dtype=np.int64)

    def tone(self, hertz: Wave, harmonics: Sequence[int] = (8,)) -> Wave:
        """Sine of a frequency that may change with every sample; `harmonics` are weights in eighths."""
        phase = np.cumsum(hertz * 65536 // self.rate)
        wave = np.zeros(self.samples, dtype=np.int64)
        for order, weight in enumerate(harmonics, start=1):
            wave += _SINE[(phase * order >> 4) & 4095] * weight // 8
        return wave

    def slow(self, millihertz: int, low: int, high: int) -> Wave:
        """A slow sine between `low` and `high`, from a random phase."""
        phase = np.arange(self.samples) * (millihertz * 65536 // 1000) // self.rate + self.below(65536)
        wave: Wave = low + (_SINE[(phase >> 4) & 4095] + _UNIT) * (high - low) // (2 * _UNIT)
        return wave

    def smooth(self, wave: Wave, length: int) -> Wave:
        """Mean over `length` samples: takes the highs away."""
        total = np.cumsum(np.concatenate([np.zeros(length, dtype=np.int64), wave]))
        mean: Wave = (total[length:] - total[:-length]) // length
        return mean

    def ramp(self, start: int, length: int) -> Wave:
        """int64[≤ length]: time since `start` in 1/32768 of `length`, for the samples that exist."""
        return np.arange(min(length, self.samples - start), dtype=np.int64) * _UNIT // length

    def add(self, wave: Wave, start: int, piece: Wave) -> None:
        """Add `piece` into `wave` from `start` on."""
        wave[start : start + len(piece)] += piece[: max(0, self.samples - start)]


def _decay(ramp: Wave) -> Wave:
    """Envelope that starts at 32768 and falls as the fourth power."""
    left = _UNIT - ramp
    squared = left * left // _UNIT
    return squared * squared // _UNIT


def _arch(ramp: Wave) -> Wave:
    """Envelope that rises and falls as a parabola, 32768 in the middle."""
    return 4 * ramp * (_UNIT - ramp) // _UNIT


def _chainsaw(s: _Sound) -> Wave:
    engine = s.slow(300 + s.below(400), 85, 150 + s.below(60)) + s.slow(7000, 0, 6)
    wave = s.tone(engine, (8, 7, 6, 8, 5, 6, 4, 5, 3, 4, 3, 3))
    rough = s.noise() - s.smooth(s.noise(), 8)
    return wave + rough * s.slow(900, 8000, 20000) // _UNIT


def _clock_tick(s: _Sound) -> Wave:
    wave = s.noise() // 400
    period, pitch = s.milliseconds(s.between(450, 1000)), s.between(1800, 3600)
    click = s.tone(s.constant(pitch), (8, 4, 3)) + s.noise() // 2
    start, number = s.below(period), 0
    while start < s.samples:
        ramp = s.ramp(start, s.milliseconds(35))
        strength = 8 if number % 2 == 0 else 6
        s.add(wave, start, click[: len(ramp)] * _decay(ramp) // _UNIT * strength // 8)
        start, number = start + period, number + 1
    return wave


def _crackling_fire(s: _Sound) -> Wave:
    wave = s.smooth(s.noise(), 24) // 4 + s.noise() // 60
    for _ in range(s.samples * s.between(14, 30) // s.rate):
        start = s.below(s.samples)
        ramp = s.ramp(start, s.milliseconds(s.between(4, 18)))
        crack = s.noise()[: len(ramp)] * _decay(ramp) // _UNIT
        s.add(wave, start, crack * s.between(2, 10) // 8)
    return wave


def _crying_baby(s: _Sound) -> Wave:
    wave = s.noise() // 300
    base, start = s.between(380, 520), s.below(s.milliseconds(400))
    while start < s.samples:
        length = s.milliseconds(s.between(600, 1100))
        ramp = s.ramp(start, length)
        bend = np.zeros(s.samples, dtype=np.int64)
        s.add(bend, start, _arch(ramp) * 120 // _UNIT)
        voice = s.tone(base + bend + s.slow(6000, -12, 12), (6, 8, 6, 7, 4, 3, 2))
        s.add(wave, start, (voice[start : start + len(ramp)] * _arch(ramp)) // _UNIT)
        start += length + s.milliseconds(s.between(150, 450))
    return wave


def _dog(s: _Sound) -> Wave:
    wave = s.noise() // 500
    base, start = s.between(320, 560), s.below(s.milliseconds(600))
    while start < s.samples:
        for _ in range(s.between(1, 3)):
            ramp = s.ramp(start, s.milliseconds(s.between(140, 220)))
            if len(ramp) == 0:
                break
            hertz = s.constant(base)
            s.add(hertz, start, _arch(ramp) * base // _UNIT // 2)
            bark = s.tone(hertz, (8, 7, 6, 4, 3)) + s.noise() // 2
            s.add(wave, start, bark[start : start + len(ramp)] * _arch(ramp) // _UNIT)
            start += s.milliseconds(s.between(280, 380))
        start += s.milliseconds(s.between(500, 1200))
    return wave


def _helicopter(s: _Sound) -> Wave:
    low = s.smooth(s.smooth(s.noise(), 20), 12)
    rotor = s.slow(s.between(11000, 19000), 0, _UNIT)
    thump = rotor * rotor // _UNIT * rotor // _UNIT
    blade = s.tone(s.constant(s.between(55, 90)), (8, 5, 3))
    wave: Wave = low * (thump + 4000) // _UNIT * 4 + blade * thump // _UNIT // 4
    return wave


def _rain(s: _Sound) -> Wave:
    noise = s.noise()
    wave = (noise - s.smooth(noise, 16)) * 3 // 4
    for _ in range(s.samples * s.between(20, 60) // s.rate):
        start = s.below(s.samples)
        ramp = s.ramp(start, s.milliseconds(6))
        s.add(
            wave, start, s.tone(s.constant(s.between(2500, 5500)))[: len(ramp)] * _decay(ramp) // _UNIT // 2
        )
    return wave


def _rooster(s: _Sound) -> Wave:
    wave = s.noise() // 400
    base, start = s.between(480, 640), s.below(s.milliseconds(900))
    while start < s.samples:
        for length, rise in ((220, 180), (160, 300), (240, 380), (900, 520)):
            ramp = s.ramp(start, s.milliseconds(length))
            hertz = s.constant(base)
            s.add(hertz, start, _arch(ramp) * rise // _UNIT)
            call = s.tone(hertz, (7, 8, 8, 6, 5, 4, 2))
            s.add(wave, start, call[start : start + len(ramp)] * _arch(ramp) // _UNIT)
            start += s.milliseconds(length + 60)
            if start >= s.samples:
                break
        start += s.milliseconds(s.between(900, 1800))
    return wave


def _sea_waves(s: _Sound) -> Wave:
    swell = s.slow(s.between(120, 260), 2500, _UNIT)
    noise = s.noise()
    wave: Wave = s.smooth(noise, 6) * swell // _UNIT + noise * (swell * swell // _UNIT) // _UNIT // 4
    return wave


def _sneezing(s: _Sound) -> Wave:
    wave = s.noise() // 500
    start = s.below(s.milliseconds(1200))
    while start < s.samples:
        breath = s.ramp(start, s.milliseconds(s.between(400, 700)))
        air = s.smooth(s.noise(), 3)
        s.add(wave, start, air[: len(breath)] * breath // _UNIT // 6)
        start += len(breath) + s.milliseconds(40)
        if start >= s.samples:
            break
        ramp = s.ramp(start, s.milliseconds(s.between(220, 380)))
        burst = s.noise() + s.tone(s.constant(s.between(250, 420)), (6, 4, 3))
        s.add(wave, start, burst[: len(ramp)] * _decay(ramp) // _UNIT)
        start += s.milliseconds(s.between(1800, 3200))
    return wave


def _tones(label: str, s: _Sound) -> Wave:
    """Two alternating tones that the label alone decides, for labels that are not of ESC-10."""
    digest = int(sha256(label.encode())[:8], 16)
    first, second = 200 + digest % 1400, 200 + digest // 1400 % 2800
    gate = s.slow(1000 + digest % 5000, 0, _UNIT)
    high, low = s.tone(s.constant(first), (8, 3)), s.tone(s.constant(second), (8, 3))
    return (high * gate + low * (_UNIT - gate)) // _UNIT + s.noise() // 40


_SOUNDS: dict[str, Callable[[_Sound], Wave]] = {
    "chainsaw": _chainsaw,
    "clock_tick": _clock_tick,
    "crackling_fire": _crackling_fire,
    "crying_baby": _crying_baby,
    "dog": _dog,
    "helicopter": _helicopter,
    "rain": _rain,
    "rooster": _rooster,
    "sea_waves": _sea_waves,
    "sneezing": _sneezing,
}
