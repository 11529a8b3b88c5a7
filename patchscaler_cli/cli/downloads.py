"""How far a download is, on stderr: a bar on a terminal, plain lines in a log, nothing when quiet."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from patchscaler_cli.store.progress import DownloadProgress, SilentProgress

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

MIB = 2**20
PARTS = 10
"""A log gets a line for each tenth of a file."""


@contextmanager
def download_display(quiet: bool) -> Iterator[DownloadProgress]:
    """The display that fits stderr, for as long as the block runs. Without a download it shows nothing."""
    if quiet:
        yield SilentProgress()
    elif sys.stderr.isatty():
        with _bars() as bars:
            yield DownloadBar(bars)
    else:
        yield DownloadLines()


def _bars() -> Bars:
    # rich takes a tenth of a second to import, which --help should not wait for.
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    return Bars(*columns, console=Console(stderr=True))


class DownloadBar:
    """One bar for each file, with its speed and the time it still needs."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._file = ""

    def begin(self, file: str, total: int, done: int) -> None:
        """A new bar, or the file's bar set to where its download goes on."""
        if file != self._file:
            self._file, self._bar = file, self._bars.add_task(file, total=total)
        self._bars.update(self._bar, completed=done)

    def advance(self, count: int) -> None:
        """Move the bar."""
        self._bars.advance(self._bar, count)

    def notice(self, sentence: str) -> None:
        """A line above the bars."""
        self._bars.console.print(sentence, markup=False, highlight=False)


class DownloadLines:
    """A line when a download begins or goes on, and one for each tenth of the file: made for logs."""

    def begin(self, file: str, total: int, done: int) -> None:
        """Say that a download begins."""
        self._file, self._total, self._done = file, total, done
        self._say()

    def advance(self, count: int) -> None:
        """Count, and say so where a tenth is full."""
        before, self._done = self._done, self._done + count
        if self._done * PARTS // self._total > before * PARTS // self._total:
            self._say()

    def notice(self, sentence: str) -> None:
        """A line of its own."""
        typer.echo(sentence, err=True)

    def _say(self) -> None:
        typer.echo(f"{self._file}: {self._done / MIB:.1f} of {self._total / MIB:.1f} MiB", err=True)
