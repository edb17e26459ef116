"""FARM.toml: the boards of a desk or a rack, each with a way to it, a probe and labels."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stapes.errors import TargetError
from stapes.files import read_file
from stapes.recipe.recipe import explain
from stapes.targets import board_for_target, runs_here

MOST_BYTES = 1 << 20
HINT = "see docs/farm.md"

Word = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,39}$")]
Text = Annotated[str, Field(min_length=1, max_length=300)]


class FarmBoard(BaseModel):
    """One board: `target`, or `port` with what is there as `board`, where that is known."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: Word
    target: Text | None = None
    board: Text | None = None
    port: Text | None = None
    probe: Text | None = None
    tool: Text | None = None
    labels: Annotated[tuple[Word, ...], Field(strict=False)] = ()
    bundles: Annotated[tuple[Text, ...] | None, Field(strict=False)] = None
    """Names of the bundles that this board is for; None: all."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.target is None) == (self.port is None):
            raise ValueError("give either target or port")
        if self.target and self.board:
            raise ValueError("target names the board already: leave board out")
        return self

    @property
    def way(self) -> str:
        """The target's name."""
        if self.target is not None:
            return self.target
        return f"board:{self.board}@{self.port}" if self.board else str(self.port)

    @property
    def firmware(self) -> str | None:
        """The board whose firmware it runs; None where that is not ours to know."""
        return board_for_target(self.way)

    def takes(self, bundle: str) -> bool:
        """Whether it is for the bundle of that name."""
        return self.bundles is None or bundle in self.bundles

    def is_labelled(self, labels: Sequence[str]) -> bool:
        """Whether it is one of these: by a label or by its own name."""
        return bool({self.name, *self.labels} & set(labels))


class _Farm(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    boards: dict[str, FarmBoard] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _named(cls, value: object) -> object:
        """The key of a board's table is its name."""
        if not isinstance(value, dict) or not isinstance(value.get("boards"), dict):
            return value
        boards = {
            key: {**table, "name": key} if isinstance(table, dict) and "name" not in table else table
            for key, table in value["boards"].items()
        }
        return {**value, "boards": boards}


def load_farm(path: Path) -> list[FarmBoard]:
    """The boards in the order of the file; `TargetError`, one line, for everything that is wrong in it."""
    try:
        farm = _Farm.model_validate(tomllib.loads(read_file(path, MOST_BYTES).decode("utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise TargetError(f"cannot read {path}: {reason}", hint=HINT) from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise TargetError(f"{path} is not TOML: {error}", hint="correct that line") from error
    except ValidationError as error:
        raise TargetError(f"{path}: {explain(error)}", hint=HINT) from error
    boards = list(farm.boards.values())
    _require_sound(boards, path)
    return boards


def _require_sound(boards: Sequence[FarmBoard], path: Path) -> None:
    """Every target has a name that is known, and no two boards are on one line."""
    lines: dict[str, str] = {}
    for board in boards:
        try:
            board.firmware  # noqa: B018 (raises for a target that is none)
        except TargetError as error:
            raise TargetError(f"{path}: boards.{board.name}: {error.message}", hint=error.hint) from error
        if runs_here(board.way):
            continue
        way = board.way
        line = way.partition("@")[2] if way.startswith("board:") else way
        if line in lines:
            raise TargetError(
                f"{path}: boards.{lines[line]} and boards.{board.name} are both on {line or 'no port'}",
                hint="give each board its own port or auto:SERIAL",
            )
        lines[line] = board.name


def choose_boards(boards: Sequence[FarmBoard], labels: Sequence[str]) -> list[FarmBoard]:
    """Those with one of the labels or names; all without any. `TargetError` for a label that no board has."""
    known = sorted({word for board in boards for word in (board.name, *board.labels)})
    unknown = [label for label in labels if label not in known]
    if unknown:
        raise TargetError(f"no board is labelled {', '.join(unknown)}", hint=f"choose of {', '.join(known)}")
    return [board for board in boards if not labels or board.is_labelled(labels)]
