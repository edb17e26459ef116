"""Where the C sources are."""

from __future__ import annotations

from pathlib import Path

import stapes
from stapes.errors import ToolError


def firmware_dir() -> Path:
    """The directory `firmware/`: inside an installed package `stapes/_firmware`, else beside the checkout's
    tools.
    """
    package = Path(stapes.__file__).resolve().parent
    for candidate in (package / "_firmware", package.parents[1] / "firmware"):
        if (candidate / "CMakeLists.txt").is_file():
            return candidate
    raise ToolError("the firmware sources are missing from this installation", hint="install stapes again")
