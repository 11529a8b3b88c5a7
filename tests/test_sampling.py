"""The schedule falls, the solver is exact where it can be, groups follow the Qmap, batching changes nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from patchscaler_cli.errors import PatchScalerError, UsageError
from patchscaler_cli.sampling.grouped import PatchInputs, sample_groups
from patchscaler_cli.sampling.groups import Group, GroupLadder
from patchscaler_cli.sampling.qmap import plain_patches, quantify
from patchscaler_cli.sampling.schedule import karras_sigmas
from patchscaler_cli.sampling.solver import solver_step

LADDER = GroupLadder((Group(0.0, 0), Group(0.1, 1), Group(0.2, 4)), (0.6, 0.3))


@given(st.floats(0.02, 80), st.integers(1, 64))
def test_noise_levels_fall_strictly_from_the_start_to_zero(sigma: float, steps: int) -> None:
    levels = karras_sigmas(sigma, steps)
    assert len(levels) == steps + 1
    assert levels[0] == sigma
    assert levels[-1] == 0
    assert (np.diff(levels) < 0).all()


def test_one_step_is_the_denoiser_itself() -> None:
    residual, denoised = torch.randn(2, 3, 8, 8), torch.randn(2, 3, 8, 8)
    infinity, sigma, zero = torch.full((2,), torch.inf), torch.full((2,), 0.3), torch.zeros(2)
    assert torch.equal(solver_step(residual, denoised, torch.zeros_like(denoised), infinity, sigma, zero), denoised)


def test_many_steps_reach_the_exact_solution_for_gaussian_data() -> None:
    """For data N(0, s^2) the best denoiser is r s^2 / (s^2 + sigma^2) and the ODE ends at r s / sqrt(s^2 + sigma^2)."""
    s, start = 0.1, 0.4
    grid = torch.tensor(karras_sigmas(start, 24), dtype=torch.float32)
    begin = residual = torch.randn(1, 3, 8, 8) * start
    previous = torch.zeros_like(residual)
    for i in range(24):
        denoised = residual * s**2 / (s**2 + grid[i] ** 2)
        before = grid[i - 1] if i else torch.tensor(torch.inf)
        residual = solver_step(residual, denoised, previous, before[None], grid[i][None], grid[i + 1][None])
        previous = denoised
    exact = begin * s / (s**2 + start**2) ** 0.5
    assert float((residual - exact).abs().max()) < 0.02 * float(exact.abs().max())


@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=50))
def test_less_sure_patches_never_fall_into_an_easier_group(confidences: list[float]) -> None:
    groups = LADDER.assign(np.sort(np.array(confidences, np.float32))[::-1])
    assert (np.diff(groups) >= 0).all()


def test_one_group_is_uniform_sampling_with_the_hardest_groups_settings() -> None:
    assert LADDER.select(1) == GroupLadder((Group(0.2, 4),), ())


def test_two_groups_are_the_two_hardest() -> None:
    assert LADDER.select(2) == GroupLadder((Group(0.1, 1), Group(0.2, 4)), (0.3,))


@given(st.integers(1, 100))
def test_steps_are_those_of_the_hardest_group_and_the_others_follow(steps: int) -> None:
    keeps, middle, hard = LADDER.select(steps=steps).groups
    assert hard.steps == steps
    assert keeps.steps == 0
    assert 1 <= middle.steps <= hard.steps


def test_more_groups_than_calibrated_are_refused() -> None:
    with pytest.raises(UsageError, match="--groups must be from 1 to 3"):
        LADDER.select(4)


@pytest.mark.parametrize(
    "values",
    [
        None,
        {},
        {"groups": [], "thresholds": []},
        {"groups": [{"sigma": 0.1, "steps": 0}], "thresholds": []},
        {"groups": [{"sigma": 0.1, "steps": 1}], "thresholds": [0.5]},
        {"groups": [{"sigma": 0.1, "steps": 2}, {"sigma": 0.1, "steps": 1}], "thresholds": [0.5]},
    ],
)
def test_a_calibration_that_breaks_the_laws_is_a_clear_error(values: object) -> None:
    with pytest.raises(PatchScalerError, match="calibrated groups"):
        GroupLadder.from_dict(values)


def test_a_ladder_survives_its_way_through_metadata() -> None:
    assert GroupLadder.from_dict(LADDER.to_dict()) == LADDER


@given(st.integers(16, 60), st.integers(16, 60))
@settings(max_examples=20)
def test_the_qmap_is_the_mean_confidence_of_each_patch(height: int, width: int) -> None:
    confidence = np.random.default_rng(height * 100 + width).random((height, width), np.float32)
    rows, columns = np.arange(0, height - 15, 14), np.arange(0, width - 15, 14)
    qmap = quantify(confidence, rows, columns, (16, 16))
    for r, top in enumerate(rows):
        for c, left in enumerate(columns):
            assert np.isclose(qmap[r, c], confidence[top : top + 16, left : left + 16].mean(), atol=1e-5)


@given(st.integers(17, 50), st.integers(17, 50), st.integers(0, 2**31))
@settings(max_examples=20)
def test_a_patch_is_plain_if_it_and_the_pixels_next_to_it_have_one_colour(height: int, width: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    lr = np.full((3, height + 1, width + 1), 0.25, np.float32)
    lr[rng.integers(3), rng.integers(height + 1), rng.integers(width + 1)] = rng.choice([0.25, 0.5])
    rows, columns = np.arange(0, height - 15, 7), np.arange(0, width - 15, 7)
    plain = plain_patches(lr, rows, columns, (16, 16))
    corner = np.s_[16, 16]  # the one pixel that touches a patch nowhere but in a corner is not looked at
    for r, top in enumerate(rows):
        for c, left in enumerate(columns):
            around = lr[:, top : top + 17, left : left + 17].copy()
            around[:, *corner] = 0.25
            assert plain[r, c] == (around == 0.25).all()


def _denoise(residual: Tensor, sigma: Tensor, coarse: Tensor, prompt: Tensor | None) -> Tensor:
    """A stand-in for the network: non-linear, and different for every noise level and patch."""
    return torch.tanh(residual * 3 + coarse) * (1 - sigma.view(-1, 1, 1, 1)) * 0.2


def _sample(batch_size: int, groups: np.ndarray) -> tuple[dict[int, Tensor], int]:
    def load(patches: np.ndarray) -> PatchInputs:
        values = [torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(int(p))) for p in patches]
        coarse, noise = torch.stack(values, 1)
        return PatchInputs(coarse, noise, None)

    found: dict[int, Tensor] = {}

    def emit(patches: np.ndarray, residual: Tensor) -> None:
        for patch, pixels in zip(patches, residual, strict=True):
            assert int(patch) not in found
            found[int(patch)] = pixels

    return found, sample_groups(_denoise, load, emit, groups, LADDER, batch_size)


@given(st.lists(st.integers(0, 2), min_size=1, max_size=30), st.integers(1, 40))
@settings(max_examples=30)
def test_a_patch_does_not_depend_on_its_batch(groups: list[int], batch_size: int) -> None:
    alone, _ = _sample(1, np.array(groups))
    together, _ = _sample(batch_size, np.array(groups))
    assert alone.keys() == together.keys()
    assert all(torch.allclose(alone[patch], together[patch], atol=1e-6) for patch in alone)


@given(st.lists(st.integers(0, 2), min_size=1, max_size=30), st.integers(1, 40))
@settings(max_examples=30)
def test_every_patch_is_evaluated_as_often_as_its_group_says(groups: list[int], batch_size: int) -> None:
    found, evaluations = _sample(batch_size, np.array(groups))
    assert evaluations == sum((0, 1, 4)[group] for group in groups)
    assert set(found) == {patch for patch, group in enumerate(groups) if group > 0}
