"""What goes into a picture file: pixels, alpha and metadata come back; and a file is whole or not there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import ExifTags, Image, ImageCms

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.images.alpha import on_background, resize_alpha
from patchscaler_cli.images.formats import format_of
from patchscaler_cli.images.metadata import Metadata
from patchscaler_cli.images.options import WriteOptions
from patchscaler_cli.images.picture import Picture
from patchscaler_cli.images.reading import read_picture
from patchscaler_cli.images.writing import write_picture

Bytes = npt.NDArray[np.uint8]

RAMP: Bytes = np.linspace(0, 255, 24 * 32).round().astype(np.uint8).reshape(24, 32)
COLOUR: Bytes = np.stack([RAMP, RAMP[::-1], RAMP[:, ::-1]], axis=2)
ENDINGS = ["png", "jpg", "webp", "tif", "bmp", "avif"]
LOSSLESS = {"png", "tif", "bmp"}


def round_trip(picture: Picture, path: Path) -> Picture:
    write_picture(path, picture)
    return read_picture(path)


# ---- pixels ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ENDINGS)
def test_colour_comes_back(tmp_path: Path, ending: str) -> None:
    back = round_trip(Picture(COLOUR), tmp_path / f"x.{ending}").pixels.astype(int)
    assert np.abs(back - COLOUR).max() <= (0 if ending in LOSSLESS else 24)
    assert np.abs(back - COLOUR).mean() <= 2


@pytest.mark.parametrize("ending", ["png", "jpg", "tif", "bmp"])  # WebP and AVIF know only colour
def test_grey_comes_back_as_grey(tmp_path: Path, ending: str) -> None:
    assert round_trip(Picture(RAMP), tmp_path / f"x.{ending}").pixels.shape == RAMP.shape


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_sixteen_bit_grey_comes_back(tmp_path: Path, ending: str) -> None:
    deep = RAMP.astype(np.uint16) * 257 + 3
    np.testing.assert_array_equal(round_trip(Picture(deep), tmp_path / f"x.{ending}").pixels, deep)


def test_sixteen_bit_grey_is_rounded_for_jpeg_with_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "x.jpg"
    notes = write_picture(path, Picture(np.full((8, 8), 200 * 257 + 100, np.uint16)))
    assert read_picture(path).pixels.tolist() == [[200] * 8] * 8
    assert "8 bits" in notes[0]


def test_enlarged_grey_is_the_rounded_average_of_the_channels() -> None:
    tinted = np.array([[[10, 11, 11], [250, 255, 255]]], np.uint8)
    assert Picture(np.zeros((1, 1), np.uint8)).enlarged(tinted).pixels.tolist() == [[11, 253]]


def test_enlarged_sixteen_bit_grey_does_not_overflow() -> None:
    white = np.full((2, 2, 3), 65535, np.uint16)
    enlarged = Picture(np.zeros((1, 1), np.uint16)).enlarged(white)
    assert enlarged.pixels.tolist() == [[65535] * 2] * 2


# ---- alpha ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pixels", [COLOUR, RAMP], ids=["colour", "grey"])
@pytest.mark.parametrize("ending", ["png", "webp", "tif", "avif"])
def test_alpha_comes_back(tmp_path: Path, ending: str, pixels: Bytes) -> None:
    alpha = RAMP.T.copy().reshape(24, 32)
    back = round_trip(Picture(pixels, alpha), tmp_path / f"x.{ending}").alpha
    assert back is not None
    assert np.abs(back.astype(int) - alpha).max() <= (0 if ending != "avif" else 8)


@pytest.mark.parametrize("ending", ["jpg", "bmp"])
def test_transparent_parts_are_white_where_alpha_has_no_place(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"x.{ending}"
    notes = write_picture(path, Picture(np.zeros((16, 16, 3), np.uint8), np.zeros((16, 16), np.uint8)))
    back = read_picture(path)
    assert back.alpha is None
    assert back.pixels.min() == 255
    assert len(notes) == 1
    assert str(path) in notes[0]


def test_opaque_alpha_needs_no_warning(tmp_path: Path) -> None:
    assert write_picture(tmp_path / "x.jpg", Picture(COLOUR, np.full((24, 32), 255, np.uint8))) == []


@given(
    alpha=arrays.arrays(
        np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.sampled_from([0, 90, 255])
    ),
    factor=st.integers(1, 5),
)
def test_alpha_stays_within_its_surroundings(alpha: Bytes, factor: int) -> None:
    height, width = alpha.shape
    large = resize_alpha(alpha, width * factor, height * factor)
    assert large.shape == (height * factor, width * factor)
    padded = np.pad(alpha, 1, mode="edge")
    for row in range(height):
        for column in range(width):
            around = padded[row : row + 3, column : column + 3]
            block = large[row * factor : (row + 1) * factor, column * factor : (column + 1) * factor]
            assert around.min() <= block.min()
            assert block.max() <= around.max()


@given(level=st.integers(0, 255), width=st.integers(1, 70), height=st.integers(1, 70))
def test_even_alpha_stays_exactly_even(level: int, width: int, height: int) -> None:
    large = resize_alpha(np.full((7, 5), level, np.uint8), width, height)
    np.testing.assert_array_equal(large, np.full((height, width), level))


@given(level=st.integers(0, 255))
def test_opaque_is_unchanged_on_a_background(level: int) -> None:
    pixels = np.full((1, 1, 3), level, np.uint8)
    np.testing.assert_array_equal(on_background(pixels, np.full((1, 1), 255, np.uint8), (255, 0, 7)), pixels)


# ---- metadata -------------------------------------------------------------------------------------------------------

PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def some_exif() -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "Ann"
    exif[ExifTags.IFD.Exif] = {ExifTags.Base.FNumber: 2.5}
    exif[ExifTags.IFD.GPSInfo] = {ExifTags.GPS.GPSLatitudeRef: "N"}
    return exif.tobytes()


@pytest.mark.parametrize("ending", ENDINGS)
def test_metadata_comes_back_where_the_format_has_a_place(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"x.{ending}"
    back = round_trip(Picture(COLOUR, metadata=Metadata(some_exif(), PROFILE, (300.0, 150.0))), path).metadata
    form = format_of(path)
    assert back.icc_profile == (PROFILE if form.icc_profile else None)
    assert back.dpi == (pytest.approx((300, 150), abs=0.02) if form.dpi else None)
    assert (back.exif is not None) == form.exif
    if back.exif:
        exif = Image.Exif()
        exif.load(back.exif)
        assert exif[ExifTags.Base.Artist] == "Ann"
        assert float(exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FNumber]) == 2.5
        assert exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitudeRef] == "N"


@pytest.mark.parametrize("length", range(65400, 65540, 10))
def test_exif_near_the_limit_of_a_jpeg_is_kept_or_left_out(tmp_path: Path, length: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "A" * (length - 100)
    exif[ExifTags.IFD.Exif] = {ExifTags.Base.FNumber: 2.5}
    picture = Picture(COLOUR, metadata=Metadata(exif.tobytes()))
    notes = write_picture(tmp_path / "x.jpg", picture, WriteOptions(provenance="PatchScaler 1; seed 7"))
    assert (len(notes) == 1) == (exif_in(tmp_path / "x.jpg").get(ExifTags.Base.Artist) is None)


def exif_in(path: Path) -> Image.Exif:
    with Image.open(path) as image:
        exif = image.getexif()
        exif.get_ifd(ExifTags.IFD.Exif)  # while the file is open
        return exif


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "tif", "avif"])
def test_exif_says_the_new_size(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"x.{ending}"
    write_picture(path, Picture(COLOUR, metadata=Metadata(some_exif())))
    inner = exif_in(path).get_ifd(ExifTags.IFD.Exif)
    assert (inner[ExifTags.Base.ExifImageWidth], inner[ExifTags.Base.ExifImageHeight]) == (32, 24)


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "tif", "avif"])
@pytest.mark.parametrize("exif", [None, some_exif()], ids=["no EXIF", "EXIF"])
def test_provenance_is_in_the_exif(tmp_path: Path, ending: str, exif: bytes | None) -> None:
    path = tmp_path / f"x.{ending}"
    write_picture(path, Picture(COLOUR, metadata=Metadata(exif)), WriteOptions(provenance="PatchScaler 1; seed 7"))
    written = exif_in(path)
    assert written[ExifTags.Base.Software] == "PatchScaler 1; seed 7"
    assert written.get(ExifTags.Base.Artist) == ("Ann" if exif else None)


@pytest.mark.parametrize("pixels", [COLOUR, COLOUR.astype(np.uint16)], ids=["8 bits", "16 bits"])
def test_provenance_is_a_text_of_a_png(tmp_path: Path, pixels: Bytes) -> None:
    write_picture(tmp_path / "x.png", Picture(pixels), WriteOptions(provenance="PatchScaler · seed 7"))
    with Image.open(tmp_path / "x.png") as image:
        assert image.info["Software"] == "PatchScaler · seed 7"


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "tif", "avif"])
@pytest.mark.parametrize("pixels", [COLOUR, COLOUR.astype(np.uint16)], ids=["8 bits", "16 bits"])
def test_stripped_file_keeps_nothing_but_the_profile(tmp_path: Path, ending: str, pixels: Bytes) -> None:
    metadata = Metadata(some_exif(), PROFILE, (300.0, 300.0), b"<x:xmpmeta/>")
    path = tmp_path / f"x.{ending}"
    write_picture(path, Picture(pixels, metadata=metadata), WriteOptions(strip_metadata=True))
    assert read_picture(path).metadata == Metadata(icc_profile=PROFILE)


def test_xmp_too_long_for_a_jpeg_is_left_with_a_warning(tmp_path: Path) -> None:
    notes = write_picture(tmp_path / "x.jpg", Picture(COLOUR, metadata=Metadata(xmp=b"<x>" + b"A" * 70000)))
    assert "XMP" in notes[0]
    assert read_picture(tmp_path / "x.jpg").metadata.xmp is None


def test_exif_too_long_for_a_jpeg_is_left_with_a_warning(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "A" * 70000
    notes = write_picture(tmp_path / "x.jpg", Picture(COLOUR, metadata=Metadata(exif.tobytes())))
    assert "EXIF" in notes[0]
    assert read_picture(tmp_path / "x.jpg").metadata.exif is None


# ---- whole or not at all --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), OSError(28, "No space left on device"), ValueError("odd")])
def test_failed_write_leaves_the_old_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop: BaseException
) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(b"old")

    def save(image: Image.Image, file: object, *words: object, **options: object) -> None:
        file.write(b"half")  # type: ignore[attr-defined]
        raise stop

    monkeypatch.setattr(Image.Image, "save", save)
    with pytest.raises((PatchScalerError, KeyboardInterrupt)):
        write_picture(path, Picture(COLOUR))
    assert {each.name: each.read_bytes() for each in tmp_path.iterdir()} == {"x.png": b"old"}


def test_full_disk_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def save(*words: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", save)
    with pytest.raises(PatchScalerError, match=r"x\.png could not be written \(No space left on device\)"):
        write_picture(tmp_path / "x.png", Picture(COLOUR))


def test_symbolic_link_stays_and_its_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    file, link = tmp_path / "elsewhere" / "x.png", tmp_path / "link.png"
    file.write_bytes(b"old")
    link.symlink_to(file)
    write_picture(link, Picture(COLOUR))
    assert link.is_symlink()
    np.testing.assert_array_equal(read_picture(file).pixels, COLOUR)


def test_written_file_has_ordinary_permissions(tmp_path: Path) -> None:
    """A temporary file made by `tempfile` would be its owner's alone."""
    other = tmp_path / "other"
    other.touch()
    write_picture(tmp_path / "x.png", Picture(COLOUR))
    assert (tmp_path / "x.png").stat().st_mode == other.stat().st_mode
