"""What the flashing programs complain of, in one line, and what to do about it."""

from __future__ import annotations

import re
from pathlib import Path

from stapes.errors import TargetError

UDEV_FILE = "/etc/udev/rules.d/60-stapes-probes.rules"
UDEV_RULE = 'SUBSYSTEM=="usb", ATTRS{{idVendor}}=="{vendor:04x}", MODE="0660", TAG+="uaccess"'
VENDORS = {"st-link": 0x0483, "cmsis-dap": 0x0D28, "j-link": 0x1366}


def udev_hint(interface: str) -> str:
    """The command that lets the user at the screen use the probe."""
    rule = UDEV_RULE.format(vendor=VENDORS.get(interface, VENDORS["st-link"]))
    return (
        f"echo '{rule}' | sudo tee {UDEV_FILE} && sudo udevadm control --reload && sudo udevadm trigger, "
        "then plug the probe in again"
    )


PORT_HINT = "allow this user the port: sudo usermod -aG dialout $USER, then log in again"
UNLOCK_HINT = (
    "nothing was written; to give up what is on the chip, set its read protection to level 0 with "
    "STM32CubeProgrammer (that erases it), then power it off and on"
)
FUSE_HINT = "nothing was written; secure download mode is burnt into the chip's fuses, take another board"

# The first pattern that is found names the reason; {tool}, {board}, {port} and {found} (the line) are filled in.
REASONS: tuple[tuple[str, str, str], ...] = (
    (
        r"could not open port .*(?:Permission denied|Errno 13)",
        "no permission to open {port}",
        PORT_HINT,
    ),
    (
        r"LIBUSB_ERROR_ACCESS|Access denied \(insufficient permissions\)|Operation not permitted",
        "no permission to use the probe",
        "{udev}",
    ),
    (
        r"could not open port .*(?:No such file|FileNotFoundError|Errno 2\])",
        "there is no port {port}",
        "check the cable; `--port auto` finds a known adapter",
    ),
    (
        r"could not open port .*(?:busy|exclusively lock|Errno 16|Errno 11|PermissionError)"
        r"|Resource temporarily unavailable",
        "another program has {port} open",
        "close the terminal program or test that uses it",
    ),
    (
        r"LIBUSB_ERROR_BUSY|Resource busy|Errno 16|Already opened in another mode|probe is already in use",
        "another program uses the probe",
        "end the debugger, IDE or flashing program that has it open",
    ),
    (
        r"No available debug probes|No connected debug probe|Couldn't find any ST-Link|Found 0 stlink"
        r"|^Error: open failed|No device found|unable to find a matching",
        "no debug probe found",
        "plug the board in with a data cable at its ST-Link socket; `lsusb` must show it",
    ),
    (
        r"Target type (?P<target>\S+) not recognized",
        "pyOCD does not know {target} yet",
        "pyocd pack install {target}",
    ),
    (
        r"device protected|[Rr]eadout protect|read.?out protection|Secure Download Mode|Target is locked"
        r"|Flash memory is write protected|Memory transfer fault .*@ 0x0800|option bytes? .*protect",
        "the chip is locked: its flash is protected against reading and writing",
        "{unlock}",
    ),
    (
        r"Verify Failed|Verification FAILED|Verification failed|Verification of flash failed|Mismatched byte"
        r"|does not match data in flash|checksum mismatch|contents differ",
        "verification failed: the flash does not hold what was written ({found})",
        "check the supply voltage and try again; if it happens again, the flash may be worn out",
    ),
    (
        r"Wrong chip|UNEXPECTED idcode|This chip is .* not |unknown chip id",
        "another chip than {board}'s answers ({found})",
        "nothing was written; name the right --board",
    ),
    (
        r"Wrong boot mode detected",
        "the chip runs its program instead of the ROM's loader",
        "hold BOOT, press RESET, let BOOT go, and try again",
    ),
    (
        r"Can't init into bootloader|Failed to connect to (?:ESP|Espressif)|No serial data received"
        r"|timed? ?out.*bootloader",
        "the chip's loader does not answer on {port}",
        "{loader}",
    ),
    (
        r"Get IDCODE error|No ACK|No device connected|init mode failed|Failed to connect to target"
        r"|Failed to enter SWD mode|unable to connect to the target|Unable to reset target|DP fault",
        "the probe is there, the chip does not answer",
        "check power, the SWD jumpers and cable; hold RESET while it starts if the program sleeps",
    ),
)


def unlock_hint(tool: str) -> str:
    """What can be done about a locked chip."""
    return FUSE_HINT if tool == "esptool" else UNLOCK_HINT


LOADERS = {
    "stm32loader": "set BOOT0 to 1 and press RESET, then try again; afterwards back to 0",
    "esptool": "hold BOOT, press RESET, let BOOT go, and try again",
}


def explain(
    said: str, *, tool: str, board: str, log: Path, port: str | None = None, interface: str = "st-link"
) -> TargetError:
    """The error for a program that failed and `said` this."""
    for pattern, message, hint in REASONS:
        found = re.search(pattern, said, re.MULTILINE)
        if found is None:
            continue
        values = {
            "tool": tool,
            "board": board,
            "port": port or "the port",
            "found": _line(said, found.start()),
            "udev": udev_hint(interface),
            "unlock": unlock_hint(tool),
            "loader": LOADERS.get(tool, ""),
            "target": "",
            **found.groupdict(),
        }
        return TargetError(f"{tool}: {message.format(**values)}", hint=hint.format(**values))
    return TargetError(f"{tool} failed: {_complaint(said)}", hint=f"all that it said is in {log}")


def _line(said: str, position: int) -> str:
    """The line around `position`."""
    start = said.rfind("\n", 0, position) + 1
    return " ".join(said[start:].split("\n", 1)[0].split())


def _complaint(said: str) -> str:
    """The line that names an error, or the last one."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    named = [line for line in lines if re.search(r"(?i)error|fail|fatal", line)]
    return (named or lines[-1:] or ["it said nothing"])[0]
