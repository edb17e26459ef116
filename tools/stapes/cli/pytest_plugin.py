"""The pytest plugin: options, fixtures and a marker for tests that run against any target.

    pytest hil_tests --target qemu:netduinoplus2 --bundle models/esc10 --data DIR --clips 20

Loaded by pytest wherever stapes is installed; it does nothing unless a test asks for one of its fixtures. What the
fixtures need is imported only then. All their names begin with `stapes_`, so that no other plugin's are hidden.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from stapes.check import CheckReport, ClipSet
    from stapes.device import Prepared
    from stapes.link import Client, Hello
    from stapes.recipe import Bundle

DEFAULT_TARGETS = ("host", "qemu:netduinoplus2")
DEFAULT_BUNDLE = "models/esc10"

NEEDS = {
    "recordings": "needs recordings: give --data DIR",
    "build": "needs a target whose firmware is built here",
    "emulator": "needs an emulator",
    "hardware": "needs a board",
    "instructions": "needs a target that counts instructions",
    "cycles": "needs a target that counts cycles",
    "stack": "needs a target that can measure its stack",
}
"""Capabilities for `@pytest.mark.stapes_needs(…)`, and why a test without them is skipped."""

Checks = dict[str, dict[str, Any]]
Line = Callable[[], AbstractContextManager[object]]
CHECKS = pytest.StashKey[Checks]()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_load_initial_conftests(parser: pytest.Parser) -> Generator[None, object, object]:
    """Add the options last of all: `--NAME` only where no other plugin and no conftest.py has it already."""
    result = yield
    group = parser.getgroup("stapes", "stapes: firmware on any target")

    def add(name: str, **settings: Any) -> None:
        names = [f"--stapes-{name}"] + ([f"--{name}"] if _is_free(parser, f"--{name}") else [])
        group.addoption(*names, **settings)

    add(
        "target",
        action="append",
        metavar="T",
        help="target to test; may be repeated [host, emulated STM32F4]",
    )
    add("bundle", metavar="DIR", help=f"bundle to test [{DEFAULT_BUNDLE} under the root directory]")
    add("data", metavar="DIR", help="recordings (ESC-50 layout) [$STAPES_DATA; without it, synthetic clips]")
    add("clips", type=int, default=4, metavar="N", help="how many clips [4]")
    add("port", metavar="P", help="port of board:NAME targets: a device, auto (by USB ids) or auto:SERIAL")
    add("flash", action="store_true", help="flash board:NAME@PORT targets, unless they run the image already")
    add("probe", metavar="ID", help="serial number of the debug probe for --flash")
    add("baseline", metavar="FILE", help="figures that were accepted last: a file, or a directory of them")
    add("update-baseline", action="store_true", help="accept this run's figures: write them to --baseline")
    add("metrics", metavar="FILE", help="write the checks' figures as OpenMetrics text")
    add("uart-log", metavar="DIR", help="write every byte of every line to DIR, one file a test")
    add("report", metavar="DIR", help="write the checks as JSON, and one report.html, to DIR")
    return result


def _is_free(parser: pytest.Parser, name: str) -> bool:
    """Whether nobody has the option yet; one that takes no such value refuses it, and so is taken."""
    try:
        return name in parser.parse_known_and_unknown_args([name, "0"])[1]
    except (pytest.UsageError, SystemExit):
        return False


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker, and the fixture `stapes_target` with the targets of this run."""
    config.addinivalue_line(
        "markers",
        f"stapes_needs(capability, ...): skip where the target or the run lacks one of {', '.join(NEEDS)}",
    )
    config.stash[CHECKS] = {}
    config.pluginmanager.register(_targets(config), "stapes-target")


def _targets(config: pytest.Config) -> ModuleType:
    """A plugin with the fixture `stapes_target`: its parameters are known only now."""
    names = config.getoption("stapes_target") or list(DEFAULT_TARGETS)
    port = config.getoption("stapes_port")
    if port:
        names = [f"{name}@{port}" if re.fullmatch(r"board:[^@]+", name) else name for name in names]

    @pytest.fixture(scope="session", params=names)
    def stapes_target(request: pytest.FixtureRequest) -> str:
        """Name of the target: `host`, `qemu:MACHINE`, `board:NAME@PORT` or a pyserial URL."""
        name: str = request.param
        return name

    plugin = ModuleType("stapes_target")
    plugin.stapes_target = stapes_target  # type: ignore[attr-defined]
    return plugin


