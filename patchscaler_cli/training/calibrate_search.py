"""The search for groups, thresholds and fidelity, as pure functions of a table of measurements.

The rule. A patch is worth one more evaluation if that lowers LPIPS by at least a price. Patches are sorted by confidence
into BINS bins; for a price and a fidelity, the ladder with the lowest LPIPS + price x evaluations is found exactly, by
dynamic programming over the bins: at most MOST_GROUPS groups, each worth EACH_GROUP, neither steps nor start noise falling
towards the hard patches; once for every number of steps that the hardest bin may take. Patches of a confidence of FLAT and
more take at most one step from the least start noise, whatever LPIPS says: it likes grain, and what a sky gets must stay
below what is seen. Patches of one single colour (Qmap 1) keep the coarse image. Prices and fidelities make many ladders.
Those that keep PSNR-Y the wanted margin above bicubic's on every set of pictures, and that no other one beats in both LPIPS
and evaluations, are the curve. From it come the presets:

- best: the lowest LPIPS;
- balanced, the default: of the ladders that take at most MOST_COST of the evaluations of uniform sampling with their
  hardest group's settings, and come within NEARNESS of its LPIPS at the same fidelity, the one with the fewest
  evaluations whose LPIPS is within SLACK of the lowest;
- fast: the lowest LPIPS at no more than half of the balanced preset's evaluations.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.sampling.groups import Group, GroupLadder
from patchscaler_cli.training.calibrate_table import KEEP, Choice, Floats, Measurements, Outcome, Shares, outcome

BINS = 50
MOST_GROUPS = 4
EACH_GROUP = 0.0003
"""LPIPS that a further group must gain: where two ladders are as good, the simpler one is taken."""
FLAT = 0.5
"""Confidence at which the coarse image is expected to be wrong by 2.5 levels of 255 on average (models/coarse.py, ETA)."""
PLAIN = 0.95
"""Confidence that the confidence map never reaches (0.61 at most, measured), but the Qmap of patches of one colour does."""
PRICES = (0.0, *(0.0005 * 2 ** (i / 4) for i in range(41)))
"""LPIPS that one more evaluation a patch must be worth: 0, and from 0.0005 to 0.5."""
FIDELITIES = tuple(i / 20 for i in range(-8, 17))
"""Below 0 as well: losses that compare pixels or features make a denoiser cautious, since the mean of what may have been is
never far from the truth; its refinement a little exaggerated is nearer to it in the eyes of the judge."""
MOST_COST = 0.4
NEARNESS = 0.01
SLACK = 0.005


@dataclass(frozen=True)
class Found:
    """One way of sampling: its ladder, fidelity and outcome, and uniform sampling with its hardest group beside it."""

    ladder: GroupLadder
    fidelity: float
    outcome: Outcome
    uniform: Outcome

    @property
    def is_cheap(self) -> bool:
        """At most MOST_COST of the evaluations of uniform sampling with the hardest group's settings."""
        return self.outcome.evaluations <= MOST_COST * self.uniform.evaluations

    @property
    def is_near(self) -> bool:
        """LPIPS within NEARNESS of uniform sampling's."""
        return self.outcome.lpips <= (1 + NEARNESS) * self.uniform.lpips


def search(table: Measurements, margin: float) -> list[Found]:
    """The best ladder for every price and fidelity and every step count of the hardest group, the margin kept.

    Args:
        table: what was measured.
        margin: dB that PSNR-Y must be above bicubic's, on the set where it is the least; may be negative.

    Returns:
        In no particular order, ladders that came up twice once.

    Raises:
        PatchScalerError: if no ladder keeps the margin.
    """
    order = np.argsort(-table.qmap, kind="stable")
    bins = np.array_split(order, min(BINS, len(order)))
    found: dict[tuple[GroupLadder, float], Found] = {}
    for fidelity in FIDELITIES:
        shares = table.at(fidelity)
        starts = np.cumsum([0, *(len(one) for one in bins[:-1])])
        worth = np.add.reduceat(shares.lpips[:, order], starts, axis=1).T / len(table.bicubic)  # (bins, C)
        work = np.outer([len(one) for one in bins], table.steps) / len(order)
        uniform = [outcome(table, shares, np.full(len(order), one)) for one in range(len(table.candidates))]
        for choice in best_choices(worth + np.multiply.outer(PRICES, work), table.candidates):
            ladder = gentle_where_flat(ladder_of(table, bins, choice), table.candidates[1])
            if (ladder, fidelity) not in found:
                real = _outcome_of(table, shares, ladder)
                found[ladder, fidelity] = Found(ladder, fidelity, real, uniform[int(choice[-1])])
    allowed = [one for one in found.values() if one.outcome.gain >= margin]
    if not allowed:
        most = max(found.values(), key=lambda one: one.outcome.gain).outcome.gain
        raise PatchScalerError(
            f"No ladder keeps PSNR-Y {margin:g} dB above bicubic; the most is {most:.2f} dB. Lower --psnr-margin."
        )
    return allowed


