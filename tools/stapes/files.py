"""Writing files so that nothing is ever left half written, hashing them; where the C sources are."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import math
import os
import re
import stat
import tempfile
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

_UMASK = os.umask(0)
os.umask(_UMASK)

_PLACE = re.compile(r"<!-- (\w+) -->\n.*?<!-- end -->", flags=re.DOTALL)


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write `content` to a temporary name beside `path`, then move it there."""
    write_all(path.parent, {path.name: content})


def write_all(directory: Path, contents: Mapping[str, bytes | str | Callable[[], bytes]]) -> None:
    """Write files that belong together, by their paths below `directory`: under temporary names first, then all are
    moved to their places, in order. When one cannot be written (a full disk), none is, and no new folder stays.

    A content may be a function: it is made when it is written, and whatever it raises leaves nothing either.
    """
    made: list[Path] = []
    written: list[tuple[Path, Path]] = []
    try:
        for folder in (directory, *((directory / name).parent for name in contents)):
            _make_folder(folder, made)
        for name, content in contents.items():
            path = directory / name
            handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
            written.append((Path(temporary), path))
            with os.fdopen(handle, "wb") as stream:
                data = content() if callable(content) else content
                stream.write(data.encode() if isinstance(data, str) else data)
            Path(temporary).chmod(0o666 & ~_UMASK)
        for source, path in written:
            source.replace(path)
    except BaseException:
        for source, _ in written:
            source.unlink(missing_ok=True)
        for folder in reversed(made):
            with contextlib.suppress(OSError):
                folder.rmdir()  # unless something was put there meanwhile
        raise


def _make_folder(folder: Path, made: list[Path]) -> None:
    """Make a folder and those above it; appends what was not there to `made`, outermost first."""
    if not folder.is_dir():
        if folder != folder.parent:
            _make_folder(folder.parent, made)
        folder.mkdir(exist_ok=True)
        made.append(folder)


MOST_BYTES = 256 << 20
"""The longest file that is read whole."""


def read_file(path: Path, most: int = MOST_BYTES, *, follow: bool = True) -> bytes:
    """The content of a plain file that a stranger may have put there.

    Raises OSError as `open` does, and for devices, pipes, files of more than `most` bytes and, unless `follow`, links:
    none of these are read.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | (0 if follow else os.O_NOFOLLOW))
    with os.fdopen(handle, "rb") as stream:
        about = os.fstat(handle)
        if not stat.S_ISREG(about.st_mode):
            raise OSError(errno.EINVAL, "not a plain file", str(path))
        if about.st_size > most:
            raise OSError(errno.EFBIG, f"{about.st_size:,} bytes, at most {most:,} are read", str(path))
        return stream.read()


def read_json(path: Path, most: int = 64 << 20, *, follow: bool = True) -> Any:
    """The value of a JSON file; OSError as `read_file`, ValueError for what is no JSON (infinite numbers, values nested
    too deeply, and text that is not UTF-8 included).
    """

    return parse_json(read_file(path, most, follow=follow))


def parse_json(data: bytes) -> Any:
    """The value of a JSON text; ValueError as `read_json`."""

    def refuse(name: str) -> Any:
        raise ValueError(f"{name} is no number of JSON")

    try:
        return json.loads(data.decode("utf-8"), parse_constant=refuse)
    except RecursionError as error:
        raise ValueError("values are nested too deeply") from error


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically."""
    write_atomic(path, json_text(value))


def json_text(value: Any) -> str:
    """`value` as indented JSON; a float that JSON has no number for (nan, infinity) is null: a result is never lost."""
    try:
        return json.dumps(value, indent=2, allow_nan=False) + "\n"
    except ValueError:
        return json.dumps(finite(value), indent=2, allow_nan=False) + "\n"


def finite(value: Any) -> Any:
    """`value` with None for every float in it that is not finite."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    return value


def printable(text: str, keep: str = "") -> str:
    """`text` of a stranger as a terminal may show it: what is not printable (escape codes, line ends, half characters)
    is shown as `\\x1b`, except the characters of `keep`.
    """
    return "".join(
        char if char.isprintable() or char in keep else char.encode("unicode_escape").decode()
        for char in text
    )


def safe_name(text: str) -> str:
    """`text` as part of a file's name: `qemu:netduinoplus2` is `qemu-netduinoplus2`.

    It is one part of a path, not hidden, not empty, and of at most 80 characters, whatever `text` is; two texts may
    have the same.
    """
    return re.sub(r"[^\w.-]+", "-", text)[:80].strip("-.") or "_"


def free_path(directory: Path, name: str, suffix: str) -> Path:
    """`name` + `suffix` in `directory`, with a number where there is such a file; `name` may be any text."""
    safe = safe_name(name)
    path, number = directory / f"{safe}{suffix}", 2
    while path.exists():
        path, number = directory / f"{safe}-{number}{suffix}", number + 1
    return path


def with_tables(text: str, names: Iterable[str], table: Callable[[str], str]) -> str:
    """A page's `text` with what is between `<!-- NAME -->` and `<!-- end -->` written again, by `table(NAME)` in lines.

    Raises `KeyError` where one of `names` has no place in it.
    """
    left_out = set(names) - set(_PLACE.findall(text))
    if left_out:
        raise KeyError(f"no place for {', '.join(sorted(left_out))}")
    return _PLACE.sub(lambda found: f"<!-- {found[1]} -->\n{table(found[1])}<!-- end -->", text)


def sha256(data: bytes) -> str:
    """Hex SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's content, read in blocks; raises `OSError`."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def canonical_json(value: Any) -> bytes:
    """The one JSON text of `value` that hashes are taken from: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


@cache
def package_hash() -> str:
    """Hex SHA-256 of all of stapes: what it keeps from one run to the next is only good for the stapes that made it."""
    root = Path(__file__).parent
    files = sorted(path for path in root.rglob("*") if path.suffix in {".py", ".j2", ".def"})
    return sha256(
        canonical_json([[str(path.relative_to(root)), sha256(path.read_bytes())] for path in files])
    )
