"""Layers computed together with what follows them, which saves passes over memory where no gradients are wanted.

The same numbers up to rounding. While gradients are recorded, or under autocast, the plain layers are computed.
"""

from __future__ import annotations

import platform
from functools import cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Layer(NamedTuple):
    """Weights of a linear layer [out, in] or a convolution [out, in, h, w], which are no module's."""

    weight: Tensor
    bias: Tensor | None


def modulate(x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """x * (1 + scale) + shift; the three broadcast."""
    return x * (1 + scale) + shift if torch.is_grad_enabled() else torch.addcmul(shift, x, 1 + scale)


def gated_sum(x: Tensor, gate: Tensor, y: Tensor) -> Tensor:
    """x + gate * y; the three broadcast."""
    return x + gate * y if torch.is_grad_enabled() else torch.addcmul(x, gate, y)


def linear(layer: nn.Linear | Layer, x: Tensor) -> Tensor:
    """A linear layer. (torch's own writes the bias into the result first and adds the product to it: a pass more.)"""
    if _joins(x, layer.weight):
        joined: Tensor = torch.ops.mkldnn._linear_pointwise(x, layer.weight, layer.bias, "none", [], "")
        return joined
    return F.linear(x, layer.weight, layer.bias)


def linear_sum(layer: nn.Linear | Layer, x: Tensor, other: Tensor) -> Tensor:
    """other + a linear layer of x."""
    if _joins(x, layer.weight):
        joined: Tensor = torch.ops.mkldnn._linear_pointwise.binary(x, other, layer.weight, layer.bias, "add")
        return joined
    return other + F.linear(x, layer.weight, layer.bias)


def convolution_relu(layer: nn.Conv2d | Layer, x: Tensor, padding: tuple[int, int]) -> Tensor:
    """relu of a convolution of stride 1, padded with so many rows and columns of zeros whatever the layer's own padding."""
    if _joins(x, layer.weight):
        joined: Tensor = torch.ops.mkldnn._convolution_pointwise(x, *_as_stored(layer, padding), "relu", [], "")
        return joined
    return F.relu_(F.conv2d(x, layer.weight, layer.bias, padding=padding))


def convolution_leaky_relu(layer: nn.Conv2d | Layer, x: Tensor, padding: tuple[int, int], slope: float) -> Tensor:
    """leaky_relu of a convolution of stride 1, padded like `convolution_relu`'s."""
    if _joins(x, layer.weight):
        stored = _as_stored(layer, padding)
        joined: Tensor = torch.ops.mkldnn._convolution_pointwise(x, *stored, "leaky_relu", [slope], "")
        return joined
    return F.leaky_relu_(F.conv2d(x, layer.weight, layer.bias, padding=padding), slope)


def convolution_sum(layer: nn.Conv2d | Layer, x: Tensor, other: Tensor, padding: tuple[int, int]) -> Tensor:
    """other + a convolution of stride 1, padded like `convolution_relu`'s. It may be computed in the memory of `other`."""
    if _joins(x, layer.weight):
        into = other.contiguous(memory_format=torch.channels_last)
        joined: Tensor = torch.ops.mkldnn._convolution_pointwise_.binary(
            into, x, *_as_stored(layer, padding), "add", 1.0, None, [], None
        )
        return joined
    return other + F.conv2d(x, layer.weight, layer.bias, padding=padding)


def _as_stored(layer: nn.Conv2d | Layer, padding: tuple[int, int]) -> tuple[object, ...]:
    """Weights, padding, stride, dilation and groups, as oneDNN is given them."""
    return layer.weight, layer.bias, padding, (1, 1), (1, 1), 1


def _joins(x: Tensor, weight: Tensor) -> bool:
    """Whether oneDNN computes a layer and what follows in one go."""
    if torch.is_grad_enabled() or x.device.type != "cpu" or torch.is_autocast_enabled("cpu"):
        return False
    return x.dtype == weight.dtype and _computed_rightly(x.dtype)


@cache
def _computed_rightly(dtype: torch.dtype) -> bool:
    """Try the joined layers once: they are no part of torch's documented interface, so no version promises them."""
    if dtype not in (torch.float32, torch.bfloat16) or platform.machine() not in ("x86_64", "AMD64"):
        return False
    generator = torch.Generator().manual_seed(0)
    x, weight, other = (torch.randn(16, 16, generator=generator).to(dtype) for _ in range(3))
    bias, layer = other[0].contiguous(), F.linear(x, weight, other[0])
    image, kernels = (
        torch.randn(shape, generator=generator).to(dtype).contiguous(memory_format=torch.channels_last)
        for shape in ((2, 16, 6, 5), (16, 16, 3, 3))
    )
    convolved = F.conv2d(image, kernels / 4, bias, padding=1)
    settings = kernels / 4, bias, (1, 1), (1, 1), (1, 1), 1
    try:
        plain = torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
        summed = torch.ops.mkldnn._linear_pointwise.binary(x, other, weight, bias, "add")
        cut_off = torch.ops.mkldnn._convolution_pointwise(image, *settings, "relu", [], "")
        bent = torch.ops.mkldnn._convolution_pointwise(image, *settings, "leaky_relu", [0.1], "")
        added = torch.ops.mkldnn._convolution_pointwise_.binary(
            image.clone(), image, *settings, "add", 1.0, None, [], None
        )
    except (AttributeError, RuntimeError):
        return False
    near = 1e-4 if dtype == torch.float32 else 0.1  # values go up to about 10
    expected = (
        (plain, layer), (summed, other + layer),
        (cut_off, F.relu(convolved)), (bent, F.leaky_relu(convolved, 0.1)), (added, image + convolved),
    )  # fmt: skip
    return all(torch.allclose(found, wanted, atol=near) for found, wanted in expected)