def best_choices(costs: Floats, groups: tuple[Group, ...]) -> npt.NDArray[np.int64]:
    """The candidates of the lowest total cost, bin by bin from the surest patches to the hardest.

    Args:
        costs: of sampling a bin by a candidate, for every price [V, B, C].
        groups: the candidates [C].

    Returns:
        Different choices of a candidate for every bin [W, B]: for every price, and every number of steps above 0 that the
        last bin may take, the cheapest of at most MOST_GROUPS runs of equal candidates whose steps and start noise
        never fall. A run after the first adds EACH_GROUP to the cost.
    """
    prices, bins, candidates = costs.shape
    steps, sigmas = np.array([group.steps for group in groups]), np.array([group.sigma for group in groups])
    harder = (steps[:, None] <= steps) & (sigmas[:, None] <= sigmas)  # [before, after]
    may_follow = harder & ~np.eye(candidates, dtype=bool)
    total = np.full((prices, MOST_GROUPS, candidates), np.inf)  # by runs so far, less one, and the last bin's candidate
    total[:, 0] = costs[:, 0]
    before = np.empty((bins, prices, MOST_GROUPS, candidates), np.int64)  # the candidate of the bin before
    before[:] = np.arange(candidates)
    for number in range(1, bins):
        changed = np.where(may_follow, total[:, :-1, :, None] + EACH_GROUP, np.inf)  # (V, runs, before, after)
        cheaper = changed.min(2) < total[:, 1:]
        before[number, :, 1:] = np.where(cheaper, changed.argmin(2), before[number, :, 1:])
        total[:, 1:] = np.where(cheaper, changed.min(2), total[:, 1:])
        total += costs[:, number, None]
    ways = [_traced(np.where(steps == hardest, total, np.inf), before) for hardest in sorted({*steps.tolist()} - {0})]
    return np.unique(np.concatenate(ways), axis=0)


def _traced(total: Floats, before: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """For every price the way to the cheapest end [V, B], followed from the end to the beginning."""
    runs, candidate = np.divmod(total.reshape(len(total), -1).argmin(1), total.shape[2])
    prices, choice = np.arange(len(total)), np.empty((len(total), len(before)), np.int64)
    for number in range(len(before) - 1, -1, -1):
        choice[:, number] = candidate
        previous = before[number, prices, runs, candidate]
        runs, candidate = runs - (previous != candidate), previous
    return choice


def ladder_of(table: Measurements, bins: list[npt.NDArray[np.int64]], choice: npt.NDArray[np.int64]) -> GroupLadder:
    """The ladder that samples bin b, patches `bins[b]`, by candidate `choice[b]`; thresholds lie between the bins."""
    changes = np.flatnonzero(np.diff(choice)) + 1
    thresholds = [float(table.qmap[bins[i - 1]].min() + table.qmap[bins[i]].max()) / 2 for i in changes]
    groups = [table.candidates[int(choice[i])] for i in (0, *changes)]
    return GroupLadder(tuple(groups), tuple(round(threshold, 4) for threshold in thresholds))


def gentle_where_flat(ladder: GroupLadder, least: Group) -> GroupLadder:
    """The ladder with no more than one `least` step where the confidence is FLAT and more, and none where it is PLAIN."""
    runs = [(KEEP, PLAIN)]  # (group, the confidence from which on), easiest first
    for group, threshold in zip(ladder.groups, (*ladder.thresholds, -np.inf), strict=True):
        runs += [(least if group.steps else KEEP, max(threshold, FLAT)), (group, threshold)]
    groups: list[Group] = []
    thresholds: list[float] = []
    for group, threshold in runs:
        if groups and group == groups[-1]:
            thresholds[-1] = min(threshold, thresholds[-1])
        elif not thresholds or threshold < thresholds[-1]:
            groups.append(group)
            thresholds.append(threshold)
    return GroupLadder(tuple(groups), tuple(thresholds[:-1]))


def _outcome_of(table: Measurements, shares: Shares, ladder: GroupLadder) -> Outcome:
    numbers = np.array([table.candidates.index(group) for group in ladder.groups], np.int64)
    choice: Choice = numbers[ladder.assign(table.qmap.astype(np.float32))]
    return outcome(table, shares, choice)


def frontier(found: Iterable[Found]) -> list[Found]:
    """Those that no other one beats in both LPIPS and evaluations, by rising evaluations."""
    kept: list[Found] = []
    for one in sorted(found, key=lambda one: (one.outcome.evaluations, one.outcome.lpips)):
        if not kept or one.outcome.lpips < kept[-1].outcome.lpips:
            kept.append(one)
    return kept


def presets(found: list[Found]) -> dict[str, Found]:
    """The presets `fast`, `balanced` and `best` of ladders that keep the margin.

    Where no ladder meets both of balanced's conditions, the one about evaluations is kept alone; where none meets that
    either, neither is.
    """
    cheap = [one for one in found if one.is_cheap]
    eligible = [one for one in cheap if one.is_near] or cheap or found
    enough = (1 + SLACK) * _lowest(eligible).outcome.lpips
    balanced = _fewest([one for one in eligible if one.outcome.lpips <= enough])
    quick = [one for one in found if one.outcome.evaluations <= balanced.outcome.evaluations / 2]
    return {"fast": _lowest(quick) if quick else _fewest(found), "balanced": balanced, "best": _lowest(found)}


def uniform_curve(table: Measurements, margin: float) -> list[tuple[float, Outcome]]:
    """Uniform sampling at its best for every step count: fidelity and outcome, the margin kept, by rising steps."""
    best: dict[int, tuple[float, Outcome]] = {}
    for fidelity in FIDELITIES:
        shares = table.at(fidelity)
        for number, group in enumerate(table.candidates):
            one = outcome(table, shares, np.full(len(table.qmap), number))
            if one.gain >= margin and (group.steps not in best or one.lpips < best[group.steps][1].lpips):
                best[group.steps] = fidelity, one
    return [best[steps] for steps in sorted(best)]


def _fewest(found: list[Found]) -> Found:
    """The fewest evaluations; of equal ones the lowest LPIPS."""
    return min(found, key=lambda one: (one.outcome.evaluations, one.outcome.lpips))


def _lowest(found: list[Found]) -> Found:
    """The lowest LPIPS; of equal ones the fewest evaluations."""
    return min(found, key=lambda one: (one.outcome.lpips, one.outcome.evaluations))
