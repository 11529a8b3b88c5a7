"""What lossy coders share: luma and halved chroma, and cosine transforms of small blocks."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor


def to_planes(rgb: Tensor, multiple: int) -> tuple[Tensor, Tensor]:
    """Luma [B, H', W'] in 0..255 and chroma [B, 2, H'/2, W'/2] around 0 (BT.601) of images [B, 3, H, W] in [0, 1].

    The last rows and columns are repeated until both sides are multiples of `multiple`.
    """
    height, width = rgb.shape[-2:]
    rgb = F.pad(rgb, (0, -width % multiple, 0, -height % multiple), mode="replicate") * 255
    red, green, blue = rgb.unbind(1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    chroma = torch.stack(((blue - luma) * 0.564, (red - luma) * 0.713), 1)
    return luma, F.avg_pool2d(chroma, 2)


def from_planes(luma: Tensor, chroma: Tensor, size: tuple[int, int]) -> Tensor:
    """The inverse of `to_planes`: images [B, 3, *size] in [0, 1]."""
    u, v = F.interpolate(chroma, scale_factor=2, mode="bilinear", align_corners=False).unbind(1)
    rgb = torch.stack((luma + 1.403 * v, luma - 0.344 * u - 0.714 * v, luma + 1.773 * u), 1)
    return (rgb / 255).clamp(0, 1)[..., : size[0], : size[1]]


@lru_cache
def dct_matrix(size: int, device: torch.device) -> Tensor:
    """The orthonormal DCT-II [size, size]: rows are frequencies."""
    k, n = torch.meshgrid(torch.arange(float(size)), torch.arange(float(size)), indexing="ij")
    matrix = torch.cos((2 * n + 1) * k * math.pi / (2 * size)) * math.sqrt(2 / size)
    matrix[0] /= math.sqrt(2)
    return matrix.to(device)


def transformed(planes: Tensor, size: int) -> Tensor:
    """Coefficients [B, C, H/size, W/size, size, size] of planes [B, C, H, W], H and W multiples of `size`."""
    b, c, h, w = planes.shape
    dct = dct_matrix(size, planes.device)
    return dct @ planes.view(b, c, h // size, size, w // size, size).transpose(3, 4) @ dct.T


def restored(coefficients: Tensor) -> Tensor:
    """The inverse of `transformed`."""
    b, c, rows, columns, size, _ = coefficients.shape
    dct = dct_matrix(size, coefficients.device)
    return (dct.T @ coefficients @ dct).transpose(3, 4).reshape(b, c, rows * size, columns * size)
