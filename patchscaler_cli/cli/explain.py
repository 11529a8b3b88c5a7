"""`patchscaler explain`: what the method did with one picture, as a page to look at."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from patchscaler_cli.cli import options as opt
from patchscaler_cli.cli import report_options as report_opt
from patchscaler_cli.cli.loading import load_model
from patchscaler_cli.cli.own_textures import MemoryMaker, asked_for, check_texture, memory_file
from patchscaler_cli.cli.progress import progress_display
from patchscaler_cli.errors import PatchScalerError, UsageError
from patchscaler_cli.pipeline.model_choice import ModelChoice
from patchscaler_cli.pipeline.settings import DEFAULT_PRESET, UpscaleSettings
from patchscaler_cli.store.finding import refuse_both

if TYPE_CHECKING:
    from patchscaler_cli.pipeline.upscaler import Upscaler

MOST_PATCHES = 24


def explain(
    source: Annotated[Path, typer.Argument(metavar="IN", readable=False, help="The picture; it is never changed.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE.html", readable=False, help="The page to write.")
    ],
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the page if it exists already.")] = False,
    patch: Annotated[
        list[str] | None,
        typer.Option(
            metavar="X,Y",
            help="Explain the patch around this pixel of the input, counted from 0 at the top left; may be repeated.",
            show_default="one patch of every group",
        ),
    ] = None,
    preset: opt.PresetName = None,
    fidelity: opt.Fidelity = None,
    steps: opt.Steps = None,
    groups: opt.Groups = None,
    no_texture: opt.NoTexture = False,
    texture: opt.Texture = None,
    seed: opt.Seed = UpscaleSettings.seed,
    model: opt.Model = None,
    weights: opt.Weights = None,
    offline: opt.Offline = False,
    device: opt.Device = "auto",
    dtype: opt.Dtype = "auto",
    quiet: report_opt.Quiet = False,
) -> None:
    """Enlarge one picture by 4 and write a page on how: confidence, groups, and patches step by step.

    The page is one file: coarse image, confidence map and result side by side with overlays, and for chosen patches the
    picture after every step and the textures that were found.
    """
    settings = UpscaleSettings(
        preset=preset, steps=steps, groups=groups, fidelity=fidelity, texture=asked_for(texture, no_texture), seed=seed
    )
    refuse_both(model, weights)
    check_texture(texture, no_texture)
    places = [_place(words) for words in patch or []]
    if len(places) > MOST_PATCHES:
        raise UsageError(f"--patch can be given {MOST_PATCHES} times at most, not {len(places)} times.")
    _check_output(output, source, overwrite)
    pixels = _read(source)
    height, width = pixels.shape[:2]
    for x, y in places:
        if not (0 <= x < width and 0 <= y < height):
            raise UsageError(f"--patch {x},{y} lies outside {source}, which has {width}x{height} pixels.")

    # Imported only now: --help and a mistyped option should not wait for torch.
    from patchscaler_cli.evaluation.report.explained import Explanation, choose_patches, explain_page, patch_at
    from patchscaler_cli.pipeline.trace import trace_patches

    with memory_file(texture, MemoryMaker(model, weights, device, offline, quiet)) as memory:
        choice = ModelChoice(model, weights, memory, device, dtype, may_download=not offline)
        upscaler = load_model(choice, [settings], quiet=quiet)
    sampling = upscaler.sampling(settings)
    with progress_display(quiet) as progress:
        result = upscaler.upscale(pixels, settings, progress=progress)
    chosen = list(dict.fromkeys(patch_at(result, x, y) for x, y in places)) or choose_patches(result)
    traces = trace_patches(upscaler, pixels, settings, result.patch_groups, chosen)
    facts = _facts(upscaler, settings, sampling.fidelity, f"{width}x{height} to {4 * width}x{4 * height}", texture)
    page = explain_page(
        Explanation(source.name, pixels, result, sampling.fidelity, traces, upscaler.texture_pictures, facts)
    )
    _write(output, page)
    if not quiet:
        typer.echo(f"{output}: {len(traces)} patches explained, {output.stat().st_size / 2**20:.1f} MiB")


def _place(words: str) -> tuple[int, int]:
    """X and Y of --patch."""
    try:
        x, y = (int(part) for part in words.split(","))
    except ValueError:
        raise UsageError(f"--patch takes a pixel as X,Y, such as 40,25, not {words}.") from None
    return x, y


def _check_output(output: Path, source: Path, overwrite: bool) -> None:
    if output.suffix.lower() not in (".html", ".htm"):
        raise UsageError(f"The page's name must end in .html; {output.name} does not.")
    if output.is_dir():
        raise UsageError(f"The output {output} is a folder; give the path of a file in it.")
    if output.exists() and not overwrite:
        raise PatchScalerError(f"The output {output} exists already; give --overwrite to replace it, or another name.")
    if not output.absolute().parent.is_dir():
        raise PatchScalerError(f"The output's folder {output.absolute().parent} does not exist; create it first.")
    if output.resolve() == source.resolve():
        raise UsageError(f"The output and the input are the same file {source}; give another name.")


def _read(source: Path) -> Any:
    """The picture's colours [H, W, 3], 8 bits; transparency does not count."""
    import numpy as np

    from patchscaler_cli.images.reading import read_picture
    from patchscaler_cli.pipeline.pixels import as_array

    pixels = as_array(read_picture(source, first_frame=True).pixels)
    return pixels if pixels.dtype == np.uint8 else (pixels.astype(np.float32) / 257).round().astype(np.uint8)


def _facts(
    upscaler: Upscaler, settings: UpscaleSettings, fidelity: float, sizes: str, texture: Path | None
) -> dict[str, str]:
    """What the page says at its top."""
    if not upscaler.prompted(settings):
        memory = "none"
    else:
        own = str(texture) if texture is not None else "the model's own"
        memory = f"{own}, {len(upscaler.network.memory.keys)} entries"
    return {
        "size": sizes,
        "model": f"{upscaler.model_name} on {upscaler.device} in {upscaler.dtype}",
        "preset": settings.preset or DEFAULT_PRESET,
        "fidelity": f"{fidelity:g}",
        "seed": str(settings.seed),
        "textures": memory,
    }


def _write(output: Path, page: str) -> None:
    """Write the page whole or not at all."""
    from patchscaler_cli.images.replacing import replacing

    with replacing(output) as file:
        file.write(page.encode())
