"""What the machine can do at best, measured beside the work that is compared with it."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from patchscaler_cli.models.fused import linear

SECONDS = 0.5
"""How long products are multiplied for one measurement."""


def synchronised_time(device: torch.device) -> float:
    """Seconds on the wall clock, after everything that the device was asked for is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
    return time.perf_counter()


@torch.inference_mode()
def matrix_peak(device: torch.device, dtype: torch.dtype, seconds: float = SECONDS) -> float:
    """Operations a second of the best of many products of two large square matrices, a multiplication and an addition
    counted as two: as near to the peak of device and dtype as a library comes.

    By a plain product and by a linear layer, in turn: on a CPU torch has a library for each, and which of them is the
    faster depends on processor and dtype.
    """
    side = 2048 if device.type == "cpu" else 8192
    left, layer = torch.randn(side, side, device=device).to(dtype), nn.Linear(side, side, device=device, dtype=dtype)
    products: tuple[Callable[[], Tensor], ...] = (lambda: left @ layer.weight, lambda: linear(layer, left))
    for product in products:
        product()  # the first one allocates
    fastest, until = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < until:
        for product in products:
            begin = synchronised_time(device)
            product()
            fastest = min(fastest, synchronised_time(device) - begin)
    return 2 * side**3 / fastest


def device_name(device: torch.device) -> str:
    """The device as its maker calls it, as far as the system tells."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return _processor() if device.type == "cpu" else str(device)


def _processor() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def facts(devices: list[torch.device]) -> dict[str, Any]:
    """What figures depend on besides the program."""
    return {
        "torch": str(torch.__version__),
        "python": platform.python_version(),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "devices": {str(device): device_name(device) for device in devices},
    }
