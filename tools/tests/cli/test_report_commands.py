"""`stapes check` with a baseline, metrics, page and log; `stapes report` from its JSON."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from small_bundle import make_small_bundle
from typer.testing import CliRunner, Result

from stapes.cli.app import app
from stapes.errors import StapesError


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("report")
    make_small_bundle(directory / "bundle")
    return directory


def stapes(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def check(directory: Path, *arguments: str | Path) -> Result:
    return stapes("check", directory / "bundle", "--clips", "1", "--out", directory / "build", *arguments)


def test_check_writes_everything_and_report_reads_it(directory: Path, tmp_path: Path) -> None:
    files = {name: tmp_path / name for name in ("x.json", "x.html", "x.txt", "logs", "page.html")}
    result = check(
        directory, "--json", files["x.json"], "--html", files["x.html"], "--metrics", files["x.txt"],
        "--uart-log", files["logs"],
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert files["x.txt"].read_text().endswith("# EOF\n")
    assert (files["logs"] / "check-host.log").stat().st_size > 1000
    assert stapes("report", files["x.json"], "--out", files["page.html"]).exit_code == 0
    heard = re.compile(r"<section>\n<h2>Clips, as devices.*?</section>\n", re.DOTALL)
    page = files["x.html"].read_text()
    assert len(heard.findall(page)) == 1 and page.count("<audio") == page.count('alt="spectrogram of') == 1
    assert files["page.html"].read_text() == heard.sub("", page)
    refused = check(directory, "--sound")
    assert refused.exit_code == 2 and "--html" in refused.output


def test_a_regression_is_one_line_and_status_1(directory: Path, tmp_path: Path) -> None:
    accepted = tmp_path / "accepted.json"
    first = check(directory, "--baseline", accepted, "--update-baseline")
    assert first.exit_code == 0 and "baseline accepted" in first.output
    told = tmp_path / "told.json"
    again = check(directory, "--baseline", accepted, "--json", told)
    assert again.exit_code == 0 and "no regression" in again.output
    assert json.loads(told.read_text())["regressions"] == []
    value = json.loads(accepted.read_text())
    value["bits"]["scores"] = "0" * 64
    accepted.write_text(json.dumps(value))
    worse = check(directory, "--baseline", accepted, "--json", told)
    assert worse.exit_code == 1
    assert json.loads(told.read_text())["regressions"] == ["scores: other bits than the baseline's"]
    assert [line for line in worse.output.splitlines() if "REGRESSION" in line] == [
        "REGRESSION scores: other bits than the baseline's"
    ]


def test_an_update_needs_its_file(directory: Path) -> None:
    result = check(directory, "--update-baseline")
    assert result.exit_code == 2 and "--baseline" in result.output


def test_compare_writes_a_page(directory: Path, tmp_path: Path) -> None:
    page = tmp_path / "compare.html"
    done = stapes(
        "compare", directory / "bundle", "--targets", "host,host", "--clips", "1",
        "--out", directory / "build", "--html", page,
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert "Targets side by side" in page.read_text()


@pytest.mark.parametrize(
    ("content", "message"), [(None, "cannot read"), ("{", "is no JSON"), ("{}", "is no result")]
)
def test_report_refuses_other_files(tmp_path: Path, content: str | None, message: str) -> None:
    path = tmp_path / "x.json"
    if content is not None:
        path.write_text(content)
    result = stapes("report", path, "--out", tmp_path / "page.html")
    assert isinstance(result.exception, StapesError) and message in str(result.exception)
    assert not (tmp_path / "page.html").exists()
