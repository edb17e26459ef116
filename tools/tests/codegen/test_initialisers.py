"""What templates write is checked once more as C: no constant of a generated file is cut."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small_bundle import make_small_bundle

from stapes.codegen import generate
from stapes.codegen.emitter import Provenance, write_sources
from stapes.codegen.initialisers import constants_of, misfits
from stapes.codegen.model import model_sources
from stapes.compiler import compile_graph
from stapes.errors import UnsupportedModelError
from stapes.graph import read_tflite, simplify
from stapes.reference import LiveRule


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    directory = tmp_path_factory.mktemp("small")
    files = generate(make_small_bundle(directory / "bundle"), directory / "c").files
    return {path.name: path.read_text(encoding="utf-8") for path in files if path.suffix in (".c", ".h")}


def test_every_kind_of_constant_is_read(generated: dict[str, str]) -> None:
    types = {ctype for text in generated.values() for ctype, _, _ in constants_of(text, {})}
    assert {
        "int8_t", "uint16_t", "int32_t", "uint32_t", "stapes_band_t", "stapes_channel_t",
        "stapes_frontend_tables_t", "stapes_input_t",
        "stapes_layer_t", "stapes_live_config_t", "stapes_model_t", "stapes_softmax_t", "stapes_tensor_t",
        "stapes_decision_rule_t", "stapes_bundle_t",
    } <= types  # fmt: skip
    constants = "".join(generated.values()).count(" = {") + "".join(generated.values()).count("= { ")
    assert sum(1 for text in generated.values() for _ in constants_of(text, {})) > constants / 2
    assert misfits(generated) == []


PLANTED: list[tuple[str, str, str]] = [
    (".by_layers = 0,", ".by_layers = -1,", "by_layers -1 (uint32_t: at least 0)"),
    (".input_count = 1,\n", ".input_count = 65536,\n", "input_count 65,536 (uint16_t: at most 65,535)"),
    (".input_count = 1,", ".input_count = 65536,", "layers[0].input_count 65,536 (uint16_t: at most 65,535)"),
    (".window_hops = 3,", ".window_hops = 70000u,", "window_hops 70,000 (uint16_t: at most 65,535)"),
    (
        "static const int32_t on[] = {",
        "static const int32_t on[] = {4294967295u, ",
        "on[0] 4,294,967,295 (int32_t",
    ),
    (".n_fft = 512", ".n_fft = 131072", "n_fft 131,072 (uint16_t: at most 65,535)"),
    (
        "#define STAPES_SMALL_CLASSES 3",
        "#define STAPES_SMALL_CLASSES 70000",
        "classes 70,000 (uint16_t: at most 65,535)",
    ),
    (
        ".tensor = 1, .height",
        ".tensor = 65537, .height",
        "inputs_1[0].tensor 65,537 (uint16_t: at most 65,535)",
    ),
    (
        "    {{.offset = ",
        "    {{.offset = -5}, 1, 1, 1, 1, 1, 0, 200}, {{.offset = ",
        "tensors[0].at.offset -5 (uint32_t",
    ),
    (
        "    {{.offset = ",
        "    {{.offset = 0}, 1, 1, 1, 1, 1, 0, 200}, {{.offset = ",
        "tensors[0].zero_point 200 (int8_t",
    ),
]


@pytest.mark.parametrize(("text", "planted", "finding"), PLANTED)
def test_a_value_that_does_not_fit_is_seen(
    generated: dict[str, str], text: str, planted: str, finding: str
) -> None:
    files = [name for name in generated if text in generated[name]]
    assert files
    changed = {name: content.replace(text, planted, 1) for name, content in generated.items()}
    assert any(finding in found for found in misfits(changed)), misfits(changed)


def test_arrays_and_columns(generated: dict[str, str]) -> None:
    text = """
    STAPES_ALIGNED const int8_t weights[3] = {
        1, -128, /* const int8_t no[] = {300}; */ 128
    };
    static const stapes_channel_t channels[] = { {1, (-2147483647 - 1)}, {2147483648u, 3}, };
    const char *const names[] = {"const int8_t no[] = {300};"};
    """
    assert misfits({"a.c": text}) == [
        "a.c: weights[2] 128 (int8_t: at most 127)",
        "a.c: channels[1].bias 2,147,483,648 (int32_t: at most 2,147,483,647)",
    ]
    with pytest.raises(AssertionError, match="no header declares stapes_new_t"):
        misfits({"a.c": "const stapes_new_t x = {1};"})


def test_nothing_is_written_where_anything_does_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = make_small_bundle(tmp_path / "bundle")
    made: Callable[..., LiveRule] = LiveRule.of

    def too_long(*given: object) -> LiveRule:
        return replace(made(*given), window_hops=70_000, windows=256)

    monkeypatch.setattr(LiveRule, "of", too_long)
    with pytest.raises(UnsupportedModelError) as caught:
        generate(bundle, tmp_path / "c")
    assert caught.value.unsupported == [
        "stapes_small.c: live.window_hops 70,000 (uint16_t: at most 65,535)",
        "stapes_small.c: live.windows 256 (uint8_t: at most 255)",
    ]
    assert not (tmp_path / "c").exists()


def test_write_sources_is_all_or_nothing(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match=r"^1 number too large: b\.c: x"):
        write_sources(tmp_path, {"a.c": "", "b.c": "static const uint8_t x[] = {256};\n"})
    assert list(tmp_path.iterdir()) == []


def test_the_plan_says_what_its_text_says(tmp_path: Path) -> None:
    """The numbers of a stapes_tensor_t are written in the order of its members."""
    graph = simplify(read_tflite(make_small_bundle(tmp_path).model))
    plan = compile_graph(graph)
    text = model_sources(plan, Provenance({}), name="small")["stapes_small_model.c"]
    tensors = [value for _, name, value in constants_of(text, {}) if name.startswith("tensors[")]
    assert np.array([list(t.values())[1:] for t in tensors]).tolist() == [
        [s.stride, s.height, s.rows, s.padding, s.last_consumer, s.state, s.zero_point] for s in plan.storages
    ]
