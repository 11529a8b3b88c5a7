"""The grouped loop: patches of all groups in one batch, each at its own noise level, each leaving when it is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from patchscaler_cli.models.placement import send
from patchscaler_cli.sampling.alternation import take_alternation
from patchscaler_cli.sampling.groups import GroupLadder
from patchscaler_cli.sampling.schedule import karras_sigmas
from patchscaler_cli.sampling.solver import solver_step

Denoise = Callable[[Tensor, Tensor, Tensor, Tensor | None], Tensor]
"""D(r, sigma, y, prompt): residuals [B, 3, S, S], noise levels [B], conditions [B, C, S, S], prompts [B, M, P]."""

Watch = Callable[[npt.NDArray[np.int64], npt.NDArray[np.int64], Tensor], None]
"""Told after each evaluation: the patches' numbers [B], their steps taken so far [B], and D for each [B, 3, S, S]."""


@dataclass(frozen=True)
class PatchInputs:
    """What sampling needs to know of patches, on the device.

    Attributes:
        condition: what the denoiser is shown of them [B, C, S, S] in [-1, 1], float32: coarse patches y_0 in the first three
            channels, then, where it sees it, the LR picture.
        noise: standard normal noise epsilon [B, 3, S, S], float32.
        prompt: texture prompt tokens [B, M, P], or None.
    """

    condition: Tensor
    noise: Tensor
    prompt: Tensor | None


@dataclass
class _Active:
    """Patches under way; row i of everything belongs to patch `patches[i]`. What decides the flow stays on the host."""

    patches: npt.NDArray[np.int64]  # (B,)
    step: npt.NDArray[np.int64]  # (B,) steps already taken
    steps: npt.NDArray[np.int64]  # (B,) steps to take in all
    sigmas: npt.NDArray[np.float32]  # (B, most steps + 1)
    residual: Tensor  # (B, 3, S, S)
    previous: Tensor  # (B, 3, S, S) denoised at the step before
    condition: Tensor
    prompt: Tensor | None

    def take(self, rows: npt.NDArray[np.int64]) -> _Active:
        index = send(rows, self.residual.device)
        prompt = None if self.prompt is None else self.prompt[index]
        return _Active(
            self.patches[rows], self.step[rows], self.steps[rows], self.sigmas[rows],
            self.residual[index], self.previous[index], self.condition[index], prompt,
        )  # fmt: skip

    def join(self, other: _Active) -> _Active:
        prompt = None if self.prompt is None or other.prompt is None else torch.cat((self.prompt, other.prompt))
        return _Active(
            np.concatenate((self.patches, other.patches)), np.concatenate((self.step, other.step)),
            np.concatenate((self.steps, other.steps)), np.concatenate((self.sigmas, other.sigmas)),
            torch.cat((self.residual, other.residual)), torch.cat((self.previous, other.previous)),
            torch.cat((self.condition, other.condition)), prompt,
        )  # fmt: skip


def sample_groups(
    denoise: Denoise,
    load: Callable[[npt.NDArray[np.int64]], PatchInputs],
    emit: Callable[[npt.NDArray[np.int64], Tensor], None],
    patch_groups: npt.NDArray[np.int64],
    ladder: GroupLadder,
    batch_size: int,
    watch: Watch | None = None,
) -> int:
    """Sample the residual of every patch as its group says.

    The batch is kept full: whenever patches are done, the next ones take their places. A patch's result does not depend
    on which patches share its batches. Nothing here waits for the device: what decides the flow lies on the host.

    Args:
        denoise: the preconditioned denoiser.
        load: gives the inputs of patches by their numbers.
        emit: takes numbers and refined residuals x_0 - y_0 [B, 3, S, S] of finished patches, in no particular order.
            Patches of groups with no steps never come up: their residual is zero.
        patch_groups: group of every patch [P].
        ladder: the groups' settings.
        batch_size: most patches in the network together.
        watch: for whoever explains what happens; None costs nothing.

    Returns:
        Network evaluations: over all patches, the sum of their steps.
    """
    steps = np.array([group.steps for group in ladder.groups], np.int64)
    grids = np.zeros((len(ladder.groups), int(steps.max()) + 1), np.float32)
    for grid, group in zip(grids, ladder.groups, strict=True):
        if group.steps:
            grid[: group.steps + 1] = karras_sigmas(group.sigma, group.steps)
    waiting = np.flatnonzero(steps[patch_groups] > 0)
    evaluations = 0
    active: _Active | None = None
    while active is not None or len(waiting):
        room = batch_size - (len(active.patches) if active else 0)
        if room and len(waiting):
            arrived, waiting = waiting[:room], waiting[room:]
            chosen = patch_groups[arrived]
            fresh = _begin(arrived, steps[chosen], grids[chosen], load(arrived))
            active = active.join(fresh) if active else fresh
        assert active is not None
        _advance_one_step(denoise, active)
        evaluations += len(active.patches)
        if watch is not None:
            watch(active.patches, active.step, active.previous)
        done = active.step == active.steps
        if done.any():
            finished = active if done.all() else active.take(np.flatnonzero(done))
            emit(finished.patches, take_alternation(finished.residual))
            active = None if done.all() else active.take(np.flatnonzero(~done))
    return evaluations


def _begin(
    patches: npt.NDArray[np.int64], steps: npt.NDArray[np.int64], sigmas: npt.NDArray[np.float32], inputs: PatchInputs
) -> _Active:
    """Start patches at r = sigma_tau * epsilon: the coarse patch, noised (PatchScaler, eq. 6, divided by sqrt(alpha))."""
    start = send(sigmas[:, 0], inputs.noise.device)
    residual = start.view(-1, 1, 1, 1) * inputs.noise
    previous = torch.zeros_like(residual)
    return _Active(patches, np.zeros_like(steps), steps, sigmas, residual, previous, inputs.condition, inputs.prompt)


def _advance_one_step(denoise: Denoise, active: _Active) -> None:
    """Evaluate the denoiser once for every active patch and move each to its own next noise level."""
    rows, step = np.arange(len(active.step)), active.step
    before = np.where(step > 0, active.sigmas[rows, step - 1], np.float32(np.inf))
    levels = np.stack((before, active.sigmas[rows, step], active.sigmas[rows, step + 1]))
    sigma_previous, sigma, sigma_next = send(levels, active.residual.device)
    denoised = denoise(active.residual, sigma, active.condition, active.prompt)
    active.residual = solver_step(active.residual, denoised, active.previous, sigma_previous, sigma, sigma_next)
    active.previous = denoised
    active.step = step + 1
