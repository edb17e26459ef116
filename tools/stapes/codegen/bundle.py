"""Writes stapes_<name>.h and .c: the bundle as one object; and stapes_app.h, by which programs in firmware/app get at
the one that they are built around.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from stapes.codegen.emitter import Provenance, c_prefix, render, write_source
from stapes.recipe import BundleManifest
from stapes.reference import LiveRule

ALIAS = "stapes_app"


def generate_bundle(
    manifest: BundleManifest,
    *,
    bundle_hash: str,
    frontend_hash: str,
    threshold: int,
    full_score: int,
    live: LiveRule,
    slides: bool,
    scores: Sequence[int] = (),
    directory: Path,
    provenance: Provenance,
) -> list[Path]:
    """Write both files into `directory`; `threshold` and `full_score` are in steps of the network's output.

    `scores` are what the self-test's windows must give, one window after the other; without any there is no self-test.
    """
    prefix = c_prefix(manifest.name)
    context = {
        "provenance": provenance,
        "title": f"Bundle {manifest.name}: labels, windows, decision, how it listens",
        "name": manifest.name,
        "prefix": prefix,
        "macro": prefix.upper(),
        "labels": manifest.labels,
        "window": manifest.window,
        "frontend": manifest.frontend,
        "vote": manifest.decision.vote,
        "zero_point": live.zero_point,
        "threshold": threshold,
        "full_score": full_score,
        "live": live,
        "slides": slides,
        "scores": list(scores),
        "bundle_hash": bytes.fromhex(bundle_hash),
        "frontend_hash": bytes.fromhex(frontend_hash),
    }
    return [
        write_source(directory, f"{prefix}.{suffix}", render(f"bundle.{suffix}.j2", **context))
        for suffix in ("h", "c")
    ]


def generate_alias(name: str, headers: Sequence[Path], directory: Path, provenance: Provenance) -> list[Path]:
    """Write stapes_app.h: every macro and object of the bundle's `headers` under the name "app".

    Nothing is written for a bundle of that name: it has them already.
    """
    prefix = c_prefix(name)
    if prefix == ALIAS:
        return []
    names: list[tuple[str, str]] = []
    for header in headers:
        text = header.read_text(encoding="utf-8")
        found = re.findall(rf"^#define ({prefix.upper()}\w*)(?= )", text, flags=re.M)
        found += re.findall(rf"^extern const \w+ ({prefix}\w*);", text, flags=re.M)
        names += [(_renamed(each, prefix), each) for each in found]
    text = render(
        "alias.h.j2",
        provenance=provenance,
        title=f"The bundle that this firmware is built around: {name}",
        prefix=prefix,
        names=names,
    )
    return [write_source(directory, f"{ALIAS}.h", text)]


def _renamed(name: str, prefix: str) -> str:
    alias = ALIAS.upper() if name.startswith(prefix.upper()) else ALIAS
    return alias + name[len(prefix) :]
