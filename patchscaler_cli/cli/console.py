"""What the commands say: results on stdout, everything else on stderr."""

from __future__ import annotations

import typer


def say_error(sentence: str, prefix: str = "Error: ") -> None:
    """In red where stderr is a terminal."""
    typer.secho(f"{prefix}{sentence}", err=True, fg="red")


def say_warning(sentence: str) -> None:
    """In yellow where stderr is a terminal."""
    typer.secho(f"Warning: {sentence}", err=True, fg="yellow")
