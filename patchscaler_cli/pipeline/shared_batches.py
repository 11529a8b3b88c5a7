"""Patches of one picture, or of several small ones, sampled in the same batches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from patchscaler_cli.models.patch_dit import PatchDiT
from patchscaler_cli.pipeline.denoising import CarefulDenoiser
from patchscaler_cli.pipeline.levels import LevelDenoiser
from patchscaler_cli.pipeline.limits import Limits
from patchscaler_cli.pipeline.precision import widened
from patchscaler_cli.sampling.grouped import PatchInputs, sample_groups
from patchscaler_cli.sampling.groups import GroupLadder

Numbers = npt.NDArray[np.int64]


ALIKE = 16
"""Patches that a batch is filled up to for its texture prompt. A CPU takes other kernels for fewer, whose last bits differ
(measured: for fewer than 8 on an AMD EPYC, for fewer than 10 on an Intel Xeon)."""


@dataclass(frozen=True)
class Share:
    """One picture's patches among those of the batches.

    Attributes:
        patches: their numbers in the picture [n], rising.
        groups: the group of each [n].
        load: gives conditions [B, C, S, S] and noise [B, 3, S, S] of patches by their numbers.
        blend: takes number and refined residual [3, S, S] of every patch that is sampled, in their order, at the end.
        advance: called with the number of patches just finished.
    """

    patches: Numbers
    groups: Numbers
    load: Callable[[Numbers], tuple[Tensor, Tensor]]
    blend: Callable[[int, npt.NDArray[np.float32]], None]
    advance: Callable[[int], None]


def sample_shares(
    shares: Sequence[Share],
    network: PatchDiT,
    ladder: GroupLadder,
    prompt: Callable[[Tensor], Tensor] | None,
    *,
    batch_size: int,
    device: torch.device,
    limits: Limits,
) -> list[int]:
    """Sample the patches of all shares in common batches; what overflows in half precision again in fp32.

    Patches never see each other and are blended in their order, so a picture is the same whichever others its batches
    hold: to the bit where the network's arithmetic is (in bf16 on a CPU), else to rounding.

    Args:
        shares: the pictures' patches.
        network: the denoiser.
        ladder: the groups' settings.
        prompt: gives the texture prompt of patches by their conditions; None for none.
        batch_size: most patches in the network together.
        device: where they are.
        limits: says how many patches fit into the memory, and learns it.

    Returns:
        How many times patches of each share went through the network.
    """
    owners = np.repeat(np.arange(len(shares)), [len(share.patches) for share in shares])
    patches = np.concatenate([share.patches for share in shares])
    groups = np.concatenate([share.groups for share in shares])
    steps = np.array([group.steps for group in ladder.groups])[groups]
    evaluations = np.zeros(len(shares), np.int64)
    refined: dict[int, npt.NDArray[np.float32]] = {}

    def load(places: Numbers) -> PatchInputs:  # they come in order, so a share's patches are neighbours
        loaded = [shares[owner].load(patches[places[owners[places] == owner]]) for owner in np.unique(owners[places])]
        condition, noise = (torch.cat(parts) if len(parts) > 1 else parts[0] for parts in zip(*loaded, strict=True))
        if prompt is None:
            return PatchInputs(condition, noise, None)
        filled = torch.cat((condition, condition[:1].expand(max(ALIKE - len(condition), 0), -1, -1, -1)))
        return PatchInputs(condition, noise, prompt(filled)[: len(condition)])

    def sample(network: PatchDiT, chosen: Numbers) -> Numbers:
        """Sample some of all patches; gives those that overflowed."""
        finished: list[tuple[Numbers, Tensor]] = []
        overflowed: list[int] = []

        def settle(places: Numbers, residual: Tensor) -> None:
            for place, pixels in zip(chosen[places].tolist(), residual.cpu().numpy(), strict=True):
                if np.isfinite(pixels).all():
                    refined[place] = pixels
                    shares[owners[place]].advance(1)
                else:
                    overflowed.append(place)

        def emit(places: Numbers, residual: Tensor) -> None:
            if device.type == "cpu":
                settle(places, residual)
            else:  # to wait for these now would let the device run dry
                finished.append((places, residual))

        most = min(batch_size, limits.batch or batch_size)
        careful = CarefulDenoiser(LevelDenoiser(network, ladder), limits)
        sample_groups(careful, lambda places: load(chosen[places]), emit, groups[chosen], ladder, most)
        for places, residual in finished:
            settle(places, residual)
        np.add.at(evaluations, owners[chosen], steps[chosen])
        return np.array(sorted(overflowed), np.int64)

    again = sample(network, np.arange(len(patches)))
    if len(again):
        limits.warn(f"Half precision overflowed in {len(again)} patches; they were computed again in fp32.")
        sample(widened(network), again)
    for place in sorted(refined):
        shares[owners[place]].blend(int(patches[place]), refined.pop(place))
    return [int(count) for count in evaluations]
