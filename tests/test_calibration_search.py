"""Calibration's rule, on made-up measurements: no network is needed to choose."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patchscaler_cli.errors import PatchScalerError, UsageError
from patchscaler_cli.sampling.groups import Group, GroupLadder
from patchscaler_cli.training.calibrate import parse_candidates
from patchscaler_cli.training.calibrate_search import (
    EACH_GROUP,
    FIDELITIES,
    FLAT,
    MOST_GROUPS,
    PLAIN,
    best_choices,
    frontier,
    gentle_where_flat,
    presets,
    search,
    uniform_curve,
)
from patchscaler_cli.training.calibrate_table import KEEP, Measurements, lagrange_weights, outcome

CANDIDATES = (Group(0.0, 0), Group(0.1, 1), Group(0.2, 2), Group(0.3, 4))
PATCHES = 100


def table(gains: np.ndarray, cost: float = 1.0) -> Measurements:
    """Two pictures of 50 patches each, from the surest patch to the hardest.

    Args:
        gains: how much of a patch's LPIPS of 0.5 each candidate takes away at fidelity 0 [C, P].
        cost: squared error that a candidate adds to a patch's 100 at fidelity 0.
    """
    keep = 1 - np.array([0.0, 0.5, 1.0])
    lpips = (0.5 - keep[:, None, None] * gains) / (PATCHES / 2)
    squared = np.zeros((3, len(CANDIDATES), PATCHES))
    squared[0] = 100 / (PATCHES / 2)
    squared[2, 1:] = cost / (PATCHES / 2)
    return Measurements(
        CANDIDATES, (0.0, 0.5, 1.0), ("clean", "real"), np.array([0, 1]), np.array([27.0, 27.5]),
        np.arange(PATCHES) % 2, np.linspace(0.9, 0.1, PATCHES), lpips.astype(np.float32), squared.astype(np.float32),
    )  # fmt: skip


def gains_by_difficulty() -> np.ndarray:
    """The surest fifth gains nothing, the hardest tenth gains most by many steps, the rest as much by one as by four."""
    gains = np.zeros((len(CANDIDATES), PATCHES))
    gains[1:, 20:] = 0.2
    gains[2, 90:], gains[3, 90:] = 0.25, 0.4
    return gains


@pytest.fixture
def nothing_flat(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made-up confidences go up to 0.9 where a photo's seldom pass a half."""
    monkeypatch.setattr("patchscaler_cli.training.calibrate_search.FLAT", 1.0)


def cost_of(costs: np.ndarray, choice: tuple[int, ...]) -> float:
    changes = sum(before != after for before, after in itertools.pairwise(choice))
    return float(costs[np.arange(len(choice)), list(choice)].sum()) + changes * EACH_GROUP


@settings(max_examples=15)
@given(st.integers(0, 2**31), st.sampled_from([0.01, 0.001, 0.0002]))
def test_no_other_choice_of_groups_costs_less(seed: int, spread: float) -> None:
    groups = (Group(0.0, 0), Group(0.1, 1), Group(0.3, 1), Group(0.2, 4))
    steps, sigmas = np.array([group.steps for group in groups]), np.array([group.sigma for group in groups])
    costs = np.random.default_rng(seed).random((5, 4)) * spread
    lawful = [
        choice
        for choice in itertools.product(range(4), repeat=5)
        if (np.diff(steps[list(choice)]) >= 0).all()
        and (np.diff(sigmas[list(choice)]) >= 0).all()
        and sum(a != b for a, b in itertools.pairwise(choice)) < MOST_GROUPS
    ]
    for price in (0.0, 0.001):
        priced = costs + price * steps
        found = {tuple(choice) for choice in best_choices(priced[None], groups).tolist()}
        assert found <= set(lawful)
        for hardest in (1, 4):
            least = min(cost_of(priced, other) for other in lawful if steps[other[-1]] == hardest)
            assert any(steps[one[-1]] == hardest and cost_of(priced, one) == pytest.approx(least) for one in found)


def test_flat_patches_stay_coarse_and_only_hard_ones_take_many_steps(nothing_flat: None) -> None:
    chosen = presets(search(table(gains_by_difficulty()), margin=0.0))["balanced"]
    assert chosen.ladder.groups == (Group(0.0, 0), Group(0.1, 1), Group(0.3, 4))
    surest_that_gains, hard = (np.linspace(0.9, 0.1, PATCHES)[i] for i in (20, 90))
    assert chosen.ladder.thresholds[0] == pytest.approx(surest_that_gains, abs=0.01)
    assert chosen.ladder.thresholds[1] == pytest.approx(hard, abs=0.01)
    assert chosen.outcome.evaluations == pytest.approx(0.7 * 1 + 0.1 * 4)
    assert chosen.outcome.lpips == pytest.approx(0.5 - (1 - FIDELITIES[0]) * (0.7 * 0.2 + 0.1 * 0.4))


LEAST = Group(0.1, 1)


