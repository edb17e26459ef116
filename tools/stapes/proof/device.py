"""The other end of firmware/app/prove.c: single calls of a network's kernels on a target."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stapes.compiler import Layer, Plan
from stapes.definitions import numbered
from stapes.proof.line import DEFINITIONS, ProofLine
from stapes.proof.tflm import Changes

Row = npt.NDArray[np.int8] | int | None
"""What a kernel finds in its table of rows: bytes, so many zeros, or NULL."""

_NUMBERS = {name: value for name, (value, _) in numbered(DEFINITIONS, "NUMBER").items()}
_FAMILY = {name: value for name, (value, _) in numbered(DEFINITIONS, "FAMILY").items()}
_WRONG = numbered(DEFINITIONS, "WRONG")
FAMILIES = {
    kernel: name
    for name, (_, kernels) in numbered(DEFINITIONS, "FAMILY").items()
    for kernel in kernels.split()
}
"""Kernels with a requantisation: the name of their parameters' structure."""
MOST_COLUMNS = _NUMBERS["MOST_COLUMNS"]
MOST_CHANGES = 300
"""Of the output of one channel: a monotonous function of int8 has 255."""


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


class ProofDevice(ProofLine):
    """A network's kernels, on a target."""

    def core(self) -> str:
        """Which kernels the target has: `portable C`, `DSP` or `MVE`."""
        dsp, mve = self.request("H")
        return "MVE" if mve else "DSP" if dsp else "portable C"

    def constants(self, layer: Layer) -> Constants:
        """Read them back."""
        data = self.request("R", struct.pack("<HB", layer.index, _family(layer)))
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
        of it in a long channel and in a reduction, instead of its requantisation. `output`, `state`: what they hold
        before (zeros).
        """
        before = np.zeros(layer.row_bytes, np.int8) if output is None else output
        held = bytes(layer.state_bytes) if state is None else state
        behind = -(-layer.row_bytes // 8) * 8
        payload = [
            struct.pack(
                "<HBIIIIII",
                layer.index,
                _family(layer) if identity else 0,
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

    def description(self) -> npt.NDArray[np.int64]:
        """What the image's model says of itself, in the order of `description_of`."""
        return np.frombuffer(self.request("D"), "<i4").astype(np.int64)

    def outside_row(self, layer: Layer, position: int, count: int) -> npt.NDArray[np.int8]:
        """The first bytes of what stands for a row outside of the map."""
        return np.frombuffer(self.request("O", struct.pack("<HBI", layer.index, position, count)), np.int8)

    def sweep(
        self, layer: Layer, first: int, ranges: Sequence[tuple[int, int]], columns: int
    ) -> tuple[list[Changes], int]:
        """Every sum of each of `ranges` through the requantisation of channels `first` and the following, in tiles of
        `columns` output columns: where outputs change, and how many sums went through.
        """
        payload = struct.pack(
            "<HBBHBBI",
            layer.index,
            _family(layer),
            layer.kernel.endswith("_int4"),
            first,
            len(ranges),
            columns,
            MOST_CHANGES,
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

    def exponentials(self, layer: Layer, count: int) -> tuple[npt.NDArray[np.int32], tuple[int, int]]:
        """Of the differences from 0 down in a softmax, Q31; -1 where it takes none. Of a LOG_SOFTMAX also the
        multiplier and shift from a logarithm to a difference.
        """
        is_log = layer.kernel == "log_softmax"
        words = np.frombuffer(self.request("X", struct.pack("<BHI", is_log, layer.index, count)), "<i4")
        return words[:count], (int(words[count]), int(words[count + 1]))

    def of_sums(self, first: int, count: int, *, logarithms: bool) -> tuple[int, npt.NDArray[np.int16]]:
        """Of `count` sums of a softmax from `first` on (Q12), the reciprocals (Q31) or the logarithms (Q26): the first
        one's, and by how much each is more than the one before; -32768: by more than that.
        """
        answer = self.request("Y", struct.pack("<BII", logarithms, first, count))
        return int.from_bytes(answer[:4], "little", signed=True), np.frombuffer(answer[4:], "<i2")

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
        what = dict(_WRONG.values())[wrong]
        if wrong >= _WRONG["ENDING"][0]:
            return f"{what} (output {number}, row {row})", calls
        name = plan.layers[number].name
        return f"layer {number} ({name}), step {step}, input {position}, row {row}: {what}", calls


def _family(layer: Layer) -> int:
    return _FAMILY[FAMILIES[layer.kernel]]


def description_of(plan: Plan, pointer: int) -> list[tuple[str, int]]:
    """What an image's model must say of itself where a pointer has so many bytes: names and values."""
    first = plan.storages[0]
    found = [
        ("number of inputs", plan.input_count),
        ("number of layers", len(plan.layers)),
        ("number of outputs", len(plan.outputs)),
        ("bytes of the arena", plan.buffer_bytes + pointer * plan.row_pointers),
        ("bytes of a pointer", pointer),
        ("bytes of all outputs", plan.output_bytes),
        ("rows of the input", first.rows - first.kept),
        ("bytes of an input row", first.row_bytes),
    ]
    found += [(f"output {number}", tensor) for number, tensor in enumerate(plan.outputs)]
    for layer in plan.layers:
        name = f"layer {layer.index} ({layer.name}): "
        found += [(f"{name}steps", layer.steps), (f"{name}accumulation", int(layer.accumulates))]
        found.append((f"{name}number of inputs", len(layer.inputs)))
        for number, window in enumerate(layer.inputs):
            for field in ("tensor", "height", "stride", "dilation", "before", "left"):
                found.append((f"{name}input {number}'s {field}", getattr(window, field)))
    for number, storage in enumerate(plan.storages[: plan.input_count + len(plan.layers)]):
        owner = number - plan.input_count
        name = f"layer {owner} ({plan.layers[owner].name}): output" if owner >= 0 else f"input {number}"
        found += [(f"{name}'s rows", storage.rows), (f"{name}'s bytes of a row", storage.row_bytes)]
        found.append((f"{name}'s zero point", storage.zero_point))
    return found


def work_bytes(plan: Plan) -> int:
    """Memory that prove.c needs for every request about a plan."""
    most = 1024
    for layer in plan.layers:
        made = layer.row_bytes + layer.state_bytes + 16
        rows = sum(window.height * (row_bytes(plan, layer, i) + 13) for i, window in enumerate(layer.inputs))
        channels = 0
        if "requantize" in layer.fields:
            channels = len(shifts_of(layer))
            # One row of numbers, and one of zeros; a kernel's constants are made anew.
            rows = 2 * row_bytes(plan, layer, 0) + 13 * layer.inputs[0].height
        most = max(most, 2 * made + rows + layer.scratch_bytes + 9 * channels + 128)
        if "requantize" in layer.fields:
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
    if FAMILIES[layer.kernel] == "DEPTHWISE":
        numbers = {name: value for name, value in layer.fields.items() if isinstance(value, int)}
        height, width = numbers["kernel_height"], numbers["kernel_width"]
        stride = max(1, numbers["column_step"] // numbers["tap_step"])
    columns, channels = MOST_COLUMNS, _NUMBERS["SWEPT"]
    taps = max(4, height * width)
    row = ((columns - 1) * stride + width + 1) * channels
    scratch = 8 * (height + 1) * ((columns - 1) * stride + 2 * width) + taps * channels + 256
    return channels * (8 + 1 + 4 + taps + columns) + 2 * row + 8 * height + scratch + 256
