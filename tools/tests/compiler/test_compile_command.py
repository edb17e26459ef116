"""`stapes compile` and `stapes bench` from the command line: files, JSON, bad input in one line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from kernelnets import NETWORKS
from modelmaker import ModelMaker
from small_bundle import BANDS, FRAMES, LABELS, make_small_bundle

from stapes.compiler import compile_bundle
from stapes.recipe import Bundle


def stapes(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "stapes", *map(str, arguments)], capture_output=True, text=True, check=False
    )


def test_compile_writes_readable_code(tmp_path: Path) -> None:
    model = tmp_path / "chain.tflite"
    model.write_bytes(NETWORKS["chain-0"]())
    result = tmp_path / "out.json"
    done = stapes("compile", model, "--out", tmp_path / "c", "--json", result, "--explain", "--memory-map")
    assert done.returncode == 0, done.stderr
    values = json.loads(result.read_text())
    assert {"files", "arena_bytes", "weights_bytes", "unsupported"} <= values.keys()
    assert values["unsupported"] == []
    kernels = {layer["name"]: (layer["kernel"], layer["why"]) for layer in values["layers"]}
    assert kernels["depthwise_conv_2d_1"][0] == "depthwise_3x3"
    assert "all channels by fours" in kernels["depthwise_conv_2d_1"][1]
    assert "by conv_2d_carry: two channels in one multiplication" in done.stdout
    assert all((tmp_path / "c" / name).is_file() for name in values["files"])
    assert (tmp_path / "c/memory.svg").read_text().startswith("<svg")
    assert "schedule: row by row" in done.stdout
    assert "arena 1," in done.stdout
    code = (tmp_path / "c/stapes_chain_model.c").read_text()
    layers = code.count("static const stapes_input_t")
    assert len(code.splitlines()) < 20 * layers
    assert "DEPTHWISE_CONV_2D, 20 rows of 64 to 20x8x8, kernel 3x3" in code


def test_compile_says_how_to_feed_it(tmp_path: Path) -> None:
    """Shapes, scales, zero points and the float edge that was taken off: printed, in JSON, in the header."""
    maker = ModelMaker().input((1, 6, 4), None, 0, "FLOAT32")
    maker.op("QUANTIZE", [maker.last], (1, 6, 4), 0.1, -3).fully_connected(4, scale=0.25, zero_point=5)
    model = tmp_path / "m.tflite"
    model.write_bytes(maker.build())
    result = tmp_path / "out.json"
    done = stapes("compile", model, "--out", tmp_path / "c", "--json", result)
    assert done.returncode == 0, done.stderr
    assert "scale 0.100000001, zero point -3, 6 rows of 4 B; float32 in the file, taken off" in done.stdout
    values = json.loads(result.read_text())
    assert values["inputs"][0]["shape"] == [1, 6, 4] and values["inputs"][0]["type_in_file"] == "float32"
    assert values["outputs"][0]["scale"] == 0.25 and values["outputs"][0]["type_in_file"] == "int8"
    assert values["macs"] == 96
    header = (tmp_path / "c/stapes_m_model.h").read_text()
    program = tmp_path / "main.c"
    program.write_text(
        '#include "stapes_m_model.h"\n'
        "static const int shape[] = STAPES_M_MODEL_INPUT_0_SHAPE;\n"
        "int main(void) {\n"
        "    return !(shape[0] == 1 && shape[1] == 6 && shape[2] == 4 && STAPES_M_MODEL_INPUT_0_SCALE == 0.1f &&\n"
        "             STAPES_M_MODEL_OUTPUT_0_SCALE == 0.25f && STAPES_M_MODEL_OUTPUT_0_ZERO_POINT == 5 &&\n"
        "             STAPES_M_MODEL_INPUT_0_ROWS == 6 && STAPES_M_MODEL_MACS == 96);\n"
        "}\n"
    )
    includes = [f"-I{tmp_path / 'c'}", f"-I{Path(__file__).parents[3] / 'firmware/runtime/include'}"]
    subprocess.run(["cc", *includes, program, "-o", tmp_path / "main"], check=True)
    assert subprocess.run([tmp_path / "main"], check=False).returncode == 0, header


def test_compiling_again_changes_nothing(tmp_path: Path) -> None:
    model = tmp_path / "m.tflite"
    model.write_bytes(NETWORKS["dense"]())
    first, second = tmp_path / "1", tmp_path / "2"
    for directory in (first, second):
        assert stapes("compile", model, "--out", directory).returncode == 0
    for path in first.iterdir():
        assert path.read_bytes() == (second / path.name).read_bytes()


def test_unsupported_is_listed_and_nothing_written(tmp_path: Path) -> None:
    model = tmp_path / "m.tflite"
    maker = ModelMaker(0).input((1, 4, 4, 2))
    maker.op("SPACE_TO_DEPTH", [maker.last], (1, 2, 2, 8)).op("CUMSUM", [maker.last], (1, 2, 2, 8))
    model.write_bytes(maker.build())
    result = tmp_path / "out.json"
    done = stapes("compile", model, "--out", tmp_path / "c", "--json", result)
    assert done.returncode == 1
    assert "SPACE_TO_DEPTH" in done.stderr and "CUMSUM" in done.stderr and "Traceback" not in done.stderr
    assert len(json.loads(result.read_text())["unsupported"]) == 2
    assert not (tmp_path / "c").exists()


def test_bad_files_are_one_line(tmp_path: Path) -> None:
    rubbish = tmp_path / "rubbish.tflite"
    rubbish.write_bytes(b"not a model")
    for path in (tmp_path / "nothing.tflite", tmp_path, rubbish):
        done = stapes("compile", path, "--out", tmp_path / "c")
        assert done.returncode == 1
        assert "error:" in done.stderr and "Traceback" not in done.stderr


def test_bench_on_the_host(tmp_path: Path) -> None:
    model = tmp_path / "m.tflite"
    model.write_bytes(NETWORKS["chain-0"]())
    result = tmp_path / "bench.json"
    done = stapes(
        "bench", model, "--target", "host", "--inputs", "5", "--out", tmp_path / "b", "--json", result
    )
    assert done.returncode == 0, done.stderr
    values = json.loads(result.read_text())
    assert values["equal_to_reference"] is True
    assert values["inputs"] == 5
    assert values["flash_bytes"].keys() == {"code", "weights", "total"}
    assert values["ram_bytes"].keys() == {"arena", "static", "stack", "total"}
    assert {"name", "op", "kernel", "why", "macs", "instructions"} <= values["layers"][0].keys()


@pytest.mark.slow
def test_every_command_says_the_same_of_the_arena(tmp_path: Path) -> None:
    """A bundle whose windows share rows: its arena is larger than that of the network alone."""
    bundle = Path(__file__).parents[3] / "models/esc10-nano"
    expected = compile_bundle(Bundle.load(bundle)).arena_bytes
    commands = {
        "compile": ("compile", bundle, "--out", tmp_path / "c"),
        "generate": ("generate", bundle, "--out", tmp_path / "generated"),
        "pareto": ("report", "pareto", bundle),
        "bench": ("bench", bundle, "--target", "host", "--inputs", "1", "--out", tmp_path / "bench"),
        "check": ("check", bundle, "--target", "host", "--clips", "1", "--out", tmp_path / "check"),
    }
    said = {}
    for name, arguments in commands.items():
        done = stapes(*arguments, "--json", tmp_path / f"{name}.json")
        assert done.returncode == 0, done.stderr
        said[name] = json.loads((tmp_path / f"{name}.json").read_text())
    arenas = {name: values.get("arena_bytes") for name, values in said.items()}
    arenas["pareto"] = said["pareto"]["bundles"][0]["arena_bytes"]
    arenas["bench"] = said["bench"]["ram_bytes"]["arena"]
    assert arenas == dict.fromkeys(commands, expected)


def test_every_command_refuses_what_no_field_holds(tmp_path: Path) -> None:
    """The same line, and nothing written."""
    small = make_small_bundle(tmp_path / "small")
    maker = ModelMaker(0).input((1, FRAMES, BANDS, 1), scale=0.05, zero_point=-3)
    maker.pool("MAX_POOL_2D", (FRAMES, BANDS)).conv_2d(1 << 16, (1, 1), bias=False)
    maker.reshape((1, 1 << 16)).fully_connected(len(LABELS)).softmax()
    bundle = Bundle.save(tmp_path / "wide", small.manifest, {"model.tflite": maker.build()}).directory
    out = tmp_path / "out"
    commands = [
        ("compile", bundle, "--out", out),
        ("generate", bundle, "--out", out),
        ("export", bundle, "--format", "cmake", "--out", out),
        ("build", bundle, "--board", "host", "--out", out),
        ("check", bundle, "--target", "host", "--out", out),
        ("bench", bundle, "--target", "host", "--out", out),
    ]
    for arguments in commands:
        done = stapes(*arguments)
        assert done.returncode == 1
        assert "channels 65,536 (uint16_t: at most 65,535)" in " ".join(done.stderr.split()), arguments
        assert "Traceback" not in done.stderr
        assert not [path for path in out.rglob("*") if path.is_file()], arguments
