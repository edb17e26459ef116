"""The pytest plugin in pytest runs of its own: it drives real firmware, and leaves other people's tests alone."""

from __future__ import annotations

import json
import shutil
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from small_bundle import make_small_bundle

from stapes.cli.pytest_plugin import NEEDS, capabilities

pytest_plugins = ["pytester"]

SUITE = Path(__file__).parents[3] / "hil_tests"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_small_bundle(tmp_path_factory.mktemp("plugin") / "bundle").directory


@pytest.fixture
def run(pytester: pytest.Pytester, small: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)

    def run(*arguments: str, bundle: bool = True) -> pytest.RunResult:
        given = [f"--bundle={small}"] if bundle else []
        return pytester.runpytest_subprocess("-p", "no:hypothesispytest", *given, *arguments, timeout=200)

    return run


def test_the_suite_runs_for_each_target_and_writes_what_is_asked_for(pytester: pytest.Pytester, run) -> None:
    for test in SUITE.glob("test_*.py"):
        shutil.copy(test, pytester.path)
    options = ["--target", "host", "--clips", "1", "--junit-xml", "junit.xml", "--metrics", "metrics.txt"]
    options += ["--uart-log", "logs", "--report", "out", "--baseline", "accepted"]
    result = run(*options, "--update-baseline")
    assert result.ret == 0, result.stdout.str()
    assert (pytester.path / "accepted/small-host.json").is_file()
    result.stdout.fnmatch_lines(["host: baseline accepted: *small-host.json"])
    assert run(*options).ret == 0
    assert {case.get("name") for case in ET.parse(pytester.path / "junit.xml").iter("testcase")} >= {
        "test_every_layer[host]",
        "test_no_regression[host]",
    }
    assert 'stapes_clips{bundle="small",target="host"} 1\n' in (pytester.path / "metrics.txt").read_text()
    logs = {path.name for path in (pytester.path / "logs").iterdir()}
    assert {"check-host.log", "test_constants_in_flash_are_sound-host.log"} <= logs
    assert json.loads((pytester.path / "out/check-host.json").read_text())["passed"] is True
    assert "<html" in (pytester.path / "out/report.html").read_text()


def test_a_regression_fails_with_its_line(pytester: pytest.Pytester, run) -> None:
    shutil.copy(SUITE / "test_baseline.py", pytester.path)
    options = ["--target", "host", "--clips", "1", "--baseline", "accepted.json"]
    missing = run(*options)
    missing.stdout.fnmatch_lines(["*there is no baseline accepted.json*--update-baseline*"])
    assert run(*options, "--update-baseline").ret == 0
    path = pytester.path / "accepted.json"
    accepted = json.loads(path.read_text())
    accepted["bits"]["layers"] = "0" * 64
    path.write_text(json.dumps(accepted))
    result = run(*options)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*layers: other bits than the baseline's*"])


def test_more_instructions_fail_what_continuous_integration_runs(pytester: pytest.Pytester, run) -> None:
    if shutil.which("qemu-system-arm") is None or shutil.which("arm-none-eabi-gcc") is None:
        pytest.skip("qemu-system-arm or arm-none-eabi-gcc is not installed")
    makefile = (SUITE.parent / "Makefile").read_text()
    assert "pytest hil_tests/test_baseline.py --baseline hil_tests/baselines" in makefile
    shutil.copytree(SUITE, pytester.path / "hil_tests")
    options = ["hil_tests/test_baseline.py", "--baseline", "accepted", "--target", "qemu:netduinoplus2"]
    options += ["--clips", "1"]
    assert run(*options, "--update-baseline").ret == 0
    assert run(*options).ret == 0
    path = pytester.path / "accepted/small-qemu-netduinoplus2.json"
    accepted = json.loads(path.read_text())
    accepted["figures"]["instructions_per_window"] *= 0.98
    path.write_text(json.dumps(accepted))
    result = run(*options)
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*instructions a window: * -> * (+2.04 %, tolerance 1)*"])


def test_workers_share_one_image_and_their_checks_reach_the_controller(
    pytester: pytest.Pytester, run
) -> None:
    pytester.makepyfile(
        test_one="def test_it(stapes_report, stapes_prepared): assert stapes_report.passed",
        test_two="def test_it(stapes_report, stapes_prepared): assert stapes_report.passed",
    )
    result = run("-n", "2", "--dist", "loadfile", "--target", "host", "--clips", "1", "--metrics", "m.txt")
    assert result.ret == 0, result.stdout.str()
    assert (pytester.path / "m.txt").read_text().count("stapes_clips{") == 1
    images = list((pytester.path / ".pytest_cache/d/stapes").glob("*/host/stapes.elf"))
    assert len(images) == 1


def test_an_unchanged_image_is_not_built_again(pytester: pytest.Pytester, run) -> None:
    pytester.makepyfile("def test_it(stapes_prepared): assert stapes_prepared.build.elf.is_file()")
    times = []
    for _ in range(2):
        assert run("--target", "host").ret == 0
        (image,) = (pytester.path / ".pytest_cache/d/stapes").glob("*/host/stapes.elf")
        times.append(image.stat().st_mtime_ns)
    assert times[0] == times[1]


def test_a_missing_capability_skips_with_its_reason(pytester: pytest.Pytester, run) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.stapes_needs("build", "cycles")
        def test_cycles(stapes_target): raise AssertionError

        @pytest.mark.stapes_needs("recordings")
        def test_recordings(stapes_target): raise AssertionError

        @pytest.mark.stapes_needs("build")
        def test_built(stapes_target): pass
        """
    )
    result = run("-rs", "--strict-markers", "--target", "host")
    result.assert_outcomes(passed=1, skipped=2)
    result.stdout.fnmatch_lines_random(
        ["*host: needs a target that counts cycles*", "*needs recordings: give --data DIR*"]
    )


def test_a_capability_is_of_a_target(pytester: pytest.Pytester, run) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.stapes_needs("build")
        def test_it(): pass
        """
    )
    result = run("--target", "host")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*for tests with the fixture stapes_target*"])


