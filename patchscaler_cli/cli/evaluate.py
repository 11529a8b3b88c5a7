"""`patchscaler evaluate`: ways to enlarge, compared on pictures whose truth is known."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from patchscaler_cli.cli import evaluate_options as own
from patchscaler_cli.cli import options as opt
from patchscaler_cli.cli.evaluate_lr import LrMaker
from patchscaler_cli.cli.evaluate_results import Results, Targets, print_table
from patchscaler_cli.cli.evaluate_wishes import Wishes
from patchscaler_cli.cli.loading import load_model
from patchscaler_cli.cli.own_textures import asked_for
from patchscaler_cli.cli.progress import progress_display
from patchscaler_cli.errors import UsageError
from patchscaler_cli.pipeline.model_choice import ModelChoice
from patchscaler_cli.pipeline.settings import UpscaleSettings

if TYPE_CHECKING:
    from patchscaler_cli.evaluation.methods import Method
    from patchscaler_cli.pipeline.upscaler import Upscaler


def evaluate(
    hr: own.Hr,
    lr: own.Lr = None,
    degradation: own.Degradation = None,
    degradation_seed: own.DegradationSeed = None,
    save_lr: own.SaveLr = None,
    every: own.Every = 1,
    methods: own.Methods = own.ALL_METHODS,
    variant: own.Variants = None,
    compare: own.Others = None,
    lpips: own.Lpips = None,
    niqe: own.Niqe = None,
    with_pyiqa: own.WithPyiqa = False,
    preset: opt.PresetName = None,
    fidelity: opt.Fidelity = None,
    steps: opt.Steps = None,
    groups: opt.Groups = None,
    no_texture: opt.NoTexture = False,
    seed: opt.Seed = UpscaleSettings.seed,
    model: opt.Model = None,
    weights: opt.Weights = None,
    offline: opt.Offline = False,
    device: opt.Device = "auto",
    dtype: opt.Dtype = "auto",
    tile: opt.Tile = UpscaleSettings.tile,
    batch_size: opt.BatchSize = UpscaleSettings.batch_size,
    output: own.Output = None,
    sheet: own.Sheet = None,
    report: own.ReportFile = None,
    report_pictures: own.ReportPictures = 12,
    csv: own.CsvFile = None,
    as_json: own.Json = False,
) -> None:
    """Compare bicubic, Lanczos, the coarse image, PatchScaler and others with the truth (extra `eval`).

    The LR pictures are made from the HR pictures, or given as a second folder.
    """
    settings = UpscaleSettings(
        preset=preset, steps=steps, groups=groups, fidelity=fidelity, texture=asked_for(None, no_texture), seed=seed, tile=tile, batch_size=batch_size
    )  # fmt: skip
    wishes = Wishes.of(methods, variant, compare, settings)
    _check_lr(lr, degradation, degradation_seed, save_lr)
    targets = Targets(output, save_lr, sheet, report, csv, report_pictures)
    targets.check([hr, *([lr] if lr else []), *wishes.others.values()])

    # Imported only now: --help and a mistyped option should not wait for torch.
    from patchscaler_cli.evaluation.columns import metric_columns
    from patchscaler_cli.evaluation.comparison import Comparison
    from patchscaler_cli.evaluation.comparison import compare as compared_by
    from patchscaler_cli.evaluation.examples import example_files, read_example
    from patchscaler_cli.evaluation.methods import folder_of_others
    from patchscaler_cli.evaluation.tables import as_values

    # Whatever can be refused is refused before the model is loaded.
    files = example_files(hr, lr, every)
    others = [folder_of_others(name, folder, files) for name, folder in wishes.others.items()]
    columns = metric_columns(lpips, niqe, with_pyiqa)
    upscaler = _load(model, weights, device, dtype, offline, wishes) if wishes.upscalings else None
    make_lr = LrMaker(degradation or "clean", degradation_seed or 0)
    facts = {"HR": str(hr), "LR": str(lr or make_lr)} | _about_model(upscaler, wishes)
    comparison = Comparison.of(columns)
    results = Results(targets, comparison, len(files))
    pairs = (read_example(each, make_lr) for each in files)
    with progress_display(as_json, len(files)) as progress:
        for compared in compared_by(pairs, [*_own_methods(wishes, upscaler), *others], columns):
            results.add(compared, wishes.patchscaler)
            progress.advance("pictures")
    if comparison.qmap_spearman is not None:
        facts["Spearman(Qmap, error)"] = f"{comparison.qmap_spearman:.3f}"
    results.close(facts)
    if as_json:
        typer.echo(json.dumps({"setup": facts} | as_values(comparison), indent=1))
    else:
        print_table(comparison, facts)


def _check_lr(lr: Path | None, degradation: str | None, seed: int | None, save_lr: Path | None) -> None:
    """Refuse options about making LR pictures where they are given, and a seed where nothing is drawn."""
    given = {"--degradation": degradation, "--degradation-seed": seed, "--save-lr": save_lr}
    for option, value in given.items():
        if lr is not None and value is not None:
            raise UsageError(f"{option} is about LR pictures that are made, but {lr} was given; leave one of them out.")
    if seed is not None and degradation not in ("noisy", "training"):
        raise UsageError("--degradation-seed draws only for --degradation noisy or training; give one of them too.")


def _load(model: str | None, weights: Path | None, device: str, dtype: str, offline: bool, wishes: Wishes) -> Upscaler:
    """The model, warmed up, so that no method pays for what libraries do once."""
    from patchscaler_cli.evaluation.methods import warm_up

    choice = ModelChoice(model, weights, None, device, dtype, may_download=not offline)
    upscaler = load_model(choice, wishes.upscalings.values())
    warm_up(upscaler)
    return upscaler


def _own_methods(wishes: Wishes, upscaler: Upscaler | None) -> list[Method]:
    """The methods that are computed here, in the order in which they are shown."""
    from patchscaler_cli.evaluation.methods import interpolation, upscaling

    found = [interpolation(name) for name in wishes.interpolations]
    if upscaler is not None:
        found += [upscaling(name, upscaler, settings) for name, settings in wishes.upscalings.items()]
    return found


def _about_model(upscaler: Upscaler | None, wishes: Wishes) -> dict[str, str]:
    """What computed, and for each use of it the settings that are not the calibrated ones."""
    if upscaler is None:
        return {}
    usual: dict[str, Any] = asdict(UpscaleSettings())
    facts = {"model": f"{upscaler.model_name} on {upscaler.device} in {upscaler.dtype}"}
    for name in wishes.patchscaler:
        settings = asdict(wishes.upscalings[name]).items()
        changed = [f"{setting} {value}" for setting, value in settings if value != usual[setting]]
        facts[f"settings of {name}"] = ", ".join(changed) or "as calibrated"
    return facts
