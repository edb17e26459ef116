"""Stand-ins for pyocd, openocd, st-info, st-flash, stm32loader and esptool; which one is in the name it is run by.

What they print was taken from the programs themselves (pyocd 0.46, openocd 0.12, stlink-tools 1.7, stm32loader 0.7.1,
esptool 5.6) or, where a chip is needed, from their sources and from logs that their users published.

FAKE_CHIP names a JSON file: `id` and `optcr` (registers), `esp` (an Espressif chip's name), `serials` of the probes,
`wrong` (what goes wrong, see below), `journal` (a file that gets one line for every erase and write).
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from pathlib import Path

CHIP = json.loads(Path(os.environ["FAKE_CHIP"]).read_text(encoding="utf-8"))
WRONG: str = CHIP["wrong"]
SERIALS: list[str] = CHIP["serials"]
REGISTERS = {0xE0042000: CHIP["id"], 0x40023C14: CHIP["optcr"]}
PORT_PROBLEMS = {
    "no port": "[Errno 2] could not open port {0}: [Errno 2] No such file or directory: '{0}'",
    "permission": "[Errno 13] could not open port {0}: [Errno 13] Permission denied: '{0}'",
    "busy": "[Errno 11] could not open port {0}: [Errno 11] Could not exclusively lock port {0}: "
    "[Errno 11] Resource temporarily unavailable",
}


def say(text: str) -> None:
    print(text, flush=True)


def complain(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def end(status: int, text: str = "") -> None:
    if text:
        complain(text)
    sys.exit(status)


def change(what: str) -> None:
    """The chip is erased or written now."""
    with Path(CHIP["journal"]).open("a", encoding="utf-8") as journal:
        journal.write(f"{what}\n")


def option(name: str) -> str:
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else ""


def pyocd() -> None:
    if sys.argv[1] == "json":
        boards = [
            {
                "unique_id": serial,
                "info": "STM32F407VET6 DISCO-F407VG",
                "board_vendor": None,
                "board_name": "DISCO-F407VG",
                "target": "stm32f407vgtx",
                "vendor_name": "STMicroelectronics",
                "product_name": "STM32 STLink",
            }
            for serial in SERIALS
        ]
        head = {"pyocd_version": "0.46.0", "version": {"major": 1, "minor": 1}, "status": 0}
        say(json.dumps({**head, "boards": boards}, indent=4))
        return
    if sys.argv[1] == "list":
        if WRONG == "permission":
            complain(
                "0000120 W [Errno 13] Access denied (insufficient permissions) while trying to get the STLink USB "
                "device configuration (VID=0483 PID=374b). This can probably be remedied with a udev rule. See "
                "<https://github.com/pyocd/pyOCD/tree/master/udev> for help. [usb]"
            )
        say("No available debug probes are connected")
        return
    if option("-u") not in SERIALS:
        say(f"No connected debug probe matches unique ID '{option('-u')}'")
        end(3)
    if WRONG == "busy":
        end(1, "0000545 C USB Error: [Errno 16] Resource busy [__main__]")
    if WRONG == "no chip":
        end(4, "0000630 E Error while initing target: STLink error (9): Get IDCODE error [commander]")
    assert "auto_unlock=false" in sys.argv
    if sys.argv[1] == "load":
        if WRONG == "no pack":
            end(
                1,
                f"0000772 C Target type {option('-t')} not recognized. Use 'pyocd list --targets' to see currently "
                "available target types. See <https://pyocd.io/docs/target_support.html> for how to install "
                "additional target support. [__main__]",
            )
        path = Path(sys.argv[-1])
        complain(f"0000414 I Loading {path} at {option('--base-address')} [load_cmd]")
        if WRONG == "protected":
            end(1, "0000545 C Memory transfer fault (read) @ 0x08000000-0x0800003f [__main__]")
        change("pyocd load")
        say("[---|---|---|---|---|---|---|---|---|----]\n[========================================]")
        complain(
            f"0002543 I Erased 131072 bytes (5 sectors), programmed {path.stat().st_size} bytes (3 pages), "
            "identical 0 bytes (0 pages) at 20.53 kB/s [loader]"
        )
        return
    for command in [sys.argv[i + 1] for i, word in enumerate(sys.argv) if word == "-c"]:
        if read := re.fullmatch(r"read32 (\S+)", command):
            if WRONG == "unreadable":
                say("Error: memory transfer failed")
                end(2)
            address = int(read[1], 16)
            say(f"{address:08x}:  {REGISTERS[address]:08x}                               |..d.|")
        if compare := re.fullmatch(r"compare \S+ '?([^']+)'?", command):
            size = Path(compare[1]).stat().st_size
            say(f"Comparing {size} bytes @ 0x08000000")
            if WRONG == "mismatch":
                say("Mismatched byte at 0x08000010 (offset 0x10): 0xff (memory) != 0x21 (file)")
            else:
                say(f"All {size} bytes match.")


def openocd() -> None:
    complain("Open On-Chip Debugger 0.12.0\nLicensed under GNU GPL v2\nFor bug reports, read")
    complain("\thttp://openocd.org/doc/doxygen/bugs.html")
    complain("Info : clock speed 2000 kHz")
    if WRONG in {"permission", "busy"}:
        complain(
            f"Error: libusb_open() failed with LIBUSB_ERROR_{'ACCESS' if WRONG == 'permission' else 'BUSY'}"
        )
    if WRONG in {"permission", "busy"} or not SERIALS:
        end(1, "Error: open failed\n")
    complain("Info : STLINK V2J37M26 (API v2) VID:PID 0483:374B\nInfo : Target voltage: 3.251969")
    if WRONG == "no chip":
        end(1, "Error: init mode failed (unable to connect to the target)\n")
    complain("Info : [stm32f4x.cpu] Cortex-M4 r0p1 processor detected")
    complain("Info : [stm32f4x.cpu] target has 6 breakpoints, 4 watchpoints")
    for command in [sys.argv[i + 1] for i, word in enumerate(sys.argv) if word == "-c"]:
        if read := re.fullmatch(r"mdw (\S+)", command):
            if WRONG == "unreadable":
                end(1, "Error: Failed to read memory at 0xe0042000")
            address = int(read[1], 16)
            complain(f"0x{address:08x}: {REGISTERS[address]:08x} ")
        if "program" in command:
            known = re.search(r"\$id in \{([\d ]+)\}", command)
            found = (0x10016421 if WRONG == "swapped" else CHIP["id"]) & 0xFFF
            if known is None or str(found) not in known[1].split():
                complain(f"** Wrong chip: device id 0x{found:03x} **\nshutdown command invoked")
                end(1)
            complain("** Programming Started **")
            if WRONG == "protected":
                complain("Error: stm32x device protected\nError: failed erasing sectors 0 to 1")
                end(1, "** Programming Failed **")
            change("openocd program")
            complain(
                "Info : device id = 0x10076413\nInfo : flash size = 1024 KiB\n** Programming Finished **"
            )
            complain("** Verify Started **")
            if WRONG == "mismatch":
                complain("Error: checksum mismatch - attempting binary compare")
                complain("diff 0 address 0x08000010. Was 0xff instead of 0x21\nNo more differences found.")
                end(1, "** Verify Failed **")
            complain("** Verified OK **\n** Resetting Target **\nshutdown command invoked")


def st_info() -> None:
    if WRONG == "permission":
        complain("2026-11-22T18:20:35 ERROR usb.c: libusb_open failed: LIBUSB_ERROR_ACCESS")
    if WRONG == "busy":
        complain("2026-11-22T18:20:35 ERROR usb.c: claim interface: LIBUSB_ERROR_BUSY")
    seen = [] if WRONG in {"permission", "busy"} else SERIALS
    say(f"Found {len(seen)} stlink programmers")
    for serial in seen:
        chip = 0 if WRONG == "no chip" else CHIP["id"] & 0xFFF
        say(f"  version:    V2J37S26\n  serial:     {serial}")
        if WRONG != "unreadable":
            say("  flash:      1048576 (pagesize: 16384)\n  sram:       196608")
            say(f"  chipid:     0x{chip:03x}\n  dev-type:   STM32F4x5_F4x7")


def st_flash() -> None:
    say("st-flash 1.7.0")
    if option("--serial") not in SERIALS:
        end(255, "2026-11-22T18:20:35 WARN usb.c: Couldn't find any ST-Link devices")
    complain(
        "2026-11-22T18:20:35 INFO common.c: F4x5_F4x7: 192 KiB SRAM, 1024 KiB flash in at least 16 KiB pages."
    )
    if WRONG == "protected":
        end(255, "2026-11-22T18:20:36 ERROR common.c: Flash memory is write protected")
    change("st-flash write")
    complain("2026-11-22T18:20:36 INFO common.c: Flash page at addr: 0x08000000 erased")
    complain("2026-11-22T18:20:36 INFO common.c: Starting verification of write complete")
    if WRONG == "mismatch":
        end(255, "2026-11-22T18:20:37 ERROR common.c: Verification of flash failed at offset: 0")
    complain("2026-11-22T18:20:37 INFO common.c: Flash written and verified! jolly good!")


def stm32loader() -> None:
    port = option("--port")
    if WRONG in PORT_PROBLEMS:
        end(1, PORT_PROBLEMS[WRONG].format(port) + "\n\nIs the device connected and powered correctly?\n")
    say("Activating bootloader (select UART)")
    if WRONG == "no chip":
        complain("Bootloader activation timeout -- retrying\n" * 2)
        end(1, "Can't init into bootloader. Ensure that BOOT0 is enabled and reset the device.")
    complain("Bootloader version: 0x31")
    if WRONG == "unreadable":
        end(1, "stm32loader.bootloader.CommandError: NACK 0x2 Get ID")
    complain(f"Chip id: 0x{CHIP['id'] & 0xFFF:X} (STM32F405xx/07xx and STM32F415xx/17xx)")
    complain("Supply --family to see flash size and device UID, e.g: -f F1")
    if "--erase" in sys.argv:
        if WRONG == "protected":
            complain("Erase failed -- probably due to readout protection.")
            end(1, "Consider using the --unprotect option.")
        change("stm32loader erase")
        complain("Extended erase (0x44), this can take ten seconds or more")
    if "--write" in sys.argv:
        change("stm32loader write")
    if "--verify" in sys.argv:
        if WRONG == "mismatch":
            end(
                1,
                "Verification FAILED: Verification data does not match read data. "
                "First mismatch at address: 0x4 read 0xF1 vs 0x71 expected.",
            )
        complain("Verification OK")


def esptool() -> None:
    port = option("--port")
    say(f"esptool v5.6.0\nSerial port {port}:")
    if WRONG in PORT_PROBLEMS:
        problem = PORT_PROBLEMS[WRONG].format(port)
        say(
            f"\nERROR: A fatal error occurred: Could not open {port}, the port is busy or doesn't exist.\n({problem})"
        )
        end(2)
    say("Connecting....")
    if WRONG == "no chip":
        say(
            "\nERROR: A fatal error occurred: Failed to connect to Espressif device: No serial data received."
        )
        end(2)
    name: str = CHIP["esp"]
    if WRONG == "swapped" and "write-flash" in sys.argv:
        name = "ESP32"
    if option("--chip") not in {"auto", name.lower().replace("-", "")}:
        say(f"\nERROR: A fatal error occurred: This chip is {name}, not ESP32-C3. Wrong chip argument?")
        end(2)
    say(f"Connected to {name} on {port}:")
    if WRONG == "locked":
        say(f"Chip type:          {name} in Secure Download Mode\n")
        say(
            "\nERROR: A fatal error occurred: The 'chip-id' command is not available in Secure Download Mode."
        )
        end(2)
    if WRONG != "unreadable":
        say(f"Chip type:          {name} (QFN32) (revision v0.4)")
    say("Features:           Wi-Fi, BT 5 (LE), Single Core, 160MHz\nMAC:                7c:df:a1:c2:22:10\n")
    if "chip-id" in sys.argv:
        say("Warning: ESP32-C3 has no chip ID. Reading MAC address instead.\nHard resetting via RTS pin...")
    if "write-flash" in sys.argv:
        change("esptool write-flash")
        say("Flash will be erased from 0x00000000 to 0x00007fff...\nWrote 30000 bytes (20000 compressed)")
        if WRONG == "mismatch":
            say("\nERROR: A fatal error occurred: MD5 of file does not match data in flash!")
            end(2)
        say("Hash of data verified.\n\nHard resetting via RTS pin...")
    if "verify-flash" in sys.argv:
        say(
            "Verifying 0x7530 (30000) bytes at 0x00000000 in flash...\nVerification successful (digest matched)."
        )


if __name__ == "__main__":
    if WRONG == "hang":
        say("still busy")
        time.sleep(60)
    if WRONG == "silent":
        sys.exit(0)
    if WRONG == "crash":
        end(1, "Traceback (most recent call last):\nRuntimeError: something new")
    globals()[Path(sys.argv[0]).name.replace("-", "_")]()
