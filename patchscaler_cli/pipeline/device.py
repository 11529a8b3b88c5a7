"""Which device and which arithmetic."""

from __future__ import annotations

import torch

from patchscaler_cli.errors import UsageError
from patchscaler_cli.pipeline.settings import check_device_name

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


def choose_device(name: str) -> torch.device:
    """The device of that name; "auto" takes the first that is there of cuda, mps, cpu.

    Raises:
        UsageError: if the name is unknown or the device is not there.
    """
    check_device_name(name)
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda:0")
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    kind, _, number = name.partition(":")
    if kind == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(number or 0) >= count:
            raise UsageError(f"--device {name}: there are {count} CUDA devices on this machine; use cpu or auto.")
        return torch.device("cuda", int(number or 0))
    if kind == "mps" and not torch.backends.mps.is_available():
        raise UsageError("--device mps: this machine has no Metal device; use cpu or auto.")
    return torch.device(kind)


def computes_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bf16 matrices in hardware."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    if device.type == "cpu":
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return False


def gains_from_bf16(device: torch.device) -> bool:
    """Whether bf16 is faster than fp32 there.

    On a CPU that takes AMX, or AVX512-BF16 from another maker than Intel (measured: diffusion is 1.8 times as fast on an AMD
    EPYC). With Intel's AVX512-BF16 without AMX (a Xeon whose host hides it) it is 0.7 times as fast, measured.
    """
    if device.type != "cpu" or not computes_bf16(device):
        return computes_bf16(device)
    if torch.cpu._is_amx_tile_supported():
        return True
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()  # not in torch before 2.12
    return "Intel" not in str(capabilities.get("cpu_name", "Intel"))


def choose_dtype(name: str, device: torch.device) -> tuple[str, str | None]:
    """The arithmetic for a device and a sentence for the user where it is not what was asked.

    Returns:
        A key of DTYPES, and a notice or None.

    Raises:
        UsageError: if the name is unknown.
    """
    if name not in ("auto", *DTYPES):
        raise UsageError(f"--dtype must be auto, fp32, fp16 or bf16, not {name!r}.")
    if name == "auto":
        if gains_from_bf16(device):
            return "bf16", None
        return ("fp16" if device.type == "cuda" else "fp32"), None
    if name == "fp16" and device.type == "cpu":
        return "fp32", "CPUs do not compute in fp16; fp32 is used instead."
    if name == "bf16" and not computes_bf16(device):
        return "fp32", f"This {device.type} device does not compute bf16 natively; fp32 is used instead."
    return name, None
