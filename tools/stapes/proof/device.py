"""The other end of firmware/app/prove.c: single calls of a network's kernels on a target."""

from __future__ import annotations

import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stapes.compiler import Layer, Plan
from stapes.errors import TargetError
from stapes.proof.tflm import Changes
from stapes.targets import Stream

Row = npt.NDArray[np.int8] | int | None
"""What a kernel finds in its table of rows: bytes, so many zeros, or NULL."""

FAMILIES = {
    "conv_2d": 1,
    "conv_2d_carry": 1,
    "fully_connected": 2,
    "fully_connected_carry": 2,
    "depthwise_conv_2d": 3,
    "depthwise_3x3": 3,
    "depthwise_5x5": 3,
    "depthwise_column": 3,
}
"""Kernels with a requantisation, by the structure of their parameters."""

SWEPT = 48
"""Channels of a call that sweeps, as in prove.c."""
PIECE = 512
"""Bytes of a request that are sent before the target asks for more, as in prove.c."""
MOST_CHANGES = 300
"""Of the output of one channel: a monotonous function of int8 has 255."""
SILENCE_SECONDS = 120.0
_ANSWERS = {1: "its memory is too small for this layer", 2: "it does not know this request"}
_WRONG = (
    "",
    "a row outside of the map is not the one of zero points",
    "a row of a constant is another",
    "a row of the ring holds something else",
    "the padding beside a row is overwritten",
    "what the layer keeps from step to step is overwritten",
    "the row that it makes bit by bit is overwritten",
    "the window does not end with its last row",
    "a row of an output is overwritten",
)


class NoRoomError(TargetError):
    """The target has too little memory for what it was asked."""


@dataclass(frozen=True)
class Constants:
    """A layer's requantisation as it is in the image."""

    zero_point: int
    rounding: int
    minimum: int
    maximum: int
    is_short: int
    biases: npt.NDArray[np.int64]
    multipliers: npt.NDArray[np.int64]
    shifts: npt.NDArray[np.int64]


