"""Arithmetic that can be trusted: devices are tried before they are used, and what overflows is computed again in fp32."""

from __future__ import annotations

import copy
from functools import cache
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.pipeline.device import DTYPES
from patchscaler_cli.tiling.noise import position_noise

AnyModule = TypeVar("AnyModule", bound=nn.Module)

NEAR = {"fp32": 1e-3, "fp16": 0.02, "bf16": 0.1}
"""How far a device's numbers may be from a CPU's in fp32; the largest of them are about 5."""


def trusted_dtype(dtype: str, device: torch.device) -> tuple[str, str | None]:
    """The arithmetic to use on a device that may compute wrongly in what was chosen, and a sentence where it differs.

    Args:
        dtype: a key of DTYPES.
        device: a CPU is trusted; others are tried.

    Raises:
        PatchScalerError: if the device computes wrongly even in fp32.
    """
    if device.type == "cpu" or computes_rightly(device, dtype):
        return dtype, None
    if dtype != "fp32" and computes_rightly(device, "fp32"):
        return "fp32", f"The device {device} computes wrongly in {dtype} (compared with the CPU); fp32 is used instead."
    raise PatchScalerError(
        f"The device {device} computes wrongly (compared with the CPU); use --device cpu, or another version of torch."
    )


@cache
def computes_rightly(device: torch.device, dtype: str) -> bool:
    """Whether a device computes layers like the networks', and the sampling noise, as the CPU does."""
    place = torch.tensor([0, 4096])
    with torch.inference_mode():
        expected = _small_network(torch.device("cpu"), torch.float32)
        noise = position_noise(7, place, place, (8, 8))
        try:
            found = _small_network(device, DTYPES[dtype]).float().cpu()
            drawn = position_noise(7, place.to(device), place.to(device), (8, 8)).cpu()
        except (RuntimeError, NotImplementedError):  # the backend lacks an operation
            return False
    return torch.allclose(found, expected, rtol=0, atol=NEAR[dtype]) and torch.allclose(drawn, noise, atol=1e-3)


def _small_network(device: torch.device, dtype: torch.dtype) -> Tensor:
    """The same random numbers through a convolution, a norm, attention, GELU, resizing and shuffling [2, 2, 32, 32]."""
    generator = torch.Generator().manual_seed(0)
    shapes = ((2, 8, 8, 8), (8, 8, 3, 3), (8, 8), (2, 8, 32, 32))
    x, kernel, matrix, added = (torch.randn(shape, generator=generator).to(device, dtype) for shape in shapes)
    x = F.conv2d(x.contiguous(memory_format=torch.channels_last), kernel * 0.1, padding=1)  # (2, 8, 8, 8)
    tokens = F.layer_norm(x.flatten(2).transpose(1, 2), (8,))  # (2, 64, 8)
    tokens = F.scaled_dot_product_attention(tokens[:, None], tokens[:, None], tokens[:, None])[:, 0]
    tokens = F.gelu(tokens @ (matrix * 0.3))
    enlarged = F.interpolate(tokens.transpose(1, 2).reshape(2, 8, 8, 8).float(), scale_factor=2, mode="bicubic")
    return F.pixel_shuffle(enlarged.to(dtype) + added[:, :, :16, :16], 2)


def widened(network: AnyModule) -> AnyModule:
    """A copy of a network that computes in fp32, for what was not finite in half precision.

    Raises:
        PatchScalerError: if the network computes in fp32 already.
    """
    if next(network.parameters()).dtype == torch.float32:
        raise PatchScalerError("The network's results are no finite numbers; its weights file may be damaged.")
    return copy.deepcopy(network).float()
