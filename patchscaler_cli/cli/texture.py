"""`patchscaler texture …`: texture memories of the user's own photographs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from patchscaler_cli.cli import options as opt
from patchscaler_cli.cli import report_options as report_opt
from patchscaler_cli.cli.own_textures import MemoryMaker

app = typer.Typer(
    name="texture",
    help="Make texture memories of your own photographs, for `patchscaler upscale --texture`.",
    no_args_is_help=True,
)


@app.command()
def build(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            readable=False,
            help="Sharp photographs of the things you want to upscale, of any size from 64x64 pixels.",
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="FILE", readable=False, help="The file to write (.safetensors)."),
    ],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it exists already.")] = False,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Look into the folder's folders too.")] = False,
    entries: Annotated[
        int | None,
        typer.Option(help="How many textures to keep at most.", show_default="as many as the model has of its own"),
    ] = None,
    keep_pictures: Annotated[
        bool,
        typer.Option(
            "--keep-pictures",
            help="Also keep a picture of 32x32 pixels of every texture, to see what the memory holds. "
            "Without it the file holds no pictures.",
        ),
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the draw: the same seed keeps the same textures.")] = 0,
    model: opt.Model = None,
    weights: opt.Weights = None,
    offline: opt.Offline = False,
    device: opt.Device = "auto",
    quiet: report_opt.Quiet = False,
) -> None:
    """Make a texture memory of a folder of photographs.

    Only the model that made it can use it: give `upscale` the same --model or --weights.
    """
    # Imported only now: --help should not wait for torch.
    from patchscaler_cli.textures.build import check_choice, check_memory_path
    from patchscaler_cli.textures.photographs import photographs

    photos = photographs(folder, recursive=recursive)
    check_memory_path(output, overwrite=overwrite)
    check_choice(1 if entries is None else entries, seed)  # the model's own number is right, and not known yet
    maker = MemoryMaker(model, weights, device, offline, quiet)
    memory, name = maker.make(photos, output, entries, seed, keep_pictures)
    if not quiet:
        typer.echo(
            f"{output}: {len(memory.keys)} textures of {memory.photos} photographs for the model {name}, "
            f"{output.stat().st_size / 2**20:.1f} MiB"
        )
