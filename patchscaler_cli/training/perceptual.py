"""The perceptual distance to train with: LPIPS on SqueezeNet. Never the judge's network (AlexNet).

The network's weights are not ours and not shipped; they are read from a safetensors file that the caller names.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Protocol

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from patchscaler_cli.errors import PatchScalerError

CriticsLayers = Mapping[int, tuple[int, float]]
"""Layers of a network's `features` that critics look at, by number: channels, and the size of their values on photographs
(root mean square)."""


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


class PerceptualNetwork(Protocol):
    """A pretrained network whose features tell pictures apart."""

    @property
    def critics_layers(self) -> CriticsLayers:
        """What critics look at."""

    def features(self, images: Tensor) -> list[Tensor]:
        """The layers that are compared, for images [B, 3, H, W] in [-1, 1]: each [B, C, h, w]."""

    def distance(self, layers: list[Tensor], truth: list[Tensor]) -> Tensor:
        """How far images are from the truth by the features of both, a scalar averaged over the batch."""


class LpipsSqueeze:
    """LPIPS 0.1 on SqueezeNet 1.1 (Zhang et al. 2018): about a twentieth of VGG's arithmetic on 64x64 patches.

    Its features are to be had, too: a critic that looks at them costs next to nothing more.
    """

    critics_layers: ClassVar[CriticsLayers] = {1: (128, 3.6), 2: (256, 14.0), 3: (384, 25.0)}
    """The first layer is left out: its critic alone took a quarter of a training step, and edges are all that it sees."""

    def __init__(self, path: Path, device: torch.device) -> None:
        """Read the network's weights.

        Raises:
            PatchScalerError: if the file cannot be read.
        """
        self._weights = _load(path, device)
        self._mean = torch.tensor([-0.030, -0.088, -0.188], device=device).view(3, 1, 1)
        self._deviation = torch.tensor([0.458, 0.448, 0.450], device=device).view(3, 1, 1)

    def _convolve(self, x: Tensor, name: str, padding: int = 0, stride: int = 1) -> Tensor:
        weights = self._weights
        return F.relu(F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], stride=stride, padding=padding))

    def features(self, images: Tensor) -> list[Tensor]:
        """The layers that LPIPS compares, for images [B, 3, H, W] in [-1, 1]: seven of [B, C, h, w], not normalised."""
        x = ((images - self._mean) / self._deviation).contiguous(memory_format=torch.channels_last)
        x = self._convolve(x, "0", stride=2)
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
                squeezed = self._convolve(x, f"{fire}.squeeze")
                expanded = (
                    self._convolve(squeezed, f"{fire}.expand1x1"),
                    self._convolve(squeezed, f"{fire}.expand3x3", 1),
                )
                x = torch.cat(expanded, 1)
            layers.append(x)
        return layers

    def distance(self, layers: list[Tensor], truth: list[Tensor]) -> Tensor:
        """LPIPS of two images' features, a scalar averaged over the batch."""
        total = layers[0].new_zeros((), dtype=torch.float32)
        for i, (layer, target) in enumerate(zip(layers, truth, strict=True)):
            error = (unit_length(layer.float()) - unit_length(target.float())).square().mean((0, 2, 3))  # (C,)
            total = total + error @ self._weights[f"lin{i}"].flatten()
        return total
