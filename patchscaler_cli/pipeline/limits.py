"""What a device's memory and arithmetic turn out to hold: less is tried, and said."""

from __future__ import annotations

import torch

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.models.patch_dit import PatchDiTConfig

CPU_PIXELS = 40 * 64**2
"""HR pixels of the patches at a time on a CPU: measured, half as many are slower by an eighth (patches of 64 pixels; of 128
four to nine are about the same) and more are no faster. Eight patches of 136 pixels fit: the 16 of 512x512 are two full batches, which
are faster by a twentieth than two of seven and one of two."""
MOST_PIXELS = 512 * 64**2
"""HR pixels of the patches at a time elsewhere."""
DEVICE_BYTES = 2 * 2**30
"""Device memory that a batch may take where there is more."""
SMALLEST_TILE = 16

PIXEL_BYTES = 5 * 2**20 // 64**2
"""What an HR pixel of a batch's patches takes at most in a Patch-DiT with 32 outer channels in fp32, measured on a CPU."""


class Limits:
    """How much is computed at a time on a device, and what had to be done otherwise than asked for.

    It outlives a picture, so that what did not fit once is not tried again for every batch.

    Attributes:
        batch: most patches in the network together; None where nothing is known yet.
        tile: longest side in LR pixels of what the coarse model restores at a time; None where nothing is known yet.
    """

    def __init__(self) -> None:
        self.batch: int | None = None
        self.tile: int | None = None
        self._warnings: list[str] = []

    def halve_batch(self, size: int) -> int:
        """A batch of so many patches did not fit: the size to try next, kept from now on.

        Raises:
            PatchScalerError: if it was one patch.
        """
        if size <= 1:
            raise PatchScalerError(
                "The device's memory does not hold a single patch; use another --device, such as cpu."
            )
        self.batch = (size + 1) // 2
        self.warn(
            f"The memory did not hold a batch of {size} patches; {self.batch} are computed at a time from now on "
            f"(--batch-size {self.batch} asks for that at once)."
        )
        return self.batch

    def halve_tile(self, side: int) -> int:
        """A part of so many LR pixels on its longer side did not fit: the length to try next, kept from now on.

        Raises:
            PatchScalerError: if it was as short as can be.
        """
        if side <= SMALLEST_TILE:
            raise PatchScalerError(
                "The device's memory does not hold the smallest tile; use another --device, such as cpu."
            )
        self.tile = max(SMALLEST_TILE, (side + 1) // 2)
        self.warn(
            f"The memory did not hold a tile of {side} pixels; {self.tile} are computed at a time from now on "
            f"(--tile {self.tile} asks for that at once)."
        )
        return self.tile

    def warn(self, sentence: str) -> None:
        """Something was done otherwise than asked for."""
        self._warnings.append(sentence)

    def take_warnings(self) -> tuple[str, ...]:
        """What was warned of since the last time."""
        taken, self._warnings = tuple(self._warnings), []
        return taken


def patch_bytes(config: PatchDiTConfig, pixels: int) -> int:
    """What one patch of so many HR pixels takes at most in a batch."""
    return PIXEL_BYTES * pixels * config.outer_channels // 32


def batch_size(wanted: int | None, device: torch.device, config: PatchDiTConfig, pixels: int) -> int:
    """Patches of `pixels` HR pixels at a time: as many as are `wanted`, or else, on a GPU, as half of its free memory holds."""
    if wanted is not None:
        return wanted
    if device.type != "cuda":
        return max(1, CPU_PIXELS // pixels)
    free, _ = torch.cuda.mem_get_info(device)
    held = min(free // 2, DEVICE_BYTES) // patch_bytes(config, pixels)
    return max(1, min(MOST_PIXELS // pixels, held))


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether torch ran out of a device's or the host's memory; not every backend has an exception of its own for it."""
    if isinstance(error, torch.cuda.OutOfMemoryError):
        return True
    words = str(error).lower()
    return "out of memory" in words or "can't allocate memory" in words


def release(device: torch.device) -> None:
    """Give memory that torch keeps for later back to the device, for another try."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
    elif device.type == "mps":
        torch.mps.empty_cache()
