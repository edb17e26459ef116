"""A benchmark's image, built for a board that is not there, says its own cycles."""

import json
import shutil
from pathlib import Path

import pytest
from kernelnets import NETWORKS
from typer.testing import CliRunner

from stapes.bench.model import estimate_cycles
from stapes.cli.app import app
from stapes.errors import TargetError

pytest.importorskip("unicorn")
pytestmark = pytest.mark.skipif(shutil.which("arm-none-eabi-gcc") is None, reason="no arm-none-eabi-gcc")


def test_bench_estimates_what_the_board_would_take(tmp_path: Path) -> None:
    model = tmp_path / "m.tflite"
    model.write_bytes(NETWORKS["chain-0"]())
    out = tmp_path / "bench.json"
    command = [
        "bench",
        str(model),
        "--inputs",
        "1",
        "--cycles",
        "nucleo_l476rg",
        "--out",
        str(tmp_path / "b"),
    ]
    done = CliRunner().invoke(app, [*command, "--json", str(out)], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    values = json.loads(out.read_text())
    assert values["target"] is None and values["cycles"] is None  # nothing is measured
    assert values["equal_to_reference"] is True and values["inputs"] == 1
    estimate = values["estimate"]
    assert estimate["equal_to_reference"] is True
    assert estimate["mhz"] == 80
    layers = estimate["layer_cycles"]
    assert len(layers) == len(values["layers"]) and min(layers) > 0
    assert 0.5 * estimate["cycles"] < sum(layers) < 1.5 * estimate["cycles"]
    assert estimate["milliseconds"] == estimate["cycles"] / 80_000
    text = " ".join(done.output.split())
    assert f"nucleo_l476rg, estimated and not measured: {estimate['cycles']:,} cycles a window" in text
    known = estimate["known_error"]
    assert f"{known['median_percent']:.1f} % in the median, {known['worst_percent']:.1f} % at most" in text


def test_a_board_that_nothing_is_known_of_is_refused_before_the_build(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="only the Cortex-M4 has its timings here, this is a Cortex-M7"):
        estimate_cycles(NETWORKS["chain-0"](), "nucleo_f767zi", tmp_path / "b")
    assert not (tmp_path / "b").exists()
