"""Whether the constants in a device are those that the build put into the image."""

from __future__ import annotations

from pathlib import Path

from stapes.errors import IdentityError
from stapes.firmware.checksum import read_checksum
from stapes.link import Client, SelfTest


def constants_problem(test: SelfTest, elf: Path | None) -> str | None:
    """What the device's SELF_TEST gives away, in one line; None where nothing is wrong, or the image has no checksum.

    `elf` is the program, where it was built here: what the device says must be what the build wrote there.
    """
    written = read_checksum(elf) if elf else None
    if written is not None and (test.size, test.expected) != written:
        return (
            f"the device's image names CRC-32 0x{test.expected:08x} of {test.size} bytes of constants, "
            f"the build wrote 0x{written[1]:08x} of {written[0]}"
        )
    if test.size and test.expected != test.computed:
        return (
            f"the constants in the device are damaged: CRC-32 0x{test.computed:08x} of {test.size} bytes, "
            f"not 0x{test.expected:08x}"
        )
    return None


def verify_constants(client: Client, elf: Path | None) -> SelfTest:
    """Let the device test its constants; `IdentityError` where they are not those of the build."""
    test = client.self_test()
    problem = constants_problem(test, elf)
    if problem:
        raise IdentityError(problem, hint="flash again; replace the board if that does not help")
    return test
