"""A bundle as a library for other people's build systems."""

from stapes.export.export import Exported, export_bundle
from stapes.export.formats import FORMATS

__all__ = ["FORMATS", "Exported", "export_bundle"]
