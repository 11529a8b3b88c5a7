"""What the sizes of Patch-DiT are worth: `python -m patchscaler_cli.training.ablation --help`.

Every size trains from nothing on as many pixels, by the losses of phases 3 and 4 without critics and texture prompt, and
upscales validation photos by one step. The table tells which sizes learn fast, not where they end. It takes a GPU: after 250
and 100 steps, eight minutes of a CPU, `tiny` had not even learned to take the start noise away.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import torch.nn.functional as F
import typer
from torch import Tensor

from patchscaler_cli.evaluation.examples import examples
from patchscaler_cli.evaluation.metrics import load_lpips, psnr_y
from patchscaler_cli.models.patch_dit import PatchDiT, PatchDiTConfig
from patchscaler_cli.models.patchscaler import PatchScalerModel
from patchscaler_cli.models.placement import place
from patchscaler_cli.pipeline.settings import UpscaleSettings
from patchscaler_cli.pipeline.upscaler import Upscaler
from patchscaler_cli.training.areas import area_side, cut, patches_an_area, patches_of, refinement_of
from patchscaler_cli.training.diffusion import edm_loss
from patchscaler_cli.training.folder import RunFolder
from patchscaler_cli.training.looks import Look
from patchscaler_cli.training.optimizers import muon
from patchscaler_cli.training.pairs import Pairs
from patchscaler_cli.training.perceptual import LpipsSqueeze, PerceptualNetwork
from patchscaler_cli.training.photos import load_photos
from patchscaler_cli.training.run import Budget, Run, Trainee, autocast

SIZES: Mapping[str, Mapping[str, Any]] = {
    "tiny": {},
    "patch 32": {"patch": 32},
    "patch 64": {"patch": 64},
    "token 4": {"token": 4},
    "token 16": {"token": 16},
    "width 128": {"width": 128, "heads": 2},
    "width 256": {"width": 256, "heads": 4},
    "3 blocks": {"blocks": 3},
    "12 blocks": {"blocks": 12},
    "ends 16 and 32": {"outer_channels": 16, "inner_channels": 32},
    "ends 64 and 128": {"outer_channels": 64, "inner_channels": 128},
}
"""What differs from the configuration of `tiny`."""

PIXELS = 64 * 64 * 64
"""HR pixels of a step of the EDM loss: of 16 patches of `tiny`. A step of the other losses has half as many."""
LEARNING_RATE = 8e-4
SIGMA = 0.1
"""The start noise of the one step that is trained last and measured."""


def train_edm(pairs: Pairs, network: PatchDiT, run: Path, steps: int) -> None:
    """Train by the EDM loss, as `train_diffusion` does with a prompt."""
    count = PIXELS // network.config.patch**2
    trainee = Trainee(network, muon(network, LEARNING_RATE, (0.9, 0.99)), ema_decay=0.99)
    for progress in Run(run, {"denoiser": trainee}, Budget(steps=steps)).steps():
        trainee.step(edm_loss(network, network.config, pairs.draw(count, network.config.patch), None), progress)
    network.load_state_dict(trainee.average.state_dict())


def train_one_step(
    pairs: Pairs, network: PatchDiT, networks: Mapping[str, PerceptualNetwork], run: Path, steps: int
) -> None:
    """Train one step from SIGMA by pixels and perceptual networks, as `train_few_step` does with critics and a prompt."""
    patch = network.config.patch
    trainee = Trainee(network, muon(network, LEARNING_RATE / 2, (0.5, 0.99)), ema_decay=0.98)
    for progress in Run(run, {"denoiser": trainee}, Budget(steps=steps)).steps():
        areas = pairs.draw(max(1, PIXELS // 2 // patch**2 // patches_an_area(patch)), area_side(patch))
        batch = patches_of(areas, patch)
        noise = SIGMA * cut(torch.randn_like(areas.coarse), patch)
        with autocast(noise.device):
            residual = network(noise, torch.full_like(noise[:, 0, 0, 0], SIGMA), batch.condition(network.config), None)
            refined = areas.coarse + refinement_of(areas, residual)
            distances = [Look.at(one, refined, areas.hr, areas.coarse).distance() for one in networks.values()]
        loss: Tensor = 0.8 * F.l1_loss(refined, areas.hr) + torch.stack(distances).sum()
        trainee.step(loss, progress)
    network.load_state_dict(trainee.average.state_dict())


def measured(
    model: PatchScalerModel, network: PatchDiT, sets: list[tuple[Path, Path]], judge_file: Path, device: str
) -> str:
    """LPIPS and PSNR-Y on every set of HR and LR pictures, as cells of a table."""
    judge, cells = load_lpips(judge_file), []
    model.patch_dit = network.eval().requires_grad_(False)
    model.config = replace(model.config, patch_dit=network.config)
    group = {"groups": [{"sigma": SIGMA, "steps": 1}], "thresholds": [], "fidelity": 0.0}
    upscaler = Upscaler(model, {"calibration": group}, device)
    for hr, lr in sets:
        rows = []
        for one in examples(hr, lr, 2):
            result = upscaler.upscale(one.lr, UpscaleSettings(texture=False)).pixels
            rows.append((judge(one.hr, result), psnr_y(one.hr, result)))
        cells.append("{:.4f}, {:.2f}".format(*np.array(rows).mean(0)))
    return " | ".join(cells)


def main(
    data: Annotated[Path, typer.Option(help="Training photos: a folder of images or of tar shards.")],
    run: Annotated[
        Path, typer.Option(help="Folder of a run that began from weights: its coarse model makes the pairs.")
    ],
    hr: Annotated[Path, typer.Option(help="Folder of HR pictures to measure on; every second is taken.")],
    lr: Annotated[list[Path], typer.Option(help="Folder of their LR pictures; may be given again.")],
    lpips: Annotated[Path, typer.Option(help="Safetensors file with LPIPS's weights, the judge.")],
    lpips_squeeze: Annotated[Path, typer.Option(help="The same on SqueezeNet, to train with.")],
    weights: Annotated[Path, typer.Option(help="Weights file whose coarse model the pictures are made with.")],
    edm_steps: Annotated[int, typer.Option(help="Steps of the EDM loss.")] = 4000,
    one_step_steps: Annotated[int, typer.Option(help="Steps of the losses of phase 4.")] = 2000,
    size: Annotated[list[str] | None, typer.Option(help="Of SIZES; may be given again. All by default.")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cuda",
    threads: Annotated[int, typer.Option(help="Of the CPU.")] = 1,
) -> None:
    """Print a row of the table for every size."""
    torch.set_num_threads(threads)
    pairs = RunFolder(run).pairs(load_photos(data, threads).to(torch.device(device)), 1)
    networks = {"squeezenet": LpipsSqueeze(lpips_squeeze, pairs.coarse.device)}
    for name in size or SIZES:
        torch.manual_seed(0)
        model, scratch = (
            Upscaler.from_pretrained(weights=weights, device="cpu", dtype="fp32").network,
            run / "ablation.pt",
        )
        config: PatchDiTConfig = replace(model.config.patch_dit, **SIZES[name])
        network = place(PatchDiT(config), pairs.coarse.device).train()
        scratch.unlink(missing_ok=True)
        begin = time.monotonic()
        train_edm(pairs, network, scratch, edm_steps)
        scratch.unlink()
        train_one_step(pairs, network, networks, scratch, one_step_steps)
        seconds = time.monotonic() - begin
        parameters = sum(one.numel() for one in network.parameters()) / 1e6
        cells = measured(model, network, [(hr, folder) for folder in lr], lpips, device)
        print(f"| {name} | {parameters:.1f} M | {seconds:.0f} s | {cells} |", flush=True)


if __name__ == "__main__":
    typer.run(main)
