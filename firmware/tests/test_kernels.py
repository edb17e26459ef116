"""Every kernel in C on the host, under the sanitizers, equals NumPy and TFLM in every byte of every layer."""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernelnets import (
    NETWORKS,
    any_rank,
    chain_by_rows,
    convolutions,
    flat_input_is_cut_into_rows,
    many_joined,
    multipliers_of_every_size,
    pools,
    short_map,
    streaming,
    tiled,
)

from stapes.bench.model import bench_model
from stapes.codegen.emitter import Provenance
from stapes.codegen.model import generate_model
from stapes.compiler import Plan, compile_graph
from stapes.errors import ToolError
from stapes.graph import read_tflite, simplify
from stapes.int8 import initial_state, run_graph
from stapes.int8.arithmetic import limits_of
from stapes.reference import TflmOracle
from stapes.targets import require_target

FIRMWARE = Path(__file__).parents[1]
FLAGS = [
    "-std=c99", "-g", "-O1", "-Wall", "-Wextra", "-Wconversion", "-Werror",
    "-fsanitize=address,undefined", "-fno-sanitize-recover=all", f"-I{FIRMWARE / 'runtime/include'}",
]  # fmt: skip

Check = Callable[..., Plan]
Window = list[npt.NDArray[np.generic]]


