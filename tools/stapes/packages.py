"""Packages that only some work needs: one that is missing is named, with the command that installs it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec

from stapes.errors import ToolError


@dataclass(frozen=True)
class Package:
    """A package by the name that is imported: the extra of stapes that brings it ("": stapes itself does), its name
    where it is installed from, and the Debian package of a library that its wheel may lack.
    """

    module: str
    extra: str
    needed_for: str
    name: str = ""
    library: str = ""

    @property
    def distribution(self) -> str:
        """What pip calls it."""
        return self.name or self.module

    @property
    def install(self) -> str:
        """The command."""
        return f"pip install 'stapes[{self.extra}]'" if self.extra else "pip install stapes"


PACKAGES = (
    Package("tflite_micro", "hil", "the network's independent reference", "tflite-micro"),
    Package("tflite", "", "reading networks"),
    Package("soundfile", "", "reading recordings", library="libsndfile1"),
    Package("soxr", "", "resampling recordings"),
    Package("pooch", "audio", "fetching data sets"),
    Package("requests", "audio", "fetching data sets"),
    Package("librosa", "train", "front-end parity"),
    Package("tensorflow", "train", "training"),
    Package("keras", "train", "training"),
    Package("sklearn", "train", "training forests and heads, scoring tags", "scikit-learn"),
    Package("emlearn", "train", "training forests"),
    Package("joblib", "train", "heads of your own"),
    Package("matplotlib", "train", "pictures of features and of accuracy"),
    Package("optuna", "scale", "searching for settings"),
    Package("tomli_w", "scale", "searching for settings", "tomli-w"),
    Package("ray", "scale", "training on a cluster"),
    Package("sounddevice", "live", "this computer's microphone", library="libportaudio2"),
    Package("textual", "live", "the live view"),
    Package("sed_eval", "events", "scoring events"),
    Package("dcase_util", "events", "scoring events"),
    Package("scipy", "test", "designing PDM filters"),
    Package("unicorn", "cycles", "estimates of cycles"),
)
"""Every package that may be missing where it is imported."""

_BY_MODULE = {package.module: package for package in PACKAGES}


@contextmanager
def needed_for(work: str, *modules: str, instead: str = "") -> Iterator[None]:
    """Import `modules` in this block. Raises `ToolError` that names the one that is missing and its command; `instead`
    is another way.
    """
    try:
        yield
    except (ImportError, OSError) as error:  # OSError: a library that the package loads
        missing = (getattr(error, "name", None) or "").partition(".")[0]
        package = _BY_MODULE[missing if missing in modules else modules[0]]
        hint = package.install
        if package.library and isinstance(error, OSError):
            hint = f"sudo apt-get install {package.library}"
        raise ToolError(
            f"{work} needs {package.distribution} ({error})",
            hint=_or(hint, instead),
        ) from error


def is_there(module: str) -> bool:
    """Whether a package is installed."""
    return find_spec(module) is not None


def require(work: str, *modules: str, instead: str = "") -> None:
    """Raise `ToolError` where one of `modules` is missing, without the seconds that importing them may take."""
    missing = [_BY_MODULE[module] for module in modules if not is_there(module)]
    if missing:
        names = " and ".join(package.distribution for package in missing)
        raise ToolError(f"{work} needs {names}", hint=_or(missing[0].install, instead))


def _or(hint: str, instead: str) -> str:
    return f"{hint}, or {instead}" if instead else hint
