"""A recipe as TOML."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from stapes.recipe.recipe import Recipe


def recipe_text(recipe: Recipe) -> str:
    """TOML that `load_recipe` reads back as `recipe`; what has its default is left out."""
    values = recipe.model_dump(mode="json", exclude_defaults=True, exclude_none=True)
    return "\n".join(_table(values, ())) + "\n"


def _table(values: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    plain = {key: value for key, value in values.items() if not isinstance(value, dict)}
    lines = ["", f"[{'.'.join(map(_key, path))}]"] if path and plain else []
    lines += [f"{_key(key)} = {_value(value)}" for key, value in plain.items()]
    for key, value in values.items():
        if isinstance(value, dict):
            lines += _table(value, (*path, key))
    return lines


def _key(name: str) -> str:
    bare = name.isascii() and name.replace("_", "").replace("-", "").isalnum()
    return name if bare else json.dumps(name, ensure_ascii=False)


def _value(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return repr(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)
