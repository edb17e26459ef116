"""Worst-case stack of an image, from what the compiler says about every function.

GCC writes each function's frame and calls beside its object (`-fcallgraph-info=su`). A call through a
pointer may reach any function of the image whose address is taken anywhere but in the vector table; nothing
recurses (a rule of the firmware), so a path never holds a function twice. Library functions without such a
file are given `LIBRARY_FRAME`. Every interrupt may come on top once: a microphone's gives way to a UART's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.relocation import RelocationSection
from elftools.elf.sections import SymbolTableSection

from stapes.files import sha256, write_json

LIBRARY_FRAME = 96
INDIRECT = "__indirect_call"
VECTORS = ".vectors"
INTERRUPT = re.compile(r"cortex_m_interrupt_\d+")
# What a Cortex-M stacks before a handler (Armv7-M Architecture Reference Manual, B1.5.7), with the word that aligns.
INTERRUPT_FRAME, INTERRUPT_FRAME_WITH_FLOATS = 36, 108
HARD_FLOAT = 0x400  # in the ELF header's flags (ELF for the Arm Architecture, 5.2)

# Relocations of calls and jumps; any other relocation against a function takes its address. On x86-64 a call within
# the unit has the relocation of any address relative to the program counter: its opcode tells.
_CALLS = {
    "EM_ARM": {10, 28, 29, 30, 51, 102},  # THM_CALL, CALL, JUMP24, THM_JUMP24, THM_JUMP19, THM_JUMP11
    "EM_RISCV": {16, 17, 18, 19, 44, 45, 51},  # BRANCH, JAL, CALL, CALL_PLT, RVC_BRANCH, RVC_JUMP, RELAX
    "EM_XTENSA": {20},  # SLOT0_OP: calls and jumps; an address is a literal
    "EM_X86_64": {4},  # PLT32
    "EM_AARCH64": {280, 282, 283},  # CONDBR19, JUMP26, CALL26
}
_X86_PC32 = 2

_NODE = re.compile(r'node: \{ title: "([^"]+)" label: "([^"]*)"')
_EDGE = re.compile(r'edge: \{ sourcename: "([^"]+)" targetname: "([^"]+)"')
_BYTES = re.compile(r"(\d+) bytes \((static|dynamic,bounded)\)")


@dataclass
class _Function:
    frame: int
    calls: set[str] = field(default_factory=set)


def kept_worst_case_stack(build_dir: Path, elf_path: Path) -> int:
    """`worst_case_stack`, analysed once for each content of the image; kept beside it."""
    path = build_dir / "stapes-stack.json"
    key = sha256(Path(__file__).read_bytes() + elf_path.read_bytes())
    try:
        kept = json.loads(path.read_bytes())
        if kept["key"] == key:
            return int(kept["stack_bytes"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # none yet, or damaged
    stack = worst_case_stack(build_dir, elf_path)
    write_json(path, {"key": key, "stack_bytes": stack})
    return stack


def worst_case_stack(build_dir: Path, elf_path: Path, entry: str = "main") -> int:
    """Bytes of stack that `entry` and everything below it need at most; 0 when the compiler wrote no call
    graph.
    """
    functions: dict[str, _Function] = {}
    taken: set[str] = set()
    kept = _function_names(elf_path)
    for unit in _linked_units(build_dir):
        graph = unit.with_suffix(".ci")
        if graph.is_file():
            local = _read_graph(graph, functions)
            taken |= {local.get(name, name) for name in _address_taken(unit)}
    targets = {name for name in taken if name in functions and _plain(name) in kept}
    if entry not in functions:
        return 0
    handlers = [name for name in functions if INTERRUPT.fullmatch(name) and name in kept]
    frame = _frame(elf_path) if handlers else 0
    calls = {
        name: (function.calls - {INDIRECT}) | (targets if INDIRECT in function.calls else set())
        for name, function in functions.items()
    }
    loops = _loops(calls)
    settled: dict[tuple[str, frozenset[str]], int] = {}

    def deepest(name: str, path: frozenset[str]) -> int:
        """Below `name`, when those of its loop in `path` are on the way there: no others can be met again."""
        if name not in functions:
            return LIBRARY_FRAME
        path &= loops[name]
        key = (name, path)
        if key not in settled:
            path |= {name}
            below = max((deepest(called, path) for called in calls[name] - path), default=0)
            settled[key] = functions[name].frame + below
        return settled[key]

    none: frozenset[str] = frozenset()
    return deepest(entry, none) + sum(deepest(name, none) + frame for name in handlers)


def _loops(calls: dict[str, set[str]]) -> dict[str, frozenset[str]]:
    """For each function those that it reaches and that reach it, itself among them."""
    reached: dict[str, set[str]] = {}
    for name in calls:
        reached[name] = {name}
        ahead = [name]
        while ahead:
            more = calls.get(ahead.pop(), set()) - reached[name]
            reached[name] |= more
            ahead += more
    return {
        name: frozenset(other for other in found if name in reached.get(other, ()))
        for name, found in reached.items()
    }


def _linked_units(build_dir: Path) -> list[Path]:
    """The objects that the program was linked from: the directory may hold those of other applications too."""
    rule = re.search(r"^build \S+\.elf: \S+ ([^|\n]*)", (build_dir / "build.ninja").read_text(), re.MULTILINE)
    return (
        [build_dir / name.replace("$ ", " ") for name in re.findall(r"(?:\$ |\S)+", rule.group(1))]
        if rule
        else []
    )


def _frame(elf_path: Path) -> int:
    """Bytes that the core stacks when an interrupt comes."""
    with elf_path.open("rb") as stream:
        floats = ELFFile(stream).header["e_flags"] & HARD_FLOAT
    return INTERRUPT_FRAME_WITH_FLOATS if floats else INTERRUPT_FRAME


def _plain(title: str) -> str:
    return title.rsplit(":", 1)[-1]


def _read_graph(path: Path, functions: dict[str, _Function]) -> dict[str, str]:
    """Add one unit's functions; returns plain name to title for those defined in it."""
    text = path.read_text(encoding="utf-8", errors="replace")
    local = {}
    for title, label in _NODE.findall(text):
        size = _BYTES.search(label)
        if size:
            local[_plain(title)] = title
            functions.setdefault(title, _Function(0)).frame = int(size.group(1))
    for source, target in _EDGE.findall(text):
        functions.setdefault(source, _Function(0)).calls.add(target)
    return local


