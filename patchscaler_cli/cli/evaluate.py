"""`patchscaler evaluate`: measure the upscaler on pictures whose truth is known."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    hr: Annotated[Path, typer.Argument(help="Folder of the true pictures (PNG).")],
    lr: Annotated[
        Path, typer.Argument(help="Folder of the same pictures at a fourth of the size, under the same names.")
    ],
    lpips: Annotated[
        Path | None, typer.Option(help="Safetensors file with LPIPS's AlexNet and heads; without it, no LPIPS.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="Bundled weights by name.")] = None,
    weights: Annotated[Path | None, typer.Option(help="A weights file instead.")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:n or mps.")] = "auto",
    dtype: Annotated[str, typer.Option(help="auto, fp32, fp16 or bf16.")] = "auto",
    steps: Annotated[int | None, typer.Option(help="Steps of the hardest group.")] = None,
    groups: Annotated[int | None, typer.Option(help="How many difficulty groups; 1 is uniform sampling.")] = None,
    fidelity: Annotated[float | None, typer.Option(help="1 is the coarse image, 0 the whole refinement.")] = None,
    no_texture: Annotated[bool, typer.Option("--no-texture", help="Leave the texture prompt out.")] = False,
    seed: Annotated[int, typer.Option(help="Seed of the sampling noise.")] = 0,
    every: Annotated[int, typer.Option(help="Measure every n-th picture only.")] = 1,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the enlarged pictures into this folder.")
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option(help="Write a contact sheet: LR, bicubic, coarse, PatchScaler, truth.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON.")] = False,
) -> None:
    """Compare bicubic, the coarse image and PatchScaler with the truth: PSNR-Y, SSIM-Y, LPIPS (extra `eval`)."""
    import json

    from rich.console import Console
    from rich.table import Table

    from patchscaler_cli.evaluation.folder import METHODS, contact_sheet, examples, measure, summarise
    from patchscaler_cli.evaluation.metrics import load_lpips
    from patchscaler_cli.pipeline.settings import UpscaleSettings
    from patchscaler_cli.pipeline.upscaler import Upscaler

    settings = UpscaleSettings(steps=steps, groups=groups, fidelity=fidelity, texture=not no_texture, seed=seed)
    upscaler = Upscaler.from_pretrained(model, weights=weights, device=device, dtype=dtype)
    distance = load_lpips(lpips) if lpips else None
    measured = []
    for example in examples(hr, lr, every):
        measured.append(measure(upscaler, example, settings, distance))
        if output is not None:
            output.mkdir(parents=True, exist_ok=True)
            measured[-1].result.image.save(output / example.name)
    summary = summarise(measured)
    if sheet is not None:
        contact_sheet(measured).save(sheet)
    if as_json:
        typer.echo(json.dumps(summary, indent=1))
        return
    metrics = list(summary["bicubic"])
    table = Table("method", *metrics, title=f"{summary['pictures']} pictures of {lr}")
    for method in METHODS:
        table.add_row(method, *(f"{summary[method][metric]:.4f}" for metric in metrics))
    console = Console()
    console.print(table)
    console.print(
        f"Spearman(Qmap, error) {summary['qmap_spearman']:.3f}; {summary['patches']:.0f} patches, "
        f"{summary['network_evaluations']:.1f} network evaluations, {summary['seconds']:.2f} s a picture"
    )
