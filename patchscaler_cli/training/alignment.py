"""Where the few-step phase's losses pull: `python -m patchscaler_cli.training.alignment …`.

The gradient of every loss at a run's denoiser, averaged over many training areas, is compared with that of the judge's distance
(LPIPS on AlexNet) on validation pictures. A loss whose cosine is negative makes the judge's distance rise, however small its step.
The judge measures here and never trains: what its gradients say decides at most how much the losses count.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor, nn

from patchscaler_cli.evaluation.examples import Example, examples
from patchscaler_cli.evaluation.metrics import load_lpips
from patchscaler_cli.models.coarse import CoarseModel
from patchscaler_cli.models.patch_dit import packed, repeated
from patchscaler_cli.pipeline.pixels import to_network
from patchscaler_cli.sampling.bound import expected_error
from patchscaler_cli.training.areas import area_side, cut, patches_of, refinement_of
from patchscaler_cli.training.diffusion import PromptedDenoiser
from patchscaler_cli.training.discriminator import Critics
from patchscaler_cli.training.few_step import AREAS, START_SIGMAS, sample_last_step
from patchscaler_cli.training.few_step_losses import FewStepWeights, few_step_losses, looks_at
from patchscaler_cli.training.folder import RunFolder
from patchscaler_cli.training.pairs import PatchBatch
from patchscaler_cli.training.phases import PhaseSettings, perceptual_networks
from patchscaler_cli.training.run import Budget, autocast, load_checkpoint


class Directions:
    """Gradients of several scalars with regard to the same weights, averaged over batches: all, and of each half of them."""

    def __init__(self, weights: list[nn.Parameter]) -> None:
        self._weights = weights
        self._sums: dict[str, tuple[Tensor, Tensor]] = {}
        self._counts: dict[str, int] = {}

    def add(self, scalars: Mapping[str, Tensor]) -> None:
        """Add a batch's gradients; the graph is spent."""
        for left, (name, scalar) in zip(reversed(range(len(scalars))), scalars.items(), strict=True):
            found = torch.autograd.grad(scalar, self._weights, retain_graph=left > 0, allow_unused=True)
            parts = [torch.zeros_like(w) if one is None else one for one, w in zip(found, self._weights, strict=True)]
            gradient = torch.cat([part.flatten().float() for part in parts])
            count = self._counts.get(name, 0)
            self._sums.setdefault(name, (torch.zeros_like(gradient), torch.zeros_like(gradient)))[count % 2].add_(
                gradient
            )
            self._counts[name] = count + 1

    def norm(self, name: str) -> float:
        """Length of the mean gradient."""
        first, second = self._sums[name]
        return float((first + second).norm()) / self._counts[name]

    def agreement(self, name: str) -> float:
        """Cosine between the two halves: near 1 if the batches were many enough to know the direction, near 0 if not."""
        return _cosine(*self._sums[name])

    def cosine(self, name: str, other: str) -> float:
        """Cosine between two mean gradients."""
        return _cosine(*(self._sums[one][0] + self._sums[one][1] for one in (name, other)))


def _cosine(a: Tensor, b: Tensor) -> float:
    return float(a @ b / (a.norm() * b.norm()).clamp(min=1e-20))


@torch.no_grad()
def validation_areas(pictures: Iterable[Example], model: CoarseModel, side: int) -> Iterator[PatchBatch]:
    """Every picture's areas of `side` HR pixels, side by side and a picture a batch; turned and drawn by nobody."""
    for picture in pictures:
        lr = torch.from_numpy(to_network(picture.lr))[None]
        (coarse, logit), scale = model(lr), model.config.scale
        full = (
            torch.from_numpy(to_network(picture.hr))[None],
            coarse.float(),
            repeated(lr, scale),
            expected_error(torch.sigmoid(logit.float())),
            packed(model.features(lr).float()),
        )
        parts = [
            one.unfold(2, side, side).unfold(3, side, side).permute(0, 2, 3, 1, 4, 5).flatten(0, 2) for one in full
        ]
        hr, coarse, lr, expected, features = (part.contiguous() for part in parts)  # (A, channels, side, side) each
        yield PatchBatch(hr, coarse, lr, hr[:, None], torch.zeros(len(hr), dtype=torch.int64), expected, features)


