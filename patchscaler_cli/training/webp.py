"""Lossy WebP's loss, as tensor arithmetic: the quantisation of VP8's 4x4 transform (RFC 6386, sections 9.6 and 14).

Its prediction from neighbouring blocks only makes files smaller and is left out, and so is its deblocking filter: what
remains are the lost fine detail, the 4x4 blocks and the halved chroma.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

ROUNDING = 0.43
"""libwebp rounds a coefficient up only from 0.57 steps on."""


def _quantiser_step(quality: Tensor) -> Tensor:
    """libwebp's step of the transform's AC coefficients in grey levels (orthonormal transform), from quality [B] 30 to 100."""
    quality = quality / 100
    linear = torch.where(quality < 0.75, quality * 2 / 3, 2 * quality - 1)
    index = 127 * (1 - linear.clamp(min=0) ** (1 / 3))
    return (
        index + 4
    ) / 2  # the table of RFC 6386, 14.1, rises by one an index up to 54; its transform is scaled by two


def _transform(device: torch.device) -> Tensor:
    """The orthonormal 4-point DCT-II [4, 4]: rows are frequencies."""
    k, n = torch.meshgrid(torch.arange(4.0), torch.arange(4.0), indexing="ij")
    matrix = torch.cos((2 * n + 1) * k * math.pi / 8) / math.sqrt(2)
    matrix[0] /= math.sqrt(2)
    return matrix.to(device)


def _quantise_blocks(planes: Tensor, step: Tensor) -> Tensor:
    """Quantise the 4x4 transform of planes [B, C, H, W] (H and W multiples of 4) by steps [B]; block means by half of it."""
    b, c, h, w = planes.shape
    dct = _transform(planes.device)
    blocks = planes.view(b, c, h // 4, 4, w // 4, 4).transpose(3, 4)  # (B, C, H/4, W/4, 4, 4)
    steps = step.view(b, 1, 1, 1, 1, 1).expand(-1, 1, 1, 1, 4, 4).clone()
    steps[..., 0, 0] *= 0.5
    scaled = dct @ blocks @ dct.T / steps
    coefficients = scaled.sign() * (scaled.abs() + ROUNDING).floor() * steps
    return (dct.T @ coefficients @ dct).transpose(3, 4).reshape(b, c, h, w)


def webp_round_trip(rgb: Tensor, quality: Tensor) -> Tensor:
    """About what is left of images after lossy WebP at a quality each.

    Args:
        rgb: images [B, 3, H, W] in [0, 1], float32, of any size.
        quality: libwebp's quality of each image [B], 30 to 100.

    Returns:
        Decoded images [B, 3, H, W] in [0, 1], not rounded to 8 bits.
    """
    height, width = rgb.shape[-2:]
    rgb = F.pad(rgb, (0, -width % 8, 0, -height % 8), mode="replicate") * 255
    red, green, blue = rgb.unbind(1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    chroma = torch.stack(((blue - luma) * 0.564, (red - luma) * 0.713), 1)  # (B, 2, H, W): U, V
    step = _quantiser_step(quality.float())
    luma = _quantise_blocks(luma[:, None], step)[:, 0]
    chroma = _quantise_blocks(F.avg_pool2d(chroma, 2), step)
    u, v = F.interpolate(chroma, scale_factor=2, mode="bilinear", align_corners=False).unbind(1)
    decoded = torch.stack((luma + 1.403 * v, luma - 0.344 * u - 0.714 * v, luma + 1.773 * u), 1)
    return (decoded / 255).clamp(0, 1)[..., :height, :width]
