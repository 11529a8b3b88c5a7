"""What happened to chosen patches of a picture: sampled once more, with every step kept.

A patch's way does not depend on the patches beside it in a batch, so this is what `Upscaler.upscale` did with them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from patchscaler_cli.pipeline.bands import coarse_stage, patch_grid
from patchscaler_cli.pipeline.diffusion_stage import DiffusionStage
from patchscaler_cli.pipeline.levels import LevelDenoiser
from patchscaler_cli.pipeline.network_pass import bound_refinement
from patchscaler_cli.pipeline.pixels import AnyArray, as_array, from_network
from patchscaler_cli.pipeline.settings import UpscaleSettings
from patchscaler_cli.pipeline.upscaler import Upscaler
from patchscaler_cli.sampling.grouped import PatchInputs, sample_groups
from patchscaler_cli.sampling.groups import Group
from patchscaler_cli.sampling.schedule import karras_sigmas

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class PatchTrace:
    """One patch's way.

    Attributes:
        row: of the patch grid, and
        column: of it.
        number: of its group, 0 is the easiest.
        group: its start noise and steps.
        coarse: the coarse patch [S, S, 3].
        start: the coarse patch with the start noise on it; the coarse patch itself where it is kept.
        steps: what the network made of it after each step, at fidelity 0 and within its bound.
        sigmas: the noise levels before the steps and after the last, as many as steps and one; empty without steps.
        textures: numbers of the retrieved memory entries and their cosine similarities, nearest first; empty without.
    """

    row: int
    column: int
    number: int
    group: Group
    coarse: Pixels
    start: Pixels
    steps: list[Pixels]
    sigmas: list[float]
    textures: list[tuple[int, float]]


@torch.inference_mode()
def trace_patches(
    upscaler: Upscaler,
    picture: AnyArray,
    settings: UpscaleSettings,
    patch_groups: npt.NDArray[np.int64],
    patches: list[tuple[int, int]],
) -> list[PatchTrace]:
    """Sample some patches of a picture again and keep what they look like after every step.

    Args:
        upscaler: the model.
        picture: as it was upscaled.
        settings: with which it was upscaled.
        patch_groups: the result's [rows, columns].
        patches: row and column of each.
    """
    model, ladder, texture = upscaler.network, upscaler.sampling(settings).ladder, upscaler.prompted(settings)
    device, picture = model.memory.keys.device, as_array(picture)
    grid = patch_grid(model, picture.shape[0], picture.shape[1], settings.wrap)
    stage = coarse_stage(model, picture, grid, settings, device)
    stage.finish(grid.extent[0])
    diffusion = DiffusionStage(
        model, device, stage, ladder,
        seed=settings.seed, batch_size=len(patches), texture=texture,
    )  # fmt: skip
    numbers = np.array([row * grid.columns + column for row, column in patches], np.int64)
    inputs = diffusion.load(numbers)
    denoised: list[list[Tensor]] = [[] for _ in patches]

    def load(chosen: npt.NDArray[np.int64]) -> PatchInputs:
        index = torch.from_numpy(chosen).to(device)
        prompt = None if inputs.prompt is None else inputs.prompt[index]
        return PatchInputs(inputs.condition[index], inputs.noise[index], prompt)

    def watch(chosen: npt.NDArray[np.int64], steps: npt.NDArray[np.int64], residual: Tensor) -> None:
        for patch, made in zip(chosen, residual, strict=True):
            denoised[patch].append(made.float().cpu())

    def emit(chosen: npt.NDArray[np.int64], residual: Tensor) -> None:
        for patch, made in zip(chosen, residual, strict=True):
            denoised[patch][-1] = made.float().cpu()  # the last step's, without what alternates

    groups = patch_groups.ravel()[numbers]
    denoise = LevelDenoiser(model.patch_dit, ladder)
    sample_groups(denoise, load, emit, groups, ladder, len(patches), watch)
    near = model.memory.nearest(model.classifier(inputs.condition[:, :3])) if texture else None
    traces = []
    for i, (row, column) in enumerate(patches):
        group, coarse = ladder.groups[int(groups[i])], inputs.condition[i, :3].cpu()
        top, left = grid.tops[row], grid.lefts[column]
        sure = stage.confidence[top : top + grid.size[0], left : left + grid.size[1]]
        for residual in denoised[i]:
            bound_refinement(residual.numpy(), sure, 0, len(sure), stage.scale)
        start = coarse + (group.sigma * inputs.noise[i].cpu() if group.steps else 0)
        traces.append(
            PatchTrace(
                row, column, int(groups[i]), group, _shown(coarse), _shown(start), [_shown(coarse + one) for one in denoised[i]],
                karras_sigmas(group.sigma, group.steps).tolist() if group.steps else [],
                [] if near is None else list(zip(near[0][i].tolist(), near[1][i].tolist(), strict=True)),
            )
        )  # fmt: skip
    return traces


def _shown(patch: Tensor) -> Pixels:
    """A patch [3, S, S] in [-1, 1] as pixels [S, S, 3]."""
    return from_network(patch.float().numpy(), np.dtype(np.uint8))