def capabilities(target: str, *, recordings: bool) -> set[str]:
    """What a test can ask for with `stapes_needs`."""
    kind = target.partition(":")[0]
    able = {
        "host": {"build"},
        "qemu": {"build", "emulator", "instructions", "stack"},
        "renode": {"build", "emulator", "instructions", "stack"},
        "board": {"build", "hardware", "cycles", "stack"},
    }.get(kind, {"hardware"})
    return able | ({"recordings"} if recordings else set())


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose capabilities are missing, before anything is built for it."""
    needs = [need for marker in item.iter_markers("stapes_needs") for need in marker.args]
    if not needs:
        return
    callspec = getattr(item, "callspec", None)
    target = callspec.params.get("stapes_target") if callspec else None
    able = capabilities(target or "", recordings=_data(item.config) is not None)
    for need in needs:
        if need not in NEEDS:
            pytest.fail(f"stapes_needs({need!r}): not one of {', '.join(NEEDS)}", pytrace=False)
        if target is None and need != "recordings":
            pytest.fail(f"stapes_needs({need!r}) is for tests with the fixture stapes_target", pytrace=False)
        if need not in able:
            pytest.skip(f"{target}: {NEEDS[need]}" if need != "recordings" else NEEDS[need])


def _data(config: pytest.Config) -> Path | None:
    given = config.getoption("stapes_data")
    given = os.environ.get("STAPES_DATA") if given is None else given
    return Path(given) if given else None


@pytest.fixture(scope="session")
def stapes_bundle(request: pytest.FixtureRequest) -> Bundle:
    """The bundle under test."""
    from stapes.recipe import Bundle

    given = request.config.getoption("stapes_bundle")
    return Bundle.load(Path(given) if given else request.config.rootpath / DEFAULT_BUNDLE)


@pytest.fixture(scope="session")
def stapes_clips(request: pytest.FixtureRequest, stapes_bundle: Bundle) -> ClipSet:
    """The clips of this run: recordings, or synthetic ones."""
    from stapes.check import select_clips

    return select_clips(stapes_bundle, _data(request.config), request.config.getoption("stapes_clips"))


@pytest.fixture(scope="session")
def stapes_prepared(
    request: pytest.FixtureRequest,
    stapes_bundle: Bundle,
    stapes_target: str,
    stapes_line: Line,
    tmp_path_factory: pytest.TempPathFactory,
) -> Prepared:
    """Firmware for the target, built once for its content: kept in pytest's cache, shared by all workers.

    A missing emulator or compiler skips, unless the target was asked for by name.
    """
    from stapes.device import prepare
    from stapes.errors import ToolError
    from stapes.targets import require_target

    try:
        require_target(stapes_target)
    except ToolError as error:
        if request.config.getoption("stapes_target"):
            raise
        pytest.skip(str(error))
    directory = _kept(request, tmp_path_factory) / f"{stapes_bundle.manifest.name}-{stapes_bundle.hash[:12]}"
    with _one_at_a_time(directory):
        prepared = prepare(stapes_bundle, stapes_target, directory)
        is_board = stapes_target.startswith("board:")
        if request.config.getoption("stapes_flash") and is_board and prepared.build:
            from stapes.device.flash import flash_once

            probe = request.config.getoption("stapes_probe")
            with stapes_line():
                flash_once(stapes_bundle, stapes_target, prepared.build, probe=probe)
        return prepared


def _kept(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What all workers share, and later runs too."""
    cache = getattr(request.config, "cache", None)
    return cache.mkdir("stapes") if cache else tmp_path_factory.mktemp("stapes")


