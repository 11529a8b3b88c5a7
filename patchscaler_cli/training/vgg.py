"""The classical perceptual network: VGG19 (Simonyan and Zisserman 2015) up to its third stage.

It has no strides but those of its pools, so it sees texture of a pixel or two, where the others see strides of four.
The network's weights are not ours and not shipped; they are read from a safetensors file that the caller names.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from patchscaler_cli.training.perceptual import CriticsLayers, cosine_distance, load_tensors

COMPARED = ("5", "12", "16")
"""relu1_2, relu2_2 and relu3_1, by the names of their convolutions."""


class Vgg:
    """VGG19 with normalised activations, as published for "Universal Style Transfer via Feature Transforms" (Li et al. 2017)."""

    critics_layers: ClassVar[CriticsLayers] = {}
    """No critics: at full size they would cost more than the network."""

    def __init__(self, path: Path, device: torch.device) -> None:
        """Read the network's weights.

        Raises:
            PatchScalerError: if the file cannot be read.
        """
        self._weights = load_tensors(path, device)

    def features(self, images: Tensor) -> list[Tensor]:
        """The layers that are compared, of strides 1, 2 and 4, for images [B, 3, H, W] in [-1, 1]: [B, C, h, w]."""
        weights = self._weights
        x = ((images + 1) / 2).contiguous(memory_format=torch.channels_last)
        x = F.conv2d(x, weights["0.weight"], weights["0.bias"])
        layers = []
        for name, pool in (("2", False), ("5", False), ("9", True), ("12", False), ("16", True)):
            if pool:
                x = F.max_pool2d(x, 2)
            x = F.relu(F.conv2d(x, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=1))
            if name in COMPARED:
                layers.append(x)
        return layers

    def distance(self, layers: list[Tensor], truth: list[Tensor]) -> Tensor:
        """`cosine_distance`."""
        return cosine_distance(layers, truth)
