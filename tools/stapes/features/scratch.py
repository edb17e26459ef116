"""Memory that is used again."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt


class Scratch:
    """Arrays by name, kept for the next time: touching fresh memory costs as much as the arithmetic in it."""

    def __init__(self) -> None:
        self._memory: dict[str, npt.NDArray[Any]] = {}

    def int32(self, name: str, *shape: int) -> npt.NDArray[np.int32]:
        """An array of that shape with any values; what was under that name before is overwritten by it."""
        return self._array(name, shape, np.dtype(np.int32))

    def int64(self, name: str, *shape: int) -> npt.NDArray[np.int64]:
        """As `int32`."""
        return self._array(name, shape, np.dtype(np.int64))

    def _array(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        size = math.prod(shape)
        kept = self._memory.get(name)
        if kept is None or kept.size < size or kept.dtype != dtype:
            kept = self._memory[name] = np.empty(size, dtype)
        return kept[:size].reshape(shape)
