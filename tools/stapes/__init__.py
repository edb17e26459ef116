"""stapes: from sound recordings to a microcontroller whose every bit is proven equal to Python's.

The promised part of the library, all of it importable from here:

    Bundle                    a trained bundle: `Bundle.load(path)`
    Classifier                what the device says of a sound, bit for bit, without a device
    read_audio                a recording as the device hears it
    check_bundle              run clips on a target and compare every bit
    select_clips              clips for that: recordings, or synthetic ones
    open_target               the byte stream of a target: host, emulator, board or URL
    compile_bundle            the network planned for a microcontroller: layers, memory, multiplications
    StapesError               what all errors are: `message` in one line, `hint` what to do

    >>> import stapes
    >>> classifier = stapes.Classifier("models/esc10-nano")
    >>> classifier.labels[:3]
    ('chainsaw', 'clock_tick', 'crackling_fire')

Everything else may change from one version to the next. docs/python.md goes through it with examples.
"""

from __future__ import annotations

from stapes.version import __version__ as __version__

TYPE_CHECKING = False  # typing's own, without the time that importing it takes
if TYPE_CHECKING:
    from stapes.check import CheckReport, check_bundle, select_clips
    from stapes.compiler import Plan, compile_bundle
    from stapes.datasets import read_audio
    from stapes.errors import StapesError
    from stapes.recipe import Bundle
    from stapes.reference import Classification, Classifier
    from stapes.targets import open_target

# Imported when they are first used: `import stapes` stays as quick as it is small.
_PUBLIC = {
    "Bundle": "recipe",
    "CheckReport": "check",
    "Classification": "reference",
    "Classifier": "reference",
    "Plan": "compiler",
    "StapesError": "errors",
    "check_bundle": "check",
    "compile_bundle": "compiler",
    "open_target": "targets",
    "read_audio": "datasets",
    "select_clips": "check",
}

__all__ = [
    "Bundle",
    "CheckReport",
    "Classification",
    "Classifier",
    "Plan",
    "StapesError",
    "check_bundle",
    "compile_bundle",
    "open_target",
    "read_audio",
    "select_clips",
]


def __getattr__(name: str) -> object:
    import importlib

    room = _PUBLIC.get(name)
    if room is None:
        raise AttributeError(f"module 'stapes' has no attribute {name!r}")
    return getattr(importlib.import_module(f"stapes.{room}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_PUBLIC])
