"""What every format packs: the runtime, the generated sources, the classifier around them, and facts about them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from stapes import __version__
from stapes.codegen import Generated, generate
from stapes.codegen.emitter import Provenance, c_identifier
from stapes.codegen.selftest import generate_selftest
from stapes.definitions import firmware_dir
from stapes.errors import ToolError
from stapes.files import sha256
from stapes.recipe import Bundle

AUTHOR = "The stapes developers"
STACK_KIB = 8


@dataclass(frozen=True)
class Library:
    """Files under src/ and, beside them, licence and model card; what manifests and the README say about them.

    `sources` are the paths of the C files; `memory_bytes` is the RAM of one classifier on a 32-bit device.
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
        """The library's name: letters, digits and underscores."""
        return f"stapes_{c_identifier(self.bundle).strip('_').lower()}"

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
        """The C files, in order."""
        return sorted(name for name in self.files if name.endswith(".c"))

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
        **_tree(root / "export", "src", only=r"stapes_\w+\.[ch]"),
        "LICENSE": _licence(root),
    }
    if link:
        files |= _tree(root / "link", "src/link")
    with TemporaryDirectory(prefix="stapes-export-") as directory:
        generated = generate(bundle, Path(directory))
        provenance = Provenance({"bundle": bundle.hash, "model.tflite": sha256(bundle.model)})
        generate_selftest(bundle, Path(directory), provenance)
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
    """The arena and the window's rows, which are nearly all of a classifier."""
    window, frontend = bundle.manifest.window, bundle.manifest.frontend
    rows = window.frames * generated.plan.storages[0].row_bytes
    return int(generated.plan.arena_bytes) + rows + 8 * frontend.n_fft // 2 + 2 * frontend.frame_length
