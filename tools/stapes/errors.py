"""The one exception tree of the package.

Every error a user can cause or meet is a `StapesError`: one line that says what was wrong and where,
and a hint that says what to do next. The command line prints exactly those and exits with 1.
"""

from __future__ import annotations


class StapesError(Exception):
    """Base of all errors that stapes raises on purpose.

    `message` says what was wrong and where; `hint` says what to do next (may be empty).
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


class RecipeError(StapesError):
    """The recipe has an unknown key, a wrong type or an impossible combination of values."""


class DataError(StapesError):
    """Recordings are missing, unreadable, empty or too short."""


class BundleError(StapesError):
    """A bundle is incomplete, corrupt, or its parts do not belong together."""


class ModelError(StapesError):
    """A .tflite file is corrupt or cannot be understood."""


class UnsupportedModelError(ModelError):
    """A .tflite file is valid but uses what the compiler does not support.

    `unsupported` lists every finding at once, each "what, where".
    """

    def __init__(self, message: str, unsupported: list[str], *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.unsupported = unsupported


class ToolError(StapesError):
    """A program that is needed (compiler, CMake, emulator) or an optional package is missing or failed."""


class BuildError(StapesError):
    """Compiling or linking the firmware failed."""


class TooLargeError(BuildError):
    """The firmware does not fit into the board's memory: `missing` has the bytes that each region lacks."""

    def __init__(self, message: str, missing: dict[str, int], *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.missing = missing


class TargetError(StapesError):
    """A target (host program, emulator, board) did not start or stopped."""


class LinkError(StapesError):
    """The conversation with a target failed: no answer, a protocol error, a refused request."""


class IdentityError(LinkError):
    """The target runs something else than what it is about to be compared with."""
