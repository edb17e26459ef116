"""stapes: from sound recordings to a microcontroller whose every bit is proven equal to Python's."""

__version__ = "0.1.0"
