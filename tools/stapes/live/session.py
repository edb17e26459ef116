"""One listening session: samples to the device, what it says back to the view and to files."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stapes.device import (
    connect_live,
    describe_fault,
    history_text,
    live_definitions,
    prepare,
    verify_constants,
)
from stapes.errors import LinkError, TargetError
from stapes.graph import load_graph
from stapes.link import LiveClient
from stapes.link.client import RefusedError
from stapes.link.live import HISTORY_ANSWER
from stapes.link.record import line_capacity
from stapes.live.keep import EventFiles, History, Uncertain, cut_event
from stapes.live.sources import FileSource, MicrophoneSource, Source
from stapes.live.state import LiveState
from stapes.recipe import Bundle
from stapes.reference import LiveEvent, LiveKind, LiveRule
from stapes.targets import StandIn, require_stand_in, require_target, stand_in
from stapes.targets.ports import find_port

HISTORY_SECONDS = 0.5
"""Of sound that a device keeps for the host to fetch it: ten looks."""
_POLL = 0.05
"""Seconds between two looks at the device."""


class Session:
    """Drives a device; `source` None: the device listens with its own microphone, for `seconds` of its clock.

    What is saved of its own microphone comes from the sound that the device keeps; raises `LinkError` where it keeps
    none or the line is too slow for all of it.
    """

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
        seconds: float | None = None,
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
            Uncertain(
                uncertain_directory,
                manifest.labels,
                thresholds,
                window,
                group=group,
                multi_label=manifest.live.multi_label,
            )
            if uncertain_directory
            else None
        )
        self._window = window
        self._begin: float | None = None
        self._most = None if seconds is None else round(seconds * rate)
        self._fetches = source is None and (cut_directory or uncertain_directory) is not None
        client.reset()
        if self._fetches:
            line_capacity(client, client.most_history, HISTORY_ANSWER.size).require(rate)
        if source is None:
            client.listen(True)
        if self._fetches:
            self._fetch()

    def step(self) -> bool:
        """Move samples and news once; False at the end of the source."""
        if self._begin is None:
            self._begin = time.monotonic()
        state = self.state
        if self._source is None:
            if self._most is not None and state.status and state.status.samples >= self._most:
                self._client.listen(False)
                self._client.flush()
                self._look()
                state.ended = True
                return False
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
        if self._fetches:
            self._fetch()
        for event in events:
            self._keep(event)
        if self._uncertain and before and status.windows > before.windows and status.scores:
            self._uncertain.add(self._history, status.samples, state.scores())
            state.saved = self._uncertain.saved
        spent = time.monotonic() - (self._begin or time.monotonic())
        if self._source is None and spent > 10:
            state.drift_ppm = (status.samples / state.sample_rate / spent - 1) * 1e6

    def _fetch(self) -> None:
        """The sound that the device has heard since the last time."""
        count = self._client.most_history
        while count >= self._client.most_history // 2:  # what is left comes with the next look
            try:
                first, pcm = self._client.history(self._history.end)
            except RefusedError as error:
                raise LinkError(
                    "the device keeps no sound, of which something could be saved",
                    hint="flash it with `stapes flash BUNDLE --app live --history-seconds 0.5`",
                ) from error
            count = len(pcm)
            if count:
                self._history.add(first, pcm)

    def _keep(self, event: LiveEvent) -> None:
        state = self.state
        if self._files:
            self._files.add(event)
        if event.kind != LiveKind.LEVEL:
            state.events.append(event)
            state.count += event.kind == LiveKind.END
        if self._cut_directory and event.kind == LiveKind.END:
            kept = cut_event(self._history, event, state.labels[event.class_index], self._cut_directory)
            state.not_kept += kept is None

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
    microphone: Path | None = None,
    seconds: float | None = None,
    history_seconds: float | None = None,
    save_uncertain: Path | None = None,
    save_events: Path | None = None,
    json_lines: Path | None = None,
    labels: Path | None = None,
) -> Iterator[Session]:
    """Build the live application where it must be built, start `target` and a session on it.

    `is_port`: `target` is a serial port, or `auto`, with a board that runs the firmware already. `microphone`: a
    recording that stands in for that of the host or an emulated board. What is built keeps `history_seconds` of sound;
    None: `HISTORY_SECONDS`, where sound of the device's own microphone is to be saved, otherwise none.
    """
    manifest = bundle.manifest
    rate = manifest.frontend.sample_rate
    with ExitStack() as stack:
        source: Source | None = None
        heard: StandIn | None = None
        if microphone:
            require_stand_in(target)
            heard = stack.enter_context(stand_in(microphone, rate))
        if wav:
            source = FileSource(wav, rate, fast=fast)
        elif mic:
            source = MicrophoneSource(rate)
        prepared = elf = build_id = None
        is_saved = source is None and (save_uncertain or save_events) is not None
        if history_seconds is None:
            history_seconds = HISTORY_SECONDS if is_saved else 0.0
        kept = live_definitions("live", history_seconds, rate)
        if is_port:
            target = find_port(target)
        else:
            require_target(target)
            if (
                source is None
                and heard is None
                and (target == "host" or target.startswith(("qemu:", "renode:")))
            ):
                raise TargetError(
                    f"{target} has no microphone",
                    hint="give --wav FILE or --mic, or --microphone FILE to stand in",
                )
            prepared = prepare(bundle, target, directory, "live", definitions=kept)
            elf, build_id = prepared.elf, prepared.build_id
        client, hello = stack.enter_context(
            connect_live(bundle, target, elf, build_id=build_id, microphone=heard)
        )
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
            seconds=seconds,
        )
        if kept and prepared and prepared.build:
            session.state.notes.append(
                f"{history_text(kept)}; {prepared.build.ram_bytes:,} B in all, without the stack"
            )
        fault = client.fault()
        session.state.earlier_fault = describe_fault(fault, elf) if fault else None
        stack.callback(session.close)
        yield session
