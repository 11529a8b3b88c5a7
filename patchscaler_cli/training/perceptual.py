"""Perceptual distances to train with: LPIPS on SqueezeNet and VGG19 features. Never the judge's network (AlexNet).

The networks' weights are not ours and not shipped; they are read from safetensors files that the caller names.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from patchscaler_cli.errors import PatchScalerError

Distance = Callable[[Tensor, Tensor], Tensor]
"""Distance of images [B, 3, H, W] in [-1, 1] to true images of the same shape: a scalar, with gradients to the first only."""


def _load(path: Path, device: torch.device) -> dict[str, Tensor]:
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise PatchScalerError(f"{path}: cannot read the perceptual network's weights ({error}).") from error
    return {
        name: tensor.float().to(
            device, memory_format=torch.channels_last if tensor.ndim == 4 else torch.preserve_format
        )
        for name, tensor in weights.items()
    }


def unit_length(layer: Tensor) -> Tensor:
    """Features [B, C, H, W] scaled to length one at every place; cheaper to differentiate than `F.normalize`."""
    return layer * (layer.square().sum(1, keepdim=True) + 1e-10).rsqrt()


def lpips_squeeze(path: Path, device: torch.device) -> Distance:
    """LPIPS 0.1 on SqueezeNet 1.1 (Zhang et al. 2018): about a twentieth of VGG's arithmetic on 64x64 patches."""
    weights = _load(path, device)
    mean = torch.tensor([-0.030, -0.088, -0.188], device=device).view(3, 1, 1)
    deviation = torch.tensor([0.458, 0.448, 0.450], device=device).view(3, 1, 1)

    def convolve(x: Tensor, name: str, padding: int = 0) -> Tensor:
        return F.relu(F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=padding))

    def features(x: Tensor) -> list[Tensor]:
        x = ((x - mean) / deviation).contiguous(memory_format=torch.channels_last)
        x = F.relu(F.conv2d(x, weights["0.weight"], weights["0.bias"], stride=2))
        layers = [x]
        for pool, fires in (
            (True, (3, 4)),
            (True, (6, 7)),
            (True, (9,)),
            (False, (10,)),
            (False, (11,)),
            (False, (12,)),
        ):
            if pool:
                x = F.max_pool2d(x, 3, 2, ceil_mode=True)
            for fire in fires:
                squeezed = convolve(x, f"{fire}.squeeze")
                expanded = convolve(squeezed, f"{fire}.expand1x1"), convolve(squeezed, f"{fire}.expand3x3", 1)
                x = torch.cat(expanded, 1)
            layers.append(x)
        return [unit_length(layer.float()) for layer in layers]

    def distance(images: Tensor, truth: Tensor) -> Tensor:
        with torch.no_grad():
            targets = features(truth)
        total = images.new_zeros(())
        for i, (layer, target) in enumerate(zip(features(images), targets, strict=True)):
            error = (layer - target).square().mean((0, 2, 3))  # (C,)
            total = total + error @ weights[f"lin{i}"].flatten()
        return total

    return distance


def vgg_features(path: Path, device: torch.device) -> Distance:
    """Mean absolute difference of VGG19's features up to relu3_1 (activations normalised to mean one)."""
    weights = _load(path, device)

    def features(x: Tensor) -> list[Tensor]:
        x = F.conv2d((x + 1) / 2, weights["0.weight"], weights["0.bias"]).contiguous(memory_format=torch.channels_last)
        layers = []
        for name, pool in (("2", False), ("5", False), ("9", True), ("12", False), ("16", True)):
            if pool:
                x = F.max_pool2d(x, 2, 2)
            x = F.relu(
                F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), weights[f"{name}.weight"], weights[f"{name}.bias"])
            )
            layers.append(x.float())
        return layers

    def distance(images: Tensor, truth: Tensor) -> Tensor:
        with torch.no_grad():
            targets = features(truth)
        total = images.new_zeros(())
        for layer, target in zip(features(images), targets, strict=True):
            total = total + F.l1_loss(layer, target)
        return total / 5

    return distance
