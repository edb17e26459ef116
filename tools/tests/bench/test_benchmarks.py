"""`bench all`: sound data, reasons for what cannot be measured, interrupted runs that go on, a page that has it all."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

from stapes.bench import benchmarks as rows
from stapes.bench.benchmarks import KINDS, Places, bench_all, benchmarks_page
from stapes.cli.app import app
from stapes.firmware import find_program

ANSWERS: dict[str, dict[str, Any]] = {
    "model": {
        "instructions": 1_000_000,
        "macs": 500_000,
        "flash_bytes": {"code": 1000, "weights": 2000, "total": 3000},
        "ram_bytes": {"total": 4000},
    },
    "frontend": {
        "instructions_per_frame": 24_000,
        "flash_bytes": {"code": 1000, "tables": 2000},
        "ram_bytes": {"total": 4000},
    },
    "parity": {"int8_equal_fraction": 0.99, "int8_max_step": 1, "snr_db": 128.2, "quiet": {"snr_db": 119.0}},
    "check": {
        "instructions_per_window": 1_000_000,
        "layers": [{"macs": 400_000}, {"macs": 100_000}],
        "flash_bytes": 3000,
        "ram_bytes": 2000,
        "stack_bytes": 1000,
        "arena_bytes": 500,
    },
    "live": {
        "cpu_percent_at_80_mhz": 8.0,
        "instructions_per_second": 6_400_000,
        "flash_bytes": {"total": 3000},
        "ram_bytes": {"total": 4000},
    },
    "evaluate": {
        "firmware": {"accuracy_mean": 0.95, "accuracy_sd": 0.03},
        "int8": {"accuracy_mean": 0.95, "accuracy_sd": 0.03},
    },
    "features": {"clips_per_second": 500.0, "librosa_clips_per_second": 700.0, "of_librosa": 0.71},
}


def commands() -> Iterator[tuple[str, dict[str, Any]]]:
    for section in rows._rows()["section"]:
        for row in section["row"]:
            yield section["kind"], row


def test_every_row_is_a_command_of_a_kind_and_every_figure_of_a_peer_is_shown() -> None:
    found = list(commands())
    assert len({row["command"] for _, row in found}) == len(found) > 20
    for kind, row in found:
        words = shlex.split(row["command"].format(models="models", bundles="models", data="data"))
        help_text = CliRunner().invoke(
            app, [*words[: 2 if words[0] in ("bench", "frontend") else 1], "--help"]
        )
        assert help_text.exit_code == 0, row["command"]
        columns = KINDS[kind].columns
        for peer in row.get("peer", []):
            figures = rows._derived(rows._numbers(peer))
            for name in figures:
                texts = [text for column in columns.values() for text in column]
                assert name in ("macs",) or any(
                    f"{{{name}:" in text or f"{{{name}}}" in text for text in texts
                ), name
            assert any(rows._cells(KINDS[kind], figures)), peer


@pytest.fixture
def canned(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Commands that are not run, but answered."""
    ran: list[list[str]] = []
    kinds = {row["command"]: kind for kind, row in commands()}

    def run(command: list[str], **_: Any) -> SimpleNamespace:
        ran.append(command)
        where = Path(command[command.index("--json") + 1])
        typed = " ".join(command[3 : command.index("--json")])
        kind = next(kind for text, kind in kinds.items() if text.format_map(PLACES) == typed)
        where.write_text(json.dumps(ANSWERS[kind]))
        return SimpleNamespace(returncode=0, stdout="", stderr="")

    monkeypatch.setattr(rows, "run_program", run)
    monkeypatch.setattr(rows, "_missing", lambda *_: None)
    return ran


PLACES = {"models": "m", "bundles": "b", "data": "d"}
GIVEN = Places(Path("m"), Path("b"), Path("d"))


