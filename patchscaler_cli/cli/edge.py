"""Where exceptions end: each becomes one sentence on stderr and an exit code. No other module of cli/ catches any."""

from __future__ import annotations

import os
import traceback
from typing import Any

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from patchscaler_cli.cli.console import escape_what_cannot_be_shown, say_error
from patchscaler_cli.errors import PatchScalerError

INTERRUPTED = 130
"""The exit code that shells give a program stopped by Ctrl-C: 128 + SIGINT."""


class EdgeGroup(TyperGroup):
    """A group of commands whose exceptions are told as sentences, whichever command they come from."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        escape_what_cannot_be_shown()
        try:
            return super().invoke(ctx)
        except (typer.Exit, typer.Abort, TyperException, BrokenPipeError):
            raise  # typer's own ways out: help, usage errors (exit code 2), a closed pipe
        except KeyboardInterrupt:
            say_error("Interrupted.", prefix="")
            raise typer.Exit(INTERRUPTED) from None
        except Exception as error:
            say_error(sentence_of(error))
            if os.environ.get("PATCHSCALER_DEBUG") == "1":
                traceback.print_exc()
            raise typer.Exit(error.exit_code if isinstance(error, PatchScalerError) else 1) from None


def sentence_of(error: Exception) -> str:
    """What the user is told of an exception."""
    if isinstance(error, PatchScalerError):
        return str(error)
    if _is_out_of_memory(error):
        return (
            "The memory is not enough for this; try a smaller --batch-size and a smaller --tile, or another --device."
        )
    return (
        f"This is a bug in PatchScaler, please report it ({type(error).__name__}: {error}); "
        "PATCHSCALER_DEBUG=1 in the environment shows where it happened."
    )


def _is_out_of_memory(error: Exception) -> bool:
    """Of the host or a device. torch's exceptions are told by name and text, so that torch need not be imported."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in text or "allocate memory" in text)
