"""A bundle as a library for other people's build systems."""

from stapes.export.export import Exported, export_bundle, require_free
from stapes.export.formats import FORMATS
from stapes.export.sizes import Measured, measure

__all__ = ["FORMATS", "Exported", "Measured", "export_bundle", "measure", "require_free"]