def test_the_page_has_every_row_its_command_and_its_peers(tmp_path: Path, canned: list[list[str]]) -> None:
    result = bench_all(GIVEN, tmp_path / "out", json_file=tmp_path / "b.json")
    assert len(canned) == len(list(commands())) == len(result["rows"])
    assert json.loads((tmp_path / "b.json").read_text()) == result
    page = benchmarks_page(result)
    for _, row in commands():
        assert row["what"] in page
        assert f"    {rows._shown(row['command'])}\n" in page
        for peer in row.get("peer", []):
            assert f"| {peer['who']} |" in page
    kws = next(row for row in result["rows"] if "kws" in row["what"])
    assert kws["of_best_peer"] == pytest.approx(1_000_000 / 7_226_848)
    assert "| **stapes** | **1,000,000** | **2.00** | **1,000 + 2,000** | **4,000** | 0.14 |" in page
    assert "52,684 + 53,936" in page and "**95.00 % ± 3.0**" in page
    lines = [line for line in page.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") and "None" not in line for line in lines)
    written = tmp_path / "page.md"
    told = CliRunner().invoke(
        app, ["bench", "all", "--from", str(tmp_path / "b.json"), "--page", str(written)]
    )
    assert told.exit_code == 0, told.output
    assert written.read_text() == page
    assert len(canned) == len(result["rows"])  # nothing measured again


def test_an_interrupted_run_goes_on_where_it_was(
    tmp_path: Path, canned: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = rows.run_program

    def stop(command: list[str], **rest: Any) -> Any:
        if len(canned) == 3:
            raise KeyboardInterrupt
        return answer(command, **rest)

    file = tmp_path / "b.json"
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(rows, "run_program", stop)
        bench_all(GIVEN, tmp_path, json_file=file, only="qemu:mps2-an38")
    assert len(json.loads(file.read_text())["rows"]) == 3
    result = bench_all(GIVEN, tmp_path, json_file=file, only="qemu:mps2-an38")
    assert result["complete"] and len(canned) == len(result["rows"]) > 3
    bench_all(GIVEN, tmp_path, json_file=file, only="qemu:mps2-an38")
    assert len(canned) == 2 * len(result["rows"])  # a whole one is measured again


def test_what_cannot_be_measured_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = Places(None, tmp_path / "none", None)
    result = bench_all(nothing, tmp_path, only="stride_ds24_random")
    assert {row["skipped"] for row in result["rows"]} == {"no --models given"}
    result = bench_all(nothing, tmp_path, only="bench live")
    assert {row["skipped"] for row in result["rows"]} == {
        f"{tmp_path / 'none'}/{name} is not there" for name in ("esc10", "esc10-tiny")
    }
    assert "not measured: " in benchmarks_page(result)
    monkeypatch.setattr("stapes.packages.find_spec", lambda _: None)
    result = bench_all(nothing, tmp_path, only="bench features")
    assert [row["skipped"] for row in result["rows"]] == ["it needs librosa; pip install 'stapes[train]'"]
    monkeypatch.setenv("PATH", str(tmp_path))
    find_program.cache_clear()
    result = bench_all(nothing, tmp_path, only="bench frontend --target qemu:mps2-an386")
    find_program.cache_clear()
    assert "missing" in result["rows"][0]["skipped"]


def test_a_command_that_fails_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stride_ds24_random.tflite").write_bytes(b"no network")
    monkeypatch.setattr(rows, "require_target", lambda _: None)
    monkeypatch.setattr(rows, "require_compiler", lambda _: None)
    result = bench_all(
        Places(tmp_path), tmp_path / "out", only="stride_ds24_random.tflite --target qemu:mps2-an386"
    )
    (row,) = result["rows"]
    assert "figures" not in row and row["failed"] and "\n" not in row["failed"]
    assert f"failed: {row['failed']}" in benchmarks_page(result)
    (tmp_path / "b.json").write_text(json.dumps(result))
    assert CliRunner().invoke(app, ["bench", "all", "--from", str(tmp_path / "b.json")]).exit_code == 1


def test_features_are_measured_beside_librosa(tmp_path: Path) -> None:
    pytest.importorskip("librosa")
    result = bench_all(Places(), tmp_path, only="bench features")
    (row,) = result["rows"]
    assert row["figures"]["rate"] > 0 and row["figures"]["peer_rate"] > 0
    # An earlier front end came to a fifth; other work on the machine makes both slower, not one.
    assert row["figures"]["share"] > 0.3
