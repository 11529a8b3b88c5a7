"""Presets: ways of sampling that come with the weights; single options go before them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from patchscaler_cli.errors import PatchScalerError, UsageError
from patchscaler_cli.models.weights_file import save_weights
from patchscaler_cli.pipeline.settings import UpscaleSettings
from patchscaler_cli.pipeline.upscaler import Upscaler
from patchscaler_cli.sampling.groups import Group, GroupLadder, Preset
from tests.evaluation_samples import textured, write_folders
from tests.fake_upscaler import RunCli
from tests.small_model import CALIBRATION, small_model, small_upscaler

FAST = {"groups": [{"sigma": 0.0, "steps": 0}, {"sigma": 0.1, "steps": 1}], "thresholds": [0.09], "fidelity": 0.5}
BEST = {"groups": [{"sigma": 0.3, "steps": 4}], "thresholds": [], "fidelity": 0.1}
WITH_PRESETS = CALIBRATION | {"presets": {"fast": FAST, "balanced": CALIBRATION, "best": BEST}}


def with_presets() -> Upscaler:
    return small_upscaler(calibration=WITH_PRESETS)


def test_a_preset_brings_its_groups_and_its_fidelity() -> None:
    assert with_presets().sampling(UpscaleSettings(preset="fast")) == Preset(
        GroupLadder((Group(0.0, 0), Group(0.1, 1)), (0.09,)), 0.5
    )


def test_the_picture_is_sampled_as_the_preset_says() -> None:
    picture = textured(40, 40)
    by_preset = with_presets().upscale(picture, UpscaleSettings(preset="best"))
    by_ladder = small_upscaler(calibration=BEST).upscale(picture)
    assert (by_preset.pixels == by_ladder.pixels).all()
    assert by_preset.network_evaluations == by_preset.patches * 4


def test_without_a_wish_it_is_balanced() -> None:
    upscaler = with_presets()
    assert upscaler.sampling(UpscaleSettings()) == upscaler.sampling(UpscaleSettings(preset="balanced"))
    assert upscaler.sampling(UpscaleSettings()) == small_upscaler().sampling(UpscaleSettings())


def test_single_settings_go_before_the_preset() -> None:
    chosen = with_presets().sampling(UpscaleSettings(preset="fast", steps=3, groups=1, fidelity=0.2))
    assert chosen == Preset(GroupLadder((Group(0.1, 3),), ()), 0.2)


def test_weights_from_before_there_were_presets_are_balanced_and_nothing_else() -> None:
    small_upscaler().sampling(UpscaleSettings(preset="balanced"))
    with pytest.raises(UsageError, match=r"calibrated without presets, so there is no --preset fast"):
        small_upscaler().sampling(UpscaleSettings(preset="fast"))


def test_a_preset_that_nobody_knows_is_refused() -> None:
    with pytest.raises(UsageError, match=r"--preset must be fast, balanced or best, not quick"):
        UpscaleSettings(preset="quick")


@pytest.mark.parametrize("presets", [{"fast": {}}, {"fast": None}, [1], {"fast": FAST | {"fidelity": "half"}}])
def test_presets_that_cannot_be_used_are_an_error(presets: object) -> None:
    with pytest.raises(PatchScalerError, match=r"in the weights' metadata cannot be used"):
        small_upscaler(calibration=CALIBRATION | {"presets": presets})


def test_upscale_takes_a_preset_and_writes_it_into_the_picture(tmp_path: Path, run_cli: RunCli) -> None:
    Image.fromarray(textured(20, 20)).save(tmp_path / "in.png")
    save_weights(tmp_path / "w.safetensors", small_model(), {"calibration": WITH_PRESETS})
    words = ["--weights", tmp_path / "w.safetensors", "--device", "cpu", "--preset", "fast"]
    done = run_cli("upscale", tmp_path / "in.png", "-o", tmp_path / "out.png", *words)
    assert done.exit_code == 0, done.output
    with Image.open(tmp_path / "out.png") as written:
        assert "preset fast, fidelity 0.5, 2 groups, 1 steps" in " ".join(str(text) for text in written.info.values())


def test_a_preset_that_the_weights_lack_is_told_once_and_nothing_is_written(tmp_path: Path, run_cli: RunCli) -> None:
    for name in ("a", "b"):
        Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(tmp_path / f"{name}.png")
    save_weights(tmp_path / "w.safetensors", small_model(), {"calibration": CALIBRATION})
    words = ["--weights", tmp_path / "w.safetensors", "--device", "cpu", "--preset", "best"]
    refused = run_cli("upscale", tmp_path / "a.png", tmp_path / "b.png", "-o", tmp_path / "out", *words)
    assert refused.exit_code == 2
    assert refused.stderr.count("calibrated without presets") == 1
    assert not list(tmp_path.glob("out/*"))


def test_evaluate_compares_presets_as_variants(tmp_path: Path, run_cli: RunCli) -> None:
    hr, lr = write_folders(tmp_path, ("0.png",))
    save_weights(tmp_path / "w.safetensors", small_model(), {"calibration": WITH_PRESETS})
    words = ["--weights", tmp_path / "w.safetensors", "--device", "cpu", "--methods", "patchscaler"]
    done = run_cli("evaluate", hr, lr, *words, "--variant", "quick=preset:fast", "--variant", "slow=preset:best")
    assert done.exit_code == 0, done.output
    assert "settings of quick: preset fast" in done.stdout
    assert "settings of slow: preset best" in done.stdout
