"""What each stage of an upscale takes: seconds, or whatever else a reading counts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class StageClock:
    """Adds up what passes while a stage is under way. A stage within a stage stops the outer one meanwhile.

    Attributes:
        spent: how far the reading went during each stage so far, by the stage's name.
    """

    def __init__(self, reading: Callable[[], float] = time.perf_counter) -> None:
        """Start with nothing spent.

        Args:
            reading: a number that never falls: the time in seconds, operations counted, bytes.
        """
        self.spent: dict[str, float] = {}
        self._reading = reading
        self._under_way: list[str] = []
        self._since = 0.0

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """What passes within this block is the stage's."""
        self._account()
        self.spent.setdefault(name, 0.0)
        self._under_way.append(name)
        try:
            yield
        finally:
            self._account()
            self._under_way.pop()

    def _account(self) -> None:
        """What passed since the last account belongs to the innermost stage, or to nobody."""
        now = self._reading()
        if self._under_way:
            self.spent[self._under_way[-1]] += now - self._since
        self._since = now
