"""Writes stapes_<name>.h and .c: the bundle as one object; and stapes_app.h, by which programs in firmware/app get at
the one that they are built around.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from stapes.codegen.emitter import Provenance, c_prefix, render
from stapes.definitions import firmware_dir
from stapes.errors import BundleError
from stapes.recipe import VOTES, BundleManifest
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


def public_names(prefix: str, texts: Mapping[str, str]) -> list[str]:
    """Macros and objects that generated headers define, in their order."""
    names: list[str] = []
    for file, text in texts.items():
        if file.endswith(".h"):
            names += re.findall(rf"^#define ({prefix.upper()}(?:_\w+)?)(?= )", text, flags=re.M)
            names += re.findall(rf"^extern const \w+ ({prefix}(?:_\w+)?);", text, flags=re.M)
    return names


def require_free_names(name: str, texts: Mapping[str, str]) -> None:
    """Raise `BundleError` where what is generated for the bundle `name` would be called as something of the runtime."""
    headers = [
        path for room in ("runtime", "link", "audio") for path in sorted((firmware_dir() / room).rglob("*.h"))
    ]
    code = "".join(path.read_text(encoding="utf-8") for path in headers)
    code = re.sub(r"/\*.*?\*/|\bstruct \w+", "", code, flags=re.DOTALL)  # tags are no names of C
    taken = {*re.findall(r"\bstapes_\w+", code, flags=re.I), *(f"stapes_vote_{vote}" for vote in VOTES)}
    taken &= set(public_names(c_prefix(name), texts))
    if taken:
        raise BundleError(
            f"a bundle cannot be called {name}: the runtime has {', '.join(sorted(taken))} already",
            hint="give the bundle another name",
        )


def alias_source(name: str, texts: Mapping[str, str], provenance: Provenance) -> dict[str, str]:
    """The text of stapes_app.h by its name: every macro and object of the bundle's headers under the name "app".

    There is none for a bundle of that name: it has them already.
    """
    prefix = c_prefix(name)
    if prefix == ALIAS:
        return {}
    text = render(
        "alias.h.j2",
        provenance=provenance,
        title=f"The bundle that this firmware is built around: {name}",
        prefix=prefix,
        names=[(_renamed(each, prefix), each) for each in public_names(prefix, texts)],
    )
    return {f"{ALIAS}.h": text}


def _renamed(name: str, prefix: str) -> str:
    alias = ALIAS.upper() if name.startswith(prefix.upper()) else ALIAS
    return alias + name[len(prefix) :]
