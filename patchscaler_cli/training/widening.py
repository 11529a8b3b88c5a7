"""A trained Patch-DiT that has not seen the LR picture, given eyes for it."""

from __future__ import annotations

import dataclasses

from torch import Tensor

from patchscaler_cli.models.patch_dit import PatchDiT

STEM = "stem.weight"


def widened_stem(weight: Tensor, channels: int) -> Tensor:
    """The stem's weights [O, I, 4, 4] with zeros for the input channels that it lacks [O, channels, 4, 4].

    The residual's and the coarse patch's channels come first, so those that are lacking are the LR picture's.
    """
    wide = weight.new_zeros((len(weight), channels, *weight.shape[2:]))
    wide[:, : weight.shape[1]] = weight
    return wide


def shown_lr(network: PatchDiT) -> PatchDiT:
    """The same network, shown the LR picture too; it computes what it did before until it is trained on."""
    wide = PatchDiT(dataclasses.replace(network.config, sees_lr=True))
    weights = network.state_dict()
    wide.load_state_dict(weights | {STEM: widened_stem(weights[STEM], wide.stem.in_channels)})
    return wide
