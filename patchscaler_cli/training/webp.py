"""Lossy WebP's loss, as tensor arithmetic: the quantisation of VP8's 4x4 transform (RFC 6386, sections 9.6 and 14).

Its prediction from neighbouring blocks only makes files smaller and is left out, and so is its deblocking filter: what
remains are the lost fine detail, the 4x4 blocks and the halved chroma.
"""

from __future__ import annotations

import torch
from torch import Tensor

from patchscaler_cli.training.blocks import from_planes, restored, to_planes, transformed

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


def _quantise_blocks(planes: Tensor, step: Tensor) -> Tensor:
    """Quantise the 4x4 transform of planes [B, C, H, W] (H and W multiples of 4) by steps [B]; block means by half of it."""
    steps = step.view(-1, 1, 1, 1, 1, 1).expand(-1, 1, 1, 1, 4, 4).clone()
    steps[..., 0, 0] *= 0.5
    scaled = transformed(planes, 4) / steps
    return restored(scaled.sign() * (scaled.abs() + ROUNDING).floor() * steps)


def webp_round_trip(rgb: Tensor, quality: Tensor) -> Tensor:
    """About what is left of images after lossy WebP at a quality each.

    Args:
        rgb: images [B, 3, H, W] in [0, 1], float32, of any size.
        quality: libwebp's quality of each image [B], 30 to 100.

    Returns:
        Decoded images [B, 3, H, W] in [0, 1], not rounded to 8 bits.
    """
    luma, chroma = to_planes(rgb, 8)
    step = _quantiser_step(quality.float())
    luma = _quantise_blocks(luma[:, None], step)[:, 0]
    return from_planes(luma, _quantise_blocks(chroma, step), (rgb.shape[-2], rgb.shape[-1]))
