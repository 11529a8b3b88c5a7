"""`patchscaler benchmark`: what an upscale costs on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from patchscaler_cli.cli import options as opt
from patchscaler_cli.cli.loading import load_model
from patchscaler_cli.cli.own_textures import asked_for
from patchscaler_cli.cli.progress import progress_display
from patchscaler_cli.cli.variants import KINDS, named, varied
from patchscaler_cli.errors import PatchScalerError, UsageError
from patchscaler_cli.pipeline.model_choice import ModelChoice
from patchscaler_cli.pipeline.settings import UpscaleSettings

if TYPE_CHECKING:
    from patchscaler_cli.evaluation.benchmark.in_process import Measurement
    from patchscaler_cli.pipeline.upscaler import Upscaler

DEFAULT_SIZES = "128,256,512"
DTYPES = ("auto", "fp32", "fp16", "bf16")


def benchmark(
    pictures: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[IN]...", readable=False, help="Pictures to time; a sample photo if none is given.", show_default=False),
    ] = None,
    sizes: Annotated[
        str | None,
        typer.Option(metavar="LIST", help="Sides of the sample photo in pixels, with commas between.", show_default=DEFAULT_SIZES),
    ] = None,
    variant: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=SETTINGS",
            help="Time other settings too, such as 'uniform=groups:1'; "
            f"settings are {', '.join(KINDS)}. May be repeated.",
        ),
    ] = None,
    device: Annotated[
        str, typer.Option(metavar="LIST", help="Devices to compare, with commas between, such as cpu,cuda:0.")
    ] = "auto",
    dtype: Annotated[
        str, typer.Option(metavar="LIST", help="Arithmetic to compare, with commas between, such as bf16,fp32.")
    ] = "auto",
    runs: Annotated[int, typer.Option(min=1, help="Warm runs of each case; their median is shown.")] = 5,
    processes: Annotated[
        int, typer.Option(min=0, help="Whole processes of each case; their median is shown. 0 starts none.")
    ] = 3,
    preset: opt.PresetName = None,
    fidelity: opt.Fidelity = None,
    coarse_only: opt.CoarseOnly = False,
    ensemble: opt.Ensemble = False,
    steps: opt.Steps = None,
    groups: opt.Groups = None,
    no_texture: opt.NoTexture = False,
    scale: opt.Scale = None,
    model: opt.Model = None,
    weights: opt.Weights = None,
    offline: opt.Offline = False,
    tile: opt.Tile = UpscaleSettings.tile,
    batch_size: opt.BatchSize = UpscaleSettings.batch_size,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", readable=False, help="Write everything measured, every run too, as JSON."),
    ] = None,
    profile: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", readable=False,
            help="Write torch's trace of a warm run of the first case, for chrome://tracing or ui.perfetto.dev.",
        ),
    ] = None,
) -> None:  # fmt: skip
    """Time upscales stage by stage, warm and from process start, and compare their arithmetic with the machine's peak.

    The peak is that of a large matrix product of the same kind of numbers, measured in between.
    """
    settings = UpscaleSettings(
        scale=scale, preset=preset, steps=steps, groups=groups, fidelity=fidelity, coarse_only=coarse_only, ensemble=ensemble,
        texture=asked_for(None, no_texture), tile=tile, batch_size=batch_size,
    )  # fmt: skip
    variants = {name: varied(name, words, settings) for name, words in named("--variant", variant, {"default"}).items()}
    sides = _sides(sizes, pictures)
    dtypes = _words("--dtype", dtype)
    for unknown in sorted(set(dtypes) - set(DTYPES)):
        raise UsageError(f"--dtype must be {', '.join(DTYPES[:-1])} or {DTYPES[-1]}, not {unknown!r}.")
    for option, file in (("--json", json_file), ("--profile", profile)):
        if file is not None and not file.absolute().parent.is_dir():
            raise UsageError(f"{option}: there is no folder {file.absolute().parent}; make it first.")

    # Imported only now: --help and a mistyped option should not wait for torch.
    from patchscaler_cli.evaluation.benchmark.in_process import Case, measure, write_trace
    from patchscaler_cli.evaluation.benchmark.machine import facts
    from patchscaler_cli.evaluation.benchmark.table import as_values
    from patchscaler_cli.evaluation.benchmark.whole_process import run_processes
    from patchscaler_cli.evaluation.benchmark.workload import photo_of, sample_photo

    workloads = [photo_of(path) for path in pictures] if pictures else [sample_photo(side) for side in sides]
    upscalers = _load(_words("--device", device), dtypes, model, weights, offline)
    cases = [
        Case(workload, name, wanted, upscaler)
        for workload in workloads
        for upscaler in upscalers
        for name, wanted in ({"default": settings} | variants).items()
    ]
    with progress_display(quiet=False) as progress:
        progress.begin("warm", len(cases) * (runs + 2))
        measurements = measure(cases, runs, lambda: progress.advance("warm"))
        if processes:
            progress.begin("whole", len(cases))
            for one in measurements:
                case = one.case
                words = ["--device", case.upscaler.device, "--dtype", case.upscaler.dtype]
                words += _which_model(model, weights, offline)
                one.whole = run_processes(case.workload, case.settings, words, processes)
                progress.advance("whole")
    setup = facts([case.device for case in cases]) | {"model": cases[0].upscaler.model_name}
    try:
        if profile is not None:
            write_trace(cases[0], profile)
        if json_file is not None:
            json_file.write_text(json.dumps(as_values(measurements, setup), indent=1) + "\n")
    except OSError as error:
        raise PatchScalerError(f"{error.filename or 'A file'} could not be written ({error.strerror}).") from error
    _print(measurements, setup)


def _sides(sizes: str | None, pictures: list[Path] | None) -> list[int]:
    """The sides that --sizes asks for."""
    if sizes is not None and pictures:
        raise UsageError("--sizes is about the sample photo, but pictures were given; leave one of them out.")
    words = _words("--sizes", sizes or DEFAULT_SIZES)
    if not all(word.isdecimal() and int(word) > 0 for word in words):
        raise UsageError(f"--sizes must be whole numbers of pixels with commas between, not {sizes}.")
    return [int(word) for word in words]


def _words(option: str, value: str) -> list[str]:
    """A list's words, each once, in their order."""
    words = list(dict.fromkeys(word.strip() for word in value.split(",")))
    if not all(words):
        raise UsageError(f"{option} takes words with commas between, not {value!r}.")
    return words


