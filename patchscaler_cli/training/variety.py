"""Other versions of the training photos: the same photographs from farther away and in other light.

A few hundred photographs are soon known by heart. The few-step phase drew each patch of the smaller ones dozens of times:
on training photos LPIPS went on falling, on photos that it had never seen it rose again.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

AS_IT_IS = 0.3
"""Share of photos that keep their size; as many keep their colours."""
SHRINK = (0.55, 1.0)
"""Factors by which the others are reduced; not below a half, or one reflection would not fill the square again."""
GAMMA = (0.7, 1.4)
GAIN = (0.85, 1.15)
SATURATION = (0.0, 1.4)
LUMA = (0.299, 0.587, 0.114)


def _uniform(low: float, high: float) -> float:
    return float(low + (high - low) * torch.rand(()))


def farther_away(image: Tensor) -> Tensor:
    """An image [3, S, S] reduced by a random factor; what is left of the square is filled by its reflection."""
    side = image.shape[-1]
    small = round(side * _uniform(*SHRINK))
    if small == side:
        return image
    shrunk = F.interpolate(image[None], (small, small), mode="bicubic", antialias=True, align_corners=False)
    left, top = (int(torch.randint(side - small + 1, ())) for _ in range(2))
    filled = F.pad(shrunk, (left, side - small - left, top, side - small - top), mode="reflect")
    return filled[0].clamp(0, 1)


def in_other_light(image: Tensor) -> Tensor:
    """An image [3, S, S] in [0, 1] with another gamma, white balance and saturation."""
    gains = torch.tensor([_uniform(*GAIN) for _ in range(3)], device=image.device).view(3, 1, 1)
    lit = image.clamp(0, 1) ** _uniform(*GAMMA) * gains
    grey = (lit * torch.tensor(LUMA, device=image.device).view(3, 1, 1)).sum(0, keepdim=True)
    return (grey + _uniform(*SATURATION) * (lit - grey)).clamp(0, 1)


def varied(images: Tensor) -> Tensor:
    """Another version of each photo.

    Args:
        images: uint8 [N, 3, S, S].

    Returns:
        The same type and shape; draws come from torch's global generators.
    """
    result = torch.empty_like(images)
    for number, image in enumerate(images):
        version = image.float() / 255
        if torch.rand(()) >= AS_IT_IS:
            version = farther_away(version)
        if torch.rand(()) >= AS_IT_IS:
            version = in_other_light(version)
        result[number] = (version * 255).round().to(torch.uint8)
    return result
