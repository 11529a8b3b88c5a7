"""Colours: wide gamut comes back as wide, grey stays grey, inks and LAB become sRGB."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageCms
from skimage.color import deltaE_ciede2000, xyz2lab

from patchscaler_cli.images.colour import OwnColours, matrix_profile
from patchscaler_cli.images.reading import read_picture
from patchscaler_cli.images.writing import write_picture
from tests.image_samples import (
    ADOBE_PROFILE,
    DISPLAY_P3,
    P3_PROFILE,
    SRGB_CURVE,
    Samples,
    enlarge_smoothly,
    matrix_profile_bytes,
    parametric_curve,
    sampled_curve,
    save,
)

SRGB = ImageCms.createProfile("sRGB")
SRGB_PROFILE = ImageCms.ImageCmsProfile(SRGB).tobytes()
PRO_PHOTO = ((0.7976749, 0.1351917, 0.0313534), (0.2880402, 0.7118741, 0.0000857), (0.0, 0.0, 0.8252100))


def floats(samples: Samples) -> npt.NDArray[np.float32]:
    """uint8 in 0..1."""
    return samples.astype(np.float32) / np.float32(255)


def saturated(dtype: type[np.unsignedinteger]) -> Samples:
    """Every hue at several saturations, 48x36: much of it is beyond sRGB in a wide profile."""
    hue, saturation = np.meshgrid(np.linspace(0, 255, 48), np.linspace(0, 255, 36))
    hsv = np.stack([hue, saturation, np.full_like(hue, 230)], axis=2).astype(np.uint8)
    rgb = np.asarray(Image.frombytes("HSV", (48, 36), hsv.tobytes()).convert("RGB"))
    samples: Samples = rgb.astype(dtype) * (257 if dtype is np.uint16 else 1)
    return samples


def p3_as_lab(pixels: Samples) -> npt.NDArray[np.float64]:
    """What Display P3 looks like, by its definition and not by our code."""
    values = pixels.astype(np.float64) / np.iinfo(pixels.dtype).max
    light = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    lab: npt.NDArray[np.float64] = xyz2lab(light @ np.array(DISPLAY_P3).T, illuminant="D50")
    return lab


def low_pass(pixels: Samples, width: int, height: int) -> Samples:
    """Reduced to a few pixels by averaging."""
    planes = [Image.fromarray(pixels[..., i].astype(np.float32)) for i in range(3)]
    small = [np.asarray(plane.resize((width, height), Image.Resampling.BOX)) for plane in planes]
    rounded: Samples = np.rint(np.stack(small, axis=2)).astype(pixels.dtype)
    return rounded


# ---- profiles -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "profile",
    [
        pytest.param(P3_PROFILE, id="Display P3"),
        pytest.param(ADOBE_PROFILE, id="Adobe RGB"),
        pytest.param(matrix_profile_bytes(PRO_PHOTO, sampled_curve(round(1.8 * 256))), id="ProPhoto"),
        pytest.param(matrix_profile_bytes(DISPLAY_P3, sampled_curve()), id="linear"),
        pytest.param(
            matrix_profile_bytes(DISPLAY_P3, sampled_curve(*(round(65535 * (i / 255) ** 2) for i in range(256)))),
            id="sampled curve",
        ),
        pytest.param(matrix_profile_bytes(DISPLAY_P3, parametric_curve(0, 2.2)), id="formula 0"),
        pytest.param(matrix_profile_bytes(DISPLAY_P3, parametric_curve(1, 2.2, 0.95, 0.05)), id="formula 1"),
        pytest.param(matrix_profile_bytes(DISPLAY_P3, parametric_curve(2, 2.2, 0.9, 0.05, 0.01)), id="formula 2"),
        pytest.param(
            matrix_profile_bytes(DISPLAY_P3, parametric_curve(4, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045, 0, 0)),
            id="formula 4",
        ),
    ],
)  # fmt: skip
def test_conversion_is_littlecms(profile: bytes) -> None:
    """To sRGB as the colour engine does it, but for its 8 bits."""
    ours = matrix_profile(profile)
    assert ours is not None
    colours = saturated(np.uint8)
    source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    theirs = ImageCms.profileToProfile(
        Image.fromarray(colours), source, SRGB, ImageCms.Intent.RELATIVE_COLORIMETRIC, outputMode="RGB"
    )
    assert theirs is not None
    difference = np.abs(ours.to_srgb(floats(colours)) * 255 - np.asarray(theirs))
    assert difference.mean() < 0.6
    assert np.percentile(difference, 99) < 2


def test_way_back_is_the_inverse() -> None:
    profile = matrix_profile(P3_PROFILE)
    assert profile is not None
    srgb = floats(saturated(np.uint8))
    assert np.abs(profile.to_srgb(profile.from_srgb(srgb)) - srgb).max() < 0.2 / 255


@pytest.mark.parametrize("profile", [None, b"", b"short", SRGB_PROFILE, P3_PROFILE[:200], P3_PROFILE[:300]])
def test_no_conversion_without_a_usable_wide_profile(profile: bytes | None) -> None:
    assert matrix_profile(profile) is None


def test_srgb_as_another_maker_wrote_it_needs_no_conversion() -> None:
    srgb = ((0.436035, 0.385101, 0.143066), (0.222443, 0.716949, 0.060608), (0.013901, 0.097076, 0.713913))
    assert matrix_profile(matrix_profile_bytes(srgb, SRGB_CURVE)) is None


# ---- wide gamut -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_display_p3_looks_the_same_after_enlarging(tmp_path: Path, dtype: type[np.unsignedinteger]) -> None:
    colours = saturated(dtype)
    path = tmp_path / "wide.png"
    original = read_picture(save(Image.fromarray(saturated(np.uint8)), path, icc_profile=P3_PROFILE))
    if dtype is np.uint16:
        assert original.own_colours is not None
        own = OwnColours(original.own_colours.profile, colours)
        original = replace(original, pixels=own.for_network(), own_colours=own)
    output = tmp_path / "large.png"
    write_picture(output, original.enlarged(enlarge_smoothly(original.pixels)))
    large = read_picture(output)
    assert large.metadata.icc_profile == P3_PROFILE
    assert large.own_colours is not None
    assert large.own_colours.pixels.dtype == dtype
    before, after = low_pass(colours, 12, 9), low_pass(large.own_colours.pixels, 12, 9)
    assert deltaE_ciede2000(p3_as_lab(before), p3_as_lab(after)).mean() < 0.3


@pytest.mark.parametrize("profile", [P3_PROFILE, ADOBE_PROFILE], ids=["Display P3", "Adobe RGB"])
def test_wide_gamut_is_not_clipped(tmp_path: Path, profile: bytes) -> None:
    """A green that sRGB cannot hold comes back as it was."""
    path = save(Image.new("RGB", (16, 16), (0, 255, 0)), tmp_path / "green.png", icc_profile=profile)
    picture = read_picture(path)
    enlarged = picture.enlarged(enlarge_smoothly(picture.pixels))
    assert np.unique(enlarged.pixels.reshape(-1, 3), axis=0).tolist() == [[0, 255, 0]]


def test_network_sees_srgb(tmp_path: Path) -> None:
    path = save(Image.new("RGB", (4, 4), (234, 51, 35)), tmp_path / "red.png", icc_profile=P3_PROFILE)
    pixels = read_picture(path).pixels
    assert pixels.dtype == np.uint16
    assert np.rint(pixels[0, 0] / 257).tolist() == [255, 0, 0]


def test_unchanged_wide_gamut_is_written_as_it_was(tmp_path: Path) -> None:
    path = save(Image.fromarray(saturated(np.uint8)), tmp_path / "wide.png", icc_profile=P3_PROFILE)
    write_picture(tmp_path / "again.png", read_picture(path))
    with Image.open(tmp_path / "again.png") as image:
        np.testing.assert_array_equal(np.asarray(image), saturated(np.uint8))


def test_shallow_ramp_of_a_wide_profile_has_no_bands(tmp_path: Path) -> None:
    """In 8 bits on the way, some of the 200 steps would fall together."""
    ramp = np.arange(20, 220, dtype=np.uint8)[None, :, None].repeat(8, 0).repeat(3, 2)
    picture = read_picture(save(Image.fromarray(ramp), tmp_path / "ramp.png", icc_profile=ADOBE_PROFILE))
    np.testing.assert_array_equal(picture.enlarged(picture.pixels).pixels, ramp)


def test_enlarging_in_strips_leaves_no_seam(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    picture = read_picture(save(Image.fromarray(saturated(np.uint8)), tmp_path / "x.png", icc_profile=P3_PROFILE))
    pixels = enlarge_smoothly(picture.pixels)
    at_once = picture.enlarged(pixels).pixels
    monkeypatch.setattr("patchscaler_cli.images.depth._STRIP_ROWS", 7)
    assert np.abs(picture.enlarged(pixels).pixels.astype(int) - at_once).max() <= 1


def test_format_without_profiles_gets_srgb_with_a_warning(tmp_path: Path) -> None:
    path = save(Image.new("RGB", (4, 4), (234, 51, 35)), tmp_path / "red.png", icc_profile=P3_PROFILE)
    notes = write_picture(tmp_path / "red.bmp", read_picture(path))
    assert read_picture(tmp_path / "red.bmp").pixels[0, 0].tolist() == [255, 0, 0]
    assert "sRGB" in notes[0]


# ---- grey, inks, LAB ------------------------------------------------------------------------------------------------


def test_palette_of_greys_is_grey(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([9, 9, 9, 200, 200, 200])
    image.putpixel((1, 0), 1)
    assert read_picture(save(image, tmp_path / "palette.png")).pixels.tolist() == [[9, 200]]


def test_tint_of_the_network_does_not_reach_a_grey_file(tmp_path: Path) -> None:
    path = save(Image.new("L", (6, 6), 100), tmp_path / "grey.png")
    picture = read_picture(path)
    tinted = enlarge_smoothly(picture.pixels) + np.array([0, 6, 0], np.uint8)
    write_picture(tmp_path / "large.png", picture.enlarged(tinted))
    with Image.open(tmp_path / "large.png") as image:
        assert image.mode == "L"


def test_grey_profile_goes_along(tmp_path: Path) -> None:
    grey = matrix_profile_bytes(DISPLAY_P3, SRGB_CURVE).replace(b"RGB XYZ ", b"GRAYXYZ ").replace(b"rTRC", b"kTRC")
    path = save(Image.new("L", (4, 4), 100), tmp_path / "grey.png", icc_profile=grey)
    picture = read_picture(path)
    assert picture.own_colours is None
    write_picture(tmp_path / "again.png", picture)
    assert read_picture(tmp_path / "again.png").metadata.icc_profile == grey
    notes = write_picture(tmp_path / "again.webp", picture)
    assert "grey profile" in notes[0]
    assert read_picture(tmp_path / "again.webp").metadata.icc_profile is None


def test_lab_becomes_srgb(tmp_path: Path) -> None:
    """L 53, a 80, b 67 is sRGB's red."""
    lab = np.full((4, 4, 3), (round(53.24 * 2.55), 80, 67), np.uint8)
    picture = read_picture(save(Image.frombytes("LAB", (4, 4), lab.tobytes()), tmp_path / "lab.tif"))
    assert np.abs(picture.pixels[0, 0].astype(int) - (255, 0, 0)).max() <= 12  # LAB has 8 bits, too
    assert "LAB" in picture.warnings[0]


def test_inks_become_srgb_by_their_profile(tmp_path: Path) -> None:
    """There is no CMYK profile to build in a few lines; an unusable one must not stop the reading."""
    path = save(Image.new("CMYK", (4, 4), (0, 0, 0, 255)), tmp_path / "ink.tif", icc_profile=b"no profile" * 20)
    picture = read_picture(path)
    assert picture.pixels.max() == 0
    assert "CMYK" in picture.warnings[0]
