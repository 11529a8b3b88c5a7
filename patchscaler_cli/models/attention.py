"""Attention, by the kernel that is fastest for so many tokens in that arithmetic on that device."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from patchscaler_cli.models.fused import linear

MANY_TOKENS = 128
"""Keys from which the fused kernel wins on a CPU, somewhere between 64 and 256."""


def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """softmax(q k^T / sqrt d) v of heads [B, heads, N, d] and [B, heads, M, d]."""
    if query.device.type != "cpu" or (key.shape[2] >= MANY_TOKENS and _cpu_gains(query.dtype)):
        return F.scaled_dot_product_attention(query, key, value)
    shape = query.shape
    # Flattened before the key is transposed: as a whole matrix is copied, not number by number.
    query, key, value = (x.flatten(0, 1) for x in (query * query.shape[-1] ** -0.5, key, value))
    weights = torch.bmm(query, key.transpose(1, 2)).softmax(-1)  # (B * heads, N, M)
    return torch.bmm(weights, value).view(shape)


def _cpu_gains(dtype: torch.dtype) -> bool:
    """Whether the fused kernel is faster than the plain products on a CPU, for many tokens.

    Measured at 256 tokens: in fp32 it makes the whole network faster by a quarter. In bf16 it loses on an AMD EPYC; with AMX
    it takes 0.4 times as long forward, but 2.2 times forward and backward, so training does without.
    """
    if dtype == torch.float32:
        return True
    return torch.cpu._is_amx_tile_supported() and not torch.is_grad_enabled()


class Attention(nn.Module):
    """Multi-head attention of tokens to a context (themselves, or the texture prompt)."""

    def __init__(self, width: int, context_width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(context_width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, context: Tensor) -> Tensor:
        """Tokens [B, N, width] and context [B, M, context_width] to tokens [B, N, width]."""
        return linear(self.out, self.mixed(x, context))

    def mixed(self, x: Tensor, context: Tensor) -> Tensor:
        """The heads' values [B, N, width], before the last layer."""
        b, n, width = x.shape
        query = linear(self.query, x).view(b, n, self.heads, -1).transpose(1, 2)  # (B, heads, N, d)
        key_value = linear(self.key_value, context).view(b, context.shape[1], 2, self.heads, -1)
        key, value = key_value.permute(2, 0, 3, 1, 4)  # (B, heads, M, d) each
        return attend(query, key, value).transpose(1, 2).reshape(b, n, width)
