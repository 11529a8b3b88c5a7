"""The clock of the stages: every moment is counted once, for the innermost stage."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from patchscaler_cli.pipeline.settings import UpscaleSettings
from patchscaler_cli.pipeline.stage_clock import StageClock
from tests.small_model import small_upscaler


def _ticking() -> StageClock:
    """A clock that goes one further at every look."""
    ticks = itertools.count()
    return StageClock(lambda: float(next(ticks)))


def test_an_inner_stage_stops_the_outer_one() -> None:
    clock = _ticking()
    with clock.stage("outer"):  # looks at 0
        with clock.stage("inner"):  # 1
            pass  # 2
        with clock.stage("inner"):  # 3
            pass  # 4
    # 5
    assert clock.spent == {"outer": 3.0, "inner": 2.0}


def test_what_lies_between_stages_is_nobodys() -> None:
    clock = _ticking()
    for _ in range(2):
        with clock.stage("one"):
            pass
    assert clock.spent == {"one": 2.0}


def test_a_stage_that_fails_is_counted_and_ended() -> None:
    clock = _ticking()
    with pytest.raises(ValueError, match="failed"), clock.stage("one"), clock.stage("two"):
        raise ValueError("failed")
    with clock.stage("three"):
        pass
    assert clock.spent == {"one": 2.0, "two": 1.0, "three": 1.0}


def test_a_result_tells_what_its_stages_took() -> None:
    picture = np.random.default_rng(0).integers(90, 170, (20, 24, 3), np.uint8)
    upscaler = small_upscaler()
    seconds = upscaler.upscale(picture, UpscaleSettings(scale=3)).seconds
    assert set(seconds) == {"coarse", "group", "retrieve", "diffuse", "blend", "resize"}
    assert all(spent > 0 for spent in seconds.values())
    looks = upscaler.upscale(picture, clock=_ticking()).seconds
    assert all(spent == int(spent) > 0 for spent in looks.values())
