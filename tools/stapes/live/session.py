"""One listening session: samples to the device, what it says back to the view and to files."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stapes.device import connect_live, describe_fault, prepare, verify_constants
from stapes.errors import LinkError, TargetError
from stapes.graph import load_graph
from stapes.link import LiveClient
from stapes.live.keep import EventFiles, History, Uncertain, cut_event
from stapes.live.sources import FileSource, MicrophoneSource, Source
from stapes.live.state import LiveState
from stapes.recipe import Bundle
from stapes.reference import LiveEvent, LiveKind, LiveRule
from stapes.targets import require_target
from stapes.targets.ports import find_port

_POLL = 0.05
"""Seconds between two looks at the device."""


class Session:
    """Drives a device; `source` None: the device listens with its own microphone."""

    def __init__(
        self,
        client: LiveClient,
        bundle: Bundle,
        title: str,
        source: Source | None,
        *,
        files: EventFiles | None = None,
        cut_directory: Path | None = None,
        uncertain_directory: Path | None = None,
        group: str = "",
        counter: str = "",
    ) -> None:
        manifest = bundle.manifest
        graph = load_graph(bundle)
        tensor = graph.tensor(graph.outputs[0])
        rule = LiveRule.of(manifest, tensor.scale, tensor.zero_point)
        thresholds = tuple(step * tensor.scale / 256 for step in rule.on)
        rate = manifest.frontend.sample_rate
        self.state = LiveState(title, manifest.labels, rate, tensor.scale, thresholds, counter)
        self._client, self._source, self._files = client, source, files
        self._history = History(rate)
        self._cut_directory = cut_directory
        window = manifest.frontend.samples(manifest.window.frames)
        self._uncertain = (
            Uncertain(uncertain_directory, manifest.labels, thresholds, window, group=group)
            if uncertain_directory
            else None
        )
        self._window = window
        self._begin: float | None = None
        client.reset()
        if source is None:
            client.listen(True)

    def step(self) -> bool:
        """Move samples and news once; False at the end of the source."""
        if self._begin is None:
            self._begin = time.monotonic()
        state = self.state
        if self._source is None:
            time.sleep(_POLL)
        else:
            found = self._source.read()
            if found is None:
                self._client.flush()
                self._look()
                state.ended = True
                return False
            position, pcm = found
            self._feed(position, pcm)
        self._look()
        return True

    def _feed(self, position: int, pcm: npt.NDArray[np.int16]) -> None:
        """In pieces of a few frames, so that no row and no window's scores are missed."""
        if len(pcm) == 0:
            time.sleep(_POLL)
            return
        self._history.add(position, pcm)
        piece = self.state.sample_rate // 10
        for start in range(0, len(pcm), piece):
            self._client.feed(position + start, pcm[start : start + piece])
            self._look()

    def _look(self) -> None:
        state, before = self.state, self.state.status
        events, state.lost_events = self._client.events()
        status = self._client.status()  # after the events: they lie before its samples
        state.status = status
        if before and status.elapsed > before.elapsed:
            state.load = (status.busy - before.busy) / (status.elapsed - before.elapsed)
        _, rows = self._client.rows()
        state.rows.extend(rows)
        for event in events:
            self._keep(event)
        if self._uncertain and before and status.windows > before.windows and status.scores:
            self._uncertain.add(self._history, status.samples, state.scores())
            state.saved = self._uncertain.saved
        spent = time.monotonic() - (self._begin or time.monotonic())
        if self._source is None and spent > 10:
            state.drift_ppm = (status.samples / state.sample_rate / spent - 1) * 1e6

    def _keep(self, event: LiveEvent) -> None:
        state = self.state
        if self._files:
            self._files.add(event)
        if event.kind != LiveKind.LEVEL:
            state.events.append(event)
            state.count += event.kind == LiveKind.END
        if self._cut_directory and event.kind == LiveKind.END:
            cut_event(self._history, event, state.labels[event.class_index], self._cut_directory)

    def close(self) -> None:
        """Stop the source and the device's microphone; a device that is gone listens no more."""
        if self._source is None:
            with suppress(LinkError):
                self._client.listen(False)
        else:
            self._source.close()
        if self._files:
            self._files.close()


@contextmanager
def listening(
    bundle: Bundle,
    target: str,
    directory: Path,
    *,
    is_port: bool = False,
    wav: Path | None = None,
    mic: bool = False,
    fast: bool = False,
    save_uncertain: Path | None = None,
    save_events: Path | None = None,
    json_lines: Path | None = None,
    labels: Path | None = None,
) -> Iterator[Session]:
    """Build the live application where it must be built, start `target` and a session on it.

    `is_port`: `target` is a serial port, or `auto`, with a board that runs the firmware already.
    """
    manifest = bundle.manifest
    rate = manifest.frontend.sample_rate
    with ExitStack() as stack:
        source: Source | None = None
        if wav:
            source = FileSource(wav, rate, fast=fast)
        elif mic:
            source = MicrophoneSource(rate)
        elf = build_id = None
        if is_port:
            target = find_port(target)
        else:
            require_target(target)
            if source is None and (target == "host" or target.startswith(("qemu:", "renode:"))):
                raise TargetError(f"{target} has no microphone", hint="give --wav FILE or --mic")
            prepared = prepare(bundle, target, directory, "live")
            elf, build_id = prepared.elf, prepared.build_id
        client, hello = stack.enter_context(connect_live(bundle, target, elf, build_id=build_id))
        verify_constants(client, elf)
        graph = load_graph(bundle)
        scale = graph.tensor(graph.outputs[0]).scale
        files = EventFiles(manifest.labels, rate, scale, json_lines, labels)
        session = Session(
            client,
            bundle,
            f"{manifest.name} on {target}",
            source,
            files=files,
            cut_directory=save_events,
            uncertain_directory=save_uncertain,
            group=str(wav.resolve()) if wav else time.strftime("microphone %Y-%m-%d %H:%M:%S"),
            counter=hello.counter,
        )
        fault = client.fault()
        session.state.earlier_fault = describe_fault(fault, elf) if fault else None
        stack.callback(session.close)
        yield session
