"""stm32loader: the boot loader in an STM32's ROM, over the UART."""

from __future__ import annotations

import re

from stapes.targets.flash.identity import Identity, device_id
from stapes.targets.flash.tool import Job, Step, Tool


class Stm32Loader(Tool):
    """Commands of stm32loader 0.7 and later. DTR is wired to RESET and RTS to BOOT0, or a person does that."""

    name = "stm32loader"
    programs = ("stm32loader",)
    needs_port = True

    def identity_command(self, job: Job) -> list[str]:
        """Without an order it asks for versions and the chip's id."""
        return ["stm32loader", "--port", job.port or "PORT"]

    def identity(self, job: Job, said: str) -> Identity | None:
        """A line such as `Chip id: 0x413 (STM32F40xxx/41xxx)`."""
        found = re.search(r"^Chip (?:id|ID): 0x([0-9A-Fa-f]+)", said, re.M)
        return Identity(device_id(int(found.group(1), 16))) if found else None

    def write_steps(self, job: Job) -> list[Step]:
        """Erases the whole flash: the ROM's protocol counts sectors in a way of each family's own. `--go-address`
        starts the program where nothing is wired to RESET.
        """
        command = ["stm32loader", "--port", job.port or "PORT", "--no-progress"]
        command += ["--erase", "--write", "--verify", "--address", job.address, "--go-address", job.address]
        return [Step([*command, str(job.image.path)], "Verification OK")]
