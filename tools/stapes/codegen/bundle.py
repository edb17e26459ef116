"""Writes stapes_bundle.h and stapes_bundle.c: labels, window geometry, decision rule, hashes."""

from __future__ import annotations

from stapes.codegen.emitter import Provenance, render
from stapes.recipe import BundleManifest
from stapes.reference import DecisionRule


def bundle_sources(
    manifest: BundleManifest,
    *,
    bundle_hash: str,
    frontend_hash: str,
    rule: DecisionRule,
    provenance: Provenance,
) -> dict[str, str]:
    """The text of both files by name."""
    context = {
        "provenance": provenance,
        "title": f"Bundle {manifest.name}: labels, windows, decision",
        "labels": manifest.labels,
        "window": manifest.window,
        "frontend": manifest.frontend,
        "rule": rule,
        "bundle_hash": bytes.fromhex(bundle_hash),
        "frontend_hash": bytes.fromhex(frontend_hash),
    }
    return {
        name: render(f"{name.removeprefix('stapes_')}.j2", **context)
        for name in ("stapes_bundle.h", "stapes_bundle.c")
    }
