"""Microphone samples are the same bits on every core, at a known cost."""

from pathlib import Path

import pytest

from stapes.bench.audio import bench_audio
from stapes.errors import BuildError, TargetError, ToolError
from stapes.targets import require_target

# Instructions a PCM sample.
TARGETS = {
    "qemu:mps2-an386": {"pdm64": 420, "pdm128": 540, "i2s": 50, "adc8": 320},
    "qemu:microbit": {"pdm64": 1200, "pdm128": 1450, "i2s": 130, "adc8": 780},
    "qemu:riscv32-virt": {"pdm64": 880, "pdm128": 1020, "i2s": 65, "adc8": 530},
}


@pytest.fixture(scope="module")
def host_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("host")


@pytest.mark.parametrize("target", TARGETS)
def test_the_same_samples_on_every_core_and_at_what_cost(target: str, tmp_path: Path, host_dir: Path) -> None:
    try:
        require_target(target)
    except (ToolError, TargetError, BuildError) as error:
        pytest.skip(str(error))
    found = bench_audio(target, tmp_path, host_dir)
    assert found["equal"]
    assert found["counter"] == "instructions"
    for name, most in TARGETS[target].items():
        assert 10 < found["sources"][name] <= most, found
