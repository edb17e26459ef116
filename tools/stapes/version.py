"""The version of the package, of what it generates and of what it reports."""

__version__ = "0.1.0"
