"""A third implementation, written from docs/front-end.md alone with plain Python numbers: the default setting."""

import math

import numpy as np
import pytest

from stapes.features import FixedFrontend, OutputQuantization
from stapes.recipe import FrontendSpec

N, HOP, RATE, BANDS, LOW, HIGH, FLOOR = 512, 320, 16000, 64, 60.0, 7800.0, 1e-6
HALF = N // 2
STAGES = 3  # scaled radix-4 stages
MEAN, STD, SCALE, ZERO_POINT = -8.0, 4.0, 1.0 / 32.0, 3


def q31(x: float) -> int:
    return max(-(2**31), min(2**31 - 1, round(x * 2**31)))


def mulhi(x: int, y: int) -> int:
    return (x * y + 2**31) >> 32


def mulhi_negated(x: int, y: int) -> int:
    return (2**31 - x * y) >> 32


def rotate(re: int, im: int, turns: float) -> tuple[int, int]:
    c, s = q31(math.cos(2 * math.pi * turns)), q31(math.sin(2 * math.pi * turns))
    return mulhi(re, c) + mulhi(im, s), mulhi(im, c) + mulhi_negated(re, s)


def transform(z: list[tuple[int, int]]) -> list[tuple[int, int]]:
    length = len(z)
    if length == 1:
        return z
    parts = [transform(z[i::4]) for i in range(4)]
    quarter = length // 4
    out = [(0, 0)] * length
    for k in range(quarter):
        a, b, c, d = (part[k] for part in parts)
        if length > 4:
            a = (a[0] >> 1, a[1] >> 1)
            b, c, d = (rotate(*x, i * k / length) for i, x in ((1, b), (2, c), (3, d)))
        even, odd = (a[0] + c[0], a[1] + c[1]), (a[0] - c[0], a[1] - c[1])
        side, cross = (b[0] + d[0], b[1] + d[1]), (b[0] - d[0], b[1] - d[1])
        out[k] = (even[0] + side[0], even[1] + side[1])
        out[k + quarter] = (odd[0] + cross[1], odd[1] - cross[0])
        out[k + 2 * quarter] = (even[0] - side[0], even[1] - side[1])
        out[k + 3 * quarter] = (odd[0] - cross[1], odd[1] + cross[0])
    return out


def powers(frame: list[int], exponent: int) -> list[int]:
    window = [q31(0.5 - 0.5 * math.cos(2 * math.pi * min(n, N - n) / N)) for n in range(N)]
    y = [mulhi(x * 2**exponent, w) for x, w in zip(frame, window, strict=True)]
    z = transform(list(zip(y[0::2], y[1::2], strict=True)))
    power = [0] * HALF
    for k in range(1, HALF // 2):
        (a, b), (c, d) = z[k], z[HALF - k]
        re, im = rotate(a - c, b + d, k / N)
        power[k] = (((a + c) >> 1) + im) ** 2 + (((b - d) >> 1) - re) ** 2
        power[HALF - k] = (((a + c) >> 1) - im) ** 2 + (((b - d) >> 1) + re) ** 2
    power[HALF // 2] = z[HALF // 2][0] ** 2 + z[HALF // 2][1] ** 2
    return power


def mel(hz: float) -> float:
    return hz * 3 / 200 if hz < 1000 else 15 + math.log(hz / 1000) / (math.log(6.4) / 27)


def hertz(m: float) -> float:
    return m * 200 / 3 if m < 15 else 1000 * math.exp(math.log(6.4) / 27 * (m - 15))


CORNERS = [hertz(mel(LOW) + (mel(HIGH) - mel(LOW)) * i / (BANDS + 1)) for i in range(BANDS + 2)]
CORNERS[0], CORNERS[-1] = LOW, HIGH


def bands(power: list[int]) -> list[int]:
    total, rising = [0] * (BANDS + 1), [0] * (BANDS + 1)
    for k in range(1, HALF):
        hz = k * RATE / N
        for s in range(BANDS + 1):
            if CORNERS[s] <= hz < CORNERS[s + 1]:
                w = min(round((hz - CORNERS[s]) / (CORNERS[s + 1] - CORNERS[s]) * 2**32), 2**32 - 1)
                total[s] += power[k]
                rising[s] += (power[k] >> 32) * w + ((power[k] & 0xFFFFFFFF) * w >> 32)
    return [rising[m] + total[m + 1] - rising[m + 1] for m in range(BANDS)]


def log2_q24(value: int) -> int:
    def point(i: int) -> int:
        x = 1 + i / 128
        return round((math.log2(x) + 1 / (8 * math.log(2)) / (128 * x) ** 2 / 2) * 2**24)

    bits = value.bit_length()
    mantissa = value << 64 >> (bits + 32)
    i, rest = (mantissa >> 24) & 127, mantissa << 8 & 0xFFFFFFFF
    return (bits - 1) * 2**24 + point(i) + ((point(i + 1) - point(i)) * rest >> 32)


def features(frame: list[int]) -> list[int]:
    energy = sum(x * x for x in frame)
    norm = [2 / (CORNERS[m + 2] - CORNERS[m]) for m in range(BANDS)]
    unit = 2 * (14 - STAGES)
    width = math.frexp(max(FLOOR / n for n in norm))[1]
    shift = unit + width - 32
    exponent = min((60 - energy.bit_length()) // 2, (30 - shift) // 2, 29)
    per_octave = math.log(2) / (STD * SCALE)
    gain = round(per_octave * 2**24)
    row = []
    for value, n in zip(bands(powers(frame, exponent)), norm, strict=True):
        floor = min(round(FLOOR / n * 2.0 ** (32 - width)), 2**32 - 1)
        up, down = max(2 * exponent + shift, 0), max(-2 * exponent - shift, 0)
        log = log2_q24(value + ((floor >> down) << up)) - 2 * exponent * 2**24
        offset = per_octave * (math.log2(n) - unit) - MEAN / (STD * SCALE)
        bias = round((ZERO_POINT + 0.5 + offset) * 2**16)
        row.append(max(-128, min(127, (mulhi(log, gain) + bias) >> 16)))
    return row


@pytest.mark.parametrize("amplitude", [0, 1, 40, 3000, 32767])
def test_the_text_is_enough(amplitude: int) -> None:
    random = np.random.default_rng(amplitude)
    pcm = random.integers(-amplitude, amplitude + 1, N + HOP).astype(np.int16)
    expected = FixedFrontend(FrontendSpec()).features(pcm, OutputQuantization(MEAN, STD, SCALE, ZERO_POINT))
    for frame, row in enumerate(expected):
        assert features([int(x) for x in pcm[frame * HOP : frame * HOP + N]]) == row.tolist()
