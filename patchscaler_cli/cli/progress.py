"""How far the work is, on stderr: bars on a terminal, plain lines in a log, nothing when quiet."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from patchscaler_cli.pipeline.settings import NoProgress, Progress

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

UNITS = {
    "coarse": "tiles", "diffuse": "patches", "cluster": "patches", "frames": "frames", "pictures": "pictures", "warm": "runs", "whole": "cases",
}  # fmt: skip
"""What each stage of the pipeline counts."""
SECONDS_BETWEEN_LINES = 10.0


@contextmanager
def progress_display(quiet: bool, pictures: int | None = None) -> Iterator[Progress]:
    """The display that fits stderr, for as long as the block runs; with a count for a batch of so many `pictures`."""
    display: Progress
    if quiet:
        yield NoProgress()
    elif sys.stderr.isatty():
        with _bars() as bars:
            display = BarProgress(bars)
            if pictures is not None:
                display.begin("pictures", pictures)
            yield display
    else:
        display = LineProgress(only=None if pictures is None else "pictures")
        if pictures is not None:
            display.begin("pictures", pictures)
        yield display


def _bars() -> Bars:
    # rich takes a tenth of a second to import, which --help should not wait for.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description:<8}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    return Bars(*columns, console=Console(stderr=True))


class BarProgress:
    """One bar for each stage, with the time it still needs."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def begin(self, stage: str, total: int) -> None:
        """Begin a new bar, or a stage's bar anew for the next pass or picture."""
        if stage in self._tasks:
            self._bars.reset(self._tasks[stage], total=total)
        else:
            self._tasks[stage] = self._bars.add_task(stage, total=total, unit=UNITS.get(stage, "steps"))

    def advance(self, stage: str, units: int = 1) -> None:
        """Move a stage's bar."""
        self._bars.advance(self._tasks[stage], units)


class LineProgress:
    """A line when a stage begins and one every ten seconds while it lasts: made for logs."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, only: str | None = None) -> None:
        """Prepare; with `only`, the other stages are not told of (a batch has too many of them)."""
        self._clock, self._only = clock, only
        self._totals: dict[str, int] = {}
        self._done: dict[str, int] = {}
        self._next_line = 0.0

    def begin(self, stage: str, total: int) -> None:
        """Begin a stage and say so. Within an animation, its frames alone are told of."""
        if stage == "frames":
            self._only = self._only or stage
        if self._only not in (None, stage):
            return
        self._totals[stage], self._done[stage] = total, 0
        self._next_line = self._clock() + SECONDS_BETWEEN_LINES
        typer.echo(f"{stage}: {total} {UNITS.get(stage, 'steps')}", err=True)

    def advance(self, stage: str, units: int = 1) -> None:
        """Count, and say so if the last line is old enough."""
        if self._only not in (None, stage):
            return
        self._done[stage] += units
        if self._clock() >= self._next_line:
            self._next_line = self._clock() + SECONDS_BETWEEN_LINES
            typer.echo(f"{stage}: {self._done[stage]} of {self._totals[stage]} {UNITS.get(stage, 'steps')}", err=True)
