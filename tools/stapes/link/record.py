"""The host's end of a device that records: its microphone, sample by sample. firmware/app/recording.h answers."""

from __future__ import annotations

import statistics
import time
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stapes.errors import LinkError
from stapes.link import messages as m
from stapes.link.client import FASTER_BAUDS, Client, RefusedError
from stapes.link.frame import encode
from stapes.link.layout import layout
from stapes.link.messages import Message

RECORD_REQUEST = layout("record_request")
RECORD_ANSWER = layout("record_answer")
SAMPLES_ANSWER = layout("samples_answer")
CHUNK = 64
"""Samples that a device reads and sends at once; RECORDING_CHUNK of firmware/app/recording.h."""
GAIN_ONE = 256
RATES = (48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)
"""Sample rates that are proposed, the highest first."""
HEADROOM = 1.15
"""Times what is recorded that the line must carry, so that a damaged message can be sent again."""


@dataclass(frozen=True)
class LineCapacity:
    """What a line carries: `samples` in a message of `message_bytes`, with its request; `turnaround` seconds pass with
    neither on the line. `baud` is None where the line has no speed.
    """

    samples: int
    message_bytes: int
    turnaround: float
    baud: int | None

    def rate(self, baud: int | None = None) -> float:
        """Samples a second, at another speed of the line too."""
        baud = baud or self.baud
        return self.samples / (self.turnaround + (10 * self.message_bytes / baud if baud else 0.0) + 1e-9)

    def require(self, sample_rate: int) -> None:
        """Raise `LinkError`, with what would fit, where the line does not carry `sample_rate` samples a second."""
        needed = HEADROOM * sample_rate
        if self.rate() >= needed:
            return
        fit = [rate for rate in RATES if self.rate() >= HEADROOM * rate]
        bauds = [baud for baud in sorted(FASTER_BAUDS) if self.baud and self.rate(baud) >= needed]
        ways = [f"--rate {fit[0]} fits this line"] if fit else []
        ways += [f"{sample_rate} Hz fit a line of {bauds[0]} baud"] if bauds else []
        line = f"the line at {self.baud} baud" if self.baud else "the line"
        raise LinkError(
            f"{line} carries {self.rate():,.0f} samples a second, at most {self.rate() / HEADROOM:,.0f} Hz with what "
            f"is sent again, and {sample_rate:,} Hz are to be recorded",
            hint="; ".join(ways) or "use the board's USB port, or another serial adapter",
        )


def line_capacity(client: Client, samples: int, head: int) -> LineCapacity:
    """Measure the line for messages of so many `samples` behind `head` bytes."""
    seconds = []
    for _ in range(7):
        begin = time.monotonic()
        client.stats()
        seconds.append(time.monotonic() - begin)
    asked = _on_the_line(m.REQUEST_HEADER.size)
    here = 10 * (asked + _on_the_line(m.ANSWER_HEADER.size + m.STATS_ANSWER.size)) / (client.baud or 1e9)
    answer = _on_the_line(m.ANSWER_HEADER.size + head + 2 * samples)
    turnaround = max(0.0, statistics.median(seconds) - here)
    return LineCapacity(samples, asked + answer, turnaround, client.baud)


class RecordClient(Client):
    """Talks to firmware/app/record.c, or to the recorder in firmware/app/live.c."""

    needs_network = False

    def start(self, sample_rate: int) -> float | None:
        """Start the microphone; the gain that samples were multiplied by, None where that is not known."""
        self._position = 0
        self._crc = 0
        try:
            payload = RECORD_REQUEST.pack(sample_rate=sample_rate)
            answer = m.parse_all(RECORD_ANSWER, self._request(Message.RECORD, payload), Message.RECORD)
        except RefusedError as error:
            raise _unable(error, self._known.board, sample_rate) from error
        if answer["sample_rate"] != sample_rate:
            raise m.malformed(Message.RECORD, f"{answer['sample_rate']} Hz, not {sample_rate}")
        return answer["gain"] / GAIN_ONE if answer["gain"] else None

    def samples(self) -> tuple[int, npt.NDArray[np.int16]]:
        """The number of the first sample since the start, lost ones included, and those that wait, int16[n].

        A jump in the number is a loss. Raises `LinkError` where the CRC of all samples is another here than there.
        """
        head, rest = m.parse(SAMPLES_ANSWER, self._request(Message.SAMPLES), Message.SAMPLES)
        if len(rest) % 2 or head["position"] < self._position:
            raise m.malformed(Message.SAMPLES)
        self._crc = zlib.crc32(rest, self._crc)
        if head["crc"] != self._crc:
            raise m.malformed(Message.SAMPLES, f"samples up to number {head['position']} with another CRC")
        pcm = np.frombuffer(rest, "<i2").astype(np.int16)
        self._position = head["position"] + len(pcm)
        return head["position"], pcm

    def stop(self) -> None:
        """Stop the microphone."""
        self._request(Message.RECORD, RECORD_REQUEST.pack(sample_rate=0))

    @property
    def most_samples(self) -> int:
        """In one answer."""
        return (self._known.max_payload - SAMPLES_ANSWER.size) // 2 // CHUNK * CHUNK

    def capacity(self) -> LineCapacity:
        """Measure the line; before the start."""
        return line_capacity(self, self.most_samples, SAMPLES_ANSWER.size)


def _on_the_line(content: int) -> int:
    """Bytes of a frame with so many bytes of content."""
    return len(encode(bytes([1]) * content))


def _unable(error: RefusedError, board: str, sample_rate: int) -> LinkError:
    """What a refusal to record means to a person."""
    match error.name:
        case "STAPES_E_MESSAGE":
            return LinkError(
                f"{board} runs firmware that cannot record",
                hint="flash the recorder: `stapes flash --app record --board B --port P`",
            )
        case "STAPES_E_STATE":
            return LinkError(
                f"{board} has no microphone", hint="docs/audio-sources.md tells which boards have one"
            )
        case "STAPES_E_ARGUMENT":
            return LinkError(
                f"the microphone of {board} cannot be sampled at {sample_rate} Hz",
                hint="choose another --rate; docs/audio-sources.md tells which a board has",
            )
        case _:
            return error
