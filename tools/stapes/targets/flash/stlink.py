"""The open st-flash and st-info, for ST-Link probes."""

from __future__ import annotations

import re

from stapes.targets.flash.identity import Identity, device_id
from stapes.targets.flash.tool import Job, Step, Tool

SERIAL = re.compile(r"^\s*serial:\s*([0-9A-Fa-f]+)\s*$", re.M)
CHIP = re.compile(r"^\s*chipid:\s*0x([0-9A-Fa-f]+)\s*$", re.M)


class StFlash(Tool):
    """Commands of stlink-tools 1.7 and later."""

    name = "st-flash"
    programs = ("st-flash", "st-info")

    def probe_commands(self) -> list[list[str]]:
        """One list names probes and chips."""
        return [["st-info", "--probe"]]

    def probes(self, said: str) -> list[str]:
        """The serial numbers."""
        return SERIAL.findall(said)

    def identity_command(self, job: Job) -> list[str]:
        """The same list: it alone can be asked about one probe of several."""
        return ["st-info", "--probe"]

    def identity(self, job: Job, said: str) -> Identity | None:
        """The chip id in the paragraph of the job's probe."""
        starts = [*SERIAL.finditer(said)]
        for place, start in enumerate(starts):
            end = starts[place + 1].start() if place + 1 < len(starts) else len(said)
            chip = CHIP.search(said, start.start(), end)
            if start.group(1) == job.probe and chip:
                return Identity(device_id(int(chip.group(1), 16)))
        return None

    def write_steps(self, job: Job) -> list[Step]:
        """st-flash reads back by itself."""
        command = ["st-flash", "--serial", job.probe or "PROBE", "--reset", "write"]
        return [Step([*command, str(job.image.path), job.address], "Flash written and verified")]
