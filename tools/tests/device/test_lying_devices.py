"""Devices that are honest but for one lie: each lie is named in one line, nothing hangs, nothing wrong is accepted."""

from __future__ import annotations

import struct
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from live_bundle import make_live_bundle
from lying_device import (
    HEADS,
    PAYLOAD,
    EndlessError,
    Lie,
    LyingDevice,
    LyingHarness,
    LyingListener,
    fields,
    payload,
)
from small_bundle import make_small_bundle

from stapes.check import CheckReport, ClipSet, check_bundle
from stapes.codegen import Generated, generate
from stapes.datasets import Clip, synthetic_clips
from stapes.device import Prepared, connection
from stapes.errors import StapesError
from stapes.link.live import EVENT
from stapes.link.messages import Message
from stapes.live import listening
from stapes.live import session as live_session
from stapes.recipe import Bundle
from stapes.reference import ClipReference, Reference

HELLO, PCM, WINDOW, FEATURES = Message.HELLO, Message.PCM, Message.WINDOW, Message.FEATURES
ACTIVATIONS, DECISION, SELF_TEST = Message.ACTIVATIONS, Message.DECISION, Message.SELF_TEST
LIVE_PCM, EVENTS, STATUS, ROWS = Message.LIVE_PCM, Message.LIVE_EVENTS, Message.LIVE_STATUS, Message.LIVE_ROWS
HUGE = 0xFFFFFFFF


def more(value: int) -> int:
    return value + 1


def less(value: int) -> int:
    return value - 1


def one_byte(right: bytes) -> bytes:
    return right[: HEADS[FEATURES].size + 1]


def head_only(message: Message):  # type: ignore[no-untyped-def]
    return lambda right: right[: HEADS[message].size]


def flipped(right: bytes) -> bytes:
    return right[:-1] + bytes([right[-1] ^ 1])


