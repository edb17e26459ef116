"""Firmware of a bundle, built anew only where something that it follows from has changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stapes.errors import StapesError, TooLargeError
from stapes.files import canonical_json, package_hash, sha256, write_json
from stapes.firmware.build import BuildResult, build_firmware, require_compiler, source_hash
from stapes.progress import Progress, no_progress

if TYPE_CHECKING:
    from stapes.recipe import Bundle

STAMP = "stapes-build.json"


def build_bundle(
    bundle: Bundle,
    directory: Path,
    board: str,
    out_dir: Path,
    app: str = "hil",
    *,
    definitions: dict[str, str] | None = None,
    progress: Progress = no_progress,
) -> BuildResult:
    """Write `bundle`'s C into `directory`/generated and build `app` with it for `board` in `out_dir`, as far as needed.

    Nothing is done where the image and the C are still those of an earlier build of the same bundle, by the same
    stapes, from the same sources, with the same `definitions` (further CMake variables). Raises as `generate` and
    `build_firmware`.
    """
    require_compiler(board)
    key = sha256(canonical_json([bundle.hash, package_hash(), source_hash(board, app), definitions or {}]))
    kept = _kept(key, directory, out_dir)
    if kept is not None:
        return kept
    from stapes.codegen import generate

    generated = generate(bundle, directory / "generated")
    try:
        built = build_firmware(
            generated.directory, board, out_dir, app, definitions=definitions, progress=progress
        )
    except TooLargeError as error:
        smaller = _next_smaller(bundle, app, error.missing)
        if smaller:
            error.hint = f"by its weights and working memory {smaller} fits; {error.hint}"
        raise
    files = {str(path.relative_to(directory)): sha256(path.read_bytes()) for path in generated.files}
    result = built.as_json() | {"elf": sha256(built.elf.read_bytes())}
    write_json(out_dir / STAMP, {"key": key, "files": files, "result": result})
    return built


def _next_smaller(bundle: Bundle, app: str, missing: dict[str, int]) -> str:
    """The largest of the bundles beside `bundle` for the same labels that takes as much less of every region as is
    missing; or nothing.
    """
    from stapes.recipe import Bundle

    own = _needs(bundle, app)
    fitting = []
    for path in sorted(bundle.directory.parent.glob("*/bundle.json")):
        try:
            other = Bundle.load(path.parent)
            if set(other.manifest.labels) != set(bundle.manifest.labels):
                continue
            needs = _needs(other, app)
        except StapesError:
            continue  # damaged, or of a later stapes: nothing to advise
        saved = {"FLASH": own[0] - needs[0], "RAM": own[1] - needs[1]}
        if all(saved.get(region, 0) >= count for region, count in missing.items()):
            fitting.append((sum(needs), str(path.parent)))
    return max(fitting)[1] if fitting else ""


def _needs(bundle: Bundle, app: str) -> tuple[int, int]:
    """Bytes of weights, and of working memory: network, front end, and the rows that are kept."""
    from stapes.compiler import compile_bundle

    plan, frontend = compile_bundle(bundle), bundle.manifest.frontend
    kept = 1 if plan.slide and app != "hil" else bundle.manifest.window.frames
    buffers = 4 * frontend.n_fft + 2 * frontend.frame_length
    return plan.weights_bytes, plan.arena_bytes + buffers + kept * plan.storages[0].row_bytes


def _kept(key: str, directory: Path, out_dir: Path) -> BuildResult | None:
    """The earlier build, where it is of that key and none of its files was touched."""
    elf = out_dir.absolute() / "stapes.elf"
    try:
        stamp: dict[str, Any] = json.loads((out_dir / STAMP).read_bytes())
        result: dict[str, Any] = stamp["result"]
        files = {elf: result.pop("elf")} | {
            directory / name: digest for name, digest in stamp["files"].items()
        }
        if stamp["key"] != key or any(sha256(path.read_bytes()) != digest for path, digest in files.items()):
            return None
        return BuildResult(elf, **result)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # none yet, or damaged
