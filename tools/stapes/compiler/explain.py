"""What every layer costs, and why it is computed as it is."""

from __future__ import annotations

from stapes.compiler.plan import Array, Layer, Plan, layer_arrays


def layer_costs(plan: Plan) -> list[dict[str, str | int]]:
    """Per layer: its kernel and why, multiplications of one window, bytes of flash (`weights_bytes`) and of the
    arena.
    """
    return [
        {
            "name": layer.name,
            "op": layer.op,
            "kernel": layer.kernel,
            "why": _why(layer),
            "macs": layer.macs,
            "weights_bytes": sum(array.bytes for _, array in layer_arrays(layer)),
            "ring_bytes": storage.bytes,
            "state_bytes": layer.state_bytes,
            "scratch_bytes": layer.scratch_bytes,
        }
        for layer, storage in zip(plan.layers, plan.storages[plan.input_count :], strict=False)
    ]


def layer_notes(plan: Plan) -> list[str]:
    """The same as a line a layer, with the rows that it keeps."""
    return [
        f"{str(cost['name']).partition(';')[0]}: {cost['op']} by {cost['kernel']}: {cost['why']}; "
        f"{cost['macs']:,} multiplications, {cost['weights_bytes']:,} B of constants, "
        f"{int(cost['state_bytes']) + int(cost['scratch_bytes']):,} B to work in; "
        f"keeps {storage.height} of {storage.rows} rows, {storage.bytes:,} B"
        for cost, storage in zip(layer_costs(plan), plan.storages[plan.input_count :], strict=False)
    ]


def _why(layer: Layer) -> str:
    """Why this kernel, and how it requantises."""
    reasons = [layer.why or "the only kernel for this operator"]
    requantize = layer.fields.get("requantize")
    if isinstance(requantize, dict):
        shifts = requantize["shifts"]
        assert isinstance(shifts, Array)
        long = int((shifts.values < 0).sum())
        reasons.append("zero points in the biases")
        reasons.append(
            f"two roundings for {long} of {shifts.values.size} channels"
            if long
            else "one multiplication and one shift"
        )
    return "; ".join(reasons)
