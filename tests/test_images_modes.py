"""Every mode of a picture in every format, through the one table that says what becomes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from patchscaler_cli.errors import PatchScalerError, UsageError
from patchscaler_cli.images.depth import white_of
from patchscaler_cli.images.formats import FORMATS, MODES, Format, Mode, format_of
from patchscaler_cli.images.metadata import Metadata
from patchscaler_cli.images.options import WriteOptions, parse_colour
from patchscaler_cli.images.picture import Picture
from patchscaler_cli.images.reading import read_picture
from patchscaler_cli.images.writing import check_output, write_picture
from tests.image_samples import Samples, ramp

STILL = [form for form in FORMATS if form.still]
every_pair = pytest.mark.parametrize(
    ("mode", "form"), [(mode, form) for form in STILL for mode in MODES], ids=lambda x: getattr(x, "label", x)
)


def as_rgba(picture: Picture) -> Samples:
    """[H, W, 4] as floating point in 0..1, whatever the mode."""
    colours = picture.pixels if picture.pixels.ndim == 3 else np.repeat(picture.pixels[..., None], 3, axis=2)
    white = white_of(colours.dtype)
    alpha = np.full(colours.shape[:2], white) if picture.alpha is None else picture.alpha
    return np.concatenate([colours, alpha[..., None]], axis=2) / white


# ---- the table ------------------------------------------------------------------------------------------------------


@every_pair
def test_file_has_the_mode_that_the_table_says(tmp_path: Path, mode: Mode, form: Format) -> None:
    path = tmp_path / f"x{form.suffixes[0]}"
    write_picture(path, ramp(mode))
    assert read_picture(path).mode == form.stored_mode(mode)


@every_pair
def test_samples_come_back(tmp_path: Path, mode: Mode, form: Format) -> None:
    path, picture = tmp_path / f"x{form.suffixes[0]}", ramp(mode)
    write_picture(path, picture)
    wanted, back = as_rgba(picture), as_rgba(read_picture(path))
    if "A" in mode and "A" not in form.stored_mode(mode):  # on white
        wanted[..., :3] = wanted[..., :3] * wanted[..., 3:] + 1 - wanted[..., 3:]
        wanted[..., 3] = 1
    seen = back[..., 3:] > 0  # what is clear may have any colour
    difference = np.abs(wanted - back) * np.where(np.arange(4) == 3, True, seen)
    rounded = 0 if form.stored_mode(mode) == mode else 1 / 510 + 1e-6
    assert difference.max() <= (0.1 if form.quality else max(rounded, 1e-9))


@every_pair
def test_losses_are_said_and_nothing_else(tmp_path: Path, mode: Mode, form: Format) -> None:
    notes = write_picture(tmp_path / f"x{form.suffixes[0]}", ramp(mode))
    stored = form.stored_mode(mode)
    lost = ("A" in mode and "A" not in stored, mode.endswith("16") and not stored.endswith("16"))
    assert len(notes) == sum(lost)
    assert any("transparent" in note for note in notes) == lost[0]
    assert any("8 bits" in note for note in notes) == lost[1]


@pytest.mark.parametrize("mode", MODES)
def test_mode_of_a_picture(mode: Mode) -> None:
    assert ramp(mode).mode == mode


# ---- format, quality, lossless --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "label"), [("jpeg", "JPEG"), ("JPG", "JPEG"), ("tif", "TIFF"), ("webp", "WebP"), ("avif", "AVIF")]
)
def test_named_format_needs_no_ending(tmp_path: Path, name: str, label: str) -> None:
    assert format_of(tmp_path / "picture", name).label == label


def test_named_format_against_the_ending(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"another format than the JPEG"):
        write_picture(tmp_path / "x.png", ramp("RGB"), WriteOptions(format="jpeg"))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("gif", "not a format for single pictures"),
        ("heic", "not a format that PatchScaler writes"),
        ("psd", "not a format that PatchScaler writes"),
        ("", "not a format that PatchScaler writes"),
    ],
)
def test_unknown_format(tmp_path: Path, name: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        format_of(tmp_path / "x", name)


@pytest.mark.parametrize("ending", ["jpg", "webp", "avif"])
def test_quality_decides_the_size(tmp_path: Path, chelsea: Path, ending: str) -> None:
    sizes = []
    for quality in (20, 80):
        path = tmp_path / f"{quality}.{ending}"
        write_picture(path, read_picture(chelsea), WriteOptions(quality=quality))
        sizes.append(path.stat().st_size)
    assert sizes[0] < sizes[1] / 1.5


@pytest.mark.parametrize("ending", ["png", "webp", "tif", "bmp"])
def test_lossless_loses_nothing(tmp_path: Path, chelsea: Path, ending: str) -> None:
    picture, path = read_picture(chelsea), tmp_path / f"x.{ending}"
    write_picture(path, picture, WriteOptions(lossless=True))
    np.testing.assert_array_equal(read_picture(path).pixels, picture.pixels)


@pytest.mark.parametrize("ending", ["jpg", "avif"])
def test_lossless_is_refused_where_there_is_none(tmp_path: Path, ending: str) -> None:
    with pytest.raises(UsageError, match="never lossless"):
        write_picture(tmp_path / f"x.{ending}", ramp("RGB"), WriteOptions(lossless=True))


@pytest.mark.parametrize("ending", ["png", "tif", "bmp"])
def test_quality_is_refused_where_nothing_is_lost(tmp_path: Path, ending: str) -> None:
    with pytest.raises(UsageError, match="no quality"):
        write_picture(tmp_path / f"x.{ending}", ramp("RGB"), WriteOptions(quality=90))


def test_options_that_make_no_sense() -> None:
    with pytest.raises(UsageError, match="from 1 to 100, not 0"):
        WriteOptions(quality=0)
    with pytest.raises(UsageError, match="only one"):
        WriteOptions(quality=90, lossless=True)
    with pytest.raises(UsageError, match="background"):
        WriteOptions(background=(0, 0, 256))


# ---- background -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "colour"), [("red", (255, 0, 0)), ("#08f", (0, 136, 255)), ("#010203", (1, 2, 3))])
def test_colours_are_parsed(text: str, colour: tuple[int, int, int]) -> None:
    assert parse_colour(text) == colour


def test_no_colour() -> None:
    with pytest.raises(UsageError, match="reddish is no colour"):
        parse_colour("reddish")


@pytest.mark.parametrize("mode", ["LA", "RGBA", "LA16", "RGBA16"])
def test_transparent_parts_have_the_colour_of_the_background(tmp_path: Path, mode: Mode) -> None:
    picture = ramp(mode)
    clear = replace(picture, alpha=np.zeros_like(picture.alpha))
    notes = write_picture(tmp_path / "x.bmp", clear, WriteOptions(background=(255, 0, 51)))
    assert np.unique(read_picture(tmp_path / "x.bmp").pixels.reshape(-1, 3), axis=0).tolist() == [[255, 0, 51]]
    assert "#ff0033" in notes[0]


# ---- metadata -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("ending", ["png", "tif"])
def test_metadata_goes_along_in_every_mode(tmp_path: Path, mode: Mode, ending: str) -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
    picture = replace(ramp(mode), metadata=Metadata(icc_profile=b"profile" * 30, dpi=(300.0, 150.0), xmp=xmp))
    write_picture(tmp_path / f"x.{ending}", picture)
    back = read_picture(tmp_path / f"x.{ending}").metadata
    assert back.icc_profile == b"profile" * 30
    assert back.dpi == pytest.approx((300, 150), abs=0.02)
    assert back.xmp == xmp


# ---- size and name --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ending", "mode", "side"), [("tif", "RGB16", 27000), ("tif", "LA16", 23200), ("bmp", "RGB", 38000)]
)
def test_too_many_bytes_for_the_format(tmp_path: Path, ending: str, mode: Mode, side: int) -> None:
    path = tmp_path / f"x.{ending}"
    with pytest.raises(PatchScalerError, match=rf"{side}x{side} pixels in [\d,]+ bytes.*4,293,918,720"):
        check_output(path, source=tmp_path, width=side, height=side, overwrite=False, mode=mode)


def test_large_picture_of_few_bytes_is_not_refused(tmp_path: Path) -> None:
    check_output(tmp_path / "x.tif", source=tmp_path, width=60000, height=60000, overwrite=False, mode="L")


def test_name_too_long_for_the_disk_is_refused_before_the_work(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 300 + ".png")
    with pytest.raises(PatchScalerError, match="too long"):
        check_output(path, source=tmp_path, width=1, height=1, overwrite=False)


def test_options_are_refused_before_the_work(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no quality"):
        check_output(
            tmp_path / "x.png", source=tmp_path, width=1, height=1, overwrite=False, options=WriteOptions(quality=9)
        )
