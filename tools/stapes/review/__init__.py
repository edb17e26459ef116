"""Correcting labels by eye and ear: a page on this machine, its results in clips.csv."""

from stapes.review.review import Review
from stapes.review.server import ReviewServer

__all__ = ["Review", "ReviewServer"]
