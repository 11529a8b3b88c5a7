"""Where a network's weights lie."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

AnyModule = TypeVar("AnyModule", bound=nn.Module)


def place(module: AnyModule, device: torch.device, dtype: torch.dtype = torch.float32) -> AnyModule:
    """Move a network to a device and dtype, its convolutions channels-last: the fast layout on CPUs and GPUs alike."""
    placed: AnyModule = module.to(device=device, dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return placed
