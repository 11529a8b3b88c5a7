"""`patchscaler upscale`: one picture in, one picture out."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from patchscaler_cli.cli import options as opt
from patchscaler_cli.cli.console import say_warning
from patchscaler_cli.cli.progress import progress_display
from patchscaler_cli.cli.report import (
    Job,
    asks_for_a_size,
    plan_as_json,
    plan_as_text,
    result_as_json,
    result_as_text,
)
from patchscaler_cli.errors import UsageError
from patchscaler_cli.pipeline.settings import DEFAULT_SCALE, UpscaleSettings

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from patchscaler_cli.images.picture import Picture


def upscale(
    source: opt.Source,
    output: opt.Output = None,
    overwrite: opt.Overwrite = False,
    scale: opt.Scale = None,
    width: opt.Width = None,
    height: opt.Height = None,
    long_edge: opt.LongEdge = None,
    fidelity: opt.Fidelity = None,
    coarse_only: opt.CoarseOnly = False,
    steps: opt.Steps = None,
    groups: opt.Groups = None,
    no_texture: opt.NoTexture = False,
    seed: opt.Seed = UpscaleSettings.seed,
    model: opt.Model = None,
    weights: opt.Weights = None,
    device: opt.Device = "auto",
    dtype: opt.Dtype = "auto",
    tile: opt.Tile = UpscaleSettings.tile,
    batch_size: opt.BatchSize = UpscaleSettings.batch_size,
    save_confidence: opt.SaveConfidence = None,
    dry_run: opt.DryRun = False,
    as_json: opt.Json = False,
    quiet: opt.Quiet = False,
) -> None:
    """Enlarge a picture.

    Without options, photo.jpg becomes photo_x4.png beside it: 4 times as wide and as high.
    """
    started = time.perf_counter()
    # Whatever can be refused is refused before the model is loaded: the options, then the input, then the outputs.
    settings = UpscaleSettings(
        scale=scale,
        width=width,
        height=height,
        long_edge=long_edge,
        steps=steps,
        groups=groups,
        fidelity=fidelity,
        coarse_only=coarse_only,
        texture=not no_texture,
        tile=tile,
        batch_size=batch_size,
        seed=seed,
    )
    _check_device(device)
    if model is not None and weights is not None:
        raise UsageError("Give only one of --model and --weights: both say which weights are used.")

    # Imported only now: --help and a mistyped option should not wait for numpy and Pillow, nor for torch below.
    from patchscaler_cli.images.reading import read_picture
    from patchscaler_cli.images.writing import write_picture

    picture = read_picture(source)
    new_size = settings.output_size(picture.width, picture.height)
    target = output or default_output(source, settings, new_size)
    _check_outputs(source, picture, target, new_size, save_confidence, overwrite)
    read = time.perf_counter()

    from patchscaler_cli.pipeline.upscaler import Upscaler

    upscaler = Upscaler.from_pretrained(model, weights=weights, device=device, dtype=dtype)
    size = (picture.width, picture.height)
    job = Job(source, target, size, new_size, settings, upscaler.model_name, upscaler.device, upscaler.dtype)
    loaded = time.perf_counter()
    _warn([*picture.warnings, *upscaler.notices], quiet)

    if dry_run:
        plan = upscaler.plan(*size, settings)
        _show(plan_as_json(job, plan) if as_json else plan_as_text(job, plan), quiet and not as_json)
        return

    with progress_display(quiet) as progress:
        result = upscaler.upscale(picture.pixels, settings, keep_coarse=False, progress=progress)
    computed = time.perf_counter()
    _warn(write_picture(target, picture.enlarged(result.pixels)), quiet)
    if save_confidence is not None:
        write_picture(save_confidence, _confidence_picture(result.confidence))
    written = time.perf_counter()

    stages = {"read": read - started, "load": loaded - read, **result.seconds, "write": written - computed}
    seconds = written - started
    report = result_as_json(job, result, stages, seconds) if as_json else result_as_text(job, result, seconds)
    _show(report, quiet and not as_json)


def _warn(sentences: list[str], quiet: bool) -> None:
    if not quiet:
        for sentence in sentences:
            say_warning(sentence)


def _show(report: str, quiet: bool) -> None:
    if not quiet:
        typer.echo(report)


def _check_device(device: str) -> None:
    """Refuse what names no device; whether the machine has it is found out with the model."""
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", device):
        raise UsageError(f"--device must be auto, cpu, cuda, cuda:N (N counts from 0) or mps, not {device}.")


def default_output(source: Path, settings: UpscaleSettings, new_size: tuple[int, int]) -> Path:
    """Beside the input: photo_x4.png, photo_x2.5.png, or photo_800x600.png where a size in pixels was asked for."""
    mark = f"x{settings.scale or DEFAULT_SCALE:g}"
    if asks_for_a_size(settings):
        mark = f"{new_size[0]}x{new_size[1]}"
    return source.with_name(f"{source.stem}_{mark}.png")


def _check_outputs(
    source: Path,
    picture: Picture,
    target: Path,
    new_size: tuple[int, int],
    save_confidence: Path | None,
    overwrite: bool,
) -> None:
    """Refuse outputs that could not or must not be written; raises what `check_output` raises."""
    from patchscaler_cli.images.writing import check_output

    check_output(target, source=source, width=new_size[0], height=new_size[1], overwrite=overwrite)
    if save_confidence is None:
        return
    if save_confidence.resolve() == target.resolve():
        raise UsageError(f"--save-confidence and the output are the same file {target}; give them different names.")
    check_output(save_confidence, source=source, width=picture.width, height=picture.height, overwrite=overwrite)


def _confidence_picture(confidence: npt.NDArray[np.float32]) -> Picture:
    """The map [h, w] in (0, 1) as a grey picture: black is unsure, white is sure."""
    from patchscaler_cli.images.picture import Picture

    return Picture((confidence * 255).round().astype("uint8"))
