"""OpenOCD: any probe that it has a configuration for."""

from __future__ import annotations

import re

from stapes.targets.flash.identity import (
    DEVICE_ID_MASK,
    Identity,
    identity_registers,
    probe_kind,
    registers_identity,
    tool_targets,
)
from stapes.targets.flash.tool import Job, Step, Tool

INTERFACES = {
    "st-link": "interface/stlink.cfg",
    "cmsis-dap": "interface/cmsis-dap.cfg",
    "j-link": "interface/jlink.cfg",
}


class OpenOcd(Tool):
    """Commands of OpenOCD 0.12. It takes the first probe, or the one whose serial number it is told."""

    name = "openocd"
    programs = ("openocd",)

    def identity_command(self, job: Job) -> list[str]:
        """Connect without a halt and read two registers."""
        command = [*self._connection(job), "-c", "init"]
        for address in identity_registers(job.board):
            command += ["-c", f"mdw {address:#010x}"]
        return [*command, "-c", "shutdown"]

    def identity(self, job: Job, said: str) -> Identity | None:
        """Lines such as `0xe0042000: 10076413`."""
        words = {
            int(a, 16): int(v, 16) for a, v in re.findall(r"^0x([0-9a-f]{8}): ([0-9a-f]{8})\b", said, re.M)
        }
        return registers_identity(job.board, words)

    def write_steps(self, job: Job) -> list[Step]:
        """Reads the device id again in the same session: without a serial number the first probe may have changed."""
        known = " ".join(str(identity) for identity in job.board.device_ids)
        word = f"[lindex [read_memory {job.board.device_id_address:#010x} 32 1] 0]"
        script = (
            f"set id [expr {{{word} & {DEVICE_ID_MASK:#x}}}]; "
            f"if {{$id in {{{known}}}}} "
            f"{{program {{{job.image.path}}} {job.address} verify reset exit}} "
            f"else {{echo [format {{** Wrong chip: device id 0x%03x **}} $id]; shutdown error}}"
        )
        return [Step([*self._connection(job), "-c", "init", "-c", script], r"\*\* Verified OK \*\*")]

    def _connection(self, job: Job) -> list[str]:
        command = ["openocd", "-f", INTERFACES[probe_kind(job.board)]]
        if job.probe:
            command += ["-c", f"adapter serial {job.probe}"]
        return [*command, "-f", tool_targets(job.board)[self.name]]