class ProofDevice:
    """Requests and answers, one after the other."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self._pending = bytearray()

    def _take(self, count: int) -> bytes:
        deadline = time.monotonic() + SILENCE_SECONDS
        while len(self._pending) < count:
            data = self.stream.read(65536)
            if data:
                self._pending += data
                deadline = time.monotonic() + SILENCE_SECONDS
            elif time.monotonic() > deadline:
                raise TargetError("the target is silent", hint="build it again, or start the board again")
        taken = bytes(self._pending[:count])
        del self._pending[:count]
        return taken

    def request(self, letter: str, payload: bytes = b"") -> bytes:
        """One question and its answer; `NoRoomError` where the target lacks memory for it."""
        self.stream.write(letter.encode() + struct.pack("<I", len(payload)) + payload[:PIECE])
        for at in range(PIECE, len(payload), PIECE):
            sign = self._take(1)
            if sign != b"+":
                self._pending[:0] = sign  # it wants no more: its answer
                break
            self.stream.write(payload[at : at + PIECE])
        status, count = struct.unpack("<BI", self._take(5))
        if status == 1:
            raise NoRoomError(f"the target cannot do this: {_ANSWERS[1]}")
        if status:
            raise TargetError(
                f"the target cannot do this: {_ANSWERS.get(status, status)}", hint="build it again"
            )
        return self._take(count)

    def core(self) -> str:
        """Which kernels the target has: `portable C`, `DSP` or `MVE`."""
        dsp, mve = self.request("H")
        return "MVE" if mve else "DSP" if dsp else "portable C"

    def constants(self, layer: Layer) -> Constants:
        """Read them back."""
        data = self.request("R", struct.pack("<HB", layer.index, FAMILIES[layer.kernel]))
        head = struct.unpack_from("<5i", data)
        table = np.frombuffer(data[20:], np.dtype([("b", "<i4"), ("m", "<i4"), ("s", "i1")]))
        return Constants(*head, *(table[name].astype(np.int64) for name in "bms"))

    def call(
        self,
        layer: Layer,
        rows: Sequence[Row],
        *,
        identity: bool = False,
        step: int = 0,
        steps: int | None = None,
        output: npt.NDArray[np.int8] | None = None,
        state: bytes | None = None,
    ) -> tuple[npt.NDArray[np.int8], bytes]:
        """One call of a layer's kernel: the output row and the state after it. `identity`: half of every sum, or all
        of it in a long channel, instead of its requantisation. `output`, `state`: what they hold before (zeros).
        """
        before = np.zeros(layer.row_bytes, np.int8) if output is None else output
        held = bytes(layer.state_bytes) if state is None else state
        behind = -(-layer.row_bytes // 8) * 8
        payload = [
            struct.pack(
                "<HBIIIIII",
                layer.index,
                FAMILIES[layer.kernel] if identity else 0,
                step,
                layer.steps if steps is None else steps,
                layer.row_bytes,
                layer.state_bytes,
                layer.scratch_bytes,
                len(rows),
            ),
            before.tobytes().ljust(behind, b"\0"),
            held,
        ]
        for row in rows:
            if row is None:
                payload.append(b"\0")
            elif isinstance(row, int):
                payload.append(struct.pack("<BI", 2, row))
            else:
                payload.append(struct.pack("<BI", 1, row.size) + row.astype(np.int8).tobytes())
        answer = self.request("C", b"".join(payload))
        return np.frombuffer(answer[: layer.row_bytes], np.int8), answer[behind:]

    def sweep(
        self, layer: Layer, first: int, ranges: Sequence[tuple[int, int]], columns: int
    ) -> tuple[list[Changes], int]:
        """Every sum of each of `ranges` through the requantisation of channels `first` and the following, in tiles of
        `columns` output columns: where outputs change, and how many sums went through.
        """
        payload = struct.pack(
            "<HBHBBI", layer.index, FAMILIES[layer.kernel], first, len(ranges), columns, MOST_CHANGES
        )
        for low, high in ranges:
            payload += struct.pack("<iI", low, high - low + 1)
        self.request("S", payload)
        found: list[tuple[list[int], list[int]]] = [([], []) for _ in ranges]
        while True:
            number, at, output = struct.unpack("<Bib", self._take(6))
            if number == 255:
                return [Changes(tuple(sums), tuple(outputs)) for sums, outputs in found], at & 0xFFFFFFFF
            found[number][0].append(at)
            found[number][1].append(output)

    def window(self, inputs: Sequence[npt.NDArray[np.int8]], *, goes_on: bool) -> npt.NDArray[np.uint32]:
        """Run the network as it is on one window, [rows, bytes] an input: the CRC-32 of all rows of every layer."""
        answer = b""
        begins = 1 if goes_on else 2
        for number, rows in enumerate(inputs):
            for row in rows:
                answer = self.request("E", struct.pack("<BH", begins, number) + row.tobytes())
                begins = 0
        return np.frombuffer(answer, "<u4")

    def softmax_parts(self, layer: Layer, first: int, count: int) -> npt.NDArray[np.int32]:
        """The reciprocals (Q31) of `count` sums from `first` on; with 0 the exponentials of differences from 0 down, -1
        where there is none.
        """
        return np.frombuffer(self.request("X", struct.pack("<HII", layer.index, first, count)), "<i4")

    def schedule(self, plan: Plan, windows: int, *, slides: bool = False) -> tuple[str, int]:
        """Run the engine with kernels that only look at their rows: what is wrong ("": nothing), and the calls.
        `slides`: one stream whose windows share rows.
        """
        payload = struct.pack("<BI", slides, windows)
        for layer in plan.layers:
            grows = layer.kernel in ("max_pool_rows", "reduce_max") and layer.accumulates
            payload += struct.pack("<IIB", layer.state_bytes, layer.scratch_bytes, grows)
        wrong, number, step, position, row, calls = struct.unpack("<6I", self.request("T", payload))
        if not wrong:
            return "", calls
        if wrong >= 7:
            return f"{_WRONG[wrong]} (output {number}, row {row})", calls
        name = plan.layers[number].name
        return f"layer {number} ({name}), step {step}, input {position}, row {row}: {_WRONG[wrong]}", calls


def work_bytes(plan: Plan) -> int:
    """Memory that prove.c needs for every request about a plan."""
    most = 1024
    for layer in plan.layers:
        made = layer.row_bytes + layer.state_bytes + 16
        rows = sum(window.height * (row_bytes(plan, layer, i) + 13) for i, window in enumerate(layer.inputs))
        channels = 0
        if layer.kernel in FAMILIES:
            channels = len(shifts_of(layer))
            # One row of numbers, and one of zeros; a kernel's constants are made anew.
            rows = 2 * row_bytes(plan, layer, 0) + 13 * layer.inputs[0].height
        most = max(most, 2 * made + rows + layer.scratch_bytes + 9 * channels + 128)
        if layer.kernel in FAMILIES:
            most = max(most, _sweep_bytes(layer))
    most = max(most, 9 * len(plan.layers) + 80 * len(plan.layers) + plan.storages[0].row_bytes + 128)
    return -(-most // 64) * 64


def row_bytes(plan: Plan, layer: Layer, position: int) -> int:
    """Of a row as a layer's kernel sees it, padding included."""
    window = layer.inputs[position]
    return window.left + plan.storages[window.tensor].row_bytes + max(window.right, 0)


def shifts_of(layer: Layer) -> npt.NDArray[np.int64]:
    """As the image has them: negative ones mark channels that take the long way."""
    requantize = layer.fields["requantize"]
    assert isinstance(requantize, dict)
    return np.asarray(requantize["shifts"].values, np.int64)  # type: ignore[union-attr]


def _sweep_bytes(layer: Layer) -> int:
    height = width = stride = 1
    if FAMILIES[layer.kernel] == 3:
        numbers = {name: value for name, value in layer.fields.items() if isinstance(value, int)}
        height, width = numbers["kernel_height"], numbers["kernel_width"]
        stride = max(1, numbers["column_step"] // numbers["tap_step"])
    columns = 8
    taps = max(4, height * width)
    row = ((columns - 1) * stride + width + 1) * SWEPT
    scratch = 8 * (height + 1) * ((columns - 1) * stride + 2 * width) + 256
    return SWEPT * (8 + 1 + 4 + taps + columns) + 2 * row + 8 * height + scratch + 256