@pytest.fixture(scope="module")
def check(tmp_path_factory: pytest.TempPathFactory) -> Check:
    """Compile a network, run it, compare every layer and the outputs."""
    objects = tmp_path_factory.mktemp("runtime")
    runtime = FIRMWARE / "runtime/src"
    sources = [
        *sorted(runtime.glob("kernel*.c")),
        runtime / "integer.c",
        runtime / "engine.c",
        runtime / "requantize.c",
    ]
    subprocess.run(["cc", *FLAGS, "-c", *map(str, sources)], check=True, cwd=objects)
    counter = iter(range(1_000_000))

    def run(data: bytes, tflm: bool = True) -> Plan:
        graph = simplify(read_tflite(data))
        plan = compile_graph(graph)
        directory = tmp_path_factory.mktemp(f"model{next(counter)}")
        generate_model(plan, directory, Provenance({}), name="app")
        program = directory / "driver"
        generated = [*directory.glob("*.c"), FIRMWARE / "tests/model_driver.c", *objects.glob("*.o")]
        subprocess.run(["cc", *FLAGS, f"-I{directory}", *map(str, generated), "-o", str(program)], check=True)
        random = np.random.default_rng(1)
        inputs = [graph.tensor(index) for index in graph.inputs]

        def window(values: Callable[[tuple[int, ...], int, int], npt.NDArray[np.int64]]) -> Window:
            return [values(tensor.shape, *limits_of(tensor.dtype)).astype(tensor.dtype) for tensor in inputs]

        windows = [
            window(lambda shape, low, high: random.integers(low, high + 1, shape)),
            window(lambda shape, low, high: random.choice(np.array([low, high]), shape)),
            window(lambda shape, low, _: np.full(shape, low)),
            window(lambda shape, _, high: np.full(shape, high)),
            window(lambda shape, low, high: random.integers(low // 50, high // 50, shape)),
        ]
        given = b"".join(array.tobytes() for values in windows for array in values)
        ran = subprocess.run([program], input=given, capture_output=True)
        assert ran.returncode == 0, ran.stderr.decode()
        written = ran.stdout
        oracle = TflmOracle(data) if tflm and TflmOracle.available() else None
        got = _parse(written)
        assert len(got) == len(windows)
        state = initial_state(graph)
        for number, (values, layers) in enumerate(zip(windows, got, strict=True)):
            expected = run_graph(graph, values, state)
            if oracle is not None:
                theirs = oracle.run(values, goes_on=number > 0)
                assert all(
                    np.array_equal(theirs[index], expected[index])
                    for index in theirs.keys() & expected.keys()
                )
                expected |= theirs
            for layer in plan.layers:
                label = f"layer {layer.index} {layer.op} {layer.description}"
                assert layers[layer.index] == expected[layer.tensor].tobytes(), label
            assert layers[0xFFFF] == b"".join(expected[index].tobytes() for index in graph.outputs)
        return plan

    return run


def _parse(written: bytes) -> list[dict[int, bytes]]:
    windows: list[dict[int, bytes]] = []
    layers: dict[int, bytes] = {}
    position = 0
    while position < len(written):
        layer, _, size = struct.unpack_from("<3I", written, position)
        position += 12
        layers[layer] = layers.get(layer, b"") + written[position : position + size]
        position += size
        if layer == 0xFFFF:
            windows.append(layers)
            layers = {}
    return windows


@pytest.mark.parametrize("name", NETWORKS)
def test_every_layer_equals_the_reference(check: Check, name: str) -> None:
    check(NETWORKS[name](), tflm=name != "sixteen bits joints")  # TFLM has no GATHER of int16


def test_any_number_of_tensors_is_joined(check: Check) -> None:
    assert len(check(many_joined(), tflm=False).layers) > 300  # TFLM joins ten at most


def test_what_tflm_has_not(check: Check) -> None:
    check(tiled(), tflm=False)


FOREIGN = {
    "fc_25_1_32": "TFLM",
    "fc_2_3_4_8": "TFLM",
    "mcunet__detection": "TFLM",
    "mlonmcu__rnnoise_INT8": "TFLM",
    "own__keras_crnn_gru_unrolled": "TFLM",
    "own__keras_crnn_lstm_unrolled": "TFLM",
    "own__keras_tcn_batchNone": "TFLM",
    "own__onnx2tf_dscnn_full_integer": "TFLM",
    "own__torch_litert_crnn_gru": "NumPy",  # TFLM joins ten tensors at most
    "own__torch_litert_dscnn_gelu": "NumPy",  # TFLM has no GELU
    "tflm__person_detect": "TFLM",
}
"""Networks that others trained or converted, and who can be their reference."""


@pytest.mark.parametrize("name", FOREIGN)
def test_networks_of_others(check: Check, name: str) -> None:
    folder = os.environ.get("STAPES_MODELS")
    if not folder or not (Path(folder) / "foreign").is_dir():
        pytest.skip("STAPES_MODELS does not name a directory with a folder foreign")
    data = (Path(folder) / f"foreign/{name}.tflite").read_bytes()
    check(data, tflm=FOREIGN[name] == "TFLM")


@settings(max_examples=12, deadline=None)
@given(
    make=st.sampled_from([convolutions, chain_by_rows, pools, any_rank, streaming]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_network_equals_the_reference(check: Check, make: Callable[[int], bytes], seed: int) -> None:
    check(make(seed))


@settings(max_examples=8, deadline=None)
@given(scale=st.floats(1e-7, 20.0))
def test_any_multiplier_equals_the_reference(check: Check, scale: float) -> None:
    check(multipliers_of_every_size(scale))


def test_chain_needs_a_fraction_of_its_maps(check: Check) -> None:
    assert check(chain_by_rows(5)).arena_bytes < 20 * 8 * 8


def test_short_map_runs_by_layers(check: Check) -> None:
    plan = check(short_map())
    assert plan.by_layers
    assert "layer by layer" in plan.notes[-1]


def test_flat_input_is_fed_by_rows(check: Check) -> None:
    """A network fed [1, 80] that reshapes it to ten rows of eight."""
    plan = check(flat_input_is_cut_into_rows())
    assert plan.storages[0].rows == 10
    assert len(plan.layers) == 1


WITH_VECTORS = ("convolutions", "multipliers", "ties", "dense", "chain-3", "four bits")
"""The networks that use kernels with loops for MVE; elsewhere an547 runs what an386 runs."""

ON_CORES = [
    *[("mps2-an386", name) for name in NETWORKS],
    *[("mps3-an547", name) for name in NETWORKS if name.startswith(WITH_VECTORS)],
    *[
        (machine, name)
        for machine in ("mps2-an385", "riscv32-virt", "xtensa-sim")
        for name in ("convolutions-3", "pools-2", "four bits convolutions-3")
    ],
]


@pytest.mark.parametrize(("machine", "name"), ON_CORES)
def test_on_the_cores(tmp_path_factory: pytest.TempPathFactory, machine: str, name: str) -> None:
    """With the DSP instructions (an386), with vectors (an547) and without: outputs and the rows of all layers."""
    target = f"qemu:{machine}"
    try:
        require_target(target)
    except ToolError as error:
        pytest.skip(str(error))
    directory = tmp_path_factory.getbasetemp() / machine
    result = bench_model(NETWORKS[name](), target, directory, inputs=3)
    assert result.different_layers == ()
    assert result.equal
