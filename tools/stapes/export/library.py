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
from stapes.export.sizes import Measured
from stapes.files import sha256
from stapes.recipe import VOTES, Bundle
from stapes.version import __version__

AUTHOR = "The stapes developers"
AUDIO = "src/stapes_audio"
"""Where microphones' bits become PCM and wait in a ring: a folder whose name nobody else has."""
MAIN_STACK = 4096
"""Bytes of the stack that the examples' main programs are given where the framework wants a number."""


@dataclass(frozen=True)
class Library:
    """Files under src/ and, beside them, licence and model card; what manifests and the README say about them.

    `memory_bytes` and `live_memory_bytes` are the memory that a classifier and a listening device want: the values of
    the generated STAPES_<NAME>_MEMORY_BYTES and _LIVE_MEMORY_BYTES.
    """

    bundle: str
    bundle_hash: str
    labels: tuple[str, ...]
    sample_rate: int
    memory_bytes: int
    live_memory_bytes: int
    files: dict[str, bytes]
    url: str
    measured: Measured | None = None
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
        folders = {"runtime": ("src/runtime/", f"{AUDIO}/")} | (
            {"link": ("src/link/",)} if self.has_link else {}
        )
        return {part: [name for name in self.sources if name.startswith(of)] for part, of in folders.items()}

    @property
    def runtime_id(self) -> str:
        """Version and digest of what bundles share; only those with the same can be in one program."""
        shared = sorted(name for name in self.files if re.match(r"src/(stapes|stapes_audio|runtime)/", name))
        digest = sha256(b"".join(name.encode() + b"\0" + self.files[name] for name in shared))
        return f"{self.version}-{digest[:12]}"

    @property
    def main_stack(self) -> int:
        """Bytes of stack for the examples, built without optimisation too."""
        return MAIN_STACK

    @property
    def ram_kib(self) -> int:
        """KiB of RAM for a program that listens and does nothing else, with its stack."""
        return -(-(self.live_memory_bytes + MAIN_STACK) // 1024)

    @property
    def has_link(self) -> bool:
        """Whether the harness's link is in it."""
        return any(name.startswith("src/link/") for name in self.files)

    @property
    def has_card(self) -> bool:
        """Whether the bundle's model card is in it."""
        return "MODEL_CARD.md" in self.files


def collect(
    bundle: Bundle, *, link: bool = False, url: str = "", measured: Measured | None = None
) -> Library:
    """Generate the bundle's sources and gather everything; `link` adds the harness's frames and messages."""
    root = firmware_dir()
    files = {
        **_tree(root / "runtime" / "include", "src"),
        **_tree(root / "runtime" / "src", "src/runtime"),
        **_tree(root / "audio", AUDIO),
        "LICENSE": _licence(root),
    }
    del files[f"{AUDIO}/no_audio.c"]  # stands in for a board's own source, in stapes' firmware
    if link:
        files |= _tree(root / "link", "src/link")
    with TemporaryDirectory(prefix="stapes-export-") as directory:
        generated = generate(bundle, Path(directory), exported=True)
        files |= _tree(Path(directory), "src", only=r".*\.[ch]")
        memory, live_memory = _memory(bundle, generated)
    if "MODEL_CARD.md" in bundle.files:
        files["MODEL_CARD.md"] = bundle.files["MODEL_CARD.md"]
    return Library(
        bundle=bundle.manifest.name,
        bundle_hash=bundle.hash,
        labels=bundle.manifest.labels,
        sample_rate=bundle.manifest.frontend.sample_rate,
        memory_bytes=memory,
        live_memory_bytes=live_memory,
        files=files,
        url=url or f"urn:sha256:{bundle.hash}",
        measured=measured,
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


def _memory(bundle: Bundle, generated: Generated) -> tuple[int, int]:
    """What STAPES_CLASSIFIER_MEMORY and STAPES_LIVE_MEMORY of the runtime's headers give for this bundle."""
    window, live, classes = bundle.manifest.window, bundle.manifest.live, len(bundle.manifest.labels)
    text = "".join(path.read_text(encoding="utf-8") for path in generated.files if path.suffix == ".h")
    frame_length, bins = map(int, re.findall(r"STAPES_FRONTEND_MEMORY\((\d+)u, (\d+)u\)", text)[0])
    (windows,) = re.findall(r"STAPES_OPEN_WINDOWS\((\d+)u, (\d+)u, (\d+)u, (\d+)u\)", text)
    length, hop, frames, hop_frames = map(int, windows)
    open_windows = -(-(length + (frames - 1) * hop) // (hop_frames * hop)) + 1
    row = generated.plan.storages[0].row_bytes
    kept = 1 if generated.plan.slide else window.frames
    classifier = (
        _aligned(8 * bins + 2 * frame_length)
        + _aligned(int(generated.plan.arena_bytes))
        + 8 * open_windows
        + _aligned(_vote_bytes(bundle.manifest.decision.vote, classes))
        + _aligned(kept * row)
    )
    return classifier, (
        classifier
        + _aligned(_vote_bytes(live.smoothing, classes) if live.smoothing in VOTES else 0)
        + _aligned(CLASS_BYTES * classes)
        + _aligned(8 * classes)
        + _aligned(live.windows * classes)
        + _aligned(4 * live.windows)
        + 8 * -(-window.frames // window.hop_frames)
        + _aligned(row)
    )


CLASS_BYTES = 40
"""sizeof(stapes_live_class_t) on a device."""


def _vote_bytes(vote: str, classes: int) -> int:
    return classes * (8 + 4 * VOTES[vote].words)


def _aligned(size: int) -> int:
    return -(-size // 8) * 8
