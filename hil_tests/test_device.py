"""The device as such: it keeps its promises about memory, time and repetition."""

import numpy as np
import pytest

from stapes.check import CheckReport, ClipSet
from stapes.device import Prepared
from stapes.link import Client, Hello
from stapes.reference import Reference


@pytest.mark.stapes_needs("stack", "build")
def test_stack_stays_below_the_worst_case(stapes_report: CheckReport) -> None:
    assert stapes_report.build is not None
    if not stapes_report.build.stack_bytes:
        pytest.skip("the compiler cannot tell the worst case")
    assert 0 < stapes_report.stack_high_water <= stapes_report.build.stack_bytes


def test_constants_in_flash_are_sound(stapes_device: tuple[Client, Hello]) -> None:
    client, _ = stapes_device
    assert client.self_test().passed


def test_the_same_clip_twice_gives_the_same(
    stapes_device: tuple[Client, Hello], stapes_clips: ClipSet, stapes_prepared: Prepared
) -> None:
    client, _ = stapes_device
    pcm = stapes_clips.clips[0].pcm
    runs = []
    for _ in range(2):
        client.reset()
        position, windows = 0, []
        while position < len(pcm):
            pushed = client.push(pcm[position:])
            position = pushed.samples
            if pushed.window_ready:
                window = client.window()
                windows.append(
                    (window.features_crc, tuple(window.layer_crcs), window.scores.tobytes(), window.weight)
                )
        runs.append((windows, client.decision()))
    assert runs[0] == runs[1]


def test_any_chunking_gives_the_same(
    stapes_device: tuple[Client, Hello], stapes_clips: ClipSet, stapes_bundle
) -> None:
    client, _ = stapes_device
    reference = Reference(stapes_bundle)
    pcm = reference.fit(stapes_clips.clips[0].pcm)[
        : stapes_bundle.manifest.frontend.samples(stapes_bundle.manifest.window.frames) + 700
    ]
    expected = next(iter(reference.windows(pcm)))
    random = np.random.default_rng(7)
    client.reset()
    position, scores = 0, None
    while position < len(pcm):
        pushed = client.push(pcm[position : position + int(random.integers(1, 900))])
        position = pushed.samples
        if pushed.window_ready:
            scores = client.window().scores
    assert scores is not None and np.array_equal(scores, expected.scores)
