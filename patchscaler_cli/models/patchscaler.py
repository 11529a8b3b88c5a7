"""The whole model: its five parts, and the sizes that it is made in."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from torch import nn

from patchscaler_cli.models.coarse import CoarseConfig, CoarseModel
from patchscaler_cli.models.patch_dit import PatchDiT, PatchDiTConfig
from patchscaler_cli.models.texture import TextureClassifier, TextureConfig, TextureEncoder, TextureMemory


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of all parts; it travels in the weights file as JSON."""

    name: str
    coarse: CoarseConfig = field(default_factory=CoarseConfig)
    patch_dit: PatchDiTConfig = field(default_factory=PatchDiTConfig)
    texture: TextureConfig = field(default_factory=TextureConfig)

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelConfig:
        """The inverse of `to_dict`.

        Raises:
            KeyError, TypeError: if a part or a size is missing, unknown or no mapping.
        """
        return cls(
            values["name"],
            CoarseConfig(**values["coarse"]),
            PatchDiTConfig(**values["patch_dit"]),
            TextureConfig(**values["texture"]),
        )


PRESETS = {
    "tiny": ModelConfig(
        "tiny", CoarseConfig(channels=64, blocks=16), patch_dit=PatchDiTConfig(patch=128, sees_lr=True, features=64)
    ),
    "base": ModelConfig(
        "base",
        CoarseConfig(channels=64, blocks=24, confidence_channels=32),
        PatchDiTConfig(
            patch=128, width=384, blocks=10, heads=6, outer_channels=64, inner_channels=128, sees_lr=True, features=64
        ),
        TextureConfig(entries=2048),
    ),
}
"""Design, section 3: `tiny` is for CPUs, `base` for GPUs."""


class PatchScalerModel(nn.Module):
    """Coarse model, Patch-DiT, texture classifier, texture encoder and reference texture memory under one roof."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.coarse = CoarseModel(config.coarse)
        self.patch_dit = PatchDiT(config.patch_dit)
        self.classifier = TextureClassifier(config.texture)
        self.encoder = TextureEncoder(config.texture)
        self.memory = TextureMemory(config.texture)
