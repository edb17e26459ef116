"""Flash a bundle's firmware, and let the board itself say that it now runs it."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stapes.device.connection import greet
from stapes.device.constants import verify_constants
from stapes.device.identity import verify_identity
from stapes.device.prepared import APPS, build_directory
from stapes.errors import BuildError, IdentityError, LinkError, StapesError, TargetError
from stapes.files import write_json
from stapes.firmware import BuildResult, build_bundle, build_firmware
from stapes.firmware.boards import Board
from stapes.link import Client, Hello
from stapes.link.record import RecordClient
from stapes.progress import Progress, no_progress
from stapes.recipe import Bundle
from stapes.targets import turn
from stapes.targets.flash import FlashResult, Image, choose_tool, flash_image, planned_commands, read_image
from stapes.targets.flash.tool import Job, Tool
from stapes.targets.ports import find_port, is_auto, probe_behind

_log = logging.getLogger(__name__)

HELLO_SECONDS = 15.0
PORT_SECONDS = 0.3  # between two looks for a port


@dataclass(frozen=True)
class FlashPlan:
    """What shall go where: the image, how to reach the board, and the program that writes it.

    `build_id` is None for an image that was not built here. `log` is a file that gets all commands and answers.
    """

    board: Board
    tool: Tool
    job: Job
    build_id: str | None
    log: Path

    @property
    def image(self) -> Image:
        """The raw bytes for flash."""
        return self.job.image

    def commands(self) -> list[list[str]]:
        """Every command in order; PROBE and PORT stand for what is found only then."""
        return planned_commands(self.tool, self.job)


def plan_flash(
    bundle: Bundle | None,
    board_name: str,
    directory: Path,
    *,
    app: str = APPS[0],
    image: Path | None = None,
    tool: str | None = None,
    probe: str | None = None,
    port: str | None = None,
    dry: bool = False,
    definitions: dict[str, str] | None = None,
    progress: Progress = no_progress,
) -> FlashPlan:
    """Build what `board_name` shall run (or take `image`, an ELF or .bin) under `directory`; nothing is written yet.

    The recorder needs no `bundle`. `definitions` are further CMake variables. With `dry` no board is looked for:
    `auto` stays what it is.
    """
    if app not in APPS:
        raise BuildError(f"unknown application {app!r}", hint=f"choose one of {', '.join(APPS)}")
    board = Board.load(board_name)
    chosen = choose_tool(board, tool)
    out = build_directory(directory, board.name, app)
    build_id = None
    if image is None:
        if app == "record":
            built = build_firmware(None, board.name, out, app, progress=progress)
        elif bundle is None:
            raise BuildError(f"the application {app} needs a bundle", hint="name its BUNDLE")
        else:
            built = build_bundle(
                bundle, directory, board.name, out, app, definitions=definitions, progress=progress
            )
        image, build_id = built.elf, built.build_id
    if dry and port is not None and is_auto(port):
        port = None
    return _plan(board, chosen, image, out, build_id=build_id, probe=probe, port=port)


def _plan(
    board: Board,
    tool: Tool,
    source: Path,
    out: Path,
    *,
    build_id: str | None,
    probe: str | None,
    port: str | None,
) -> FlashPlan:
    if port is not None:
        port = find_port(port)
        if probe is None and not tool.needs_port:
            probe = probe_behind(port)
    job = Job(board, read_image(source, board, out), probe=probe, port=port)
    return FlashPlan(board, tool, job, build_id, out / "flash.log")


def run_flash(plan: FlashPlan, *, progress: Progress = no_progress) -> FlashResult:
    """Write and verify; remembers for `flash_once` what the board holds now."""
    state = _State()
    with turn(plan.job.port) if plan.job.port else nullcontext() as url:
        state.forget(plan)  # whatever happens, the old image is not what is known to be there
        result = flash_image(plan.tool, replace(plan.job, port=url), plan.log, progress=progress)
        state.remember(plan)
    return result


def confirm(bundle: Bundle | None, board: str, port: str, build_id: str | None) -> Hello:
    """Let the board on `port` say who it is and test its constants; `IdentityError` unless it runs this bundle on this
    board, undamaged; without one, the recorder.

    `build_id`, where known, must be the firmware's.
    """

    def verify(client: Client, hello: Hello) -> None:
        if hello.board != board:
            raise IdentityError(
                f"on {port} is a {hello.board}, not the {board} that was flashed",
                hint="name the right --port",
            )
        if bundle:
            verify_identity(hello, bundle, build_id)
        elif build_id not in (None, hello.build_id):
            raise IdentityError(
                f"{board} runs another build ({hello.build_id}, not {build_id})",
                hint="press RESET, or flash again",
            )
        verify_constants(client, None)  # the programmer compared what is in flash with the file

    try:
        return _ask(Client if bundle else RecordClient, f"board:{board}@{port}", verify)
    except IdentityError:
        raise
    except LinkError as error:
        raise LinkError(
            f"{board} was flashed, but does not answer on {port}: {error.message}",
            hint="press RESET; check that this is the board's UART (docs/boards.md)",
        ) from error


def _ask(kind: type[Client], target: str, verify: Callable[[Client, Hello], None]) -> Hello:
    """The board's answer to hello, which `verify` is content with; a port that a reset took away may come back in
    `HELLO_SECONDS`.
    """
    deadline = time.monotonic() + HELLO_SECONDS
    while True:
        try:
            with greet(kind, target, hello_timeout=HELLO_SECONDS) as (client, hello):
                verify(client, hello)
                return hello
        except TargetError as error:
            _log.debug("%s", error.message)
            if time.monotonic() > deadline:
                raise
        time.sleep(PORT_SECONDS)


def flash_once(
    bundle: Bundle,
    target: str,
    build: BuildResult,
    *,
    probe: str | None = None,
    tool: str | None = None,
    out: Path | None = None,
    again: bool = False,
    progress: Progress = no_progress,
) -> bool:
    """Flash `board:NAME@PORT` unless it already runs this very image (then too if `again`); True when it was written.

    What was written last is remembered for every board and probe (or port) in a state file, and believed only when
    the board's hello agrees. `out` gets the image and the programs' log; without it they are beside the build.
    """
    name, _, port = target.removeprefix("board:").partition("@")
    if not target.startswith("board:") or not port:
        raise TargetError(f"{target} cannot be flashed", hint="name it as board:NAME@PORT")
    board = Board.load(name)
    plan = _plan(
        board,
        choose_tool(board, tool),
        build.elf,
        out or build.elf.parent,
        build_id=build.build_id,
        probe=probe,
        port=port,
    )
    assert plan.job.port is not None
    if not again and _State().holds(plan):
        try:
            confirm(bundle, name, plan.job.port, build.build_id)
            _log.debug("%s holds the image and runs it: not flashed", name)
            return False
        except StapesError as error:  # somebody else wrote something, or the board is stuck
            _log.debug("%s was flashed with the image, but: %s", name, error.message)
    run_flash(plan, progress=progress)
    confirm(bundle, name, plan.job.port, build.build_id)
    return True


class _State:
    """The SHA-256 of the image that every board was flashed with last."""

    def __init__(self) -> None:
        root = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
        self._path = Path(root) / "stapes" / "flashed.json"

    def holds(self, plan: FlashPlan) -> bool:
        return bool(self._load().get(_key(plan)) == plan.image.sha256)

    def remember(self, plan: FlashPlan) -> None:
        with turn(str(self._path), wait=None):  # boards are flashed side by side
            write_json(self._path, {**self._load(), _key(plan): plan.image.sha256})

    def forget(self, plan: FlashPlan) -> None:
        with turn(str(self._path), wait=None):
            kept = self._load()
            if kept.pop(_key(plan), None) is not None:
                write_json(self._path, kept)

    def _load(self) -> dict[str, Any]:
        try:
            value = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return value if isinstance(value, dict) else {}


def _key(plan: FlashPlan) -> str:
    return f"{plan.board.name}@{plan.job.probe or plan.job.port or 'the only probe'}"
