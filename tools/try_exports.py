"""Builds every export with the framework that you have installed, and says what passed: the proof that the test suite
cannot give, as the frameworks fetch their tools from the internet.

    python tools/try_exports.py models/esc10 --out exports-tried [--only zephyr] [--json FILE]

Needs stapes, and any of `pio`, `arduino-cli`, `west` (with ZEPHYR_BASE set) and `idf.py` (after `. export.sh`). Exits
with 1 where something failed, with 2 where nothing could be tried. docs/exports.md says what to do with the result.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from stapes.errors import StapesError
from stapes.export import export_bundle
from stapes.files import write_atomic, write_json
from stapes.programs import run_program
from stapes.recipe import Bundle

SECONDS = 3600
"""A framework's first build fetches and compiles a lot."""


@dataclass(frozen=True)
class Trial:
    """Commands of one framework for one example, `{export}` and `{build}` to be filled in; all must end with 0.

    `says`: what the last one must print.
    """

    format: str
    program: str
    version: tuple[str, ...]
    what: str
    commands: tuple[tuple[str, ...], ...]
    says: str = ""


PASSES = "self-test: every score is equal"


def _pio(what: str, *options: str, says: str = "") -> Trial:
    command = ("run", "-d", f"{{export}}/examples/{what}", *options)
    return Trial("platformio", "pio", ("--version",), what, (command,), says)


def _arduino(what: str, board: str) -> Trial:
    command = (
        "compile",
        "--warnings",
        "all",
        "--library",
        "{export}",
        "-b",
        board,
        f"{{export}}/examples/{what}",
    )
    return Trial("arduino", "arduino-cli", ("version",), f"{what}, {board}", (command,))


def _west(what: str, board: str) -> Trial:
    command = ("build", "-p", "-b", board, "-d", "{build}", f"{{export}}/samples/{what}")
    return Trial("zephyr", "west", ("--version",), f"{what}, {board}", (command,))


def _idf(what: str, chip: str) -> Trial:
    here = ("-C", f"{{export}}/examples/{what}", "-B", "{build}")
    commands = ((*here, "set-target", chip), (*here, "build"))
    return Trial("esp-idf", "idf.py", ("--version",), f"{what}, {chip}", commands)


TRIALS = (
    _pio("selftest", "-e", "native", "-t", "exec", says=PASSES),
    _pio("selftest", "-e", "nucleo_f446re"),
    _pio("listen"),
    _pio("listen_esp32"),
    _arduino("selftest", "arduino:mbed_nano:nano33ble"),
    _arduino("listen_pdm", "arduino:mbed_nano:nano33ble"),
    _arduino("listen_i2s", "esp32:esp32:esp32"),
    _west("selftest", "native_sim"),
    _west("selftest", "qemu_cortex_m3"),
    _west("listen", "xiao_ble/nrf52840/sense"),
    _idf("selftest", "esp32c3"),
    _idf("listen", "esp32"),
    _idf("listen", "esp32s3"),
)


@dataclass(frozen=True)
class Outcome:
    """`result` is passed, failed or missing; `log` is the file with all that was printed."""

    format: str
    what: str
    program: str
    version: str
    result: str
    log: str = ""


def try_all(bundle: Bundle, out: Path, only: str = "") -> Iterator[Outcome]:
    """Export the bundle into `out` and try what is installed, one after the other."""
    versions: dict[str, str] = {}
    for number, trial in enumerate(TRIALS):
        if only and trial.format != only:
            continue
        found = shutil.which(trial.program)
        if found is None:
            yield Outcome(trial.format, trial.what, trial.program, "", "missing")
            continue
        export = out.absolute() / trial.format
        if trial.format not in versions:
            export_bundle(bundle, trial.format, export, force=True)
            done = run_program([found, *trial.version], seconds=60)
            versions[trial.format] = f"{(done.stdout or done.stderr).strip()} ".splitlines()[0].strip()
        log = out / f"{trial.format}-{number}.log"
        result = _try(trial, found, export, out.absolute() / f"build-{number}", log)
        yield Outcome(trial.format, trial.what, trial.program, versions[trial.format], result, str(log))


def _try(trial: Trial, program: str, export: Path, build: Path, log: Path) -> str:
    said = ""
    for arguments in trial.commands:
        command = [program, *(each.format(export=export, build=build) for each in arguments)]
        done = run_program(command, seconds=SECONDS)
        said += f"$ {' '.join(command)}\n{done.stdout}{done.stderr}"
        write_atomic(log, said)
        if done.returncode != 0:
            return "failed"
    return "passed" if trial.says in said else "failed"


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--out", type=Path, default=Path("exports-tried"), help="exports, builds and logs")
    parser.add_argument("--only", default="", choices=sorted({trial.format for trial in TRIALS}))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    outcomes = []
    try:
        for outcome in try_all(Bundle.load(options.bundle), options.out, options.only):
            outcomes.append(outcome)
            of = f" ({outcome.version})" if outcome.version else ""
            where = f": {outcome.log}" if outcome.result == "failed" else ""
            print(
                f"{outcome.result:8}{outcome.format:12}{outcome.what}, {outcome.program}{of}{where}",
                flush=True,
            )
    except StapesError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped; what was told above holds", file=sys.stderr)
        return 130
    finally:
        if options.json and outcomes:
            write_json(options.json, [asdict(outcome) for outcome in outcomes])
    results = {outcome.result for outcome in outcomes}
    return 1 if "failed" in results else 0 if "passed" in results else 2


if __name__ == "__main__":
    sys.exit(main())