GREETINGS = {
    "another protocol": fields(HELLO, protocol=9),
    "another bundle": fields(HELLO, bundle_hash=b"x" * 32),
    "another front end": fields(HELLO, frontend_hash=b"x" * 32),
    "a counter that there is not": fields(HELLO, counter=99),
    "a counter without a unit": fields(HELLO, counter_denominator=0),
    "another sample rate": fields(HELLO, sample_rate=8000),
    "no sample rate": fields(HELLO, sample_rate=0),
    "messages too short for anything": fields(HELLO, max_payload=5),
    "no messages": fields(HELLO, max_payload=0),
    "no classes": fields(HELLO, class_count=0),
    "one class more": fields(HELLO, class_count=more),
    "65535 classes": fields(HELLO, class_count=65535),
    "no frames in a window": fields(HELLO, window_frames=0),
    "more frames in a window": fields(HELLO, window_frames=more),
    "windows that do not move": fields(HELLO, window_hop_frames=0),
    "another hop of windows": fields(HELLO, window_hop_frames=more),
    "no features": fields(HELLO, n_features=0),
    "7 features": fields(HELLO, n_features=7),
    "an empty frame": fields(HELLO, frame_length=0),
    "a longer frame": fields(HELLO, frame_length=more),
    "frames that do not move": fields(HELLO, hop_length=0),
    "a longer hop": fields(HELLO, hop_length=more),
    "an empty hello": payload(HELLO, lambda right: b""),
    "half a hello": payload(HELLO, lambda right: right[: len(right) // 2]),
    "a hello without texts": payload(HELLO, head_only(HELLO)),
    "a text that is longer than the hello": payload(HELLO, lambda right: right[:96] + b"\xff" + right[97:]),
    "a hello with more behind it": payload(HELLO, lambda right: right + b"more"),
    "damaged constants": fields(SELF_TEST, computed=6),
    "an empty self-test": payload(SELF_TEST, lambda right: b""),
}  # fmt: skip
"""Told by both applications."""

HARNESS = GREETINGS | {
    "fewer layers": fields(HELLO, layer_count=less),
    "more layers": fields(HELLO, layer_count=more),
    "no layers": fields(HELLO, layer_count=0),
    "half a fault": payload(Message.FAULT, lambda right: b"123"),
    "a reset that talks": payload(Message.RESET, lambda right: b"done"),
    "no sample taken": fields(PCM, samples=0),
    "one sample less": fields(PCM, samples=less),
    "one sample more": fields(PCM, samples=more),
    "samples without end": fields(PCM, samples=HUGE),
    "no progress, but a window": fields(PCM, samples=0, window_ready=1),
    "a window in every message": fields(PCM, window_ready=1),
    "never a window": fields(PCM, window_ready=0),
    "a window that is ready twice over": fields(PCM, window_ready=2),
    "one window more": fields(PCM, windows=more),
    "windows without end": fields(PCM, windows=HUGE),
    "one frame more": fields(PCM, frames=more),
    "no frames": fields(PCM, after=40, frames=0),
    "other samples": fields(PCM, pcm_crc=1),
    "half an answer to samples": payload(PCM, lambda right: right[:9]),
    "more behind the answer to samples": payload(PCM, lambda right: right + b"\0"),
    "an empty window": payload(WINDOW, lambda right: b""),
    "a window's head alone": payload(WINDOW, head_only(WINDOW)),
    "another window": fields(WINDOW, index=more),
    "other features": fields(WINDOW, features_crc=0),
    "another weight": fields(WINDOW, weight=more),
    "a class more in a window": fields(WINDOW, class_count=more),
    "no class in a window": fields(WINDOW, class_count=0),
    "scores from another class on": fields(WINDOW, first_class=1),
    "more scores than there are": fields(WINDOW, scores_here=more),
    "no scores": fields(WINDOW, scores_here=0),
    "65535 scores": fields(WINDOW, scores_here=65535),
    "a layer more in a window": fields(WINDOW, layer_count=more),
    "no layer in a window": fields(WINDOW, layer_count=0),
    "layers from another one on": fields(WINDOW, first_layer=3),
    "half a layer": payload(WINDOW, lambda right: right[:-5]),
    "a layer's checksum": payload(WINDOW, lambda right: right[:-8] + b"\1\2\3\4" + right[-4:]),
    "a score": payload(WINDOW, lambda right: right[:30] + bytes([right[30] ^ 1]) + right[31:]),
    "features without end": fields(FEATURES, total=HUGE),
    "no features at all": fields(FEATURES, total=0),
    "a feature less": fields(FEATURES, total=less),
    "features from elsewhere": fields(FEATURES, after=1, offset=0),
    "features byte by byte": payload(FEATURES, one_byte),
    "empty pages of features": payload(FEATURES, head_only(FEATURES)),
    "more features than fit": payload(FEATURES, lambda right: right + bytes(2000)),
    "one feature": payload(FEATURES, flipped),
    "half a head of features": payload(FEATURES, lambda right: right[:5]),
    "activations without end": fields(ACTIVATIONS, total=HUGE),
    "no activations": fields(ACTIVATIONS, total=0),
    "an activation more": fields(ACTIVATIONS, total=more),
    "activations from elsewhere": fields(ACTIVATIONS, after=1, offset=0),
    "activations byte by byte": payload(ACTIVATIONS, one_byte),
    "empty pages of activations": payload(ACTIVATIONS, head_only(ACTIVATIONS)),
    "one activation": payload(ACTIVATIONS, flipped),
    "class 1000": fields(DECISION, class_index=1000, best=1000),
    "class -2": fields(DECISION, class_index=-2),
    "a best class that there is not": fields(DECISION, best=1000),
    "another class": fields(DECISION, class_index=lambda index: (index + 2) % 3),
    "another confidence": fields(DECISION, confidence=more),
    "fewer windows in the vote": fields(DECISION, windows=less),
    "more weight in the vote": fields(DECISION, weight=more),
    "a class less in the vote": fields(DECISION, class_count=less),
    "no class in the vote": fields(DECISION, class_count=0),
    "sums from another class on": fields(DECISION, first_class=1),
    "no sums": payload(DECISION, head_only(DECISION)),
    "half a sum": payload(DECISION, lambda right: right[:-3]),
    "half of the device's figures": payload(Message.STATS, lambda right: right[:3]),
}  # fmt: skip


def event(**changes: object) -> tuple[Message, Lie]:
    """Another first event, wherever one comes."""

    def change(right: bytes) -> bytes:
        head, rest = right[: HEADS[EVENTS].size], right[HEADS[EVENTS].size :]
        if not rest:
            return right
        fields = EVENT.unpack(rest)
        wrong = {name: value(fields[name]) if callable(value) else value for name, value in changes.items()}
        return head + EVENT.pack(**fields | wrong) + rest[EVENT.size :]

    return payload(EVENTS, change)


LISTENER = GREETINGS | {
    "a reset that talks": payload(Message.RESET, lambda right: b"done"),
    "one sample less": fields(LIVE_PCM, samples=less),
    "one sample more": fields(LIVE_PCM, samples=more),
    "half an answer to samples": payload(LIVE_PCM, lambda right: right[:5]),
    "always one event more": payload(
        EVENTS,
        lambda right: (
            struct.pack("<HI", 1, 0)
            + EVENT.pack(kind=2, class_index=-1, start=0, end=1, score=0, level=0, dropped=0)
        ),
    ),
    "always one event more, each later": fields(EVENTS, waiting=1),
    "60000 events that wait": fields(EVENTS, waiting=60000),
    "events that never come": fields(EVENTS, after=2, waiting=5),
    "fewer lost events than before": payload(
        EVENTS, lambda right: struct.pack("<HI", 0, 7 if right[6:] else 3)
    ),
    "half an event": payload(EVENTS, lambda right: right + b"1"),
    "an event of a kind that there is not": event(kind=77),
    "an event of class 1000": event(class_index=1000),
    "an event of no class": event(class_index=-1),
    "an event of class -2": event(class_index=-2),
    "a level of a class": event(kind=2),
    "an event that ends before it begins": event(end=0),
    "an event in the future": event(kind=1, end=2**63),
    "an event before the last": event(start=0),
    "a beginning instead of an end": event(kind=0, start=0, end=2**40),
    "an impossible level of an event": event(level=2**31 - 1),
    "samples that run backwards": fields(STATUS, after=3, samples=0),
    "time that runs backwards": fields(STATUS, after=3, elapsed=0),
    "work that is undone": fields(STATUS, after=3, busy=0),
    "more lost than there was": fields(STATUS, dropped=2**60),
    "more windows than there can be": fields(STATUS, windows=2**60),
    "decided for class 1000": fields(STATUS, decided=1000),
    "decided for class -2": fields(STATUS, decided=-2),
    "best class 1000": fields(STATUS, best=1000),
    "a gate that is more than open": fields(STATUS, gate_is_open=2),
    "an impossible level": fields(STATUS, level=2**31 - 1),
    "a class more in the status": fields(STATUS, class_count=more),
    "no class in the status": fields(STATUS, class_count=0),
    "scores from another class on": fields(STATUS, first_class=1),
    "no scores": payload(STATUS, head_only(STATUS)),
    "half a score": payload(STATUS, lambda right: right[:-1]),
    "half a status": payload(STATUS, lambda right: right[:20]),
    "half a row": payload(ROWS, lambda right: right + b"1"),
    "rows without a head": payload(ROWS, lambda right: b"12"),
    "the same rows again": fields(ROWS, after=3, first=0),
    "rows from the future": fields(ROWS, first=2**30),
    "a flush that talks": payload(Message.LIVE_FLUSH, lambda right: b"flushed"),
}  # fmt: skip


class Rig:
    """One bundle, its plan and what its clips must give."""

    def __init__(self, bundle: Bundle, directory: Path) -> None:
        self.bundle = bundle
        self.directory = directory
        self.generated: Generated = generate(bundle, directory / "generated")
        front = bundle.manifest.frontend
        (clip,) = synthetic_clips(bundle.manifest.labels, 1, front.sample_rate, 1.0, 1)
        self.pcm = clip.pcm[: front.samples(bundle.manifest.window.frames + 8)]
        clip = Clip(clip.name, clip.label, clip.fold, clip.identity, lambda speed: self.pcm)
        self.clips = ClipSet("synthetic", (clip,))
        self.expected: list[ClipReference] = [Reference(bundle, "numpy").clip(self.pcm)]


def connected(monkeypatch: pytest.MonkeyPatch, device: LyingDevice) -> None:
    """`device` behind every target."""

    @contextmanager
    def opened(target: str, elf: Path | None = None, microphone: None = None) -> Iterator[LyingDevice]:
        yield device

    monkeypatch.setattr(connection, "open_target", opened)
    monkeypatch.setattr(connection, "longest_wait", lambda target: 2.0)


def check(rig: Rig, monkeypatch: pytest.MonkeyPatch, lies: dict[Message, Lie]) -> CheckReport:
    """A full check, so that every message is asked for."""
    connected(monkeypatch, LyingHarness(rig.bundle, rig.generated.plan, lies, rig.expected))
    prepared = Prepared("socket://device", rig.generated, None)
    return check_bundle(rig.bundle, "socket://device", rig.clips, rig.directory, full=True, prepared=prepared)


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Rig:
    directory = tmp_path_factory.mktemp("harness")
    return Rig(make_small_bundle(directory / "bundle"), directory)


@pytest.fixture(scope="module")
def listener(tmp_path_factory: pytest.TempPathFactory) -> Rig:
    directory = tmp_path_factory.mktemp("listener")
    rig = Rig(make_live_bundle(directory / "bundle"), directory)
    with wave.open(str(directory / "sound.wav"), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(rig.bundle.manifest.frontend.sample_rate)
        out.writeframes(np.zeros(16000, "<i2").tobytes())
    return rig


def listen(rig: Rig, monkeypatch: pytest.MonkeyPatch, lies: dict[Message, Lie]) -> int:
    """The number of events of a session that came to its end."""
    connected(monkeypatch, LyingListener(rig.bundle, rig.generated.plan, lies))
    monkeypatch.setattr(live_session, "find_port", lambda name: name)
    wav = rig.directory / "sound.wav"
    with listening(rig.bundle, "port", rig.directory, is_port=True, wav=wav, fast=True) as session:
        while session.step():
            pass
        return session.state.count


def test_there_are_enough_lies() -> None:
    assert len(HARNESS) + len(LISTENER) >= 80 and PAYLOAD >= 64


def test_an_honest_device_passes(harness: Rig, listener: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    report = check(harness, monkeypatch, {})
    assert report.passed, str(report.first_difference)
    assert len(report.results[0].window_counts) > 1
    assert listen(listener, monkeypatch, {}) == 4


@pytest.mark.parametrize("name", HARNESS)
def test_a_lie_to_the_check_is_named(harness: Rig, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    try:
        report = check(harness, monkeypatch, dict([HARNESS[name]]))
    except EndlessError:
        pytest.fail("the check asks on for ever")
    except StapesError as error:
        assert error.message and "\n" not in str(error)
    else:
        named = report.constants_problem or str(report.first_difference or "")
        assert not report.passed and named and "\n" not in named


@pytest.mark.parametrize("name", LISTENER)
def test_a_lie_to_a_listening_session_is_named(
    listener: Rig, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with pytest.raises(StapesError) as caught:
        listen(listener, monkeypatch, dict([LISTENER[name]]))
    assert caught.value.message and "\n" not in str(caught.value)


def test_a_device_that_becomes_another_is_named(harness: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    from stapes.errors import IdentityError
    from stapes.link import Client

    lies = dict([fields(HELLO, after=1, class_count=more)])
    client = Client(LyingHarness(harness.bundle, harness.generated.plan, lies, harness.expected))
    client.hello()
    with pytest.raises(IdentityError, match="another than at the start"):
        client.hello()
