"""What turning a microphone's bits into PCM costs on a target, and that it gives there what it gives here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stapes.bench.frontend import COUNTERS, read_answer
from stapes.errors import TargetError
from stapes.firmware import build_firmware
from stapes.targets import board_for_target, open_target, require_target, unit_of_counter

SOURCES = ("pdm64", "pdm128", "i2s", "adc8")


def bench_audio(target: str, out_dir: Path, host_dir: Path | None = None) -> dict[str, Any]:
    """Build, run and measure; returns the keys of `stapes bench audio --json`.

    `sources` maps PDM of 64 and 128 bits a PCM sample, I2S, and an ADC of 8 conversions a PCM sample to counts
    for one PCM sample. `equal` says whether every sample was that of the host,
    which is built in `host_dir`.
    """
    board = board_for_target(target)
    if board is None:
        raise TargetError(
            f"{target} runs a program of its own",
            hint="give host, qemu:MACHINE, renode:PLATFORM or board:NAME",
        )
    require_target(target)
    answer = _run(target, board, out_dir)
    reference = _run("host", "host", host_dir or out_dir / "host")
    scale = answer["numerator"] / answer["denominator"] / max(answer["samples"], 1)
    return {
        "target": target,
        "equal": answer["status"] == reference["status"] == 0 and answer["hash"] == reference["hash"],
        "counter": unit_of_counter(target, COUNTERS[answer["counter"]]),
        "samples": answer["samples"],
        "sources": {name: round(answer[name] * scale, 1) for name in SOURCES},
    }


def _run(target: str, board: str, out_dir: Path) -> dict[str, int]:
    build = build_firmware(None, board, out_dir, "bench_audio")
    with open_target(target, build.elf) as stream:
        return read_answer(stream)
