"""The average of several trainings' weights: what they have in common stays, what each came to by chance is halved.

Runs that began from the same weights lie close enough together for it (Wortsman et al. 2022, "Model soups"). The way from
earlier weights to the average can be gone on, which was measured to be worth hours (weights/runs.md, run 12); why is not
known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.models.positions import squarely_spread
from patchscaler_cli.models.tensor_file import open_tensors
from patchscaler_cli.training.run import load_checkpoint
from patchscaler_cli.training.widening import POSITION, STEM, widened_stem

DENOISER, COARSE = "denoiser", "coarse"
PREFIX = "patch_dit."
FEATURES = PREFIX + "features_"
"""How the names of the layers begin that take up the coarse model's features."""
OF_PROMPT = "prompt"
"""In the names of all weights that take up the texture prompt. They stay where they are: moved on, they shout. With textures of
their other half scikit-image's cat and gravel had LPIPS higher by 8 and 3 % than with none, and by 1 and 1 % where these
weights stayed (reduced by 4, run 12's weights)."""


@dataclass(frozen=True)
class Beyond:
    """How far to go beyond a mean, and away from where.

    Attributes:
        earlier: a weights file that the trainings came from, directly or by way of others.
        share: of the way from it to the mean, how much is gone once more.
    """

    earlier: Path
    share: float

    def __call__(self, mean: dict[str, Tensor]) -> dict[str, Tensor]:
        """`mean`, its Patch-DiT moved on, but for what takes up the prompt and what the earlier weights did not have yet.

        Raises:
            PatchScalerError: if the file cannot be read, or its denoiser has other sizes.
        """
        with open_tensors(self.earlier, "weights file") as file:
            names = [name for name in file.keys() if name.startswith(PREFIX) and OF_PROMPT not in name]  # noqa: SIM118
            known = {name: file.get_tensor(name).float() for name in names if name in mean}
        if PREFIX + POSITION in known:
            tokens = mean[PREFIX + POSITION].shape[1]
            known[PREFIX + POSITION] = squarely_spread(known[PREFIX + POSITION], tokens)
        if not known or any(mean[name].shape != old.shape for name, old in known.items()):
            raise PatchScalerError(f"{self.earlier}: its denoiser has other sizes; nothing can go on from it.")
        return mean | {name: mean[name] + self.share * (mean[name] - old) for name, old in known.items()}


def average_few_step(checkpoints: Sequence[Path], output: Path, beyond: Beyond | None = None) -> None:
    """Write the few-step checkpoint whose denoiser is the mean of several, or goes beyond it.

    Everything else (critics, steps, hours) is the first one's. A denoiser that has not seen the LR picture is averaged as
    one that is shown it and looks away, and one of smaller patches as one of the first one's. One that has not seen the coarse model's
    features has no say in how they are taken up: halved, they gained a quarter of what they do (weights/runs.md, run 16).

    Args:
        checkpoints: written by the few-step phase; one that is named twice counts twice.
        output: the file to write.
        beyond: how far to go on.

    Raises:
        PatchScalerError: if a file is missing, or its network has other sizes than the first one's.
    """
    first, averages = _load(checkpoints, DENOISER)
    channels = max(one[PREFIX + STEM].shape[1] for one in averages)
    tokens = first["trainees"][DENOISER]["average"][PREFIX + POSITION].shape[1]
    shares = [{name: weight for name, weight in one.items() if name.startswith(FEATURES)} for one in averages]
    features = _mean([share for share in shares if share])
    for one in averages:
        one |= {name: weight for name, weight in features.items() if name not in one}
        one[PREFIX + STEM] = widened_stem(one[PREFIX + STEM], channels)
        one[PREFIX + POSITION] = squarely_spread(one[PREFIX + POSITION], tokens)
    _write_mean(first, averages, checkpoints, DENOISER, output, beyond)


def average_coarse(checkpoints: Sequence[Path], output: Path) -> None:
    """Write the coarse checkpoint whose model is the mean of several; steps and hours are the first one's.

    Args and errors as those of `average_few_step`.
    """
    _write_mean(*_load(checkpoints, COARSE), checkpoints, COARSE, output)


def _load(checkpoints: Sequence[Path], name: str) -> tuple[dict[str, Any], list[dict[str, Tensor]]]:
    """The first checkpoint, and the averaged weights of the trainee of that name in each."""
    states = [load_checkpoint(path) for path in checkpoints]
    return states[0], [_weights(state, path, name) for state, path in zip(states, checkpoints, strict=True)]


def _write_mean(
    state: dict[str, Any], averages: list[dict[str, Tensor]], checkpoints: Sequence[Path], name: str, output: Path,
    beyond: Beyond | None = None,
) -> None:  # fmt: skip
    """Write `state` with the mean of several weights, moved on by `beyond`, as its trainee's."""
    first = averages[0]
    sizes = {key: weight.shape for key, weight in first.items()}
    for path, one in zip(checkpoints, averages, strict=True):
        if {key: weight.shape for key, weight in one.items()} != sizes:
            raise PatchScalerError(f"{path}: its network has other sizes than that of {checkpoints[0]}.")
    mean = _mean(averages)
    if beyond is not None:
        mean = beyond(mean)
    trainee = state["trainees"][name]
    state["trainees"][name] = trainee | {"module": mean, "average": mean, "optimizers": None}
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_suffix(".partial")
    torch.save(state, partial)
    partial.replace(output)


def _mean(weights: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    names = weights[0] if weights else ()
    return {name: torch.stack([one[name] for one in weights]).mean(0) for name in names}


def _weights(state: dict[str, Any], path: Path, name: str) -> dict[str, Tensor]:
    try:
        weights: dict[str, Tensor] = state["trainees"][name]["average"]
    except KeyError as error:
        phase = {DENOISER: "few-step", COARSE: "coarse"}[name]
        raise PatchScalerError(f"{path}: no checkpoint of the {phase} phase.") from error
    return dict(weights)
