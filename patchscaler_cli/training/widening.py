"""Trained networks made larger: they compute what they did before until they are trained on."""

from __future__ import annotations

import dataclasses

from torch import Tensor

from patchscaler_cli.models.coarse import CoarseConfig, CoarseModel
from patchscaler_cli.models.patch_dit import PatchDiT
from patchscaler_cli.models.positions import squarely_spread

STEM = "stem.weight"
POSITION = "position"


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


def shown_features(network: PatchDiT, features: int) -> PatchDiT:
    """The same network, shown so many of the coarse model's features; it computes what it did before until it is trained on."""
    wide = PatchDiT(dataclasses.replace(network.config, features=features))
    wide.load_state_dict(wide.state_dict() | network.state_dict())
    return wide


def with_larger_patches(network: PatchDiT, patch: int) -> PatchDiT:
    """The same network for patches of `patch` pixels. Not what it computed before, but better at once: LPIPS of 128 instead of
    64 pixels is lower by 1 % (weights/runs.md, run 14)."""
    large = PatchDiT(dataclasses.replace(network.config, patch=patch))
    weights = network.state_dict()
    large.load_state_dict(weights | {POSITION: squarely_spread(weights[POSITION], large.config.tokens)})
    return large


def grown_coarse(small: CoarseModel, config: CoarseConfig) -> CoarseModel:
    """The same coarse model in the sizes of `config`, none of them smaller than it has.

    What is new is drawn as in an untrained model, but nothing of old looks at it: the old channels' weights for the new
    ones are zero, and so is what the new blocks, behind the old ones, add. All of that has a gradient from the first step.
    """
    large = CoarseModel(config)
    weights = large.state_dict()
    for name, old in small.state_dict().items():
        new, outputs = weights[name], len(old)
        if old.ndim > 1:
            new[:outputs] = 0
            new[:outputs, : old.shape[1]] = old
        else:
            new[:outputs] = old
    for index in range(small.config.blocks, config.blocks):
        for name in ("weight", "bias"):
            weights[f"body.{index}.second.{name}"].zero_()
    large.load_state_dict(weights)
    return large


def can_grow(small: CoarseConfig, large: CoarseConfig) -> bool:
    """Whether no size of `large` is smaller, and one is larger."""
    sizes = list(zip(dataclasses.astuple(small), dataclasses.astuple(large), strict=True))
    return all(a <= b for a, b in sizes) and any(a < b for a, b in sizes)