def _function_names(elf_path: Path) -> set[str]:
    with elf_path.open("rb") as stream:
        symbols = ELFFile(stream).get_section_by_name(".symtab")
        if not isinstance(symbols, SymbolTableSection):
            return set()
        return {s.name for s in symbols.iter_symbols() if s["st_info"]["type"] == "STT_FUNC"}


def _address_taken(object_path: Path) -> Iterator[str]:
    """Names of functions whose address the unit takes."""
    with object_path.open("rb") as stream:
        elf = ELFFile(stream)
        calls = _CALLS.get(elf["e_machine"], set())
        symbols = elf.get_section_by_name(".symtab")
        if not isinstance(symbols, SymbolTableSection):
            return
        for section in elf.iter_sections():
            if not isinstance(section, RelocationSection):
                continue
            owner = elf.get_section(section["sh_info"]).name
            if not owner.startswith((".text", ".rodata", ".data")):
                continue
            code = elf.get_section(section["sh_info"]).data() if owner.startswith(".text") else b""
            for relocation in section.iter_relocations():
                if relocation["r_info_type"] in calls:
                    continue
                if elf["e_machine"] == "EM_X86_64" and relocation["r_info_type"] == _X86_PC32:
                    before = code[: relocation["r_offset"]][-2:]
                    if before[-1:] in (b"\xe8", b"\xe9") or (before[:1] == b"\x0f" and before[-1] >> 4 == 8):
                        continue  # call, jmp, jcc
                symbol = symbols.get_symbol(relocation["r_info_sym"])
                if symbol["st_info"]["type"] == "STT_SECTION":
                    name = elf.get_section(symbol["st_shndx"]).name
                    if name.startswith(".text."):
                        yield name.removeprefix(".text.")
                else:
                    yield symbol.name
