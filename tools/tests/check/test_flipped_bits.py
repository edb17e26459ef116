"""Single bits flipped in a built image: every one is named, by its stage or by the device's self-test."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile
from small_bundle import make_small_bundle

from stapes.check import ClipSet, check_bundle, select_clips
from stapes.device import Prepared, connection, prepare
from stapes.errors import LinkError, TargetError
from stapes.firmware import find_program
from stapes.recipe import Bundle

ARM = "qemu:netduinoplus2"
BITS = {
    "a weight": ("host", "stapes_small_layer_0_weights", 24, 6),
    "a weight's last bit": ("host", "stapes_small_layer_1_weights", 3, 0),
    "a channel's multiplier": ("host", "stapes_small_layer_0_channels", 1, 0),
    "a twiddle factor's last bit": ("host", "twiddles", 100, 0),
    "a mel weight's last bit": ("host", "weights", 40, 0),
    "the logarithm's table": (ARM, "log_table", 200, 0),
    "a weight that is never the largest": (ARM, "stapes_small_layer_5_weights", 5, 0),
    "code that answers a request for activations": (ARM, "capture_row", 30, 1),
    "code that runs on purpose only": (ARM, "raise_fault", 20, 0),
    "code of the network": (ARM, "stapes_softmax", 100, 3),
}
"""Target, symbol, byte of it, bit. A host program's self-test covers constants, a board's all of its flash."""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_small_bundle(tmp_path_factory.mktemp("bits") / "bundle")


@pytest.fixture(scope="module")
def clips(bundle: Bundle) -> ClipSet:
    return select_clips(bundle, None, 1)


@pytest.fixture(scope="module")
def images(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Prepared]:
    directory = tmp_path_factory.mktemp("images")
    there = all(find_program(name) for name in ("qemu-system-arm", "arm-none-eabi-gcc"))
    return {target: prepare(bundle, target, directory) for target in ("host", *([ARM] if there else []))}


def flip(elf: Path, out: Path, symbol: str, byte: int, bit: int) -> None:
    """`elf` with one bit of `symbol` flipped, as `out`."""
    image = bytearray(elf.read_bytes())
    with elf.open("rb") as stream:
        read = ELFFile(stream)
        (entry, *_) = read.get_section_by_name(".symtab").get_symbol_by_name(symbol)
        assert byte < entry["st_size"]
        section = read.get_section(entry["st_shndx"])
        assert section.name in (".rodata", ".text")
        address = entry["st_value"] & ~int(entry["st_info"]["type"] == "STT_FUNC")  # bit 0 says Thumb
        place = section["sh_offset"] + address - section["sh_addr"] + byte
    image[place] ^= 1 << bit
    out.write_bytes(image)
    out.chmod(0o755)


def test_sound_images_pass(
    bundle: Bundle, clips: ClipSet, images: dict[str, Prepared], tmp_path: Path
) -> None:
    for target, prepared in images.items():
        report = check_bundle(bundle, target, clips, tmp_path, prepared=prepared)
        value = report.as_json()["self_test"]
        assert report.passed and value["passed"] and value["size"] > 5000, (target, value)


@pytest.mark.parametrize("name", BITS)
def test_one_bit_is_named(
    bundle: Bundle,
    clips: ClipSet,
    images: dict[str, Prepared],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
) -> None:
    target, symbol, byte, bit = BITS[name]
    if target not in images:
        pytest.skip("the Arm compiler or QEMU is not installed")
    prepared = images[target]
    assert prepared.build is not None
    flip(prepared.build.elf, tmp_path / "image", symbol, byte, bit)
    altered = replace(prepared, build=replace(prepared.build, elf=tmp_path / "image"))
    monkeypatch.setattr(connection, "longest_wait", lambda target: 10.0)
    try:
        report = check_bundle(bundle, target, clips, tmp_path, prepared=altered)
    except (LinkError, TargetError) as error:  # code may fail in any way, but not silently
        assert target == ARM and error.message
        return
    assert not report.passed and report.constants_problem and "are damaged" in report.constants_problem
    assert report.as_json()["self_test"]["passed"] is False
    if name == "a weight":
        assert report.first_difference.layer == "conv_2d_0", "the stage is named as well"
