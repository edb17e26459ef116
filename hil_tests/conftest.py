"""Options and fixtures: which target, which bundle, which recordings.

    pytest hil_tests --target qemu:netduinoplus2 --bundle models/esc10 --data DIR --clips 20

`--target` may be given several times; without it the host and, where it can run, the emulated STM32F4 are checked.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from stapes.check import CheckReport, ClipSet, Prepared, check_bundle, connect, prepare, select_clips
from stapes.errors import ToolError
from stapes.link import Client, Hello
from stapes.recipe import Bundle
from stapes.targets import require_target

ROOT = Path(__file__).parents[1]
DEFAULT_TARGETS = ["host", "qemu:netduinoplus2"]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("stapes")
    group.addoption("--target", action="append", metavar="T", help="target to test; may be repeated")
    group.addoption("--bundle", default=str(ROOT / "models/esc10"), metavar="DIR", help="bundle to test")
    group.addoption(
        "--data", default=os.environ.get("STAPES_DATA"), metavar="DIR", help="recordings (ESC-50 layout)"
    )
    group.addoption("--clips", type=int, default=4, metavar="N", help="how many clips")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "target" in metafunc.fixturenames:
        targets = metafunc.config.getoption("--target") or DEFAULT_TARGETS
        metafunc.parametrize("target", targets, scope="session")


@pytest.fixture(scope="session")
def bundle(request: pytest.FixtureRequest) -> Bundle:
    return Bundle.load(Path(request.config.getoption("--bundle")))


@pytest.fixture(scope="session")
def clips(request: pytest.FixtureRequest, bundle: Bundle) -> ClipSet:
    data = request.config.getoption("--data")
    return select_clips(bundle, Path(data) if data else None, request.config.getoption("--clips"))


@pytest.fixture(scope="session")
def prepared(
    request: pytest.FixtureRequest, bundle: Bundle, target: str, tmp_path_factory: pytest.TempPathFactory
) -> Prepared:
    """Firmware for the target; a missing emulator or compiler skips, unless the target was asked for by name."""
    try:
        require_target(target)
    except ToolError as error:
        if request.config.getoption("--target"):
            raise
        pytest.skip(str(error))
    return prepare(bundle, target, tmp_path_factory.mktemp("firmware"))


@pytest.fixture(scope="session")
def report(
    bundle: Bundle, target: str, clips: ClipSet, prepared: Prepared, tmp_path_factory: pytest.TempPathFactory
) -> CheckReport:
    """One check of all clips on the target, shared by the tests that look at its parts."""
    return check_bundle(bundle, target, clips, tmp_path_factory.mktemp("check"), prepared=prepared)


@pytest.fixture
def device(bundle: Bundle, target: str, prepared: Prepared) -> Iterator[tuple[Client, Hello]]:
    """A freshly started device that runs the bundle."""
    with connect(bundle, target, prepared.build.elf if prepared.build else None) as connected:
        yield connected
