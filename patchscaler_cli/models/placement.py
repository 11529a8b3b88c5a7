"""Where a network's weights and inputs lie."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

AnyModule = TypeVar("AnyModule", bound=nn.Module)


def place(module: AnyModule, device: torch.device, dtype: torch.dtype = torch.float32) -> AnyModule:
    """Move a network to a device and dtype, its convolutions channels-last: the fast layout on CPUs and GPUs alike."""
    placed: AnyModule = module.to(device=device, dtype=dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return placed


def send(array: npt.NDArray[Any], device: torch.device) -> Tensor:
    """An array as a tensor on a device; a GPU gets it while the host goes on."""
    tensor = torch.from_numpy(np.ascontiguousarray(array))
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)
