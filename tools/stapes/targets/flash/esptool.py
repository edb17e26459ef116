"""esptool: the loader in the ROM of Espressif's chips, over USB or a UART."""

from __future__ import annotations

import re

from stapes.targets.flash.identity import Identity, tool_targets
from stapes.targets.flash.tool import Job, Step, Tool


class EspTool(Tool):
    """Commands of esptool 5."""

    name = "esptool"
    programs = ("esptool",)
    needs_port = True

    def identity_command(self, job: Job) -> list[str]:
        """Whatever chip it is."""
        return ["esptool", "--chip", "auto", "--port", job.port or "PORT", "chip-id"]

    def identity(self, job: Job, said: str) -> Identity | None:
        """A line such as `Chip type:          ESP32-C3 (QFN32) (revision v0.4)`; a locked chip says how."""
        found = re.search(r"^Chip type:\s+(ESP\S+)(.*)$", said, re.M)
        if found is None:
            return None
        return Identity(found.group(1).lower().replace("-", ""), "Secure Download Mode" in found.group(2))

    def write_steps(self, job: Job) -> list[Step]:
        """The chip is named, so that esptool too refuses another; a second command compares the MD5."""
        command = ["esptool", "--chip", tool_targets(job.board)[self.name], "--port", job.port or "PORT"]
        place = [f"{job.image.address:#x}", str(job.image.path)]
        return [
            Step([*command, "write-flash", *place], "Hash of data verified"),
            Step([*command, "verify-flash", *place], "Verification successful"),
        ]
