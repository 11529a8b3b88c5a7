"""The average of several trainings' weights: what they have in common stays, what each came to by chance is halved.

Runs that began from the same weights lie close enough together for it (Wortsman et al. 2022, "Model soups").
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.training.run import load_checkpoint
from patchscaler_cli.training.widening import STEM, widened_stem

DENOISER = "denoiser"
PREFIX = "patch_dit."


def average_few_step(checkpoints: Sequence[Path], output: Path) -> None:
    """Write the few-step checkpoint whose denoiser is the mean of several.

    Everything else (critics, steps, hours) is the first one's. A denoiser that has not seen the LR picture is averaged as
    one that is shown it and looks away.

    Args:
        checkpoints: written by the few-step phase; one that is named twice counts twice.
        output: the file to write.

    Raises:
        PatchScalerError: if a file is missing, or its network has other sizes than the first one's.
    """
    states = [load_checkpoint(path) for path in checkpoints]
    averages = [_denoiser(state, path) for state, path in zip(states, checkpoints, strict=True)]
    channels = max(one[PREFIX + STEM].shape[1] for one in averages)
    for one in averages:
        one[PREFIX + STEM] = widened_stem(one[PREFIX + STEM], channels)
    first = averages[0]
    sizes = {name: weight.shape for name, weight in first.items()}
    for path, one in zip(checkpoints, averages, strict=True):
        if {name: weight.shape for name, weight in one.items()} != sizes:
            raise PatchScalerError(f"{path}: its network has other sizes than that of {checkpoints[0]}.")
    mean = {name: torch.stack([one[name] for one in averages]).mean(0) for name in first}
    trainee = states[0]["trainees"][DENOISER]
    states[0]["trainees"][DENOISER] = trainee | {"module": mean, "average": mean, "optimizers": None}
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_suffix(".partial")
    torch.save(states[0], partial)
    partial.replace(output)


def _denoiser(state: dict[str, Any], path: Path) -> dict[str, Tensor]:
    try:
        weights: dict[str, Tensor] = state["trainees"][DENOISER]["average"]
    except KeyError as error:
        raise PatchScalerError(f"{path}: no checkpoint of the few-step phase.") from error
    return dict(weights)
