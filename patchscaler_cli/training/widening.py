"""A trained Patch-DiT that has not seen the LR picture, given eyes for it."""

from __future__ import annotations

import dataclasses

import torch

from patchscaler_cli.models.patch_dit import PatchDiT


def shown_lr(network: PatchDiT) -> PatchDiT:
    """The same network, shown the LR picture too; it computes what it did before until it is trained on.

    The stem's weights for the LR picture's channels are zero, all others are copied.
    """
    wide = PatchDiT(dataclasses.replace(network.config, sees_lr=True))
    weights = network.state_dict()
    stem = torch.zeros_like(wide.stem.weight)
    known = network.stem.in_channels  # the residual's and the coarse patch's channels come first
    stem[:, :known] = weights["stem.weight"]
    wide.load_state_dict(weights | {"stem.weight": stem})
    return wide
