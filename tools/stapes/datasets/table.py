"""Reading the CSV files that data sets come with."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from stapes.datasets.dataset import some
from stapes.errors import DataError


@dataclass(frozen=True)
class Row:
    """One line of a table: `where` names it in messages; absent columns and values are empty."""

    where: str
    values: dict[str, str]

    def __getitem__(self, column: str) -> str:
        return self.values.get(column) or ""

    def number(self, column: str, hint: str) -> int:
        """A whole number of at least 1; raises `DataError`."""
        text = self[column]
        if not text.isdecimal() or int(text) < 1:
            raise DataError(f"{self.where}: {column} {text!r} is not a whole number from 1", hint=hint)
        return int(text)


def read_table(path: Path, columns: Sequence[str], hint: str) -> Iterator[Row]:
    """The rows of a CSV file; raises `DataError` when it cannot be read or lacks one of `columns`."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            absent = [name for name in columns if name not in (reader.fieldnames or ())]
            if absent:
                raise DataError(f"{path}: no column {', '.join(absent)}", hint=hint)
            rows = list(reader)
    except FileNotFoundError as error:
        raise DataError(f"{path} is missing", hint=hint) from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} cannot be read ({error})", hint=hint) from error
    for number, row in enumerate(rows, start=2):
        yield Row(f"{path}, line {number}", row)


def require_directory(directory: Path, hint: str) -> None:
    """Raise `DataError` where there is no such directory."""
    if not directory.is_dir():
        raise DataError(f"no data directory {directory}", hint=hint)


def require_files(paths: Sequence[Path], hint: str) -> None:
    """Raise one `DataError` for all files that are missing."""
    missing = [path.name for path in paths if not path.is_file()]
    if missing:
        raise DataError(f"{len(missing)} of {len(paths)} recordings are missing: {some(missing)}", hint=hint)
