"""JPEG's loss, as tensor arithmetic: it runs wherever the batch lies, and every sample has its own quality.

Baseline JPEG (ITU-T T.81) with the example quantisation tables of its annex K, the Independent JPEG Group's
quality scale and 4:2:0 chroma, which is what nearly every camera, phone and web site writes. Entropy coding
loses nothing and is left out.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

LUMA_TABLE = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
CHROMA_TABLE = (
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
) + (99,) * 32  # fmt: skip


@lru_cache
def _dct_matrix(device: torch.device) -> Tensor:
    """The orthonormal 8-point DCT-II [8, 8]: rows are frequencies."""
    k, n = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    matrix = torch.cos((2 * n + 1) * k * math.pi / 16) / 2
    matrix[0] /= math.sqrt(2)
    return matrix.to(device)


def _quantisation_table(base: tuple[int, ...], quality: Tensor) -> Tensor:
    """The IJG's table [B, 8, 8] for each quality [B] in 1..100."""
    percent = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)
    table = torch.tensor(base, dtype=torch.float32, device=quality.device).view(1, 8, 8)
    return ((table * percent.view(-1, 1, 1) + 50) / 100).floor().clamp(1, 255)


def _quantise_blocks(plane: Tensor, table: Tensor) -> Tensor:
    """Round the DCT of each 8x8 block of planes [B, C, H, W] (0..255, H and W multiples of 8) to the table [B, 8, 8]."""
    b, c, h, w = plane.shape
    dct = _dct_matrix(plane.device)
    blocks = plane.view(b, c, h // 8, 8, w // 8, 8).transpose(3, 4) - 128  # (B, C, H/8, W/8, 8, 8)
    table = table.view(b, 1, 1, 1, 8, 8)
    coefficients = torch.round(dct @ blocks @ dct.T / table) * table
    return (dct.T @ coefficients @ dct + 128).transpose(3, 4).reshape(b, c, h, w)


def jpeg_round_trip(rgb: Tensor, quality: Tensor) -> Tensor:
    """What is left of images after JPEG at a quality each.

    Args:
        rgb: images [B, 3, H, W] in [0, 1], float32, of any size.
        quality: the IJG quality of each image [B], 1 to 100.

    Returns:
        Decoded images [B, 3, H, W] in [0, 1], not rounded to 8 bits.
    """
    height, width = rgb.shape[-2:]
    rgb = F.pad(rgb, (0, -width % 16, 0, -height % 16), mode="replicate") * 255
    red, green, blue = rgb.unbind(1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    chroma = torch.stack(((blue - luma) * 0.564 + 128, (red - luma) * 0.713 + 128), 1)  # (B, 2, H, W): Cb, Cr
    quality = quality.to(torch.float32)
    luma = _quantise_blocks(luma[:, None].round(), _quantisation_table(LUMA_TABLE, quality))[:, 0]
    chroma = _quantise_blocks(F.avg_pool2d(chroma, 2).round(), _quantisation_table(CHROMA_TABLE, quality))
    cb, cr = (F.interpolate(chroma, scale_factor=2, mode="bilinear", align_corners=False) - 128).unbind(1)
    decoded = torch.stack((luma + 1.403 * cr, luma - 0.344 * cb - 0.714 * cr, luma + 1.773 * cb), 1)
    return (decoded / 255).clamp(0, 1)[..., :height, :width]
