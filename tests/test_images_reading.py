"""What comes out of a picture file."""

from __future__ import annotations

import contextlib
import os
import re
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms, PngImagePlugin

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.images.reading import read_picture
from patchscaler_cli.images.sixteen_bit import write_deep_png
from patchscaler_cli.images.writing import write_picture
from tests.image_samples import enlarge_smoothly, save

GREY_RAMP = np.arange(0, 240, 10, dtype=np.uint8).reshape(4, 6)


def test_photo(chelsea: Path) -> None:
    picture = read_picture(chelsea)
    with Image.open(chelsea) as image:
        np.testing.assert_array_equal(picture.pixels, np.asarray(image))
    assert (picture.width, picture.height, picture.alpha, picture.warnings) == (160, 128, None, ())


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "tif", "bmp", "avif", "gif"])
def test_every_format_is_read(tmp_path: Path, chelsea: Path, ending: str) -> None:
    with Image.open(chelsea) as image:
        path = save(image, tmp_path / f"cat.{ending}")
        difference = np.abs(read_picture(path).pixels.astype(float) - np.asarray(image))
    assert difference.mean() < 6  # the lossy formats' default quality


def test_contents_count_not_the_name(tmp_path: Path, chelsea: Path) -> None:
    path = tmp_path / "cat.jpg"
    path.write_bytes(chelsea.read_bytes())
    assert read_picture(path).pixels.shape == (128, 160, 3)


@pytest.mark.parametrize("mode", ["1", "L", "LA"])
def test_grey_stays_one_channel(tmp_path: Path, mode: str) -> None:
    path = save(Image.fromarray(GREY_RAMP).convert(mode), tmp_path / "grey.png")
    assert read_picture(path).pixels.shape == (4, 6)


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_sixteen_bit_grey_keeps_its_bits(tmp_path: Path, ending: str) -> None:
    values = (np.arange(24, dtype=np.uint16) * 2731 + 1).reshape(4, 6)
    picture = read_picture(save(Image.fromarray(values), tmp_path / f"grey.{ending}"))
    assert picture.pixels.dtype == np.uint16
    np.testing.assert_array_equal(picture.pixels, values)


def test_palette_becomes_rgb(tmp_path: Path, chelsea: Path) -> None:
    with Image.open(chelsea) as image:
        paletted = image.quantize(64)
    picture = read_picture(save(paletted, tmp_path / "palette.png"))
    np.testing.assert_array_equal(picture.pixels, np.asarray(paletted.convert("RGB")))


def test_transparent_palette_entry_becomes_alpha(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    picture = read_picture(save(image, tmp_path / "palette.png", transparency=1))
    assert picture.alpha is not None
    assert picture.alpha.tolist() == [[255, 0]]
    assert picture.pixels[0, 0].tolist() == [255, 0, 0]


def test_transparent_grey_level_becomes_alpha(tmp_path: Path) -> None:
    picture = read_picture(save(Image.fromarray(GREY_RAMP), tmp_path / "grey.png", transparency=20))
    assert picture.alpha is not None
    assert picture.pixels.ndim == 2
    np.testing.assert_array_equal(picture.alpha == 0, GREY_RAMP == 20)


def test_transparent_black_of_a_bilevel_picture_becomes_alpha(tmp_path: Path) -> None:
    image = Image.new("1", (2, 1))
    image.putpixel((1, 0), 1)
    picture = read_picture(save(image, tmp_path / "bilevel.png", transparency=0))
    assert picture.alpha is not None
    assert picture.alpha.tolist() == [[0, 255]]
    assert picture.pixels[0, 1] == 255


def test_colours_are_not_multiplied_by_alpha(tmp_path: Path) -> None:
    picture = read_picture(save(Image.new("RGBA", (3, 3), (200, 100, 50, 10)), tmp_path / "faint.png"))
    assert picture.pixels[0, 0].tolist() == [200, 100, 50]
    assert picture.alpha is not None
    assert picture.alpha[0, 0] == 10


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    picture = read_picture(save(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), tmp_path / "ink.tif"))
    assert picture.pixels[0, 0].tolist() == [255, 0, 0]


