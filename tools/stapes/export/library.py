"""What every format packs: the runtime, the generated sources, and facts about them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from stapes.codegen import Generated, generate
from stapes.codegen.emitter import c_identifier, c_prefix
from stapes.definitions import firmware_dir
from stapes.errors import ToolError
from stapes.files import sha256
from stapes.recipe import Bundle
from stapes.version import __version__

AUTHOR = "The stapes developers"
STACK_KIB = 8


@dataclass(frozen=True)
class Library:
    """Files under src/ and, beside them, licence and model card; what manifests and the README say about them.

    `memory_bytes` is the RAM of one classifier on a 32-bit device.
    """

    bundle: str
    bundle_hash: str
    labels: tuple[str, ...]
    sample_rate: int
    memory_bytes: int
    files: dict[str, bytes]
    url: str
    version: str = __version__
    author: str = AUTHOR

    @property
    def name(self) -> str:
        """The library's name, and what its public header and every symbol begin with: `stapes_<bundle>`."""
        return c_prefix(self.bundle)

    @property
    def target(self) -> str:
        """Its CMake target."""
        return f"stapes::{self.name.removeprefix('stapes_')}"

    @property
    def macro(self) -> str:
        """The same in capitals."""
        return self.name.upper()

    @property
    def sentence(self) -> str:
        """One line for a list of libraries."""
        return f"Sound classifier {c_identifier(self.bundle)} with {len(self.labels)} classes, in integer C"

    @property
    def sources(self) -> list[str]:
        """All C files, in order."""
        return sorted(name for name in self.files if name.endswith(".c"))

    @property
    def own_sources(self) -> list[str]:
        """Those of this bundle alone."""
        return [name for name in self.sources if name.startswith(f"src/{self.name}")]

    @property
    def parts(self) -> dict[str, list[str]]:
        """C files that several bundles of a program share: of the runtime, of the link."""
        names = ("runtime", "link") if self.has_link else ("runtime",)
        return {part: [name for name in self.sources if name.startswith(f"src/{part}/")] for part in names}

    @property
    def runtime_id(self) -> str:
        """Version and digest of what bundles share; only those with the same can be in one program."""
        shared = sorted(name for name in self.files if re.match(r"src/(stapes|runtime)/", name))
        digest = sha256(b"".join(name.encode() + b"\0" + self.files[name] for name in shared))
        return f"{self.version}-{digest[:12]}"

    @property
    def ram_kib(self) -> int:
        """KiB of RAM for a program that does nothing else."""
        return -(-self.memory_bytes // 1024) + STACK_KIB

    @property
    def has_link(self) -> bool:
        """Whether the harness's link is in it."""
        return any(name.startswith("src/link/") for name in self.files)

    @property
    def has_card(self) -> bool:
        """Whether the bundle's model card is in it."""
        return "MODEL_CARD.md" in self.files


def collect(bundle: Bundle, *, link: bool = False, url: str = "") -> Library:
    """Generate the bundle's sources and gather everything; `link` adds the harness's frames and messages."""
    root = firmware_dir()
    files = {
        **_tree(root / "runtime" / "include", "src"),
        **_tree(root / "runtime" / "src", "src/runtime"),
        "LICENSE": _licence(root),
    }
    if link:
        files |= _tree(root / "link", "src/link")
    with TemporaryDirectory(prefix="stapes-export-") as directory:
        generated = generate(bundle, Path(directory), exported=True)
        files |= _tree(Path(directory), "src", only=r".*\.[ch]")
    if "MODEL_CARD.md" in bundle.files:
        files["MODEL_CARD.md"] = bundle.files["MODEL_CARD.md"]
    return Library(
        bundle=bundle.manifest.name,
        bundle_hash=bundle.hash,
        labels=bundle.manifest.labels,
        sample_rate=bundle.manifest.frontend.sample_rate,
        memory_bytes=_memory(bundle, generated),
        files=files,
        url=url or f"urn:sha256:{bundle.hash}",
    )


def _tree(root: Path, prefix: str, only: str = r".*\.([ch]|def)") -> dict[str, bytes]:
    """The files directly in `root` and its folders whose names match."""
    paths = [path for path in sorted(root.rglob("*")) if path.is_file() and re.fullmatch(only, path.name)]
    return {f"{prefix}/{path.relative_to(root).as_posix()}": path.read_bytes() for path in paths}


def _licence(firmware: Path) -> bytes:
    """The licence lies in the firmware's directory of an installed package, above it in a checkout."""
    for place in (firmware / "LICENSE", firmware.parent / "LICENSE"):
        if place.is_file():
            return place.read_bytes()
    raise ToolError("the licence is missing from this installation", hint="install stapes again")


def _memory(bundle: Bundle, generated: Generated) -> int:
    """Arena, front end and rows, which are nearly all of a classifier; windows that share rows need no copy of them."""
    window, frontend = bundle.manifest.window, bundle.manifest.frontend
    kept = 1 if generated.plan.slide else window.frames
    rows = kept * generated.plan.storages[0].row_bytes
    return int(generated.plan.arena_bytes) + rows + 8 * frontend.n_fft // 2 + 2 * frontend.frame_length
