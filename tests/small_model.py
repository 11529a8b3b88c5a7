"""A model small enough to run in milliseconds, with random weights: what it computes is wild, so nothing hides an error."""

from __future__ import annotations

from typing import Any

import torch

from patchscaler_cli.models.coarse import CoarseConfig
from patchscaler_cli.models.patch_dit import FEATURE_GAIN, PatchDiTConfig
from patchscaler_cli.models.patchscaler import ModelConfig, PatchScalerModel
from patchscaler_cli.models.texture import TextureConfig
from patchscaler_cli.pipeline.upscaler import Upscaler

SMALL = ModelConfig(
    "small",
    CoarseConfig(channels=16, blocks=2, confidence_channels=4),
    PatchDiTConfig(
        width=32, blocks=1, heads=2, outer_channels=8, inner_channels=8, prompt_width=16, sees_lr=True, features=16
    ),
    TextureConfig(embedding=8, tokens=4, token_width=16, entries=8, top_k=2),
)

CALIBRATION = {
    "groups": [{"sigma": 0.0, "steps": 0}, {"sigma": 0.1, "steps": 1}, {"sigma": 0.2, "steps": 3}],
    "thresholds": [0.1, 0.06],
    "fidelity": 0.0,
}


def small_model(seed: int = 0) -> PatchScalerModel:
    """Every weight random, those that training starts at zero too."""
    generator = torch.Generator().manual_seed(seed)
    model = PatchScalerModel(SMALL)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            fan_in = tensor[0].numel() if tensor.ndim > 1 else 4
            spread = 1.0 if name == "memory.keys" else fan_in**-0.5
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * spread)
        model.memory.keys.copy_(torch.nn.functional.normalize(model.memory.keys, dim=1))
        for layer in (model.patch_dit.features_down, model.patch_dit.features_up):
            layer.weight /= FEATURE_GAIN
        model.coarse.confidence_out.weight *= 4  # so that confidences differ enough for all three groups to occur
    return model.eval().requires_grad_(False)


def small_upscaler(**details: Any) -> Upscaler:
    """An Upscaler of the small model in fp32 on the CPU."""
    return Upscaler(small_model(), {"calibration": CALIBRATION} | details, "cpu", "fp32")


def gentle_upscaler(**details: Any) -> Upscaler:
    """The same with so little of its own that nothing of a greyish picture is cut off at black or white."""
    upscaler = small_upscaler(**details)
    for wild in (upscaler.network.coarse.tail, upscaler.network.patch_dit.out):
        for weights in wild.parameters():
            weights.mul_(0.05)
    return upscaler
