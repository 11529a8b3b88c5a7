"""Phase 6: the weights file from a training run."""

from __future__ import annotations

import csv
import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.evaluation.folder import examples, measure, summarise
from patchscaler_cli.evaluation.metrics import load_lpips
from patchscaler_cli.models.patchscaler import PatchScalerModel
from patchscaler_cli.models.weights_file import save_weights
from patchscaler_cli.pipeline.settings import UpscaleSettings
from patchscaler_cli.pipeline.upscaler import Upscaler
from patchscaler_cli.training.folder import RunFolder
from patchscaler_cli.training.run import load_checkpoint


@torch.no_grad()
def assemble(folder: RunFolder) -> PatchScalerModel:
    """The whole model from the run's last checkpoints (averaged weights), its memory filled with encoded textures.

    The few-step phase's denoiser is taken where there is one, else the diffusion phase's.
    """
    model = PatchScalerModel(folder.config())
    denoiser = folder.load_denoiser(folder.few_step if folder.few_step.exists() else folder.diffusion)
    model.coarse, model.classifier = folder.load_coarse(), folder.load_classifier()
    model.patch_dit, model.encoder = denoiser.patch_dit, denoiser.encoder
    textures = folder.textures(None)
    model.memory.keys.copy_(textures.keys)
    model.memory.values.copy_(model.encoder.encode(textures.pixels(torch.arange(len(textures.keys)))))
    return model.eval().requires_grad_(False)


def training_log(folder: RunFolder) -> dict[str, Any]:
    """Steps, hours and samples of each phase, as its checkpoint counts them."""
    log = {}
    for phase, file in (
        ("coarse", folder.coarse), ("texture", folder.texture),
        ("diffusion", folder.diffusion), ("few-step", folder.few_step),
    ):  # fmt: skip
        if file.exists():
            state = load_checkpoint(file)
            hours = round(state["seconds"] / 3600, 2)
            log[phase] = {"steps": state["step"], "hours": hours, "samples": state["samples"]}
    return log


def licence_summary(sources: Path) -> dict[str, int]:
    """Training photos by licence, from a CSV file with the columns `set` (train or other) and `licence`.

    Raises:
        PatchScalerError: if the file cannot be read or lacks a column.
    """
    try:
        with sources.open(newline="") as file:
            return dict(Counter(row["licence"] for row in csv.DictReader(file) if row["set"] == "train"))
    except (OSError, KeyError) as error:
        raise PatchScalerError(f"{sources}: cannot read the photos' licences ({error!r}).") from error


def current_commit() -> str | None:
    """The commit of the checkout that trains, with "+" where files differ from it; None outside a checkout."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--abbrev=12", "--dirty=+"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def details(folder: RunFolder, sources: Path | None, seed: int, device: str) -> dict[str, Any]:
    """What travels in the weights' metadata besides the configuration.

    Raises:
        PatchScalerError: if the run is not calibrated.
    """
    if not folder.groups.exists():
        raise PatchScalerError(f"{folder.path}: not calibrated yet; run `patchscaler train calibrate` first.")
    begun_from = {"begun_from": json.loads(folder.begun_from.read_text())} if folder.begun_from.exists() else {}
    return begun_from | {
        "calibration": json.loads(folder.groups.read_text()),
        "training": training_log(folder),
        "commands": folder.commands(),
        "data_licences": licence_summary(sources) if sources else {},
        "seed": seed,
        "device": device,
        "commit": current_commit(),
        "licence": "Apache-2.0",
    }


def export_weights(
    folder: RunFolder,
    hr: Path,
    lr_folders: list[Path],
    lpips: Path,
    output: Path | None,
    sources: Path | None,
    seed: int,
    device: str,
) -> Path:
    """Assemble, write, read back, measure what was read (fp16 rounding included), and write with the figures.

    Returns:
        The file written: `output`, or weights/NAME.safetensors.
    """
    model = assemble(folder)
    path = output or Path("weights") / f"{model.config.name}.safetensors"
    facts = details(folder, sources, seed, device)
    save_weights(path, model, facts)
    upscaler = Upscaler.from_pretrained(weights=path, device=device)
    facts["validation"] = {
        lr.name: summarise([measure(upscaler, one, UpscaleSettings(), load_lpips(lpips)) for one in examples(hr, lr)])
        for lr in lr_folders
    }
    print(json.dumps(facts["validation"], indent=1))
    save_weights(path, model, facts)
    return path
