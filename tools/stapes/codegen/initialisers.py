"""The last look at generated C before it is written: whether every constant fits its type.

It reads what the templates made, not what they were given, so nothing that they write by hand is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import numpy as np

from stapes.compiler.structures import INTEGERS, Initialiser, runtime
from stapes.compiler.widths import refuse

_TEXT = re.compile(r'"(?:\\.|[^"\\])*"|/\*.*?\*/', flags=re.DOTALL)
_MACRO = re.compile(r"^#define (\w+) (-?\d+)u?$", flags=re.MULTILINE)
_CONSTANT = re.compile(r"\bconst (\w+) (\w+)(\[[^\]]*\])? = ")
_TOKEN = re.compile(r'"(?:\\.|[^"\\])*"|\w+|[^\w\s]')
_NUMBER = re.compile(r"-?\d+")
_SUFFIX = re.compile(r"(?<=\d)(?:u|U|ull|ULL)\b")
LOWEST = "(-2147483647 - 1)"


def constants_of(text: str, macros: Mapping[str, int]) -> Iterator[tuple[str, str, Initialiser]]:
    """Type, name and value of every constant that `text` defines of a type that the runtime's headers know."""
    text = _TEXT.sub(lambda found: '""' if found[0][0] == '"' else " ", text).replace(LOWEST, str(-(2**31)))
    known = runtime().structures
    for found in _CONSTANT.finditer(text):
        ctype, name, is_array = found[1], found[2], found[3] is not None
        if ctype in INTEGERS and is_array:
            body = text[found.end() : text.index("}", found.end())]
            numbers = [int(number) for number in _NUMBER.findall(_SUFFIX.sub("", body))]
            yield (
                ctype,
                name,
                np.array(numbers, dtype=object if max(numbers, default=0) >= 2**63 else np.int64),
            )
        elif ctype in INTEGERS or ctype in known:
            value = _Reader(text, found.end(), macros).value()
            if not is_array:
                yield ctype, name, value
            elif isinstance(value, Mapping):
                for index, part in value.items():
                    yield ctype, f"{name}[{index}]", part
        else:
            assert not ctype.startswith("stapes_"), f"{name}: no header declares {ctype}"


def check_constants(texts: Mapping[str, str]) -> None:
    """Raise `UnsupportedModelError` with every constant of the generated files `texts` (by name) that does not fit."""
    refuse(misfits(texts))


def misfits(texts: Mapping[str, str]) -> list[str]:
    """File, path, value and limit of each."""
    macros = {found[1]: int(found[2]) for text in texts.values() for found in _MACRO.finditer(text)}
    return [
        f"{file}: {misfit}"
        for file, text in texts.items()
        for ctype, name, value in constants_of(text, macros)
        for misfit in runtime().misfits(ctype, value, name)
    ]


class _Reader:
    """Reads one initialiser."""

    def __init__(self, text: str, start: int, macros: Mapping[str, int]) -> None:
        self.tokens = (found[0] for found in _TOKEN.finditer(text, start))
        self.macros = macros
        self.token = next(self.tokens)

    def take(self) -> str:
        token, self.token = self.token, next(self.tokens)
        return token

    def value(self) -> Initialiser:
        """Braces, or an expression up to a comma, a brace or a semicolon outside of parentheses."""
        if self.token != "{":
            return self.expression()
        self.take()
        members: dict[str | int, Initialiser] = {}
        while self.token != "}":
            if self.token == ".":
                self.take()
                name = self.take()
                assert self.take() == "=", f"a member {name} without a value"
                members[name] = self.value()
            else:  # those without a name come before those with one
                members[len(members)] = self.value()
            if self.token == ",":
                self.take()
        self.take()
        return members

    def expression(self) -> Initialiser:
        """A number, or text for everything that is none."""
        tokens: list[str] = []
        depth = 0
        while depth or self.token not in (",", "}", ";"):
            depth += (self.token in "([") - (self.token in ")]")
            tokens.append(self.take())
        text = _SUFFIX.sub("", "".join(tokens))
        if text in self.macros:
            return self.macros[text]
        return int(text) if _NUMBER.fullmatch(text) else text
