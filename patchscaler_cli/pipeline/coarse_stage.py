"""Stage 1: the coarse model over tiles of the LR image."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from patchscaler_cli.models.coarse import CoarseModel
from patchscaler_cli.tiling.grid import reflected, tiles


@torch.inference_mode()
def restore_coarse(
    model: CoarseModel,
    lr: npt.NDArray[np.float32],
    extent: tuple[int, int],
    tile: int,
    device: torch.device,
    advance: Callable[[int], None] = lambda tiles: None,
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Run the coarse model tile by tile; the result does not depend on the tiles.

    Every tile is given a halo as wide as the model's receptive field, of real pixels where there are any and of
    reflected ones only beyond the image's true border.

    Args:
        model: on `device`, in the dtype to compute in.
        lr: the LR image [3, h, w] in [-1, 1].
        extent: height and width (LR pixels, at least h and w) to restore; beyond the image it is continued by reflection.
        tile: side of a tile in LR pixels.
        advance: called with 1 after every tile.

    Returns:
        The coarse image [3, 4 * extent height, 4 * extent width], about [-1, 1], and the confidence map
        [extent height, extent width] in (0, 1), both in host memory.
    """
    scale, halo = model.config.scale, model.config.halo
    image = np.empty((3, extent[0] * scale, extent[1] * scale), np.float32)
    confidence = np.empty(extent, np.float32)
    for part in tiles(*extent, tile):
        rows = reflected(part.top - halo, part.bottom + halo, lr.shape[1])
        columns = reflected(part.left - halo, part.right + halo, lr.shape[2])
        padded = torch.from_numpy(lr[:, rows[:, None], columns[None]])[None]
        padded = padded.to(device).contiguous(memory_format=torch.channels_last)
        restored, logit = model(padded)
        sure = torch.sigmoid(logit[0, 0, halo:-halo, halo:-halo])
        inner = slice(halo * scale, -halo * scale)
        top, left = part.top * scale, part.left * scale
        bottom, right = part.bottom * scale, part.right * scale
        image[:, top:bottom, left:right] = restored[0, :, inner, inner].cpu().numpy()
        confidence[part.top : part.bottom, part.left : part.right] = sure.cpu().numpy()
        advance(1)
    return image, confidence