def refined_by(denoiser: PromptedDenoiser, areas: PatchBatch) -> Tensor:
    """The refinement of areas [A, 3, S, S] as most patches get it: one step from the least noise, no prompt."""
    config = denoiser.patch_dit.config
    batch = patches_of(areas, config.patch)
    with autocast(areas.hr.device):
        noise = cut(torch.randn_like(areas.coarse), config.patch)
        residual = sample_last_step(denoiser, noise, batch.condition(config), None, 1, (START_SIGMAS[0],) * 2)
        return refinement_of(areas, residual)


def main(
    run: Annotated[Path, typer.Option(help="Folder of a run whose few-step phase has trained for a while.")],
    data: Annotated[Path, typer.Option(help="Its training photos.")],
    hr: Annotated[Path, typer.Option(help="Folder of validation pictures.")],
    lr: Annotated[list[Path], typer.Option(help="Folder of their LR pictures; may be given again.")],
    lpips: Annotated[Path, typer.Option(help="Safetensors file with LPIPS's weights, the judge.")],
    lpips_squeeze: Annotated[Path, typer.Option(help="The same on SqueezeNet, a loss.")],
    batches: Annotated[int, typer.Option(help=f"Batches of {AREAS} training areas.")] = 40,
    every: Annotated[int, typer.Option(help="Take every so many-th validation picture.")] = 2,
    drawn: Annotated[int, typer.Option(help="Drawn pictures among the photos, as the run has them.")] = 0,
    threads: Annotated[int, typer.Option(help="Of the CPU.")] = 2,
    seed: Annotated[int, typer.Option(help="Of everything drawn at random.")] = 0,
) -> None:
    """Print a table: of every loss the gradient's norm, its agreement, and its cosine with the judge's on each LR folder."""
    folder, device = RunFolder(run), torch.device("cpu")
    settings = PhaseSettings(data, folder, Budget(), device, seed, threads, drawn=drawn)
    settings.begin()
    networks = perceptual_networks(lpips_squeeze, FewStepWeights(), device)
    denoiser = folder.load_denoiser(folder.few_step).requires_grad_(True)
    critics = Critics({name: network.critics_layers for name, network in networks.items()})
    critics.load_state_dict(load_checkpoint(folder.few_step)["trainees"]["critics"]["module"])
    critics.requires_grad_(False)
    judge, coarse, side = load_lpips(lpips), folder.load_coarse(), area_side(denoiser.patch_dit.config.patch)
    found = Directions([weight for name, weight in denoiser.patch_dit.named_parameters() if "prompt" not in name])
    for one in lr:
        for areas in validation_areas(examples(hr, one, every), coarse, side):
            found.add({one.name: judge.distance(areas.hr, areas.coarse + refined_by(denoiser, areas))})
    pairs = folder.pairs(settings.photos(), 1)
    losses: list[str] = []
    for _ in range(batches):
        areas = pairs.draw(AREAS, side)
        refinement = refined_by(denoiser, areas)
        with autocast(device):
            looks = looks_at(areas, areas.coarse + refinement, networks)
            scalars = few_step_losses(areas, refinement, looks, critics, pixels_judged=True)
        found.add(scalars)
        losses = list(scalars)
    judges, weights = [one.name for one in lr], FewStepWeights().by_loss(networks)
    print(
        f"| loss | weight | norm | agreement | {' | '.join(judges)} |\n| --- | --- | --- | --- |{' --- |' * len(judges)}"
    )
    for name in [*judges, *losses]:
        weight = f"{weights[name]:.3g}" if name in losses else ""
        cosines = " | ".join(f"{found.cosine(name, one):+.2f}" for one in judges)
        print(f"| {name} | {weight} | {found.norm(name):.4g} | {found.agreement(name):.2f} | {cosines} |", flush=True)


if __name__ == "__main__":
    typer.run(main)
