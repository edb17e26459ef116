"""Microphone samples are the same bits on every core, at a known cost."""

from pathlib import Path

import pytest

from stapes.check.bench_audio import bench_audio
from stapes.errors import BuildError, TargetError, ToolError
from stapes.targets import require_target

# Instructions a PCM sample.
TARGETS = {
    "qemu:mps2-an386": {"pdm64": 420, "pdm128": 540, "i2s": 50, "adc8": 320},
    "qemu:mps2-an385": {"pdm64": 620, "pdm128": 740, "i2s": 52, "adc8": 420},
    "qemu:mps2-an500": {"pdm64": 420, "pdm128": 540, "i2s": 50, "adc8": 320},
    "qemu:microbit": {"pdm64": 1500, "pdm128": 1700, "i2s": 120, "adc8": 900},
    "qemu:riscv32-virt": {"pdm64": 900, "pdm128": 1000, "i2s": 60, "adc8": 600},
}


@pytest.mark.parametrize("target", TARGETS)
def test_the_same_samples_on_every_core_and_at_what_cost(target: str, tmp_path: Path) -> None:
    try:
        require_target(target)
    except (ToolError, TargetError, BuildError) as error:
        pytest.skip(str(error))
    found = bench_audio(target, tmp_path)
    assert found["equal"]
    assert found["counter"] == "instructions"
    for name, most in TARGETS[target].items():
        assert 10 < found["sources"][name] <= most, found
