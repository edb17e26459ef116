"""Writes stapes_<name>_model.h and .c, _weights.h and .c: one network's layers, call plan and constants."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stapes.codegen.emitter import Provenance, c_prefix, render, write_sources
from stapes.compiler.plan import Array, Input, Layer, Plan, Storage, Value, layer_arrays
from stapes.compiler.widths import input_fields, layer_fields, tensor_fields

FILES = ("model.h", "model.c", "weights.h", "weights.c")
NOWHERE = "STAPES_NOWHERE"


@dataclass(frozen=True)
class Constant:
    """One array of the weights file."""

    name: str
    comment: str
    array: Array

    @property
    def is_struct(self) -> bool:
        """Whether every row of the values is one structure."""
        return self.array.values.ndim == 2

    @property
    def per_line(self) -> int:
        """Values on a line."""
        return {"int8_t": 20, "int16_t": 16, "stapes_channel_t": 4}.get(self.array.ctype, 8)


@dataclass(frozen=True)
class LayerText:
    """A layer with its initialisers already text."""

    layer: Layer
    inputs: list[str]
    parameters: list[str]
    numbers: str


def generate_model(plan: Plan, out_dir: Path, provenance: Provenance, *, name: str) -> list[Path]:
    """Write all four files into `out_dir`, for the bundle or network `name`."""
    return write_sources(out_dir, model_sources(plan, provenance, name=name))


def model_sources(plan: Plan, provenance: Provenance, *, name: str) -> dict[str, str]:
    """The text of all four files by name."""
    prefix = c_prefix(name)
    names = _array_names(prefix, plan)
    constants = _constants(prefix, plan, names)
    context = {
        "prefix": prefix,
        "macro": prefix.upper(),
        "provenance": provenance,
        "title": f"Network {plan.name}: {len(plan.layers)} layers, {plan.macs:,} multiplications a window",
        "plan": plan,
        "constants": constants,
        "layers": [_layer_text(prefix, plan, layer, names) for layer in plan.layers],
        "storages": [_storage_text(prefix, plan, number) for number in range(len(plan.storages))],
        "states": [_state_text(prefix, plan, number) for number in range(len(plan.states))],
        "keepers": [layer for layer in plan.layers if layer.keeps_state],
        "kernels": sorted({layer.kernel for layer in plan.layers}),
    }
    return {f"{prefix}_{file}": render(f"{file}.j2", **context) for file in FILES}


def _array_names(prefix: str, plan: Plan) -> dict[int, str]:
    """The name of every array (by its identity), after the first layer that uses it."""
    names: dict[int, str] = {}
    for layer in plan.layers:
        for name, array in layer_arrays(layer):
            names.setdefault(id(array), f"{prefix}_layer_{layer.index}_{name}")
    return names


def _constants(prefix: str, plan: Plan, names: Mapping[int, str]) -> list[Constant]:
    found, written = [], set[int]()
    for layer in plan.layers:
        for name, array in layer_arrays(layer):
            if id(array) not in written:
                written.add(id(array))
                found.append(Constant(names[id(array)], f"{layer.name}: {name}", array))
    for number, storage in enumerate(plan.storages):
        if storage.data is not None:
            name = _constant_name(prefix, number)
            found.append(Constant(name, storage.name, Array("int8_t", storage.data)))
    for number, state in enumerate(plan.states):
        if state.initial is not None:
            name = _state_name(prefix, number)
            found.append(Constant(name, f"{state.name} in the beginning", Array("int8_t", state.initial)))
    for zero_point, size in sorted(plan.outside_rows.items()):
        found.append(
            Constant(
                _outside_name(prefix, zero_point),
                f"a row outside of the map, zero point {zero_point}",
                Array("int8_t", np.full(size, zero_point, dtype=np.int8)),
            )
        )
    return found


def _constant_name(prefix: str, number: int) -> str:
    return f"{prefix}_constant_{number}"


def _state_name(prefix: str, number: int) -> str:
    return f"{prefix}_state_{number}"


def _state_text(prefix: str, plan: Plan, number: int) -> str:
    state = plan.states[number]
    initial = "NULL" if state.initial is None else _state_name(prefix, number)
    return f"{{{initial}, {state.rows}, {state.tensor}}}"


def _outside_name(prefix: str, zero_point: int) -> str:
    return f"{prefix}_outside_{zero_point}".replace("-", "minus_")


def _initialisers(fields: Mapping[str, Value], names: Mapping[int, str] | None = None) -> list[str]:
    parts = []
    for name, value in fields.items():
        if isinstance(value, Array):
            assert names is not None
            text = names[id(value)]
        elif isinstance(value, dict):
            text = "{" + ", ".join(_initialisers(value, names)) + "}"
        elif isinstance(value, list):
            text = "{" + ", ".join(map(str, value)) + "}"
        else:
            text = "(-2147483647 - 1)" if value == -(2**31) else str(value)
        parts.append(f".{name} = {text}")
    return parts


def _layer_text(prefix: str, plan: Plan, layer: Layer, names: Mapping[int, str]) -> LayerText:
    state, scratch = (
        NOWHERE if offset is None else offset for offset in (layer.state_offset, layer.scratch_offset)
    )
    return LayerText(
        layer,
        [_input_text(prefix, plan, window) for window in layer.inputs],
        _lines(_initialisers(layer.fields, names)),
        ", ".join([f".state = {state}", f".scratch = {scratch}", *_initialisers(layer_fields(layer))]),
    )


def _input_text(prefix: str, plan: Plan, window: Input) -> str:
    zero_point = plan.storages[window.tensor].zero_point
    outside = _outside_name(prefix, zero_point) if window.fills_outside else "NULL"
    return "{" + ", ".join([f".outside = {outside}", *_initialisers(input_fields(window))]) + "}"


def _storage_text(prefix: str, plan: Plan, number: int) -> str:
    storage: Storage = plan.storages[number]
    is_constant = storage.data is not None
    place = f".data = {_constant_name(prefix, number)}" if is_constant else f".offset = {storage.offset}"
    return ", ".join([f"{{{{{place}}}", *map(str, tensor_fields(plan, number).values())]) + "}"


def _lines(parts: list[str], width: int = 104) -> list[str]:
    """Parts joined by commas into lines of at most `width` characters."""
    lines: list[str] = []
    for part in re.split(r"(?<=,) (?=\.)", ", ".join(parts)):
        if lines and len(lines[-1]) + 1 + len(part) <= width:
            lines[-1] += " " + part
        else:
            lines.append(part)
    return lines
