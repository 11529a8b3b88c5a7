"""How far a download is, told to whoever shows it."""

from __future__ import annotations

from typing import Protocol


class DownloadProgress(Protocol):
    """Told how far a download is."""

    def begin(self, file: str, total: int, done: int) -> None:
        """A file of `total` bytes is being downloaded, `done` of them are there; after a break it is told again."""

    def advance(self, count: int) -> None:
        """So many more bytes are there."""

    def notice(self, sentence: str) -> None:
        """Something the user may want to know: a pause, another address."""


class SilentProgress:
    """Says nothing of a download."""

    def begin(self, file: str, total: int, done: int) -> None:
        """Nothing."""

    def advance(self, count: int) -> None:
        """Nothing."""

    def notice(self, sentence: str) -> None:
        """Nothing."""