@pytest.fixture(scope="session")
def stapes_line(stapes_target: str) -> Line:
    """What to hold while the target is open: all programs of this machine take turns at a port, workers of pytest-xdist
    too.
    """
    from stapes.targets import line_of, turn

    port = line_of(stapes_target)
    return nullcontext if port is None else partial(turn, port, wait=None)


@contextmanager
def _one_at_a_time(directory: Path) -> Iterator[None]:
    """Hold the directory's lock: pytest-xdist's workers use it too."""
    import fcntl  # here, because pytest loads this module on every system

    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@pytest.fixture(scope="session")
def stapes_report(
    request: pytest.FixtureRequest,
    stapes_bundle: Bundle,
    stapes_target: str,
    stapes_clips: ClipSet,
    stapes_prepared: Prepared,
    stapes_line: Line,
) -> CheckReport:
    """One check of all clips on the target, shared by the tests that look at its parts."""
    from stapes.check import check_bundle

    with stapes_line():
        result = check_bundle(
            stapes_bundle,
            stapes_target,
            stapes_clips,
            stapes_prepared.generated.directory.parent,
            prepared=stapes_prepared,
            uart_log=_uart_log(request.config, f"check-{stapes_target}"),
        )
    request.config.stash[CHECKS][stapes_target] = result.as_json()
    if result.interrupted:
        raise KeyboardInterrupt
    return result


@pytest.fixture
def stapes_device(
    request: pytest.FixtureRequest,
    stapes_bundle: Bundle,
    stapes_target: str,
    stapes_prepared: Prepared,
    stapes_line: Line,
) -> Iterator[tuple[Client, Hello]]:
    """A freshly started device that runs the bundle."""
    from stapes.device import connect

    log = _uart_log(request.config, request.node.name)
    elf, build_id = stapes_prepared.elf, stapes_prepared.build_id
    with (
        stapes_line(),
        connect(stapes_bundle, stapes_target, elf, build_id=build_id, uart_log=log) as connected,
    ):
        yield connected


def _uart_log(config: pytest.Config, name: str) -> Path | None:
    from stapes.files import safe_name

    directory = config.getoption("stapes_uart_log")
    return Path(directory) / f"{safe_name(name)}.log" if directory else None


@pytest.fixture(scope="session")
def stapes_baseline(request: pytest.FixtureRequest, stapes_report: CheckReport) -> list[str]:
    """Regressions against `--baseline`, one line each; with `--update-baseline` this run becomes the baseline."""
    from stapes.check import compare_with_baseline
    from stapes.errors import StapesError

    given = request.config.getoption("stapes_baseline")
    if not given:
        pytest.skip("no --baseline FILE to compare with")
    try:
        outcome = compare_with_baseline(
            stapes_report, Path(given), update=request.config.getoption("stapes_update_baseline")
        )
    except StapesError as error:
        pytest.fail(str(error), pytrace=False)
    checks = request.config.stash[CHECKS]
    check = checks.setdefault(stapes_report.target, stapes_report.as_json())
    check.setdefault("notes", []).extend(outcome.notes)
    return outcome.regressions


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write what was asked for; a worker of pytest-xdist hands its checks to the controller instead."""
    config = session.config
    if hasattr(config, "workeroutput"):
        config.workeroutput["stapes_checks"] = json.dumps(config.stash[CHECKS])
        return
    checks = list(config.stash[CHECKS].values())
    metrics, directory = config.getoption("stapes_metrics"), config.getoption("stapes_report")
    if not checks or not (metrics or directory):
        return
    from stapes.files import safe_name, write_atomic, write_json
    from stapes.report import html_report, open_metrics

    if metrics:
        write_atomic(Path(metrics), open_metrics(checks))
    if directory:
        for check in checks:
            write_json(Path(directory) / f"check-{safe_name(check['target'])}.json", check)
        write_atomic(Path(directory) / "report.html", html_report(checks))


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take a pytest-xdist worker's checks."""
    node.config.stash[CHECKS].update(json.loads(getattr(node, "workeroutput", {}).get("stapes_checks", "{}")))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what has become better than the baseline."""
    for target, check in config.stash[CHECKS].items():
        for line in check.get("notes", []):
            terminalreporter.write_line(f"{target}: {line}")
