"""How the time of a whole training is shared out among its phases."""

from __future__ import annotations

from collections.abc import Mapping

FROM_NOTHING: Mapping[str, float] = {"coarse": 0.35, "texture": 0.02, "diffusion": 0.08, "few-step": 0.55}
"""Shares of the time of a run that begins from nothing. The EDM phase is the few-step phase's initialisation and no more
(design, section 5)."""

FROM_WEIGHTS: Mapping[str, float] = {"coarse": 0.5, "few-step": 0.5}
"""Shares where a weights file is the beginning: its texture classifier and the EDM phase's work are taken as they are."""


def minutes_of_phases(minutes: float, from_weights: bool) -> dict[str, float]:
    """Minutes of each phase that trains, in the order in which they run; they sum to `minutes`."""
    shares = FROM_WEIGHTS if from_weights else FROM_NOTHING
    return {phase: minutes * share for phase, share in shares.items()}
