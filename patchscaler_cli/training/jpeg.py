"""JPEG's loss, as tensor arithmetic: it runs wherever the batch lies, and every sample has its own quality.

Baseline JPEG (ITU-T T.81) with the example quantisation tables of its annex K, the Independent JPEG Group's
quality scale and 4:2:0 chroma, which is what nearly every camera, phone and web site writes. Entropy coding
loses nothing and is left out.
"""

from __future__ import annotations

import torch
from torch import Tensor

from patchscaler_cli.training.blocks import from_planes, restored, to_planes, transformed

LUMA_TABLE = (
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29, 51, 87, 80, 62,
    18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip
CHROMA_TABLE = (
    17, 18, 24, 47, 99, 99, 99, 99, 18, 21, 26, 66, 99, 99, 99, 99, 24, 26, 56, 99, 99, 99, 99, 99, 47, 66, 99, 99, 99, 99, 99, 99,
) + (99,) * 32  # fmt: skip


def _quantisation_table(base: tuple[int, ...], quality: Tensor) -> Tensor:
    """The IJG's table [B, 8, 8] for each quality [B] in 1..100."""
    percent = torch.where(quality < 50, 5000 / quality, 200 - 2 * quality)
    table = torch.tensor(base, dtype=torch.float32, device=quality.device).view(1, 8, 8)
    return ((table * percent.view(-1, 1, 1) + 50) / 100).floor().clamp(1, 255)


def _quantise_blocks(planes: Tensor, table: Tensor) -> Tensor:
    """Round the 8x8 transform of planes [B, C, H, W] (around 0, H and W multiples of 8) to the table [B, 8, 8]."""
    table = table.view(len(table), 1, 1, 1, 8, 8)
    return restored(torch.round(transformed(planes, 8) / table) * table)


def jpeg_round_trip(rgb: Tensor, quality: Tensor) -> Tensor:
    """What is left of images after JPEG at a quality each.

    Args:
        rgb: images [B, 3, H, W] in [0, 1], float32, of any size.
        quality: the IJG quality of each image [B], 1 to 100.

    Returns:
        Decoded images [B, 3, H, W] in [0, 1], not rounded to 8 bits.
    """
    luma, chroma = to_planes(rgb, 16)
    quality = quality.to(torch.float32)
    luma = _quantise_blocks(luma[:, None].round() - 128, _quantisation_table(LUMA_TABLE, quality))[:, 0] + 128
    chroma = _quantise_blocks(chroma.round(), _quantisation_table(CHROMA_TABLE, quality))
    return from_planes(luma, chroma, (rgb.shape[-2], rgb.shape[-1]))
