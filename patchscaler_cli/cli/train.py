"""`patchscaler train …`: the training phases, in the order in which they run."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from patchscaler_cli.cli.console import say_warning

if TYPE_CHECKING:
    from patchscaler_cli.training.phases import PhaseSettings

app = typer.Typer(
    name="train",
    help="Train weights of your own: all phases by one command, or coarse, texture, diffusion, few-step, calibrate, export.",
    no_args_is_help=True,
)

Data = Annotated[
    Path, typer.Option(help="Folder of training photos (512x512 pixels and more) or of tar shards, or one shard.")
]
RunPath = Annotated[
    Path, typer.Option("--run", help="Folder for checkpoints; a phase started again goes on from there.")
]
Steps = Annotated[int | None, typer.Option(help="Stop after this many steps.")]
Minutes = Annotated[
    float | None, typer.Option(help="Stop after this many minutes (of this phase in all, resumed runs counted in).")
]
Device = Annotated[str, typer.Option(help="cpu or cuda. All photos are held there as 8-bit pixels.")]
Threads = Annotated[int, typer.Option(help="CPU threads.")]
Seed = Annotated[int, typer.Option(help="Seed of everything drawn at random.")]
BatchSize = Annotated[int | None, typer.Option(help="Samples a step; the phase's own default if not given.")]
Init = Annotated[Path | None, typer.Option(help="Begin a new run from this weights file instead of from nothing.")]
Variants = Annotated[
    int, typer.Option(help="Degradations of every photo in the cached pairs (1 GiB each for 1,362 crops).")
]
Preset = Annotated[str | None, typer.Option(help="Size of the model: tiny or base.")]
LearningRate = Annotated[float, typer.Option(help="At its highest; a short run from good weights wants less.")]
Drawn = Annotated[
    int,
    typer.Option(
        min=0, help="Drawn pictures (text, line art, patterns) beside the photos, each as likely as a photograph."
    ),
]
SqueezeFile = Annotated[Path, typer.Option(help="Safetensors file with LPIPS's SqueezeNet and heads.")]


def _settings(
    data: Path,
    run: Path,
    steps: int | None,
    minutes: float | None,
    device: str,
    threads: int,
    seed: int,
    batch_size: int | None,
    init: Path | None,
    drawn: int,
) -> PhaseSettings:
    import torch

    from patchscaler_cli.errors import UsageError
    from patchscaler_cli.training.folder import RunFolder
    from patchscaler_cli.training.phases import PhaseSettings
    from patchscaler_cli.training.run import Budget

    if steps is None and minutes is None:
        raise UsageError("Say how long to train: give --steps, --minutes or both.")
    folder = RunFolder(run)
    untrained = folder.begin_from(init) if init is not None else []
    if untrained:
        say_warning(f"{init} is of another version: {', '.join(untrained)} begin untrained.")
    folder.note_command(sys.argv)
    return PhaseSettings(data, folder, Budget(steps, minutes), torch.device(device), seed, threads, batch_size, drawn)


@app.command()
def coarse(
    data: Data, run: RunPath, steps: Steps = None, minutes: Minutes = None, device: Device = "cpu", threads: Threads = 2,
    seed: Seed = 0, batch_size: BatchSize = None, init: Init = None,
    preset: Preset = None, drawn: Drawn = 0,
    learning_rate: LearningRate = 6e-4,
) -> None:  # fmt: skip
    """Phase 1: the coarse model and its confidence map."""
    from patchscaler_cli.training.phases import run_coarse

    run_coarse(
        _settings(data, run, steps, minutes, device, threads, seed, batch_size, init, drawn), preset, learning_rate
    )


@app.command()
def texture(
    data: Data, run: RunPath, steps: Steps = None, minutes: Minutes = None, device: Device = "cpu", threads: Threads = 2,
    seed: Seed = 0, batch_size: BatchSize = None, init: Init = None, variants: Variants = 2, drawn: Drawn = 0,
) -> None:  # fmt: skip
    """Phase 2: the texture classifier and the reference textures (makes the cached pairs first)."""
    from patchscaler_cli.training.phases import run_texture

    run_texture(_settings(data, run, steps, minutes, device, threads, seed, batch_size, init, drawn), variants)


@app.command()
def diffusion(
    data: Data, run: RunPath, steps: Steps = None, minutes: Minutes = None, device: Device = "cpu", threads: Threads = 2,
    seed: Seed = 0, batch_size: BatchSize = None, init: Init = None, variants: Variants = 2, drawn: Drawn = 0,
) -> None:  # fmt: skip
    """Phase 3: Patch-DiT and the texture encoder by the EDM loss."""
    from patchscaler_cli.training.phases import run_diffusion

    run_diffusion(_settings(data, run, steps, minutes, device, threads, seed, batch_size, init, drawn), variants)


@app.command(name="few-step")
def few_step(
    data: Data, run: RunPath,
    lpips_squeeze: SqueezeFile,
    steps: Steps = None, minutes: Minutes = None, device: Device = "cpu", threads: Threads = 2,
    seed: Seed = 0, batch_size: BatchSize = None, init: Init = None, variants: Variants = 2, drawn: Drawn = 0,
    pixel: Annotated[float, typer.Option(help="Weight of the pixel loss.")] = 0.8,
    perceptual: Annotated[float, typer.Option(help="Weight of the perceptual loss.")] = 1.0,
    efficientnet: Annotated[float, typer.Option(help="Weight of EfficientNet's perceptual losses; needs extra train.")] = 1.0,
    adversarial: Annotated[float, typer.Option(help="Weight of the adversarial loss of pixels.")] = 0.02,
    feature_adversarial: Annotated[float, typer.Option(help="Weight of the adversarial loss of features.")] = 0.01,
    lattice: Annotated[float, typer.Option(help="Weight of the loss of what repeats with every LR pixel.")] = 400.0,
    texture_energy: Annotated[float, typer.Option(help="Weight of the loss of how much texture there is where.")] = 0.2,
    learning_rate: LearningRate = 1e-4,
) -> None:  # fmt: skip
    """Phase 4: one to four steps made good, by pixel, perceptual and adversarial losses."""
    from patchscaler_cli.training.few_step_losses import FewStepWeights
    from patchscaler_cli.training.phases import run_few_step

    settings = _settings(data, run, steps, minutes, device, threads, seed, batch_size, init, drawn)
    weights = FewStepWeights(pixel, perceptual, efficientnet, adversarial, feature_adversarial, lattice, texture_energy)
    run_few_step(settings, variants, weights, lpips_squeeze, learning_rate)


@app.command()
def average(
    run: RunPath,
    checkpoints: Annotated[
        list[Path],
        typer.Argument(help="few_step.pt (or coarse.pt) of two runs or more; one that is named twice counts twice."),
    ],
    of_coarse: Annotated[bool, typer.Option("--coarse", help="Average coarse models instead of denoisers.")] = False,
    earlier: Annotated[Path | None, typer.Option(help="Earlier weights, from which --beyond goes away.")] = None,
    beyond: Annotated[
        float | None, typer.Option(min=0, help="Share of the way from --earlier to the mean that is gone once more. [default: 0.5]")
    ] = None,
) -> None:  # fmt: skip
    """Average the denoisers (or coarse models) of runs that began from the same weights; a run's checkpoint becomes their mean.

    With --earlier, the denoiser goes on from the mean in the direction that it came from: try what --beyond does to the
    validation pictures.
    """
    from patchscaler_cli.errors import UsageError
    from patchscaler_cli.training.averaging import Beyond, average_coarse, average_few_step
    from patchscaler_cli.training.folder import RunFolder

    if of_coarse and earlier:
        raise UsageError("--earlier goes with denoisers; leave out --coarse or --earlier.")
    if beyond is not None and not earlier:
        raise UsageError("--beyond needs the weights that it goes away from; give --earlier FILE.")
    folder = RunFolder(run)
    if of_coarse:
        average_coarse(checkpoints, folder.coarse)
    else:
        average_few_step(
            checkpoints, folder.few_step, Beyond(earlier, 0.5 if beyond is None else beyond) if earlier else None
        )
    folder.note_command(sys.argv)


HrFolder = Annotated[Path, typer.Option("--hr", help="Folder of validation pictures (PNG).")]
LrFolders = Annotated[
    list[Path], typer.Option("--lr", help="Folder of the same at a fourth of the size; may be given twice.")
]
LpipsFile = Annotated[Path, typer.Option("--lpips", help="Safetensors file with LPIPS's AlexNet and heads.")]
Margin = Annotated[
    float,
    typer.Option(help="dB by which PSNR-Y must stay above bicubic's, on each LR folder; may be negative."),
]
Output = Annotated[
    Path | None, typer.Option("--output", "-o", help="The weights file; weights/NAME.safetensors if not given.")
]
Sources = Annotated[Path | None, typer.Option(help="CSV file with the columns set and licence, for the metadata.")]


@app.command()
def calibrate(
    run: RunPath, hr: HrFolder, lr: LrFolders, lpips: LpipsFile, device: Device = "cpu", threads: Threads = 2,
    every: Annotated[int, typer.Option(min=1, help="Take every n-th picture only.")] = 2,
    psnr_margin: Margin = 0.15,
    candidates: Annotated[str | None, typer.Option(metavar="LIST", help="What a group may be, as SIGMA:STEPS with commas between.", show_default="one, two and four steps from noise of 0.06 to 0.3")] = None,
    plot: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw the curve of LPIPS against network evaluations (.svg or .png; extra eval).")] = None,
    peer: Annotated[list[str] | None, typer.Option(metavar="NAME:LPIPS", help="Another program's mean LPIPS on the same pictures for the plot, or NAME:EVALUATIONS:LPIPS; may be repeated.")] = None,
) -> None:  # fmt: skip
    """Phase 5: find the groups, their thresholds, the default fidelity and the presets on validation pictures.

    The measurements stay in the run's folder (calibration.npz): another --psnr-margin is a matter of two minutes.
    """
    import json

    import torch

    from patchscaler_cli.evaluation.metrics import load_lpips
    from patchscaler_cli.evaluation.plot import calibration_curves, check_plot, draw, parse_peer
    from patchscaler_cli.training.calibrate import CANDIDATES, Calibrator, load_sets, parse_candidates
    from patchscaler_cli.training.export import assemble
    from patchscaler_cli.training.folder import RunFolder

    torch.set_num_threads(threads)
    peers = [parse_peer(words) for words in peer or []]
    if plot is not None:
        check_plot(plot)
    wanted = CANDIDATES if candidates is None else parse_candidates(candidates)
    folder = RunFolder(run)
    folder.note_command(sys.argv)
    calibrator = Calibrator.of(assemble(folder), load_sets(hr, lr, every), load_lpips(lpips), device)
    found = calibrator.run(wanted, psnr_margin, folder.measurements)
    folder.groups.write_text(json.dumps(found, indent=1))
    if plot is not None:
        curves, presets = calibration_curves(found)
        draw(plot, curves, [*presets, *peers], "network evaluations a patch")


@app.command()
def export(
    run: RunPath, hr: HrFolder, lr: LrFolders, lpips: LpipsFile, device: Device = "cpu", threads: Threads = 2, seed: Seed = 0,
    output: Output = None, sources: Sources = None,
) -> None:  # fmt: skip
    """Phase 6: measure the model on the validation pictures and write the weights file (fp16 safetensors)."""
    import torch

    from patchscaler_cli.training.export import export_weights
    from patchscaler_cli.training.folder import RunFolder

    torch.set_num_threads(threads)
    path = export_weights(RunFolder(run), hr, lr, lpips, output, sources, seed, device)
    typer.echo(f"{path}: {path.stat().st_size / 2**20:.1f} MiB")


@app.command(name="all")
def all_phases(
    data: Data, run: RunPath, lpips_squeeze: SqueezeFile, hr: HrFolder, lr: LrFolders, lpips: LpipsFile,
    minutes: Annotated[float, typer.Option(help="Minutes of training in all; the phases share them. Calibrating comes on top.")],
    device: Device = "cpu", threads: Threads = 2, seed: Seed = 0, init: Init = None, preset: Preset = None,
    variants: Variants = 1, drawn: Drawn = 0, psnr_margin: Margin = 0.15, output: Output = None, sources: Sources = None,
) -> None:  # fmt: skip
    """All phases one after the other, up to the weights file. Started again, it goes on where it stopped."""
    import torch

    from patchscaler_cli.evaluation.metrics import load_lpips
    from patchscaler_cli.training.calibrate import load_sets
    from patchscaler_cli.training.few_step_losses import FewStepWeights
    from patchscaler_cli.training.phases import perceptual_networks
    from patchscaler_cli.training.recipe import minutes_of_phases

    # What only the last phases read is read once before the first: nobody wants to hear of it after ten hours.
    perceptual_networks(lpips_squeeze, FewStepWeights(), torch.device("cpu"))
    load_lpips(lpips)
    load_sets(hr, lr, 1)

    spans = minutes_of_phases(minutes, from_weights=init is not None)
    how: dict[str, Any] = {"device": device, "threads": threads, "seed": seed}
    trains = {**how, "drawn": drawn}
    coarse(data, run, minutes=spans["coarse"], init=init, preset=preset, **trains)
    if init is None:
        texture(data, run, minutes=spans["texture"], variants=variants, **trains)
        diffusion(data, run, minutes=spans["diffusion"], variants=variants, **trains)
    few_step(data, run, lpips_squeeze, minutes=spans["few-step"], variants=variants, **trains)
    calibrate(run, hr, lr, lpips, device=device, threads=threads, psnr_margin=psnr_margin)
    export(run, hr, lr, lpips, output=output, sources=sources, **how)
