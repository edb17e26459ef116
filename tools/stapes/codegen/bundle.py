"""Writes stapes_<name>.h and .c: the bundle as one object; and stapes_app.h, by which programs in firmware/app get at
the one that they are built around.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from stapes.codegen.emitter import Provenance, c_prefix, render
from stapes.recipe import BundleManifest
from stapes.reference import DecisionRule, LiveRule

ALIAS = "stapes_app"


def bundle_sources(
    manifest: BundleManifest,
    *,
    bundle_hash: str,
    frontend_hash: str,
    rule: DecisionRule,
    live: LiveRule,
    slides: bool,
    scores: Sequence[int] = (),
    provenance: Provenance,
) -> dict[str, str]:
    """The text of both files by name.

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
        "rule": rule,
        "live": live,
        "slides": slides,
        "scores": list(scores),
        "bundle_hash": bytes.fromhex(bundle_hash),
        "frontend_hash": bytes.fromhex(frontend_hash),
    }
    return {f"{prefix}.{suffix}": render(f"bundle.{suffix}.j2", **context) for suffix in ("h", "c")}


def alias_source(name: str, texts: Mapping[str, str], provenance: Provenance) -> dict[str, str]:
    """The text of stapes_app.h by its name: every macro and object of the bundle's headers under the name "app".

    There is none for a bundle of that name: it has them already.
    """
    prefix = c_prefix(name)
    if prefix == ALIAS:
        return {}
    names: list[tuple[str, str]] = []
    for file, text in texts.items():
        if file.endswith(".h"):
            found = re.findall(rf"^#define ({prefix.upper()}(?:_\w+)?)(?= )", text, flags=re.M)
            found += re.findall(rf"^extern const \w+ ({prefix}(?:_\w+)?);", text, flags=re.M)
            names += [(_renamed(each, prefix), each) for each in found]
    text = render(
        "alias.h.j2",
        provenance=provenance,
        title=f"The bundle that this firmware is built around: {name}",
        prefix=prefix,
        names=names,
    )
    return {f"{ALIAS}.h": text}


def _renamed(name: str, prefix: str) -> str:
    alias = ALIAS.upper() if name.startswith(prefix.upper()) else ALIAS
    return alias + name[len(prefix) :]
