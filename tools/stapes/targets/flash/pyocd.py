"""pyOCD: ST-Link, CMSIS-DAP and J-Link probes; installed by pip."""

from __future__ import annotations

import json
import re
import shlex

from stapes.targets.flash.identity import Identity, identity_registers, registers_identity, tool_targets
from stapes.targets.flash.tool import Job, Step, Tool

# A locked chip is refused, never erased for that.
SAFE = ["-O", "auto_unlock=false"]


class PyOcd(Tool):
    """Commands of pyOCD 0.36 and later."""

    name = "pyocd"
    programs = ("pyocd",)

    def probe_commands(self) -> list[list[str]]:
        """The JSON list says nothing about probes that may not be opened, the other list does."""
        return [["pyocd", "json", "--probes"], ["pyocd", "list"]]

    def probes(self, said: str) -> list[str]:
        """The unique ids in the JSON."""
        try:
            value, _ = json.JSONDecoder().raw_decode(said[said.index("{") :])
            return [str(board["unique_id"]) for board in value["boards"]]
        except (ValueError, KeyError, TypeError):
            return []

    def identity_command(self, job: Job) -> list[str]:
        """Attach without a halt, as a core of unknown make, and read two registers."""
        command = ["pyocd", "commander", *_connection(job), "-t", "cortex_m", "-M", "attach", *SAFE]
        for address in identity_registers(job.board):
            command += ["-c", f"read32 {address:#010x}"]
        return command

    def identity(self, job: Job, said: str) -> Identity | None:
        """Lines such as `e0042000:  10076413    |..d.|`."""
        words = {
            int(a, 16): int(v, 16) for a, v in re.findall(r"^([0-9a-f]{8}):\s+([0-9a-f]{8})\b", said, re.M)
        }
        return registers_identity(job.board, words)

    def write_steps(self, job: Job) -> list[Step]:
        """`load` does not read back, so a second command compares, then starts the program."""
        target = ["-t", tool_targets(job.board)[self.name]]
        path = str(job.image.path)
        load = ["pyocd", "load", *_connection(job), *target, *SAFE]
        load += ["--no-reset", "--format", "bin", "--base-address", job.address, path]
        compare = ["pyocd", "commander", *_connection(job), *target, "-M", "halt", *SAFE]
        compare += ["-c", f"compare {job.address} {shlex.quote(path)}", "-c", "reset"]
        return [
            Step(load, r"programmed \d+ bytes|identical \d+ bytes"),
            Step(compare, rf"All {job.image.size} bytes match"),
        ]


def _connection(job: Job) -> list[str]:
    return ["--no-wait", "-u", job.probe or "PROBE"]
