"""Transparency when a picture is enlarged: no fringes, no veils."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, ImageDraw

from patchscaler_cli.images.alpha import bled, on_background, resize_alpha
from patchscaler_cli.images.picture import Picture
from patchscaler_cli.images.reading import read_picture
from tests.image_samples import P3_PROFILE, Samples, enlarge_smoothly, save

RED = np.array([220, 40, 30])


def sprite(hidden: int) -> Image.Image:
    """A smooth red disc on a clear ground under which lies a grey of the level `hidden`, 48x48."""
    mask = Image.new("L", (192, 192))
    ImageDraw.Draw(mask).ellipse((30, 30, 162, 162), fill=255)
    alpha = mask.resize((48, 48), Image.Resampling.BOX)
    pixels = np.where(np.asarray(alpha)[..., None] > 0, RED, hidden).astype(np.uint8)
    image = Image.fromarray(pixels)
    image.putalpha(alpha)
    return image


@pytest.mark.parametrize("hidden", [0, 255])
@pytest.mark.parametrize("ground", [0, 255])
@pytest.mark.parametrize("ending", ["png", "webp", "tif"])
def test_sprite_has_no_fringe(tmp_path: Path, ending: str, ground: int, hidden: int) -> None:
    """On any ground each pixel is a mixture of the ground and the sprite's red, and of nothing else."""
    words = {"lossless": True, "exact": True} if ending == "webp" else {}
    picture = read_picture(save(sprite(hidden), tmp_path / f"sprite.{ending}", **words))
    large = picture.enlarged(enlarge_smoothly(picture.pixels))
    assert large.alpha is not None
    opacity = large.alpha[..., None] / 255
    wanted = opacity * RED + (1 - opacity) * ground
    shown = on_background(large.pixels, large.alpha, (ground,) * 3).astype(float)
    assert np.abs(shown - wanted).max() <= 2


def test_without_bleeding_there_is_a_fringe() -> None:
    """The test above would notice."""
    whole = np.asarray(sprite(0))
    large = Picture(whole[..., :3].copy(), whole[..., 3].copy()).enlarged(enlarge_smoothly(whole[..., :3]))
    assert large.alpha is not None
    opacity = large.alpha[..., None] / 255
    shown = on_background(large.pixels, large.alpha, (255, 255, 255)).astype(float)
    assert np.abs(shown - (opacity * RED + (1 - opacity) * 255)).max() > 20


def test_opaque_and_clear_areas_stay_so(tmp_path: Path) -> None:
    picture = read_picture(save(sprite(0), tmp_path / "sprite.png"))
    large = picture.enlarged(enlarge_smoothly(picture.pixels)).alpha
    assert large is not None
    assert (large[80:112, 80:112] == 255).all()
    assert (large[:24] == 0).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@given(data=st.data())
def test_bleeding_changes_only_what_is_clear(dtype: type[np.unsignedinteger], data: st.DataObject) -> None:
    shape = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    top = np.iinfo(dtype).max
    pixels = data.draw(arrays.arrays(dtype, (*shape, 3)))
    alpha = data.draw(arrays.arrays(dtype, shape, elements=st.sampled_from([0, 1, top])))
    continued = bled(pixels, alpha)
    assert continued.dtype == dtype
    np.testing.assert_array_equal(continued[alpha > 0], pixels[alpha > 0])


@given(data=st.data())
def test_bled_colours_are_mixtures_of_visible_ones(data: st.DataObject) -> None:
    shape = data.draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    pixels = data.draw(arrays.arrays(np.uint8, shape))
    alpha = data.draw(arrays.arrays(np.uint8, shape, elements=st.sampled_from([0, 255])))
    continued, seen = bled(pixels, alpha), pixels[alpha > 0]
    if seen.size:
        assert seen.min() <= continued.min()
        assert continued.max() <= seen.max()


def test_nothing_visible_has_nothing_to_bleed() -> None:
    pixels = np.full((3, 3, 3), 7, np.uint8)
    np.testing.assert_array_equal(bled(pixels, np.zeros((3, 3), np.uint8)), pixels)


def test_sixteen_bit_alpha_is_enlarged_in_16_bits() -> None:
    alpha: Samples = np.linspace(0, 65535, 64).astype(np.uint16).reshape(1, 64).repeat(8, axis=0)
    large = resize_alpha(alpha, 256, 32)
    assert large.dtype == np.uint16
    assert len(np.unique(large)) > 200
    even = np.full((5, 5), 65535, np.uint16)
    np.testing.assert_array_equal(resize_alpha(even, 20, 20), np.full((20, 20), 65535))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_background_shows_through_exactly(dtype: type[np.unsignedinteger]) -> None:
    top = np.iinfo(dtype).max
    pixels = np.array([[[0, top, 5], [top, top, top], [9, 9, 9]]], dtype)
    alpha = np.array([[0, top, top]], dtype)
    wanted = [[[top, 1, 2], [top, top, top], [9, 9, 9]]]
    assert on_background(pixels, alpha, (int(top), 1, 2)).tolist() == wanted


def test_alpha_of_a_wide_gamut_picture_follows(tmp_path: Path) -> None:
    picture = read_picture(save(sprite(0), tmp_path / "wide.png", icc_profile=P3_PROFILE))
    large = picture.enlarged(enlarge_smoothly(picture.pixels))
    plain = replace(picture, own_colours=None).enlarged(enlarge_smoothly(picture.pixels))
    np.testing.assert_array_equal(large.alpha, plain.alpha)
