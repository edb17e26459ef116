"""What a core waits for its flash: wait states, prefetch, caches of instructions and of data."""

from __future__ import annotations


class Flash:
    """The flash interface of an STM32F4 (RM0090, 3.5) or STM32L4 (RM0351, 3.3.4).

    Flash is read by rows, one at a time, and a row takes the wait states and one cycle. Each cache keeps rows, and the
    least recently used one makes room. While the core executes a row, the next one is read.
    """

    def __init__(self, row_bytes: int, instruction_rows: int, data_rows: int) -> None:
        self.row_bytes = row_bytes
        self._rows = (instruction_rows, data_rows)
        self.set_control(wait_states=0, prefetch=False, instruction_cache=False, data_cache=False)

    def set_control(
        self, *, wait_states: int, prefetch: bool, instruction_cache: bool, data_cache: bool
    ) -> None:
        """Set the wait states and switch the rest on or off; nothing is cached then."""
        self.wait_states = wait_states
        self._prefetches = prefetch
        self._instruction_rows = self._rows[0] if instruction_cache else 0
        self._data_rows = self._rows[1] if data_cache else 0
        self._instructions: dict[int, None] = {}
        self._data: dict[int, None] = {}
        self._executed = self._last_data = self._next = -1
        self._next_ready = self._free = 0

    def fetch(self, row: int, now: int) -> int:
        """Cycles that the core waits for the instructions in a row, which is an address over `row_bytes`."""
        if row == self._executed or self.wait_states == 0:
            return 0
        self._executed = row
        waits = 0
        if row in self._instructions:
            self._instructions[row] = self._instructions.pop(row)
        else:
            waits = max(0, self._next_ready - now) if row == self._next else self._read(now)
            _keep(self._instructions, row, self._instruction_rows)
        if self._prefetches and row + 1 != self._next and row + 1 not in self._instructions:
            start = now + waits + 1
            self._next, self._next_ready = row + 1, start + self._read(start)
        return waits

    def read(self, address: int, now: int) -> int:
        """Cycles that the core waits for data."""
        row = address // self.row_bytes
        if row == self._last_data or self.wait_states == 0:
            return 0
        self._last_data = row
        if row in self._data:
            self._data[row] = self._data.pop(row)
            return 0
        _keep(self._data, row, self._data_rows)
        return self._read(now)

    def _read(self, now: int) -> int:
        """Cycles from now until a row is there."""
        waits = max(0, self._free - now) + self.wait_states
        self._free = now + waits
        return waits


def _keep(cache: dict[int, None], row: int, most: int) -> None:
    cache[row] = None
    if len(cache) > most:
        del cache[next(iter(cache))]
