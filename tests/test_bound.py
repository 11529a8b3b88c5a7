"""The refinement goes no farther from the coarse image than its confidence allows."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from patchscaler_cli.models.coarse import ETA
from patchscaler_cli.pipeline.network_pass import bound_refinement
from patchscaler_cli.sampling.bound import FLOOR, SPAN, bounded, expected_error


def length(refinement: torch.Tensor) -> torch.Tensor:
    """Root mean square of the channels [B, 1, H, W]."""
    return refinement.square().mean(1, keepdim=True).sqrt()


def drawn(deviation: float, *shape: int) -> torch.Tensor:
    return deviation * torch.randn(*shape, generator=torch.Generator().manual_seed(0))


def test_the_error_is_what_the_confidence_was_trained_to_say_of_it() -> None:
    assert torch.allclose(expected_error(torch.full((1, 1, 2, 3), 0.2)), torch.full((1, 1, 8, 12), ETA / 0.2))


def test_without_any_confidence_a_refinement_stays_as_it_is() -> None:
    refinement = drawn(0.3, 1, 3, 8, 8)
    assert torch.allclose(bounded(refinement, expected_error(torch.full((1, 1, 2, 2), 1e-4))), refinement, atol=1e-4)


@given(deviation=st.floats(0, 10), expected=st.floats(ETA, 1))
def test_no_refinement_goes_beyond_the_bound(deviation: float, expected: float) -> None:
    made = bounded(drawn(deviation, 2, 3, 5, 7), torch.full((2, 1, 5, 7), expected))
    assert float(length(made).max()) <= (SPAN * expected + FLOOR) * 1.0001


def test_a_faint_refinement_stays_as_it_is() -> None:
    refinement = drawn(0.002, 1, 3, 6, 6)
    assert torch.allclose(bounded(refinement, torch.full((1, 1, 6, 6), 0.1)), refinement, rtol=0.01)


def test_the_colour_of_a_refinement_stays() -> None:
    refinement = drawn(0.5, 1, 3, 6, 6)
    made = bounded(refinement, torch.full((1, 1, 6, 6), 0.05))
    assert torch.allclose(made / length(made), refinement / length(refinement), atol=1e-5)


def test_a_refinement_of_nothing_is_nothing_and_has_a_slope() -> None:
    refinement = torch.zeros(1, 3, 4, 4, requires_grad=True)
    made = bounded(refinement, torch.full((1, 1, 4, 4), 0.05))
    made.sum().backward()  # type: ignore[no-untyped-call]
    assert refinement.grad is not None
    assert not made.any()
    assert torch.allclose(refinement.grad, torch.ones(1, 3, 4, 4), atol=1e-3)


CONFIDENCE = np.random.default_rng(0).uniform(0.01, 1, (9, 5)).astype(np.float32)


def test_a_picture_is_bounded_as_areas_are_in_training() -> None:
    rows = drawn(0.3, 1, 3, 36, 20)
    trained = bounded(rows, expected_error(torch.from_numpy(CONFIDENCE)[None, None]))
    bound_refinement(rows[0].numpy(), CONFIDENCE, 0, 9, 4)
    assert torch.allclose(rows, trained, atol=1e-6)


@pytest.mark.parametrize("cuts", [(0, 4, 9), (0, 1, 2, 8, 9)])
def test_rows_of_a_picture_are_bounded_alike_however_it_is_cut(cuts: tuple[int, ...]) -> None:
    whole, parts = (drawn(0.3, 1, 3, 36, 20)[0].numpy() for _ in range(2))
    bound_refinement(whole, CONFIDENCE, 0, 9, 4)
    for first, last in itertools.pairwise(cuts):
        bound_refinement(parts[:, 4 * first : 4 * last], CONFIDENCE, first, last, 4)
    assert np.array_equal(parts, whole)
