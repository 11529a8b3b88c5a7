"""`patchscaler weights …`: which weights there are, which of them are here, and how to get the others."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from patchscaler_cli.cli.downloads import download_display
from patchscaler_cli.errors import PatchScalerError, UsageError

if TYPE_CHECKING:
    from patchscaler_cli.store.manifest import Model

app = typer.Typer(
    name="weights",
    help="List, download, check and remove the weights of the named models.",
    no_args_is_help=True,
)

Names = Annotated[
    list[str], typer.Argument(metavar="MODEL…", help="Names of models; `patchscaler weights list` tells them.")
]

# store/ is imported only by the commands that run, for --help not to wait for it.


@app.command(name="list")
def list_models(
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the whole manifest as JSON, with where each file is.")
    ] = False,
) -> None:
    """Every model by name: what it is for, its size, licence and figures, and whether it is on this machine."""
    from patchscaler_cli.store.finding import locate
    from patchscaler_cli.store.manifest import load_manifest

    models = [(model, locate(model)) for model in load_manifest().values()]
    if as_json:
        entries = [
            asdict(model) | {"place": found and found.place, "path": found and str(found.path)}
            for model, found in models
        ]
        typer.echo(json.dumps(entries))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("model", "where", "size", "licence", "for", "figures")
    for model, found in models:
        where = found.place if found else "not here"
        table.add_row(
            model.name, where, f"{model.size / 2**20:.1f} MiB", model.licence, model.purpose, _figures_of(model)
        )
    Console().print(table)


@app.command()
def download(
    models: Annotated[list[str] | None, typer.Argument(metavar="MODEL…", help="Names of models.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Every model of the list.")] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Use no network: say which file to fetch by hand, and where to put it.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
) -> None:
    """Fetch weights before they are needed, as for a machine that will have no network.

    What is here already is not fetched again; a download that broke off goes on where it ended.
    """
    from patchscaler_cli.store.finding import find_weights
    from patchscaler_cli.store.manifest import load_manifest

    if bool(models) == everything:
        raise UsageError("Say which weights to download: give names of models, or --all.")
    for name in models or load_manifest():
        with download_display(quiet) as progress:
            path = find_weights(name, may_download=not offline, progress=progress)
        if not quiet:
            typer.echo(f"{name}: {path}")


@app.command()
def verify(
    models: Annotated[
        list[str] | None, typer.Argument(metavar="MODEL…", help="Names of models.", show_default="all that are here")
    ] = None,
) -> None:
    """Compare weights files with the manifest's sha256. Exit code 1 if one differs or a named one is missing."""
    from patchscaler_cli.store.finding import FileState, check, locate
    from patchscaler_cli.store.manifest import find_model, load_manifest

    chosen = [find_model(name) for name in models] if models else list(load_manifest().values())
    bad = []
    for model in chosen:
        found, state = locate(model), check(model)
        typer.echo(f"{model.name}: {state}" + (f" ({found.path})" if found else ""))
        if state == FileState.DIFFERS or (state == FileState.MISSING and models):
            bad.append(model.name)
    if bad:
        raise PatchScalerError(
            f"Not as the manifest says: {', '.join(bad)}; reinstall PatchScaler for bundled weights, "
            "run `patchscaler weights download` for others."
        )


@app.command()
def path(
    model: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="Name of the model.", show_default="the cache folder")
    ] = None,
) -> None:
    """Print where a model's weights file is. Exit code 1 if it is not on this machine."""
    from patchscaler_cli.store.finding import locate
    from patchscaler_cli.store.manifest import find_model
    from patchscaler_cli.store.places import cache_folder

    if model is None:
        typer.echo(cache_folder())
        return
    found = locate(find_model(model))
    if found is None:
        raise PatchScalerError(
            f"The weights of {model!r} are not on this machine; run `patchscaler weights download {model}`."
        )
    typer.echo(found.path)


@app.command()
def remove(models: Names) -> None:
    """Delete downloaded weights, unfinished downloads too. Bundled weights stay: they are part of the program."""
    from patchscaler_cli.store.finding import remove_weights

    for name in models:
        for file in remove_weights(name):
            typer.echo(f"{name}: removed {file}")


def _figures_of(model: Model) -> str:
    """A line for each set of validation pictures."""
    return "\n".join(
        f"{pictures}: " + ", ".join(f"{metric} {value:.3f}" for metric, value in figures.items())
        for pictures, figures in model.figures.items()
    )