@pytest.mark.parametrize(
    ("groups", "thresholds", "gentle_groups", "gentle_thresholds"),
    [
        ((Group(0.2, 2), Group(0.3, 4)), (0.7,), (KEEP, LEAST, Group(0.3, 4)), (PLAIN, FLAT)),
        ((Group(0.2, 2), Group(0.3, 4)), (0.2,), (KEEP, LEAST, Group(0.2, 2), Group(0.3, 4)), (PLAIN, FLAT, 0.2)),
        ((LEAST, Group(0.3, 4)), (0.3,), (KEEP, LEAST, Group(0.3, 4)), (PLAIN, 0.3)),
        ((KEEP, Group(0.2, 2)), (0.7,), (KEEP, LEAST, Group(0.2, 2)), (0.7, FLAT)),
        ((KEEP, Group(0.2, 2)), (0.3,), (KEEP, Group(0.2, 2)), (0.3,)),
        ((Group(0.3, 4),), (), (KEEP, LEAST, Group(0.3, 4)), (PLAIN, FLAT)),
    ],
)
def test_sure_patches_take_one_gentle_step_at_most_and_plain_ones_none(
    groups: tuple[Group, ...],
    thresholds: tuple[float, ...],
    gentle_groups: tuple[Group, ...],
    gentle_thresholds: tuple[float, ...],
) -> None:
    assert gentle_where_flat(GroupLadder(groups, thresholds), LEAST) == GroupLadder(gentle_groups, gentle_thresholds)


def test_presets_keep_their_promises(nothing_flat: None) -> None:
    found = search(table(gains_by_difficulty()), margin=0.0)
    chosen = presets(found)
    fast, balanced, best = (chosen[name] for name in ("fast", "balanced", "best"))
    assert balanced.outcome.evaluations <= 0.4 * balanced.uniform.evaluations
    assert balanced.outcome.lpips <= 1.01 * balanced.uniform.lpips
    assert fast.outcome.evaluations <= balanced.outcome.evaluations / 2
    assert best.outcome.lpips <= balanced.outcome.lpips <= fast.outcome.lpips
    assert best.outcome.lpips == min(one.outcome.lpips for one in found)
    eligible = [one for one in found if one.is_cheap and one.is_near]
    assert balanced.outcome.lpips <= 1.005 * min(one.outcome.lpips for one in eligible)


def test_the_margin_of_psnr_raises_the_fidelity() -> None:
    costly = table(gains_by_difficulty(), cost=40)
    free, bound = (presets(search(costly, margin))["balanced"] for margin in (-5.0, 0.3))
    assert free.fidelity == FIDELITIES[0]
    assert bound.fidelity > free.fidelity
    assert free.outcome.gain < 0.3 <= bound.outcome.gain


def test_a_margin_out_of_reach_is_said() -> None:
    with pytest.raises(PatchScalerError, match=r"Lower --psnr-margin"):
        search(table(gains_by_difficulty()), margin=9)


def test_the_curve_rises_in_quality_with_evaluations() -> None:
    curve = frontier(search(table(gains_by_difficulty()), margin=0.0))
    assert len(curve) > 3
    for before, after in itertools.pairwise(curve):
        assert before.outcome.evaluations < after.outcome.evaluations
        assert before.outcome.lpips > after.outcome.lpips


def test_uniform_sampling_is_shown_at_its_best_for_every_step_count() -> None:
    curve = uniform_curve(table(gains_by_difficulty()), margin=0.0)
    assert [one.evaluations for _, one in curve] == [0, 1, 2, 4]
    assert [fidelity for fidelity, _ in curve[1:]] == [FIDELITIES[0]] * 3
    assert curve[1][1].lpips == pytest.approx(0.5 - (1 - FIDELITIES[0]) * 0.8 * 0.2)


def test_the_gain_is_that_of_the_worse_set() -> None:
    measured = table(gains_by_difficulty())
    coarse = outcome(measured, measured.at(1.0), np.zeros(PATCHES, np.int64))
    assert coarse.gain == pytest.approx(10 * np.log10(255**2 / 100) - 27.5)


def test_between_the_fidelities_that_were_measured_a_smooth_curve_is_read() -> None:
    knots = (0.0, 0.2, 0.4, 0.7, 1.0)
    values = np.array([(1 - one) ** 3 - one for one in knots])
    assert lagrange_weights(knots, 0.55) @ values == pytest.approx(0.45**3 - 0.55)
    assert lagrange_weights(knots, 0.2).tolist() == [0, 1, 0, 0, 0]


def test_measurements_come_back_from_their_file_and_others_do_not(tmp_path: Path) -> None:
    measured, file = table(gains_by_difficulty()), tmp_path / "calibration.npz"
    assert Measurements.load(file, "key") is None
    measured.save(file, "key")
    again = Measurements.load(file, "key")
    assert again is not None
    assert (again.candidates, again.fidelities, again.sets) == (CANDIDATES, measured.fidelities, measured.sets)
    assert (again.lpips == measured.lpips).all()
    assert Measurements.load(file, "another key") is None
    file.write_bytes(b"no such archive")
    assert Measurements.load(file, "key") is None


def test_candidates_are_read_in_the_order_of_their_steps() -> None:
    assert parse_candidates("0.3:32,0.1:1, 0.2:1") == (Group(0.1, 1), Group(0.2, 1), Group(0.3, 32))


@pytest.mark.parametrize("words", ["", "0.1", "0.1:0", "0:1", "nan:1", "0.1:1,", "0.1:1.5", "0.1:1001"])
def test_what_is_no_candidate_is_refused(words: str) -> None:
    with pytest.raises(UsageError, match=r"is no candidate; give SIGMA:STEPS"):
        parse_candidates(words)
