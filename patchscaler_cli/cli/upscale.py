"""`patchscaler upscale`: pictures in, larger pictures out."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from patchscaler_cli.cli import options as opt
from patchscaler_cli.cli import report_options as report_opt
from patchscaler_cli.cli.console import say_error, say_warning
from patchscaler_cli.cli.edge import sentence_of
from patchscaler_cli.cli.loading import load_model
from patchscaler_cli.cli.naming import Naming
from patchscaler_cli.cli.own_textures import MemoryMaker, asked_for, check_texture, memory_file
from patchscaler_cli.cli.progress import progress_display
from patchscaler_cli.cli.report import Counts, as_json, as_line, as_text
from patchscaler_cli.engines.inputs import Gathered, Work, gather
from patchscaler_cli.engines.orders import Orders, Outcome
from patchscaler_cli.errors import UsageError
from patchscaler_cli.images.options import WriteOptions, parse_colour
from patchscaler_cli.pipeline.model_choice import ModelChoice
from patchscaler_cli.pipeline.settings import UpscaleSettings, device_names
from patchscaler_cli.store.finding import refuse_both

if TYPE_CHECKING:
    from patchscaler_cli.pipeline.upscaler import Upscaler


def upscale(
    sources: opt.Sources,
    output: opt.Output = None,
    overwrite: opt.Overwrite = False,
    recursive: opt.Recursive = False,
    wrap: opt.Wrap = False,
    format: opt.Format = None,
    quality: opt.Quality = None,
    lossless: opt.Lossless = False,
    suffix: opt.Suffix = None,
    strip_metadata: opt.StripMetadata = False,
    background: opt.Background = "white",
    first_frame: opt.FirstFrame = False,
    scale: opt.Scale = None,
    width: opt.Width = None,
    height: opt.Height = None,
    long_edge: opt.LongEdge = None,
    preset: opt.PresetName = None,
    fidelity: opt.Fidelity = None,
    coarse_only: opt.CoarseOnly = False,
    ensemble: opt.Ensemble = False,
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
    tile: opt.Tile = UpscaleSettings.tile,
    batch_size: opt.BatchSize = UpscaleSettings.batch_size,
    engine: opt.Engine = "local",
    address: opt.Address = None,
    save_confidence: report_opt.SaveConfidence = None,
    dry_run: report_opt.DryRun = False,
    json_report: report_opt.Json = False,
    json_lines: report_opt.JsonLines = False,
    quiet: report_opt.Quiet = False,
) -> None:
    """Enlarge pictures.

    Without options, photo.jpg becomes photo_x4.png beside it: 4 times as wide and as high. A folder's pictures go into a
    folder beside it.
    """
    started = time.perf_counter()
    # Whatever can be refused is refused before the model is loaded: the options, then the inputs, then the outputs.
    settings = UpscaleSettings(
        scale=scale, width=width, height=height, long_edge=long_edge, preset=preset, steps=steps, groups=groups,
        fidelity=fidelity, coarse_only=coarse_only, ensemble=ensemble, texture=asked_for(texture, no_texture), wrap=wrap,
        tile=tile, batch_size=batch_size, seed=seed,
    )  # fmt: skip
    devices = device_names(device)
    if engine == "ray" and len(devices) > 1:
        raise UsageError(f"--device {device}: Ray gives out the GPUs; say --device cuda.")
    if address is not None and engine != "ray":
        raise UsageError(f"--address {address} is a Ray cluster's: give --engine ray too.")
    refuse_both(model, weights)
    check_texture(texture, no_texture, engine)
    write = WriteOptions(format, quality, lossless, strip_metadata, parse_colour(background))
    naming = Naming(settings, format, suffix, first_frame)
    gathered = gather(sources, output, recursive, naming.beside, naming.in_folder)
    orders = Orders(
        settings, overwrite=overwrite, skip_existing=gathered.batch and not overwrite, make_folders=gathered.batch,
        dry_run=dry_run, confidence=_confidence_files(save_confidence, gathered), write=write, first_frame=first_frame,
    )  # fmt: skip
    stages: dict[str, float] = {}

    def tell_notice(sentence: str) -> None:
        if not quiet:
            say_warning(sentence)

    def load(device: str = devices[0]) -> Upscaler:
        begin = time.perf_counter()
        upscaler = load_model(replace(choice, device=device), [settings], quiet=quiet)
        stages["load"] = round(time.perf_counter() - begin, 3)
        return upscaler

    outcomes: list[Outcome] = []
    silent = quiet or json_report or json_lines
    bars = len(gathered.work) if gathered.batch else None
    maker = MemoryMaker(model, weights, devices[0], offline, quiet)
    with memory_file(None if dry_run else texture, maker) as memory, progress_display(quiet, bars) as progress:
        choice = ModelChoice(model, weights, memory, devices[0], dtype, may_download=not offline)
        if engine == "ray" and not dry_run:  # each imported only here: --help should not wait for what they need
            from patchscaler_cli.engines.ray_cluster import run_ray

            done = run_ray(gathered.work, orders, choice, address, tell_notice, progress)
        elif len(devices) > 1 and len(gathered.work) > 1 and not dry_run:
            from patchscaler_cli.engines.devices import run_devices

            done = run_devices(gathered.work, orders, [partial(load, name) for name in devices])
        else:
            from patchscaler_cli.engines.local import run_local

            done = run_local(gathered.work, orders, load, progress)
        for outcome in done:
            outcomes.append(outcome)
            if gathered.batch:
                progress.advance("pictures")
            elif outcome.error is not None:
                raise outcome.error
            _tell(outcome, settings, quiet, json_lines, in_batch=gathered.batch and not silent)
    seconds = time.perf_counter() - started
    if not gathered.batch:
        if json_report:
            report = as_json(outcomes[0], settings) | {"seconds": round(seconds, 3)}
            report["stages"] = stages | report.get("stages", {})
            typer.echo(json.dumps(report))
        elif not silent:
            typer.echo(as_text(outcomes[0], settings))
        return
    _close_batch(gathered, outcomes, settings, seconds, json_report, silent)


def _tell(outcome: Outcome, settings: UpscaleSettings, quiet: bool, json_lines: bool, in_batch: bool) -> None:
    """Say at once what became of a picture."""
    if outcome.error is not None:
        say_error(sentence_of(outcome.error))
    if not quiet:
        for sentence in outcome.warnings:
            say_warning(sentence)
    if json_lines:
        typer.echo(json.dumps(as_json(outcome, settings)))
    elif in_batch and outcome.error is None:
        typer.echo(as_line(outcome, settings))


def _close_batch(
    gathered: Gathered, outcomes: list[Outcome], settings: UpscaleSettings, seconds: float, json_report: bool, silent: bool
) -> None:  # fmt: skip
    """Sum a batch up, and fail if a picture failed."""
    counts = Counts.of(outcomes, gathered.passed_over)
    if json_report:
        files = [as_json(one, settings) for one in outcomes]
        typer.echo(json.dumps({"files": files, "seconds": round(seconds, 3)} | vars(counts)))
    elif not silent:
        typer.echo(
            f"{counts.done} done, {counts.skipped} skipped, {counts.failed} failed, "
            f"{counts.passed_over} other files passed over; {seconds:.1f} s"
        )
    if counts.failed:
        raise typer.Exit(1)


def _confidence_files(chosen: Path | None, gathered: Gathered) -> Callable[[Work], Path] | None:
    """Where each picture's confidence map goes: the file that was named, or for a batch the same tree in that folder."""
    if chosen is None:
        return None
    if not gathered.batch:
        return lambda work: chosen
    root = Path(os.path.commonpath([work.target.parent for work in gathered.work]))
    return lambda work: chosen / work.target.relative_to(root).with_suffix(".png")