def test_an_unknown_capability_is_an_error(pytester: pytest.Pytester, run) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.stapes_needs("wings")
        def test_it(stapes_target): pass
        """
    )
    result = run("--target", "host")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*stapes_needs('wings'): not one of*"])


def test_a_port_belongs_to_boards_without_one(pytester: pytest.Pytester, run) -> None:
    pytester.makepyfile("def test_it(stapes_target): pass")
    targets = ["host", "board:x", "board:x@/dev/tty1", "socket://rig:1"]
    result = run("-v", "--port", "auto", *[f"--target={target}" for target in targets])
    result.assert_outcomes(passed=4)
    for name in ("host", "board:x@auto", "board:x@/dev/tty1", "socket://rig:1"):
        result.stdout.fnmatch_lines([f"*test_it[[]{name}[]] PASSED*"])


@pytest.mark.parametrize("where", ["conftest.py", "a plugin"])
def test_other_peoples_options_and_fixtures_win(pytester: pytest.Pytester, run, where: str) -> None:
    """pytest-embedded has `target`, `port` and more; a plugin's fixture is hidden by one that is loaded later."""
    source = """
        import pytest

        def pytest_addoption(parser):
            parser.addoption("--target", type=int)
            parser.addoption("--report", action="store_true")

        @pytest.fixture
        def target(request):
            return request.config.getoption("--target")

        @pytest.fixture
        def report():
            return "mine"
        """
    plugins = []
    if where == "conftest.py":
        pytester.makeconftest(source)
    else:
        pytester.makepyfile(theirs=source)
        pytester.syspathinsert()
        plugins = ["-p", "theirs"]
    pytester.makepyfile("def test_it(target, report): assert (target, report) == (7, 'mine')")
    result = run(*plugins, "--target", "7", "--report", "--strict-markers", bundle=False)
    result.assert_outcomes(passed=1)
    assert run(*plugins, "--stapes-target", "host", "--target", "7", bundle=False).ret == 0


def test_every_fixture_has_our_prefix(pytester: pytest.Pytester, run) -> None:
    listed = run("--fixtures", "-v", bundle=False).stdout.lines
    ours = [line.split()[0] for line in listed if "stapes/cli/pytest_plugin.py:" in line]
    assert len(ours) >= 8
    assert [name for name in ours if not name.startswith("stapes_")] == []


def test_workers_take_turns_at_a_port(pytester: pytest.Pytester, run) -> None:
    """Two files, two workers, one board: each must find the line free."""
    source = """
        import pathlib, time

        def test_it(stapes_line):
            with stapes_line():
                busy = pathlib.Path("busy")
                busy.touch(exist_ok=False)
                time.sleep(0.3)
                busy.unlink()
        """
    pytester.makepyfile(**{f"test_{name}": source for name in ("one", "two", "three")})
    result = run("-n", "3", "--dist", "loadfile", "--target", "/dev/ttyACM7", bundle=False)
    result.assert_outcomes(passed=3)


def test_tests_without_our_fixtures_import_nothing_of_ours(pytester: pytest.Pytester, run) -> None:
    pytester.makepyfile(
        """
        import sys

        def test_it():
            loaded = {name for name in sys.modules if name.startswith("stapes")}
            assert loaded <= {"stapes", "stapes.cli", "stapes.cli.pytest_plugin", "stapes.version"}, loaded
            assert "numpy" not in sys.modules
        """
    )
    assert run("-p", "no:cacheprovider", bundle=False).ret == 0
    assert not (pytester.path / ".pytest_cache").exists()


def test_an_interrupt_ends_the_run(pytester: pytest.Pytester, run) -> None:
    pytester.makeconftest(
        """
        import pytest

        @pytest.fixture(scope="session", autouse=True)
        def press_ctrl_c():
            from stapes.check.compare import ClipComparer

            def interrupt(*arguments):
                raise KeyboardInterrupt

            ClipComparer.run = interrupt
        """
    )
    pytester.makepyfile("def test_one(stapes_report): pass\n\ndef test_two(): raise AssertionError")
    result = run("--target", "host", "--clips", "1")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert "AssertionError" not in result.stdout.str()


def test_every_capability_can_be_had() -> None:
    kinds = ["host", "qemu:netduinoplus2", "renode:x", "board:x@y", "socket://rig:1"]
    assert set().union(*(capabilities(kind, recordings=True) for kind in kinds)) == set(NEEDS)


def test_a_board_is_flashed_before_its_tests(pytester: pytest.Pytester, run) -> None:
    pytester.makeconftest(
        """
        import stapes.device.flash, stapes.targets
        from types import SimpleNamespace

        stapes.targets.require_target = lambda target: None
        stapes.device.prepare = lambda bundle, target, directory: SimpleNamespace(build="the build")

        def flash_once(bundle, target, build, *, probe):
            print(f"{target} gets {build} through {probe}")

        stapes.device.flash.flash_once = flash_once
        """
    )
    pytester.makepyfile("def test_it(stapes_prepared): assert stapes_prepared.build")
    board = ["-s", "--target", "board:stm32f4_discovery", "--port", "/dev/ttyACM7"]
    line = "*board:stm32f4_discovery@/dev/ttyACM7 gets the build through 066E*"
    run(*board, "--flash", "--probe", "066E").stdout.fnmatch_lines([line])
    run(*board).stdout.no_fnmatch_line(line)
    run("-s", "--target", "host", "--flash").stdout.no_fnmatch_line("*gets the build*")
