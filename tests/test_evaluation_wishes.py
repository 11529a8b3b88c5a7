"""Which methods are asked for: the words of --methods, --variant and --compare."""

from __future__ import annotations

from pathlib import Path

import pytest

from patchscaler_cli.cli.evaluate_results import evenly_spread
from patchscaler_cli.cli.evaluate_wishes import Wishes
from patchscaler_cli.errors import UsageError
from patchscaler_cli.pipeline.settings import UpscaleSettings

USUAL = UpscaleSettings(steps=3)


def test_methods_come_in_their_usual_order() -> None:
    wishes = Wishes.of("patchscaler, bicubic,coarse", None, None, USUAL)
    assert wishes.interpolations == ["bicubic"]
    assert list(wishes.upscalings) == ["coarse", "patchscaler"]
    assert wishes.upscalings["coarse"].coarse_only


def test_a_variant_changes_the_command_lines_settings() -> None:
    wishes = Wishes.of("none", ["mine=groups:1,fidelity:0.5,texture:off"], None, USUAL)
    assert wishes.upscalings == {"mine": UpscaleSettings(steps=3, groups=1, fidelity=0.5, texture=False)}


def test_a_folder_is_named() -> None:
    assert Wishes.of("none", None, ["ESRGAN=out/x=4"], USUAL).others == {"ESRGAN": Path("out/x=4")}


@pytest.mark.parametrize(
    ("methods", "variant", "compare", "words"),
    [
        ("nearest", None, None, "not nearest"),
        ("", None, None, "not an empty word"),
        ("none", None, None, "nothing to compare"),
        ("none", "steps:4", None, "--variant takes a name, = and what it stands for, not steps:4"),
        ("none", "a=speed:4", None, "--variant a knows preset, steps, groups, fidelity, ensemble, texture, seed"),
        ("none", "a=steps:many", None, "many is no value for steps"),
        ("none", "a=texture:maybe", None, "maybe is no value for texture"),
        ("none", "a=fidelity:3", None, "--fidelity must be a number from -0.5 to 1"),
        ("none", "coarse=steps:4", None, "the name coarse is taken"),
        ("none", "a=steps:4", "a=folder", "the name a is taken"),
        ("none", None, "../a=folder", "cannot be the name of a folder"),
        ("none", None, "=folder", "takes a name"),
    ],
)
def test_words_that_make_no_sense(methods: str, variant: str | None, compare: str | None, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Wishes.of(methods, variant and [variant], compare and [compare], USUAL)  # type: ignore[arg-type]


@pytest.mark.parametrize(("wanted", "count", "chosen"), [(1, 9, {0}), (3, 9, {0, 4, 8}), (12, 3, {0, 1, 2})])
def test_the_reports_pictures_are_spread_evenly(wanted: int, count: int, chosen: set[int]) -> None:
    assert evenly_spread(wanted, count) == chosen
