"""Writing files so that nothing is ever left half written, hashing them; where the C sources are."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

from stapes.errors import ToolError


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write `content` to a temporary name beside `path`, then move it there."""
    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically."""
    write_atomic(path, json.dumps(value, indent=2, allow_nan=False) + "\n")


def safe_name(text: str) -> str:
    """`text` as part of a file's name: `qemu:netduinoplus2` is `qemu-netduinoplus2`."""
    return re.sub(r"[^\w.-]+", "-", text).strip("-")


def sha256(data: bytes) -> str:
    """Hex SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def canonical_json(value: Any) -> bytes:
    """The one JSON text of `value` that hashes are taken from: sorted keys, no spaces."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def firmware_dir() -> Path:
    """The directory `firmware/`: inside an installed package `stapes/_firmware`, else beside the checkout's
    tools.
    """
    package = Path(__file__).resolve().parent
    for candidate in (package / "_firmware", package.parents[1] / "firmware"):
        if (candidate / "CMakeLists.txt").is_file():
            return candidate
    raise ToolError("the firmware sources are missing from this installation", hint="install stapes again")
