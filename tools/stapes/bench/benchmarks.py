"""Every row of docs/benchmarks.md measured again, with the peers' figures beside it, and the page written from that."""

from __future__ import annotations

import json
import shlex
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from stapes.errors import StapesError, ToolError
from stapes.files import canonical_json, package_hash, sha256, write_json
from stapes.firmware.build import require_compiler, source_hash
from stapes.packages import require
from stapes.programs import run_program
from stapes.progress import Progress, no_progress
from stapes.targets import board_for_target, require_target
from stapes.version import __version__

Figures = dict[str, float]
Result = dict[str, Any]

_ROWS = Path(__file__).with_name("rows.toml")


@dataclass(frozen=True)
class Kind:
    """What a command's `--json` tells: figures by name, and the columns they make.

    A column is a text with figures in braces, or several, of which the first counts whose figures there are. `compared`
    is the figure that is set against the best peer's.
    """

    figures: Callable[[Result], Figures]
    columns: Mapping[str, Sequence[str]]
    compared: str = ""
    packages: Sequence[str] = ()


KINDS = {
    "model": Kind(
        lambda found: {
            "instructions": found["instructions"],
            "macs": found["macs"],
            "code": found["flash_bytes"]["code"],
            "network": found["flash_bytes"]["weights"],
            "ram": found["ram_bytes"]["total"],
        },
        {
            "instructions": ["{instructions:,}"],
            "per MAC": ["{per_mac:.2f}"],
            "flash: code + network": ["{code:,} + {network:,}"],
            "RAM": ["{ram:,}"],
        },
        compared="instructions",
    ),
    "frontend": Kind(
        lambda found: {
            "instructions": found["instructions_per_frame"],
            "code": found["flash_bytes"]["code"],
            "tables": found["flash_bytes"]["tables"],
            "ram": found["ram_bytes"]["total"],
        },
        {
            "instructions a frame": ["{instructions:,}"],
            "flash: code + tables": ["{code:,} + {tables:,}", "{flash:,}"],
            "RAM": ["{ram:,}"],
        },
        compared="instructions",
    ),
    "parity": Kind(
        lambda found: {
            "equal": found["int8_equal_fraction"],
            "step": found["int8_max_step"],
            "snr": found["snr_db"],
            "quiet_snr": found["quiet"]["snr_db"],
        },
        {
            "int8 equal": ["{equal:.4%}"],
            "largest step": ["{step}"],
            "SNR, dB: normal / quiet": ["{snr:.0f} / {quiet_snr:.0f}"],
        },
        packages=("librosa", "soundfile"),
    ),
    "check": Kind(
        lambda found: {
            "instructions": found["instructions_per_window"],
            "macs": sum(layer["macs"] for layer in found["layers"]),
            "flash": found["flash_bytes"],
            "ram": found["ram_bytes"],
            "stack": found["stack_bytes"],
            "arena": found["arena_bytes"],
        },
        {
            "instructions a window": ["{instructions:,}"],
            "per MAC": ["{per_mac:.2f}"],
            "flash": ["{flash:,}"],
            "RAM + stack": ["{ram:,} + {stack:,}"],
            "the network's arena": ["{arena:,}"],
        },
        packages=("soundfile",),
    ),
    "live": Kind(
        lambda found: {
            "share": found["cpu_percent_at_80_mhz"],
            "instructions": found["instructions_per_second"],
            "flash": found["flash_bytes"]["total"],
            "ram": found["ram_bytes"]["total"],
        },
        {
            "share of 80 MHz": ["{share:.1f} %"],
            "instructions a second": ["{instructions:,}"],
            "flash": ["{flash:,}"],
            "RAM with stack": ["{ram:,}"],
        },
        compared="share",
    ),
    "evaluate": Kind(
        lambda found: {
            name: 100 * found[kind][key]
            for kind in ("firmware", "int8", "float")
            if kind in found
            for name, key in ((kind, "accuracy_mean"), (f"{kind}_sd", "accuracy_sd"))
        },
        {
            "as the firmware computes it": ["{firmware:.2f} % ± {firmware_sd:.1f}"],
            "in Python, int8": ["{int8:.2f} %"],
            "in floating point": ["{float:.2f} %"],
        },
        packages=("soundfile",),
    ),
    "features": Kind(
        lambda found: {
            "rate": found["clips_per_second"],
            "peer_rate": found["librosa_clips_per_second"],
            "share": found["of_librosa"],
        },
        {
            "clips a second": ["{rate:.0f}"],
            "librosa's": ["{peer_rate:.0f}"],
            "of librosa's speed": ["{share:.2f}"],
        },
        packages=("librosa",),
    ),
}


@dataclass(frozen=True)
class Places:
    """Directories that commands name; None is one that nobody gave."""

    models: Path | None = None
    bundles: Path | None = Path("models")
    data: Path | None = None


@cache
def _rows() -> dict[str, Any]:
    return tomllib.loads(_ROWS.read_text(encoding="utf-8"))


def _each() -> Iterator[tuple[Result, Result]]:
    for section in _rows()["section"]:
        for row in section["row"]:
            yield section, row


def bench_all(
    places: Places,
    out: Path,
    *,
    json_file: Path | None = None,
    only: str = "",
    progress: Progress = no_progress,
) -> Result:
    """Run every row's command, its builds below `out`; returns what `stapes bench all --json` writes.

    A row whose model, recordings, program or package is missing says so in `skipped`, one that went wrong in `failed`.
    `only` takes the rows that have this text in their section, name or command. `json_file` is written after every
    row; where it is there from a run that was interrupted, by the same stapes, that one is continued.
    """
    chosen = [
        (section, row)
        for section, row in _each()
        if only in f"{section['title']} {row['what']} {row['command']}"
    ]
    key = sha256(canonical_json([package_hash(), source_hash("", ""), only]))
    found: list[Result] = _interrupted(json_file, key)
    result: Result = {"stapes": __version__, "key": key, "complete": False, "rows": found}
    for number, (section, row) in enumerate(chosen):
        if number < len(found):
            continue
        progress(row["what"], number, len(chosen))
        found.append(_measure(section, row, places, out))
        if json_file is not None:
            write_json(json_file, result)
    result["complete"] = True
    if json_file is not None:
        write_json(json_file, result)
    progress("done", len(chosen), len(chosen))
    return result


