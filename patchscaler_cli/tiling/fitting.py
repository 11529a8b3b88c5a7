"""Patches that fit an image: somewhat smaller or larger than the network's own, so that they overlap little.

Patches of 32 pixels that share 2 need five along a line of 128, whose last has 26 of its pixels in common with the fourth; of 34
pixels, four are enough. Over an image of 128x128 that is 28 % fewer pixels to refine, for the same LPIPS.
"""

from __future__ import annotations

from patchscaler_cli.tiling.grid import PatchGrid, patch_axis

NARROWEST, WIDEST = 3 / 4, 5 / 4
"""Sides of patches as shares of the network's own. Measured with patches of 128 HR pixels: those of 96 to 192 have the same LPIPS
to within half a percent (weights/runs.md, run 14)."""

ALONE = 1 / 2
"""The shortest side, as a share of the network's own, of a patch that covers a whole axis: what is missing is reflected."""

ENOUGH = 1.03
"""Times the fewest pixels that patches can have along an axis: so near to it, the side nearest to the network's own is better."""


def fitting_grid(height: int, width: int, side: int, step: int, wrap: int | None = None) -> PatchGrid:
    """The patches that fit an image.

    Args:
        height: of the image, in LR pixels as everything here.
        width: of the image.
        side: of the patches that the network was trained with.
        step: sides are multiples of this: a token's.
        wrap: as in `PatchGrid`.
    """
    rows, columns = (fitting_side(length, side, step, wrap) for length in (height, width))
    return PatchGrid(height, width, (rows, columns), wrap=wrap)


def fitting_side(length: int, side: int, step: int, wrap: int | None = None) -> int:
    """The side of patches that cover a line of `length` pixels with few; arguments as `fitting_grid`."""
    most = int(side * WIDEST) // step * step
    least = -(-int(side * (ALONE if length <= most else NARROWEST)) // step) * step
    covered = {
        size: size * patch_axis(length, size, PatchGrid.overlap, wrap).different
        for size in range(least, most + 1, step)
    }
    enough = min(covered.values()) * ENOUGH
    return min(
        (size for size, pixels in covered.items() if pixels <= enough), key=lambda size: (abs(size - side), -size)
    )
