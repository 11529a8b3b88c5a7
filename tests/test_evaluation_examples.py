"""Pairs of HR and LR pictures are found by name, read, and refused with a reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.evaluation.examples import clean_bicubic, example_files, examples, read_example
from tests.evaluation_samples import textured, write_folders


def test_pairs_come_in_the_order_of_names(tmp_path: Path) -> None:
    hr, lr = write_folders(tmp_path, ("b.png", "a.png", "c.png"))
    assert [one.name for one in examples(hr, lr)] == ["a.png", "b.png", "c.png"]


def test_every_second_picture(tmp_path: Path) -> None:
    hr, lr = write_folders(tmp_path, ("a.png", "b.png", "c.png"))
    assert [one.name for one in examples(hr, lr, 2)] == ["a.png", "c.png"]


def test_a_picture_without_lr_is_left_out(tmp_path: Path) -> None:
    hr, lr = write_folders(tmp_path)
    (lr / "0.png").unlink()
    assert [one.name for one in examples(hr, lr)] == ["1.png"]


def test_endings_may_differ(tmp_path: Path) -> None:
    hr, lr = write_folders(tmp_path, ("a.png",))
    Image.open(lr / "a.png").save(lr / "a.webp", lossless=True)
    (lr / "a.png").unlink()
    assert next(examples(hr, lr)).lr.shape == (32, 32, 3)


def test_hr_is_cut_to_four_times_lr(tmp_path: Path) -> None:
    hr, lr = write_folders(tmp_path, ("a.png",))
    Image.fromarray(textured(131, 129)).save(hr / "a.png")
    one = next(examples(hr, lr))
    np.testing.assert_array_equal(one.hr, textured(131, 129)[:128, :128])


def test_lr_is_made_if_there_is_none(tmp_path: Path) -> None:
    hr, _ = write_folders(tmp_path, ("a.png",))
    [files] = example_files(hr)
    one = read_example(files, clean_bicubic)
    np.testing.assert_array_equal(one.lr, clean_bicubic("a", one.hr))


def test_folders_without_a_common_name(tmp_path: Path) -> None:
    hr, lr = write_folders(tmp_path, ("a.png",))
    (lr / "a.png").rename(lr / "z.png")
    with pytest.raises(PatchScalerError, match="no picture's name in common"):
        list(examples(hr, lr))


def test_an_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(PatchScalerError, match="holds no pictures"):
        example_files(tmp_path)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(PatchScalerError, match="none is no folder"):
        example_files(tmp_path / "none")


def test_two_pictures_of_one_name(tmp_path: Path) -> None:
    hr, _ = write_folders(tmp_path, ("a.png",))
    Image.open(hr / "a.png").save(hr / "a.jpg")
    with pytest.raises(PatchScalerError, match=r"both a\.jpg and a\.png"):
        example_files(hr)


def test_lr_of_another_size(tmp_path: Path) -> None:
    hr, lr = write_folders(tmp_path, ("a.png",))
    Image.fromarray(textured(64, 64)).save(lr / "a.png")
    with pytest.raises(PatchScalerError, match=r"lr/a\.png: the LR picture's sides are not a fourth"):
        list(examples(hr, lr))


def test_a_picture_too_small_to_be_measured(tmp_path: Path) -> None:
    hr, lr = write_folders(tmp_path, ("a.png",), side=28)
    with pytest.raises(PatchScalerError, match=r"hr/a\.png is smaller than 32x32 pixels"):
        list(examples(hr, lr))


def test_a_damaged_picture(tmp_path: Path) -> None:
    hr, lr = write_folders(tmp_path, ("a.png",))
    (hr / "a.png").write_bytes((hr / "a.png").read_bytes()[:2000])
    with pytest.raises(PatchScalerError, match=r"hr/a\.png cannot be read as a picture"):
        list(examples(hr, lr))


def test_a_picture_of_16_bits(tmp_path: Path) -> None:
    hr, lr = write_folders(tmp_path, ("a.png",))
    Image.fromarray(np.full((128, 128), 40000, np.uint16)).save(hr / "a.png")
    with pytest.raises(PatchScalerError, match="more than 8 bits a sample"):
        list(examples(hr, lr))