def _load(
    devices: list[str], dtypes: list[str], model: str | None, weights: Path | None, offline: bool
) -> list[Upscaler]:
    """A model for every device in every dtype; what comes to the same is loaded once."""
    loaded: dict[tuple[str, str], Upscaler] = {}
    for device in devices:
        for dtype in dtypes:
            upscaler = load_model(ModelChoice(model, weights, None, device, dtype, may_download=not offline))
            loaded.setdefault((upscaler.device, upscaler.dtype), upscaler)
    return list(loaded.values())


def _which_model(model: str | None, weights: Path | None, offline: bool) -> list[str]:
    """The words of `patchscaler upscale` that choose the same weights."""
    words = ["--model", model] if model is not None else []
    words += ["--weights", str(weights)] if weights is not None else []
    return words + ["--offline"] * offline


def _print(measurements: list[Measurement], setup: dict[str, Any]) -> None:
    from patchscaler_cli.evaluation.benchmark import table

    for device, name in setup["devices"].items():
        typer.echo(f"{device}: {name}")
    typer.echo(f"model {setup['model']}, torch {setup['torch']}, {setup['threads']} of {setup['cores']} cores")
    for title, headings, rows in (
        ("Medians", table.MAIN_HEADINGS, table.main_rows(measurements)),
        ("Seconds by stage", table.STAGE_HEADINGS, table.stage_rows(measurements)),
    ):
        typer.echo(f"\n{title}\n{table.aligned(headings, rows)}")
