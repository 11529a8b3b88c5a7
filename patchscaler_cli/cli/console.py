"""What the commands say: results on stdout, everything else on stderr."""

from __future__ import annotations

import io
import sys

import typer


def escape_what_cannot_be_shown() -> None:
    """From now on stdout and stderr take any file's name: what they have no letters for is written as \\udce9 and the like."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say_error(sentence: str, prefix: str = "Error: ") -> None:
    """In red where stderr is a terminal."""
    typer.secho(f"{prefix}{sentence}", err=True, fg="red")


def say_warning(sentence: str) -> None:
    """In yellow where stderr is a terminal."""
    typer.secho(f"Warning: {sentence}", err=True, fg="yellow")