def test_profile_of_other_colours_is_not_kept(tmp_path: Path) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = save(Image.new("CMYK", (16, 16)), tmp_path / "ink.jpg", icc_profile=srgb)  # of no use for ink
    assert read_picture(path).metadata.icc_profile is None


# ---- orientation and metadata ---------------------------------------------------------------------------------------

TURNS = {
    1: GREY_RAMP,
    2: GREY_RAMP[:, ::-1],
    3: GREY_RAMP[::-1, ::-1],
    4: GREY_RAMP[::-1],
    5: GREY_RAMP.T,
    6: np.rot90(GREY_RAMP, -1),
    7: GREY_RAMP[::-1, ::-1].T,
    8: np.rot90(GREY_RAMP),
}
"""What the ramp looks like for each EXIF orientation."""


@pytest.mark.parametrize("ending", ["png", "tif"])
@pytest.mark.parametrize("orientation", TURNS)
def test_orientation_is_applied(tmp_path: Path, orientation: int, ending: str) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    path = save(Image.fromarray(GREY_RAMP), tmp_path / f"turned.{ending}", exif=exif)
    np.testing.assert_array_equal(read_picture(path).pixels, TURNS[orientation])


def test_applied_orientation_is_reset(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    kept = Image.Exif()
    kept.load(read_picture(save(Image.fromarray(GREY_RAMP), tmp_path / "turned.jpg", exif=exif)).metadata.exif or b"")
    assert kept[ExifTags.Base.Orientation] == 1


def test_tags_of_the_old_file_are_not_kept(tmp_path: Path) -> None:
    path = save(Image.fromarray(GREY_RAMP), tmp_path / "strips.tif", compression="tiff_lzw", software="Scanner 1.0")
    kept = Image.Exif()
    kept.load(read_picture(path).metadata.exif or b"")
    assert dict(kept) == {ExifTags.Base.Software: "Scanner 1.0"}


def test_damaged_exif_is_left_with_a_warning(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Artist] = "Ann"
    odd = exif.tobytes().replace(struct.pack(">H", ExifTags.Base.Artist), struct.pack(">H", ExifTags.IFD.Exif))
    odd = odd.replace(struct.pack("<H", ExifTags.Base.Artist), struct.pack("<H", ExifTags.IFD.Exif))
    picture = read_picture(save(Image.fromarray(GREY_RAMP), tmp_path / "odd.jpg", exif=odd))
    assert picture.pixels.shape == GREY_RAMP.shape
    assert picture.metadata.exif is None


def test_exif_of_a_tiff_with_several_pages(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ExifTags.IFD.Exif] = {ExifTags.Base.FNumber: 2.5}
    page = Image.fromarray(GREY_RAMP)
    path = save(page, tmp_path / "pages.tif", exif=exif.tobytes(), save_all=True, append_images=[page])
    kept = Image.Exif()
    kept.load(read_picture(path).metadata.exif or b"")
    assert kept.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.FNumber] == 2.5


def xmp_of(path: Path) -> bytes:
    return read_picture(path).metadata.xmp or b""


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "tif", "avif"])
def test_xmp_is_kept(tmp_path: Path, ending: str) -> None:
    xmp = '<x:xmpmeta xmlns:x="adobe:ns:meta/" dc:rights="© Ann"/>'.encode()
    image, path = Image.fromarray(GREY_RAMP), tmp_path / f"x.{ending}"
    words: dict[str, Any] = {"xmp": xmp}
    if ending == "png":
        words = {"pnginfo": PngImagePlugin.PngInfo()}
        words["pnginfo"].add_itxt("XML:com.adobe.xmp", xmp.decode())
    elif ending == "tif":
        words = {"tiffinfo": {700: xmp}}
    assert xmp_of(save(image, path, **words)) == xmp


def test_xmp_says_nothing_of_the_old_size_and_orientation(tmp_path: Path) -> None:
    xmp = (
        b'<rdf:Description tiff:Orientation="6" tiff:ImageWidth="40" exif:PixelXDimension = \'40\' dc:format="x">'
        b"<tiff:ImageLength>30</tiff:ImageLength><tiff:Orientation>6</tiff:Orientation></rdf:Description>"
    )
    kept = (
        b'<rdf:Description tiff:Orientation="1" dc:format="x"><tiff:Orientation>1</tiff:Orientation></rdf:Description>'
    )
    assert xmp_of(save(Image.fromarray(GREY_RAMP), tmp_path / "x.jpg", xmp=xmp)) == kept


