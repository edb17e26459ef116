"""Tiny programs: the Cortex-M4's manual (Arm 100166, 3.3) gives their cycles, the flash's wait states the rest."""

import shutil
import subprocess
from pathlib import Path

import pytest

from stapes.errors import TargetError

pytest.importorskip("unicorn")
if shutil.which("arm-none-eabi-gcc") is None:
    pytest.skip("no arm-none-eabi-gcc", allow_module_level=True)

from stapes.cycles import Flash, Trace
from stapes.cycles.core import REFILL_BY_REGISTER

FLASH, RAM = 0x08000000, 0x20000000
STACK = RAM + 0x1000
RETURN = 1 + REFILL_BY_REGISTER  # bx lr
F4 = (16, 64, 8)
L4 = (8, 128, 32)


# What runs from memory without wait states.
TIMED = [
    ("adds r0, r0, r0; eor r0, r0, r0, ror #3; clz r0, r0; ssat r0, #8, r0; sxtb16 r0, r0", 5),
    ("mul r0, r0, r0; mla r0, r0, r0, r0; smlad r0, r0, r0, r0; smlal r0, r1, r2, r3", 4),
    ("udiv r0, r0, r1", 7),  # 2 to 12
    # Examples of the manual, 3.3.3.
    ("ldr r0, [r1]; ldr r1, [r2]", 3),
    ("movs r12, #0; nop; ldr r0, [r1, r12]; str r0, [r3, #20]", 5),
    ("movs r12, #0; nop; ldr r0, [r1, r12]; str r1, [r3, r12]", 5),
    ("movs r12, #0; nop; ldr r0, [r1, r12]; ldr r1, [r2]; ldr r2, [r3, #4]", 6),
    ("ldr r0, [r1, #4]; adds r0, r0, r0", 3),
    ("str r0, [r1, #4]; str r0, [r1]; adds r0, r0, r0", 3),
    ("ldm r1, {r0, r2, r3}", 4),
    ("push {r4-r11}; pop {r4-r11}", 18),
    ("ldrd r0, r2, [r1]; strd r0, r2, [r1]", 6),
    # Nothing forwards a result to the calculation of an address, 3.3.3.
    ("adds r1, r1, #4; ldr r0, [r1]", 4),
    ("adds r1, r1, #4; adds r0, r0, r0; ldr r0, [r1]", 4),
    ("ldr r2, [r3]; add r2, r3; str r0, [r1]; ldr r2, [r2]", 6),
    ("ldrb r0, [r1], #1; ldrb r2, [r1], #1", 4),
    # Floating point, 7.2.3: one more where the next instruction takes the result.
    ("vadd.f32 s0, s1, s2; vmul.f32 s3, s1, s2", 2),
    ("vadd.f32 s0, s1, s2; vmul.f32 s3, s0, s2", 3),
    ("vmla.f32 s0, s1, s2; vfma.f32 s3, s1, s2; vdiv.f32 s4, s1, s2", 20),
    ("vldr s0, [r1]; vldr s1, [r1, #4]; vldr d1, [r1, #8]", 5),
    # Jumps: 1 and the refill, 1 where they are not taken.
    ("cmp r0, #9; beq 1f; nop; 1:", 3),
    ("cmp r0, #1; beq 1f; nop; 1:", 3),
    ("cbz r0, 1f; nop; 1:", 2),
    ("movs r0, #10; 1: subs r0, #1; bne 1b", 1 + 10 * 3 - 1),
    ("b 1f; nop; .balign 4; nop; 1: add r0, r0, r0, lsl #1; nop", 5),  # to a wide one across two words
    ("movs r0, #0; tbb [pc, r0]; .byte 1, 1; nop", 1 + 2 + 3 + 1),
    ("push {lr}; bl 1f; pop {pc}; 1: push {lr}; pop {pc}", 2 + 2 + 2 + 5 + 5 - RETURN),
]
NARROW = "nop;" * (128 // 2 - 1)  # with bx lr, 128 bytes
WIDE = "add r0, r0, r0, lsl #1;" * (128 // 4)
LONG = "nop;" * (1040 // 2 - 1)  # 65 rows of 16 bytes
DATA = (
    "adr r1, table;"
    + "".join(f"ldr.w r0, [r1, #{4 * n}];" for n in range(64))
    + "bx lr; .balign 16; table: .skip 256"
)
NOWHERE = "movs r0, #0; bx r0"
PROGRAMS = [*(body for body, _ in TIMED), NARROW, WIDE, LONG, DATA, NOWHERE]


@pytest.fixture(scope="module")
def elf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All programs, as functions f0, f1, …; r1 to r3 may be used as addresses."""
    directory = tmp_path_factory.mktemp("programs")
    lines = [".syntax unified", ".thumb", ".text"]
    for number, body in enumerate(PROGRAMS):
        lines += [".balign 16", f".type f{number}, %function", f"f{number}:", *body.split(";"), "bx lr"]
    (directory / "f.S").write_text("\n".join([*lines, ""]))
    flags = ("-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16", "-nostdlib")
    place = f"-Wl,-Ttext={FLASH:#x},-e,0"
    subprocess.run(["arm-none-eabi-gcc", *flags, place, "f.S", "-o", "f.elf"], cwd=directory, check=True)
    return directory / "f.elf"


def trace(elf: Path, flash: Flash) -> Trace:
    return Trace(elf, flash, {FLASH: 0x4000, RAM: 0x2000})


def run(traced: Trace, program: str) -> int:
    """Cycles of a call, without those of `bx lr`."""
    before = traced.cycles
    name = f"f{PROGRAMS.index(program)}"
    traced.call(name, 1, RAM + 0x100, RAM + 0x200, RAM + 0x300, stack=STACK)
    return traced.cycles - before - RETURN


@pytest.mark.parametrize(("body", "cycles"), TIMED)
def test_the_manuals_cycles(elf: Path, body: str, cycles: int) -> None:
    assert run(trace(elf, Flash(*F4)), body) == cycles


def switched_on(
    geometry: tuple[int, int, int], wait_states: int, *, prefetch: bool = False, caches: bool = True
) -> Flash:
    flash = Flash(*geometry)
    flash.set_control(wait_states=wait_states, prefetch=prefetch, instruction_cache=caches, data_cache=caches)
    return flash


@pytest.mark.parametrize(("geometry", "rows"), [(F4, 8), (L4, 16)])
def test_code_waits_for_every_row_once(elf: Path, geometry: tuple[int, int, int], rows: int) -> None:
    traced = trace(elf, switched_on(geometry, 5))
    assert [run(traced, NARROW), run(traced, NARROW)] == [63 + 5 * rows, 63]
    assert traced.instructions == 2 * 64
    traced = trace(elf, switched_on(geometry, 5, caches=False))
    assert [run(traced, NARROW), run(traced, NARROW)] == [63 + 5 * rows] * 2


def test_a_program_larger_than_the_cache_never_finds_a_row(elf: Path) -> None:
    traced = trace(elf, switched_on(F4, 5))
    assert [run(traced, LONG), run(traced, LONG)] == [519 + 5 * 65] * 2


def test_prefetch_hides_what_the_core_is_slower_than(elf: Path) -> None:
    traced = trace(elf, switched_on(F4, 5, prefetch=True))
    assert run(traced, NARROW) == 63 + 5  # 8 cycles a row, which takes 6 to read
    traced = trace(elf, switched_on(F4, 5, prefetch=True))
    assert run(traced, WIDE) == 32 + 5 + 8 * (6 - 4)  # 4 cycles a row


def test_data_of_the_flash_waits_too(elf: Path) -> None:
    traced = trace(elf, switched_on(F4, 5))
    core = 2 + 1 + 64
    assert run(traced, DATA) == core + 5 * (17 + 16)  # rows of code, of data
    assert run(traced, DATA) == core + 5 * 16  # of which 8 stay; the oldest leave first


def test_code_that_is_not_there_is_told(elf: Path) -> None:
    with pytest.raises(TargetError, match="the emulated core stopped at"):
        run(trace(elf, Flash(*F4)), NOWHERE)
