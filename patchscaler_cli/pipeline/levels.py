"""The denoiser by noise levels: on a CPU and by the empty prompt, each level's patches go through weights folded for it."""

from __future__ import annotations

from collections import OrderedDict
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from patchscaler_cli.models.one_level import OneLevelPatchDiT
from patchscaler_cli.models.patch_dit import PatchDiT
from patchscaler_cli.sampling.groups import GroupLadder
from patchscaler_cli.sampling.schedule import karras_sigmas

MOST_LEVELS = 8
"""Noise levels whose weights are kept (`tiny` takes 6 MiB each in bf16, 12 in fp32). A ladder with more folds none: to fold takes
as long as a patch or two."""


class LevelDenoiser:
    """D(r, sigma, y, prompt) of a batch of patches, as sampling calls it.

    Whether levels are folded depends on the ladder, the device and the prompt, never on the batch, and a patch goes with those of its
    level: so its result is the same whichever others are with it.
    """

    def __init__(self, network: PatchDiT, ladder: GroupLadder) -> None:
        """Wrap a network whose weights stay as they are while this is used."""
        levels = {
            level for group in ladder.groups if group.steps for level in karras_sigmas(group.sigma, group.steps)[:-1]
        }
        self._network = network
        on_cpu = network.stem.weight.device.type == "cpu"
        self._folded = _kept_levels(network) if on_cpu and len(levels) <= MOST_LEVELS else None

    def __call__(self, residual: Tensor, sigma: Tensor, condition: Tensor, prompt: Tensor | None) -> Tensor:
        """As `PatchDiT.forward`; without gradients."""
        if self._folded is None or prompt is not None:
            return self._network(residual, sigma, condition, prompt)  # type: ignore[no-any-return]
        levels = torch.unique(sigma)
        if len(levels) == 1:
            return self._at_level(float(levels), residual, sigma, condition)
        denoised = torch.empty_like(residual)
        for level in levels:
            rows = (sigma == level).nonzero()[:, 0]
            denoised[rows] = self._at_level(float(level), residual[rows], sigma[rows], condition[rows])
        return denoised

    def _at_level(self, level: float, residual: Tensor, sigma: Tensor, condition: Tensor) -> Tensor:
        assert self._folded is not None
        network = self._folded.pop(level, None) or OneLevelPatchDiT(self._network, level)
        self._folded[level] = network  # the last that was used is the last to go
        if len(self._folded) > MOST_LEVELS:
            self._folded.popitem(last=False)
        return self._network.preconditioned(residual, sigma, lambda scaled: network(scaled, condition))


Levels = OrderedDict[float, OneLevelPatchDiT]
Stamp = tuple[object, ...]

_levels: WeakKeyDictionary[PatchDiT, tuple[Stamp, Levels]] = WeakKeyDictionary()


def _kept_levels(network: PatchDiT) -> Levels:
    """The levels folded so far for a network's present weights."""
    stamp = tuple(
        (one.data_ptr(), one.dtype, 0 if one.is_inference() else one._version) for one in network.parameters()
    )
    known = _levels.get(network)
    if known is None or known[0] != stamp:
        known = _levels[network] = stamp, OrderedDict()
    return known[1]