@pytest.mark.parametrize("orientation", TURNS)
def test_sixteen_bit_colour_is_turned(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    with (tmp_path / "turned.png").open("wb") as file:
        write_deep_png(file, GREY_RAMP[..., None].repeat(3, 2).astype(np.uint16), exif=exif.tobytes())
    np.testing.assert_array_equal(read_picture(tmp_path / "turned.png").pixels[..., 1], TURNS[orientation])


# ---- awkward files --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "tif", "bmp", "avif"])
@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1)], ids=str)
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_odd_sizes(tmp_path: Path, size: tuple[int, int], ending: str, mode: str) -> None:
    image = Image.new(mode, size, tuple([100] * len(mode)) if len(mode) > 1 else 100)
    if mode == "RGBA" and ending == "jpg":
        image = image.convert("CMYK")
    picture = read_picture(save(image, tmp_path / f"thin.{ending}"))
    assert (picture.width, picture.height) == size
    written = tmp_path / f"large.{ending}"
    write_picture(written, picture.enlarged(enlarge_smoothly(picture.pixels, 2)))
    large = read_picture(written)
    assert (large.width, large.height) == (2 * size[0], 2 * size[1])


@pytest.mark.parametrize("name", ["Zürich 東京 🐱.png", "  .png", "a'b\"c;d$.png", "x" * 251 + ".png"])
def test_odd_names(tmp_path: Path, name: str) -> None:
    path = save(Image.fromarray(GREY_RAMP), tmp_path / name)
    (tmp_path / "out").mkdir()
    write_picture(tmp_path / "out" / name, read_picture(path))
    assert [each.name for each in (tmp_path / "out").iterdir()] == [name]


def test_name_that_no_disk_holds(tmp_path: Path) -> None:
    with pytest.raises(PatchScalerError, match="cannot be read"):
        read_picture(tmp_path / ("x" * 5000))


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "tif", "bmp", "avif", "gif"])
@pytest.mark.parametrize("share", [0.01, 0.3, 0.6, 0.9])
def test_cut_short(tmp_path: Path, chelsea: Path, ending: str, share: float) -> None:
    path = tmp_path / f"cut.{ending}"
    with Image.open(chelsea) as image:
        whole = save(image, path).read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(PatchScalerError, match=re.escape(str(path))):
        read_picture(path)


@given(seed=st.integers(0, 2**32 - 1), ending=st.sampled_from(["png", "jpg", "webp", "tif", "bmp", "gif"]))
def test_damaged_bytes_give_a_picture_or_one_sentence(
    tmp_path_factory: pytest.TempPathFactory, seed: int, ending: str
) -> None:
    generator = np.random.default_rng(seed)
    path = save(Image.fromarray(GREY_RAMP).convert("RGB"), tmp_path_factory.mktemp("damaged") / f"x.{ending}")
    contents = bytearray(path.read_bytes())
    for place in generator.integers(0, len(contents), 5):
        contents[place] = generator.integers(0, 256)
    path.write_bytes(contents)
    with contextlib.suppress(PatchScalerError):
        read_picture(path, first_frame=True)


# ---- what is said of what is lost -----------------------------------------------------------------------------------


def test_further_pages_are_left_with_a_warning(tmp_path: Path) -> None:
    pages = [Image.new("RGB", (8, 8), colour) for colour in ("red", "green", "blue")]
    path = save(pages[0], tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    picture = read_picture(path)
    assert picture.pixels[0, 0].tolist() == [255, 0, 0]
    assert picture.warnings == (f"{path} has 3 pages; only the first is upscaled.",)


def test_pillows_own_remarks_stay_unsaid(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    path = tmp_path / "odd.tif"
    path.write_bytes(b"II*\0\x08\0\0\0")
    with pytest.raises(PatchScalerError):
        read_picture(path)
    assert list(recwarn) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "photo.png")
    with pytest.raises(PatchScalerError, match=r"photo\.png is a pipe"):
        read_picture(tmp_path / "photo.png")
