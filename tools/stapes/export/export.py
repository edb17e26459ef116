"""Writes a library to a folder that is complete or not there."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stapes.codegen.emitter import API_VERSION
from stapes.errors import StapesError
from stapes.export.formats import FORMATS
from stapes.export.library import Library, collect
from stapes.export.sizes import Measured
from stapes.files import sha256
from stapes.recipe import Bundle

PROVENANCE = "provenance.json"


@dataclass(frozen=True)
class Exported:
    """What was written where."""

    directory: Path
    format: str
    library: Library
    files: list[str]

    def as_json(self) -> dict[str, Any]:
        """The keys of `stapes export --json`."""
        return {
            "format": self.format,
            "out": str(self.directory),
            "name": self.library.name,
            "bundle_hash": self.library.bundle_hash,
            "memory_bytes": self.library.memory_bytes,
            "live_memory_bytes": self.library.live_memory_bytes,
            "measured": self.library.measured.as_json() if self.library.measured else None,
            "files": self.files,
        }


def export_bundle(
    bundle: Bundle,
    format_name: str,
    out: Path,
    *,
    force: bool = False,
    link: bool = False,
    url: str = "",
    measured: Measured | None = None,
) -> Exported:
    """Write `bundle` as a library of that format to `out`, all at once; `measured` goes into its README.

    Refuses a folder that is not empty; with `force` it replaces an earlier export, and nothing else.
    """
    if format_name not in FORMATS:
        raise StapesError(f"unknown format {format_name!r}", hint=f"choose one of {', '.join(FORMATS)}")
    require_free(out, force=force)
    library = collect(bundle, link=link, url=url, measured=measured)
    files = library.files | {name: text.encode() for name, text in FORMATS[format_name](library).items()}
    files[PROVENANCE] = _provenance(library, format_name, files)
    try:
        _write(out.absolute(), files)
    except OSError as error:
        raise StapesError(f"cannot write {out}: {error.strerror}", hint="choose another --out DIR") from error
    return Exported(out, format_name, library, sorted(files))


def require_free(out: Path, *, force: bool) -> None:
    """Raise `StapesError` where an export may not be written to `out`."""
    if out.exists() and not out.is_dir():
        raise StapesError(f"{out} is a file", hint="choose another --out DIR")
    if not out.exists() or not any(out.iterdir()):
        return
    if not force:
        raise StapesError(
            f"{out} is not empty", hint="choose another --out DIR, or --force to replace an export"
        )
    if not (out / PROVENANCE).is_file():
        raise StapesError(
            f"{out} is not an export: it has no {PROVENANCE}", hint="choose another --out DIR, or empty it"
        )


def _write(out: Path, files: dict[str, bytes]) -> None:
    """Into a folder beside `out` first, which then takes its place."""
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}."))
    try:
        fresh = temporary / "new"
        for name, content in files.items():
            path = fresh / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        if out.exists():
            out.rename(temporary / "old")
        try:
            fresh.rename(out)
        except OSError:
            if (temporary / "old").exists():
                (temporary / "old").rename(out)
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _provenance(library: Library, format_name: str, files: dict[str, bytes]) -> bytes:
    value = {
        "made_by": f"stapes {library.version}",
        "format": format_name,
        "runtime_api": API_VERSION,
        "runtime": library.runtime_id,
        "bundle": library.bundle,
        "bundle_sha256": library.bundle_hash,
        "labels": list(library.labels),
        "files": {name: sha256(content) for name, content in sorted(files.items())},
    }
    return (json.dumps(value, indent=2) + "\n").encode()
