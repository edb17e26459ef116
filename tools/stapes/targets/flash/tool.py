"""What every flashing program is to us: commands to run and answers to read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from stapes.firmware.boards import Board
from stapes.targets.flash.identity import Identity
from stapes.targets.flash.image import Image

PROBE_SECONDS = 30.0
IDENTITY_SECONDS = 60.0
WRITE_SECONDS = 300.0


@dataclass(frozen=True)
class Job:
    """One board to write, and how to reach it: a probe's serial number or a port."""

    board: Board
    image: Image
    probe: str | None = None
    port: str | None = None

    @property
    def address(self) -> str:
        """Where the image goes, as every program reads it."""
        return f"{self.image.address:#010x}"


@dataclass(frozen=True)
class Step:
    """A command that writes or compares; `proof` is what it says when that went well."""

    command: Sequence[str]
    proof: str
    seconds: float = WRITE_SECONDS


class Tool(ABC):
    """A flashing program. Commands begin with the program's name; the caller puts its path there."""

    name: str
    programs: tuple[str, ...]
    needs_port: bool = False

    def probe_commands(self) -> list[list[str]]:
        """Commands that list the probes, tried one after the other; none where there is no list."""
        return []

    def probes(self, said: str) -> list[str]:
        """Serial numbers of the probes in such an answer."""
        return []

    @abstractmethod
    def identity_command(self, job: Job) -> list[str]:
        """Reads which chip answers, and changes nothing."""

    @abstractmethod
    def identity(self, job: Job, said: str) -> Identity | None:
        """Who answered; None when the answer does not tell."""

    @abstractmethod
    def write_steps(self, job: Job) -> list[Step]:
        """Erase, write, verify, start."""
