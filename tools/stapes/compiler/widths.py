"""Whether every constant of a plan fits its C type; what does not is refused by name, all of it at once."""

from __future__ import annotations

from collections.abc import Iterator

from stapes.compiler.plan import Array, Input, Layer, Plan, Value
from stapes.compiler.structures import Headers, Initialiser, runtime
from stapes.errors import UnsupportedModelError

LARGEST_ROW = 2**31 - 1
"""The engine counts the rows of a window with a sign."""


def input_fields(window: Input) -> dict[str, int]:
    """The numbers of a stapes_input_t."""
    return {
        "tensor": window.tensor,
        "height": window.height,
        "stride": window.stride,
        "dilation": window.dilation,
        "before": window.before,
        "left": window.left,
    }


def layer_fields(layer: Layer) -> dict[str, int]:
    """The numbers of a stapes_layer_t that are always there."""
    return {"steps": layer.steps, "input_count": len(layer.inputs), "accumulates": int(layer.accumulates)}


def tensor_fields(plan: Plan, number: int) -> dict[str, int]:
    """The numbers of a stapes_tensor_t, `at` left out."""
    storage = plan.storages[number]
    return {
        "stride": storage.stride,
        "height": storage.height,
        "rows": storage.rows,
        "padding": storage.padding,
        "last_consumer": storage.last_consumer,
        "state": storage.state,
        "zero_point": storage.zero_point,
    }


def check_widths(plan: Plan) -> None:
    """Raise `UnsupportedModelError` with everything that a C constant does not hold."""
    refuse(list(_findings(plan, runtime())))


def refuse(findings: list[str]) -> None:
    """Raise `UnsupportedModelError` with the findings, where there are any."""
    if findings:
        count = len(findings)
        raise UnsupportedModelError(
            f"{count} {'number' if count == 1 else 'numbers'} too large: " + "; ".join(findings),
            findings,
            hint="make the layer narrower, or cut the network's input into shorter windows",
        )


def _findings(plan: Plan, headers: Headers) -> Iterator[str]:
    for layer in plan.layers:
        where = f"layer {layer.index} {layer.op} ({layer.name.partition(';')[0]})"
        kernel = f"stapes_{layer.kernel}_t"
        expected = {member.name for member in headers.structures[kernel].members}
        assert set(layer.fields) == expected, f"{where}: {sorted(expected ^ set(layer.fields))} of {kernel}"
        misfits = [
            *headers.misfits(kernel, _plain(layer.fields)),
            *headers.misfits("stapes_layer_t", layer_fields(layer)),
        ]
        for number, window in enumerate(layer.inputs):
            misfits += headers.misfits("stapes_input_t", input_fields(window), f"input {number}")
            last = (layer.steps - 1) * window.stride + (window.height - 1) * window.dilation
            if last > LARGEST_ROW:
                yield f"{where}: input {number} reads row {last:,}, at most {LARGEST_ROW:,}"
        misfits += headers.misfits(
            "stapes_tensor_t", tensor_fields(plan, plan.input_count + layer.index), "output"
        )
        for misfit in misfits:
            yield f"{where}: {misfit}"
    for number in (*range(plan.input_count), *range(plan.input_count + len(plan.layers), len(plan.storages))):
        for misfit in headers.misfits("stapes_tensor_t", tensor_fields(plan, number)):
            yield f"tensor {plan.storages[number].name}: {misfit}"
    network: dict[str, Initialiser] = {
        "arena_bytes": plan.arena_bytes,
        "output_bytes": plan.output_bytes,
        "input_count": plan.input_count,
        "layer_count": len(plan.layers),
        "output_count": len(plan.outputs),
        "state_count": len(plan.states),
    }
    for misfit in headers.misfits("stapes_model_t", network):
        yield f"the network: {misfit}"
    if plan.slide:
        slide = {"trunk": plan.slide.trunk, "hop": plan.slide.hop, "period": plan.slide.period}
        for misfit in headers.misfits("stapes_slide_t", slide):
            yield f"overlapping windows: {misfit}"


def _plain(value: Value) -> Initialiser:
    """The same without `Array`."""
    if isinstance(value, Array):
        return value.values
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return value
