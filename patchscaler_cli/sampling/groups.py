"""Patch-adaptive group sampling (PatchScaler, section 3.3): how hard a patch is decides where and how it is sampled."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from patchscaler_cli.errors import PatchScalerError, UsageError


@dataclass(frozen=True)
class Group:
    """One difficulty group.

    Attributes:
        sigma: start noise sigma_tau on [-1, 1]; it buries the coarse patch's error in this group.
        steps: sampling steps N; 0 keeps the coarse patch.
    """

    sigma: float
    steps: int


@dataclass(frozen=True)
class GroupLadder:
    """All groups that a weights file was calibrated for, easiest first, and the confidences that part them.

    Attributes:
        groups: easiest first, so steps never fall along it.
        thresholds: gamma, one fewer than groups, falling: group i takes the patches whose Qmap is at least
            `thresholds[i]` (and that no easier group took); the last group takes the rest.
    """

    groups: tuple[Group, ...]
    thresholds: tuple[float, ...]

    def __post_init__(self) -> None:
        """Check the laws above.

        Raises:
            ValueError: naming the law that is broken.
        """
        steps = [group.steps for group in self.groups]
        if not self.groups or self.groups[-1].steps < 1:
            raise ValueError("the hardest group needs at least one step")
        if len(self.thresholds) != len(self.groups) - 1:
            raise ValueError(f"{len(self.groups)} groups need {len(self.groups) - 1} thresholds")
        if steps != sorted(steps) or list(self.thresholds) != sorted(self.thresholds, reverse=True):
            raise ValueError("groups must go from easy to hard, thresholds from high to low confidence")
        if any(group.steps and group.sigma <= 0 for group in self.groups):
            raise ValueError("a group that samples needs a positive start noise")

    def select(self, count: int | None = None, steps: int | None = None) -> GroupLadder:
        """The ladder for a wish: `count` groups, of which the hardest takes `steps`.

        The `count` hardest groups stay, and the easiest of those also takes what would have been easier still: one
        group is uniform sampling with the hardest group's settings. Other groups' steps follow in proportion (a
        group that samples keeps at least one step, a group that keeps the coarse patch stays so).

        Raises:
            UsageError: if there are fewer than `count` groups.
        """
        count = len(self.groups) if count is None else count
        if not 1 <= count <= len(self.groups):
            raise UsageError(f"--groups must be from 1 to {len(self.groups)} with these weights, not {count}.")
        groups = self.groups[len(self.groups) - count :]
        if steps is not None:
            ratio = steps / groups[-1].steps
            groups = tuple(
                Group(group.sigma, max(1, int(group.steps * ratio + 0.5)) if group.steps else 0) for group in groups
            )
        return GroupLadder(groups, self.thresholds[len(self.groups) - count :])

    def assign(self, qmap: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
        """The group of every patch from its confidence, any shape: 0 is the easiest."""
        group = np.zeros(qmap.shape, np.int64)
        for threshold in self.thresholds:
            group += qmap < threshold
        return group

    def to_dict(self) -> dict[str, Any]:
        groups = [{"sigma": group.sigma, "steps": group.steps} for group in self.groups]
        return {"groups": groups, "thresholds": list(self.thresholds)}

    @classmethod
    def from_dict(cls, values: Any) -> GroupLadder:
        """The inverse of `to_dict`.

        Raises:
            PatchScalerError: if a value is missing or breaks the ladder's laws.
        """
        try:
            groups = tuple(Group(float(group["sigma"]), int(group["steps"])) for group in values["groups"])
            return cls(groups, tuple(float(threshold) for threshold in values["thresholds"]))
        except (KeyError, TypeError, ValueError) as error:
            raise PatchScalerError(
                f"The calibrated groups in the weights' metadata cannot be used ({error})."
            ) from error


@dataclass(frozen=True)
class Preset:
    """A way of sampling that the weights were calibrated for: the groups, and the fidelity that was found with them."""

    ladder: GroupLadder
    fidelity: float


def read_presets(calibration: Any, default: str) -> dict[str, Preset]:
    """The presets in the weights' metadata by name.

    Args:
        calibration: as the calibration wrote it; weights from before there were presets have one way of sampling only.
        default: the name of the preset whose values stand at the top.

    Raises:
        PatchScalerError: if a value is missing or breaks a ladder's laws.
    """
    ladder = GroupLadder.from_dict(calibration)
    try:
        found = {default: Preset(ladder, float(calibration.get("fidelity", 0.0)))}
        for name, values in calibration.get("presets", {}).items():
            found[name] = Preset(GroupLadder.from_dict(values), float(values["fidelity"]))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise PatchScalerError(f"The calibrated presets in the weights' metadata cannot be used ({error}).") from error
    return found
