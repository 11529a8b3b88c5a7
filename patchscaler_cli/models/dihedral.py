"""The eight ways in which a picture can be turned and mirrored."""

from __future__ import annotations

from torch import Tensor


def dihedral(images: Tensor, element: int) -> Tensor:
    """One of the eight flips and quarter turns of images [..., H, W]; element 0 is the identity."""
    if element & 1:
        images = images.flip(-1)
    if element & 2:
        images = images.flip(-2)
    if element & 4:
        images = images.transpose(-1, -2)
    return images


def inverse(element: int) -> int:
    """The element of `dihedral` that undoes an element."""
    return element ^ 3 if element in (5, 6) else element
