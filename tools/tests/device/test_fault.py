"""A device that fails in the middle: what it was doing when it failed is one line, with the function's name."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_bundle import make_small_bundle

from stapes.check import check_bundle, select_clips
from stapes.device import Prepared, connect, prepare
from stapes.device.fault import explain_loss, symbol_at
from stapes.errors import LinkError, TargetError
from stapes.firmware import BuildResult
from stapes.link import Client, Fault, Raise
from stapes.recipe import Bundle

NEEDS = {
    "qemu:netduinoplus2": ("qemu-system-arm", "arm-none-eabi-gcc"),
    "qemu:microbit": ("qemu-system-arm", "arm-none-eabi-gcc"),
    "qemu:riscv32-virt": ("qemu-system-riscv32", "riscv64-unknown-elf-gcc"),
    "qemu:xtensa-sim": ("qemu-system-xtensa", "xtensa-lx106-elf-gcc"),
}
SEEN = {
    ("qemu:netduinoplus2", Raise.TRAP): "a usage fault",
    ("qemu:netduinoplus2", Raise.BUS_FAULT): "a bus fault",
    ("qemu:microbit", Raise.TRAP): "a hard fault",
    ("qemu:microbit", Raise.BUS_FAULT): "a hard fault",
    ("qemu:riscv32-virt", Raise.TRAP): "a breakpoint",
    ("qemu:riscv32-virt", Raise.BUS_FAULT): "a load access fault",
    ("qemu:xtensa-sim", Raise.TRAP): "a breakpoint",
    ("qemu:xtensa-sim", Raise.BUS_FAULT): "a load or store where nothing is",
}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_small_bundle(tmp_path_factory.mktemp("fault") / "bundle")


@pytest.fixture(scope="module", params=NEEDS)
def prepared(
    request: pytest.FixtureRequest, bundle: Bundle, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prepared]:
    missing = [program for program in NEEDS[request.param] if shutil.which(program) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} is not installed")
    yield prepare(bundle, request.param, tmp_path_factory.mktemp("build"))


def built(prepared: Prepared) -> BuildResult:
    assert prepared.build is not None
    return prepared.build


@pytest.mark.parametrize("which", [Raise.TRAP, Raise.BUS_FAULT])
def test_a_fault_on_purpose_is_reported_after_the_restart(
    bundle: Bundle, prepared: Prepared, which: Raise
) -> None:
    elf = built(prepared).elf
    with connect(bundle, prepared.target, elf) as (client, hello):
        assert client.fault() is None
        client.raise_fault(which)
        assert client.hello().build_id == hello.build_id
        fault = client.fault()
        assert fault is not None
        where = symbol_at(elf, fault.pc)
        assert where is not None and where.startswith("raise_fault+0x")
        assert fault.describe(where).startswith(
            f"{SEEN[prepared.target, which]} at pc 0x{fault.pc:08x} in raise_fault+0x"
        )
        assert client.fault() == fault  # until the next restart
        client.reboot()
        assert client.fault() is None


def test_a_check_says_why_the_device_was_gone(
    bundle: Bundle, prepared: Prepared, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = select_clips(bundle, None, 1)
    push, pushes = Client.push, iter(range(100))

    def failing(self: Client, pcm, *rest):
        if next(pushes) == 2:
            self.raise_fault(Raise.TRAP)
        return push(self, pcm, *rest)

    monkeypatch.setattr(Client, "push", failing)
    with pytest.raises(LinkError) as caught:
        check_bundle(bundle, prepared.target, clips, tmp_path, prepared=prepared)
    board = prepared.target.partition(":")[2]
    name = {"netduinoplus2": "stm32f4_discovery"}.get(board, board.replace("-", "_"))
    seen = SEEN[prepared.target, Raise.TRAP]
    assert caught.value.message.startswith(f"{name} restarted after {seen} at pc 0x")
    assert " in raise_fault+0x" in caught.value.message and "\n" not in caught.value.message


def test_a_device_that_hangs_is_bitten(bundle: Bundle, tmp_path: Path) -> None:
    if any(shutil.which(program) is None for program in NEEDS["qemu:microbit"]):
        pytest.skip("qemu-system-arm or arm-none-eabi-gcc is not installed")
    elf = built(prepare(bundle, "qemu:mps2-an505", tmp_path)).elf
    with connect(bundle, "qemu:mps2-an505", elf) as (client, _):
        client.raise_fault(Raise.HANG)
        client.hello()
        assert str(client.fault()) == "the watchdog's bite"


def test_a_program_that_crashes_says_its_signal(bundle: Bundle, tmp_path: Path) -> None:
    elf = built(prepare(bundle, "host", tmp_path)).elf
    with connect(bundle, "host", elf) as (client, _), pytest.raises(TargetError, match="status -4"):
        client.raise_fault(Raise.TRAP)
        client.hello()


def test_a_restart_without_a_fault_is_said(bundle: Bundle, tmp_path: Path) -> None:
    elf = built(prepare(bundle, "host", tmp_path)).elf
    with connect(bundle, "host", elf) as (client, hello):
        client.reboot()
        lost = LinkError("the device refused PCM: the session is over (STAPES_E_SESSION)")
        assert "restarted in the middle, without a fault" in explain_loss(lost, client, hello, elf).message
        other = LinkError("the device refused PCM: out of order (STAPES_E_STATE)")
        assert explain_loss(other, client, hello, elf) is other


def test_what_is_known_of_a_fault() -> None:
    fault = Fault(3, 0x0800_1234, 0x0800_0001, 0, 0, 0x8200, 0xD000_0000)
    assert fault.describe("f+0x4") == (
        "a bus fault at pc 0x08001234 in f+0x4 (lr 0x08000001, status 0x00008200, address 0xd0000000)"
    )
    assert Fault(9, 1, 2, 3, 4, 5, 0).describe() == (
        "fault 9 at pc 0x00000001 (lr 0x00000002, status 0x00000005)"
    )
