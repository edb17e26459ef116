"""A stand-in for Renode: its command line, its monitor, its errors; an "image" is a program of this computer.

What it imitates was read from Renode's sources: the monitor opens with twelve telnet bytes and drops the nine
that come first; then a banner and a prompt; everything typed is echoed behind the prompt; a refused command is one
red line or two. An image is the host build of the firmware, and its pseudo-terminal is the UART.

FAKE_RENODE chooses what goes wrong (see `main`), FAKE_RENODE_STATE names a file that counts the starts.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

TELNET = bytes([255, 253, 0, 255, 251, 1, 255, 251, 3, 255, 252, 34])
WRONG = os.environ.get("FAKE_RENODE", "")


QUANTA = {"1.13.2.5": "", "1.15.3.20210": '"0.000001"', "1.16.1.12345": '"0.0001"'}
COMPLAINT = "cpu: CPU abort [PC=0xFFFFFFFE]: Trying to execute code outside RAM or ROM at 0xFFFFFFFE."


def release() -> str:
    """The version that is played."""
    return {"old": "1.13.2.5", "1.16": "1.16.1.12345"}.get(WRONG, "1.15.3.20210")


class RefusedError(Exception):
    """A command that the real one would answer in red."""


class Emulation:
    """The machine, its image, and the terminal that carries its UART."""

    def __init__(self) -> None:
        self.prompt = "monitor"
        self.variables: dict[str, str] = {}
        self.image = ""
        self.reset = ""
        self.listener: socket.socket | None = None
        self.connected = False
        self.gdb = ""

    def execute(self, command: str) -> list[str]:
        """What the monitor prints; `RefusedError` with what it prints in red."""
        if assigned := re.fullmatch(r'\$(\w+)="(.*)"', command):
            self.variables[assigned[1]] = assigned[2]
            return []
        words = [self.expand(word) for word in re.findall(r'"[^"]*"|(?:\\ |\S)+', command)]
        if WRONG.startswith("refuse:") and WRONG.removeprefix("refuse:") in command:
            raise self.failed(command, "Parameters did not match the signature")
        match words:
            case ["echo", text]:
                return [text.strip('"')]
            case ["version"]:
                told = f"Renode, version {release()} (abcdef01-202409190922)"
                return [] if WRONG == "versionless" else [told]
            case ["include", path]:
                if "namespace Antmicro.Renode." not in Path(self.path(command, path)).read_text():
                    raise self.failed(command, "Could not compile assembly")
            case ["mach", "create", name]:
                self.prompt = name.strip('"')
            case ["machine", "LoadPlatformDescription", path]:
                text = Path(self.path(command, path)).read_text()
                if "cpu: CPU." not in text:
                    raise self.failed(command, "Error E07: Could not resolve 'using'.")
            case ["logFile", path, "true"]:
                complains = f"12:00:00.0000 [INFO] cpu: started\n12:00:00.0001 [ERROR] {COMPLAINT}\n"
                Path(path.removeprefix("@").replace("\\ ", " ")).write_text(
                    complains if WRONG == "complains" else ""
                )
            case ["emulation", "SetGlobalQuantum", quantum] if quantum == QUANTA[release()]:
                pass
            case ["machine", "StartGdbServer", port]:
                self.gdb = port
            case ["sysbus", "LoadELF", path]:
                self.image = self.path(command, path)
            case ["macro", "reset", script]:
                self.reset = script
            case ["emulation", "CreateServerSocketTerminal", port, '"line"', "false"]:
                self.listen(command, int(port))
            case ["connector", "Connect", uart, '"line"'] if uart.startswith("sysbus."):
                self.connected = True
            case ["start"]:
                threading.Thread(target=self.run, daemon=True).start()
                return ["Starting emulation..."]
            case ["sysbus.cpu", "ExecutedInstructions"]:
                return ["0x00000000000F4240"] if WRONG != "countless" else []
            case ["wish"]:
                print("granted", file=sys.stderr, flush=True)
            case _:
                raise RefusedError(f"No such command or device: {words[0]}")
        return []

    def expand(self, word: str) -> str:
        if not word.startswith("$"):
            return word
        if word[1:] not in self.variables:
            raise RefusedError(f"No such variable: {word}")
        return self.variables[word[1:]]

    def path(self, command: str, word: str) -> str:
        path = word.removeprefix("@").replace("\\ ", " ")
        if not word.startswith("@") or not Path(path).is_file():
            raise self.failed(command, f"Could not find file '{path}'")
        return path

    @staticmethod
    def failed(command: str, why: str) -> RefusedError:
        return RefusedError(f"There was an error executing command '{command}'\r\n{why}")

    def listen(self, command: str, port: int) -> None:
        try:
            if WRONG == "terminal port taken" and starts() == 1:
                raise OSError("Address already in use")
            self.listener = socket.create_server(("127.0.0.1", port), backlog=1)
        except OSError as error:
            raise self.failed(
                command, f"Unable to create '0.0.0.0:{port}' socket:[AddressAlreadyInUse] {error}"
            ) from error

    def run(self) -> None:
        """Start the image; carry bytes between its line and whoever connects."""
        assert self.listener is not None and self.connected and self.reset
        program = subprocess.Popen([self.image], stdout=subprocess.PIPE)
        assert program.stdout is not None
        line = os.open(program.stdout.readline().decode().strip(), os.O_RDWR | os.O_NOCTTY)
        client, _ = self.listener.accept()
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def send() -> None:
            with contextlib.suppress(OSError):
                while data := os.read(line, 4096):
                    client.sendall(data)

        threading.Thread(target=send, daemon=True).start()
        while data := client.recv(4096):
            if WRONG != "complains":
                os.write(line, data)


def starts(*, one_more: bool = False) -> int:
    """How often this program was started, from the state file; one byte a start."""
    path = Path(os.environ["FAKE_RENODE_STATE"])
    with path.open("ab") as file:
        file.write(b"." if one_more else b"")
    return path.stat().st_size


def talk(connection: socket.socket, injected: list[str]) -> None:
    """The monitor's loop."""
    connection.sendall(TELNET)
    stream = connection.makefile("rb")
    stream.read(9)
    if WRONG == "mute":
        time.sleep(60)
    emulation = Emulation()
    connection.sendall(b"Renode, version 1.15.3.20210 (abcdef01-202409190922)\r\n\r\n(monitor) ")
    while True:
        line = injected.pop(0) if injected else stream.readline().decode().strip()
        if not line and not injected:
            return
        if WRONG == "stuck" and line.startswith("sysbus LoadELF"):
            time.sleep(60)
        if WRONG == "dies later" and line == "start":
            print("Fatal error:\nSystem.OutOfMemoryException: Out of memory", file=sys.stderr, flush=True)
            os.killpg(0, signal.SIGKILL)
        said = "".join(f"{char}\x1b[K" for char in line) + "\r\n"
        try:
            said += "".join(f"{text}\r\n" for text in emulation.execute(line))
        except RefusedError as error:
            said += f"\x1b[31m{error}\r\n\x1b[0m"
        connection.sendall(f"{said}({emulation.prompt}) ".encode())


