"""docs/recipe.md, written from the models themselves: `python -m stapes.recipe.reference > docs/recipe.md`."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from typing import Annotated, Any, get_args

from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from stapes.recipe.recipe import Recipe

_HEAD = """# Recipes

A recipe is a TOML file that says everything about a bundle before it is trained: `stapes train RECIPE --data DIR
--out BUNDLE`. Only `name` must be given; every other key has the default below. An unknown key or an impossible
value is refused before anything starts, all of them named at once. `models/esc10/recipe.toml` is an example.

This page is written from the program: `python -m stapes.recipe.reference > docs/recipe.md`.
"""

_TAIL = """## What must fit together

- `n_fft` is a power of two, at least `frame_length`; `hop_length` is at most `frame_length`.
- `fmin` < `fmax` ≤ half of `sample_rate`.
- `filters` and `strides` have one entry a layer; no stride is larger than the map it works on.
- A recording must be as long as one window: `frame_length + (frames - 1) * hop_length` samples.
- `normalization` is in the unit of `frontend.log`: for `db` multiply the defaults by 4.34, for `log2` by 1.44.
"""


def recipe_reference() -> str:
    """The text of docs/recipe.md: every key, its values, its default, what it means."""
    return "\n".join([_HEAD, *_sections("", Recipe), _TAIL])


def _sections(path: str, model: type[BaseModel]) -> Iterator[str]:
    """The table of a section's own keys, then the sections inside it."""
    inner = {name: found for name, field in model.model_fields.items() if (found := _section(field))}
    yield _table({name: field for name, field in model.model_fields.items() if name not in inner})
    for name, section in inner.items():
        where = f"{path}.{name}".lstrip(".")
        yield f"## `[{where}]`\n\n{inspect.cleandoc(section.__doc__ or '')}\n"
        yield from _sections(where, section)


def _section(field: FieldInfo) -> type[BaseModel] | None:
    """The model behind a key that is a section of its own (one that may be absent included)."""
    for kind in (field.annotation, *get_args(field.annotation)):
        if inspect.isclass(kind) and issubclass(kind, BaseModel):
            return kind
    return None


def _table(fields: dict[str, FieldInfo]) -> str:
    lines = ["| key | values | default | meaning |", "|---|---|---|---|"]
    for name, field in fields.items():
        default = "(required)" if field.is_required() else f"`{_toml(field.default)}`"
        if field.default is None:
            default = "none"
        lines.append(f"| `{name}` | {_values(field)} | {default} | {field.description} |")
    return "\n".join(lines) + "\n"


def _values(field: FieldInfo) -> str:
    schema = _schema(field)
    schema = next(each for each in schema.get("anyOf", [schema]) if each.get("type") != "null")
    if "enum" in schema:
        return ", ".join(f"`{_toml(value)}`" for value in schema["enum"])
    if schema["type"] == "array":
        if "prefixItems" in schema:
            return " and ".join(_kind(item) for item in schema["prefixItems"])
        return f"list of {_kind(schema['items'])}"
    return _kind(schema)


def _schema(field: FieldInfo) -> dict[str, Any]:
    annotated: Any = field.annotation
    for item in field.metadata:
        annotated = Annotated[annotated, item]
    return TypeAdapter(annotated).json_schema()


def _kind(schema: dict[str, Any]) -> str:
    if schema.get("type") == "object":
        return f"table of {_kind(schema['additionalProperties'])}"
    if "pattern" in schema:
        # A bar would end the table's cell.
        return f"text like `{schema['pattern']}`".replace("|", "\\|")
    words = {"boolean": "true or false", "integer": "whole number", "number": "number", "string": "text"}
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = [f"{sign} {schema[name]:g}" for name, sign in signs.items() if name in schema]
    return " ".join([words[schema["type"]], ", ".join(limits)]).strip()


def _toml(value: Any) -> str:
    return json.dumps(list(value) if isinstance(value, tuple) else value)


if __name__ == "__main__":
    print(recipe_reference(), end="")