def _interrupted(json_file: Path | None, key: str) -> list[Result]:
    if json_file is None:
        return []
    try:
        value = json.loads(json_file.read_bytes())
        return list(value["rows"]) if value["key"] == key and not value["complete"] else []
    except (OSError, ValueError, KeyError, TypeError):
        return []


def _measure(section: Result, row: Result, places: Places, out: Path) -> Result:
    kind = KINDS[section["kind"]]
    peers = [{"who": peer["who"], "figures": _derived(_numbers(peer))} for peer in row.get("peer", [])]
    result: Result = {
        "section": section["title"],
        "what": row["what"],
        "command": _shown(row["command"]),
        "peers": peers,
    }
    reason = _missing(row["command"], kind, places)
    if reason is not None:
        return result | {"skipped": reason}
    words = [word.format_map(vars(places)) for word in shlex.split(row["command"])]
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as directory:
        answer = Path(directory) / "answer.json"
        command = [sys.executable, "-m", "stapes", *words, "--json", str(answer)]
        if words[0] in ("bench", "check", "evaluate") and words[1] != "features":
            command += ["--out", str(out / sha256(row["command"].encode())[:12])]
        done = run_program(command)
        result["seconds"] = round(time.monotonic() - begin, 1)
        if done.returncode != 0:
            return result | {"failed": _complaint(done.stderr or done.stdout, done.returncode)}
        figures = kind.figures(json.loads(answer.read_bytes()))
    result["figures"] = _derived({name: value for name, value in figures.items() if value is not None})
    best = [peer["figures"][kind.compared] for peer in peers if kind.compared in peer["figures"]]
    if best and kind.compared in result["figures"]:
        result["of_best_peer"] = result["figures"][kind.compared] / min(best)
    return result


def _numbers(peer: Result) -> Figures:
    return {name: value for name, value in peer.items() if name != "who"}


def _derived(figures: Figures) -> Figures:
    if {"instructions", "macs"} <= set(figures):
        figures["per_mac"] = figures["instructions"] / figures["macs"]
    return figures


def _shown(command: str) -> str:
    """The command as a person would type it."""
    return "stapes " + command.format(models="MODELS", bundles="models", data="DIR")


def _missing(command: str, kind: Kind, places: Places) -> str | None:
    """Why the row cannot be measured here; None where it can."""
    for name, place in vars(places).items():
        if f"{{{name}}}" in command and place is None:
            return f"no --{name} given"
    words = [word.format_map(vars(places)) for word in shlex.split(command)]
    for word, original in zip(words, shlex.split(command), strict=True):
        if "{" in original and not Path(word).exists():
            return f"{word} is not there"
    try:
        require("it", *kind.packages)
    except ToolError as error:
        return str(error)
    try:
        if "--target" in words:
            target = words[words.index("--target") + 1]
            require_target(target)
            board = board_for_target(target)
            if board is not None:
                require_compiler(board)
    except StapesError as error:
        return error.message
    return None


def _complaint(text: str, status: int) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line.removeprefix("error:").strip() for line in lines if line.startswith("error:")]
    return next(iter(errors or lines[-1:]), f"status {status}")


def benchmarks_page(result: Result) -> str:
    """docs/benchmarks.md from what `bench_all` found."""
    rows = _rows()
    parts = [f"# {rows['title']}", rows["text"].strip()]
    for section in rows["section"]:
        found = [row for row in result["rows"] if row["section"] == section["title"]]
        if found:
            parts += [
                f"## {section['title']}",
                section["text"].strip(),
                *_tables(KINDS[section["kind"]], found),
            ]
    return "\n\n".join(parts) + "\n"


def _tables(kind: Kind, rows: Sequence[Result]) -> list[str]:
    """The table, then which commands its rows are of."""
    headings = ["", "", *kind.columns]
    compared = any("of_best_peer" in row for row in rows)
    if compared:
        headings.append("of the best peer")
    lines = [headings, ["---"] * len(headings)]
    for row in rows:
        names = [row["what"], *[""] * len(row["peers"])]
        for name, peer in zip(names, row["peers"], strict=False):
            lines.append([name, peer["who"], *_cells(kind, peer["figures"]), *[""] * compared])
        if "figures" in row:
            cells = [f"**{cell}**" if cell else "" for cell in _cells(kind, row["figures"])]
            ratio = [f"{row['of_best_peer']:.2f}" if "of_best_peer" in row else ""] if compared else []
        else:
            why = f"failed: {row['failed']}" if "failed" in row else f"not measured: {row['skipped']}"
            cells, ratio = [why.replace("|", "/"), *[""] * (len(kind.columns) - 1)], [""] * compared
        lines.append([names[-1], "**stapes**", *cells, *ratio])
    table = "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
    commands = "\n".join(f"    {command}" for command in dict.fromkeys(row["command"] for row in rows))
    return [table, commands]


def _cells(kind: Kind, figures: Figures) -> list[str]:
    return [_cell(texts, figures) for texts in kind.columns.values()]


def _cell(texts: Sequence[str], figures: Figures) -> str:
    for text in texts:
        try:
            return text.format(**figures)
        except KeyError:
            continue
    return ""
