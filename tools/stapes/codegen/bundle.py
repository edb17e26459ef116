"""Writes stapes_bundle.h and stapes_bundle.c: labels, window geometry, decision rule, hashes."""

from __future__ import annotations

from stapes.codegen.emitter import Provenance, render
from stapes.recipe import BundleManifest


def bundle_sources(
    manifest: BundleManifest,
    *,
    bundle_hash: str,
    frontend_hash: str,
    zero_point: int,
    threshold: int,
    full_score: int,
    provenance: Provenance,
) -> dict[str, str]:
    """The text of both files by name; the three numbers are in steps of the network's output."""
    context = {
        "provenance": provenance,
        "title": f"Bundle {manifest.name}: labels, windows, decision",
        "labels": manifest.labels,
        "window": manifest.window,
        "frontend": manifest.frontend,
        "decision": manifest.decision,
        "zero_point": zero_point,
        "threshold": threshold,
        "full_score": full_score,
        "bundle_hash": bytes.fromhex(bundle_hash),
        "frontend_hash": bytes.fromhex(frontend_hash),
    }
    return {
        name: render(f"{name.removeprefix('stapes_')}.j2", **context)
        for name in ("stapes_bundle.h", "stapes_bundle.c")
    }
