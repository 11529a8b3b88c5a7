"""The command `patchscaler`: gathers the commands, imports nothing that takes time."""

from __future__ import annotations

import atexit
import gc
from typing import Annotated

import typer

from patchscaler_cli import __version__
from patchscaler_cli.cli.benchmark import benchmark
from patchscaler_cli.cli.edge import EdgeGroup
from patchscaler_cli.cli.evaluate import evaluate
from patchscaler_cli.cli.explain import explain
from patchscaler_cli.cli.info import info
from patchscaler_cli.cli.texture import app as texture
from patchscaler_cli.cli.train import app as train
from patchscaler_cli.cli.upscale import upscale
from patchscaler_cli.cli.weights import app as weights

app = typer.Typer(
    name="patchscaler",
    cls=EdgeGroup,
    help="Enlarge pictures by patch-independent diffusion: little work where a picture is easy, more where it is hard.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # the edge tells of exceptions
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(upscale)
app.command()(evaluate)
app.command()(explain)
app.command()(benchmark)
app.command()(info)
app.add_typer(weights, name="weights")
app.add_typer(texture, name="texture")
app.add_typer(train, name="train")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"patchscaler {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options of `patchscaler` itself; they do their work while they are parsed."""


def main() -> None:
    """The console script's entry."""
    # Python looks for garbage once more at its end; among torch's objects that took almost half a second, for nothing.
    atexit.register(gc.freeze)
    app()
