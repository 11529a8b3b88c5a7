"""What is compared: interpolation, the model in several settings, and other programs' pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.evaluation.examples import Example, example_files
from patchscaler_cli.evaluation.methods import folder_of_others, interpolation, upscaling
from patchscaler_cli.pipeline.settings import UpscaleSettings
from tests.evaluation_samples import example, textured, write_folders
from tests.small_model import small_upscaler


@pytest.mark.parametrize("name", ["bicubic", "lanczos"])
def test_interpolation_costs_no_evaluations(name: str) -> None:
    enlarged = interpolation(name).enlarge(example())
    assert enlarged.pixels.shape == (128, 128, 3)
    assert enlarged.network_evaluations == 0


def test_the_two_interpolations_differ() -> None:
    one, two = (interpolation(name).enlarge(example()).pixels for name in ("bicubic", "lanczos"))
    assert (one != two).any()


def test_coarse_alone_is_the_coarse_image_of_the_whole() -> None:
    upscaler = small_upscaler()
    coarse = upscaling("coarse", upscaler, UpscaleSettings(coarse_only=True)).enlarge(example())
    whole = upscaling("patchscaler", upscaler, UpscaleSettings()).enlarge(example())
    assert whole.result is not None
    np.testing.assert_array_equal(coarse.pixels, whole.result.coarse)


def test_settings_reach_the_model() -> None:
    method = upscaling("uniform", small_upscaler(), UpscaleSettings(groups=1, steps=2))
    enlarged = method.enlarge(example())
    assert enlarged.result is not None
    assert enlarged.network_evaluations == 2 * enlarged.result.patches


def others(tmp_path: Path, **files: str) -> tuple[Path, list[Example]]:
    """A folder with textured pictures under the names given as values, and the example that they belong to."""
    folder = tmp_path / "others"
    folder.mkdir()
    for number, name in enumerate(files.values()):
        Image.fromarray(textured(128, 128, number + 5)).save(folder / name)
    return folder, [example("0.png")]


@pytest.mark.parametrize("name", ["0.png", "0_out.png", "0-x4.webp"])
def test_other_programs_pictures_are_found(tmp_path: Path, name: str) -> None:
    hr, _ = write_folders(tmp_path, ("0.png",))
    folder, [one] = others(tmp_path, picture=name)
    enlarged = folder_of_others("theirs", folder, example_files(hr)).enlarge(one)
    assert enlarged.pixels.shape == one.hr.shape
    assert (enlarged.seconds, enlarged.network_evaluations) == (None, None)


def test_a_missing_picture_is_refused_at_once(tmp_path: Path) -> None:
    hr, _ = write_folders(tmp_path, ("0.png", "1.png"))
    folder, _ = others(tmp_path, picture="0.png")
    with pytest.raises(PatchScalerError, match="others has no pictures for 1;"):
        folder_of_others("theirs", folder, example_files(hr))


def test_two_pictures_for_one_are_refused(tmp_path: Path) -> None:
    hr, _ = write_folders(tmp_path, ("0.png",))
    folder, _ = others(tmp_path, first="0_a.png", second="0_b.png")
    with pytest.raises(PatchScalerError, match="others has several pictures for 0;"):
        folder_of_others("theirs", folder, example_files(hr))


def test_a_picture_of_another_size_is_named(tmp_path: Path) -> None:
    hr, _ = write_folders(tmp_path, ("0.png",))
    folder, [one] = others(tmp_path, picture="0.png")
    Image.fromarray(textured(64, 60)).save(folder / "0.png")
    method = folder_of_others("theirs", folder, example_files(hr))
    with pytest.raises(
        PatchScalerError, match=r"others/0\.png has 60x64 pixels, but 4 times the LR picture is 128x128"
    ):
        method.enlarge(one)