def main(arguments: list[str]) -> int:
    if "FAKE_RENODE_STATE" in os.environ:
        starts(one_more=True)
    if WRONG == "dies at once":
        print("Fatal error:\nSystem.DllNotFoundException: libfoo.so", file=sys.stderr)
        return 134
    if arguments == ["--version"]:
        print(
            "Renode v1.15.3.20210\n  build: abcdef01-202409190922\n  build type: Release\n  runtime: .NET 6.0"
        )
        return 0
    options, commands = dict.fromkeys(("--disable-xwt", "--plain", "--hide-log"), 0), []
    values = {}
    while arguments:
        option = arguments.pop(0)
        if option in options:
            options[option] += 1
        elif option == "-e":
            commands.append(arguments.pop(0))
        else:
            values[option] = arguments.pop(0)
    if set(values) != {"-P", "--config"} or set(options.values()) != {1}:
        print(f"usage: renode …, not {values} {options}", file=sys.stderr)
        return 2
    if not Path(values["--config"]).read_text().startswith("[general]\nhistory-path = "):
        return 2
    (Path(os.environ["TMPDIR"]) / "left-behind").mkdir()
    if WRONG == "dies":
        print("Fatal error:\nSystem.DllNotFoundException: libfoo.so", file=sys.stderr)
        return 134
    if WRONG == "monitor port taken" and starts() == 1:
        print("Unable to create '0.0.0.0:1' socket:[AddressAlreadyInUse]", file=sys.stderr)
        return 134
    if WRONG == "another program" and starts() == 1:
        commands.clear()
    server = socket.create_server(("127.0.0.1", int(values["-P"])), backlog=1)
    connection, _ = server.accept()
    talk(connection, commands)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
