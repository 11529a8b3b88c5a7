"""What alternates from pixel to pixel both ways is taken from the refinement, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from patchscaler_cli.sampling.alternation import REACH, take_alternation
from patchscaler_cli.sampling.grouped import PatchInputs, sample_groups
from patchscaler_cli.sampling.groups import Group, GroupLadder

SIDE = 24
INNER = slice(REACH, -REACH)


def wave(down: float, across: float) -> torch.Tensor:
    """A patch [1, 3, SIDE, SIDE] with so many cycles a pixel down and across."""
    place = torch.arange(SIDE, dtype=torch.float32)
    lines = (2 * torch.pi * down * place).cos()[:, None] * (2 * torch.pi * across * place).cos()
    return (0.2 * lines).expand(1, 3, SIDE, SIDE).clone()


def kept(patch: torch.Tensor) -> float:
    """How much of a wave is left in the inner pixels, as a share of what was there."""
    before = patch.clone()
    return float(take_alternation(patch)[..., INNER, INNER].norm() / before[..., INNER, INNER].norm())


def test_squares_of_single_pixels_in_turn_are_gone() -> None:
    assert kept(wave(0.5, 0.5)) < 1e-5


@pytest.mark.parametrize("cycles", [(0.5, 0.0), (0.0, 0.5), (0.25, 0.0), (0.0, 0.0)])
def test_lines_across_and_down_stay_as_they_are(cycles: tuple[float, float]) -> None:
    patch = wave(*cycles)
    assert torch.allclose(take_alternation(patch.clone()), patch, atol=1e-6)


def test_slanted_lines_of_four_pixels_stay_but_for_a_sixteenth() -> None:
    assert kept(wave(0.25, 0.25)) == pytest.approx(15 / 16, abs=1e-4)


def test_the_outermost_pixels_stay() -> None:
    patch = wave(0.5, 0.5)
    taken = take_alternation(patch.clone())
    assert torch.equal(taken[..., :REACH, :], patch[..., :REACH, :])
    assert torch.equal(taken[..., :, -REACH:], patch[..., :, -REACH:])


@pytest.mark.parametrize("size", [(4, 4), (4, 12), (5, 5)])
def test_small_patches_can_be_asked(size: tuple[int, int]) -> None:
    assert take_alternation(torch.ones(1, 3, *size)).shape == (1, 3, *size)


def test_refined_patches_come_without() -> None:
    emitted: list[torch.Tensor] = []
    shape = (2, 3, SIDE, SIDE)
    sample_groups(
        lambda residual, sigma, condition, prompt: wave(0.5, 0.5).expand(shape),
        lambda numbers: PatchInputs(torch.zeros(shape), torch.zeros(shape), None),
        lambda numbers, residual: emitted.append(residual),
        np.zeros(2, np.int64), GroupLadder((Group(0.1, 1),), ()), 2,
    )  # fmt: skip
    assert float(emitted[0][..., INNER, INNER].abs().max()) < 1e-6
