"""16 bits for each channel: as other programs write them, and as ours does."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.images.picture import Picture
from patchscaler_cli.images.reading import read_picture
from patchscaler_cli.images.sixteen_bit import write_deep_png
from patchscaler_cli.images.writing import write_picture
from tests.image_samples import Samples, enlarge_smoothly
from tests.plain_png import plain_png

GENERATOR = np.random.default_rng(0)
COLOUR = GENERATOR.integers(0, 65536, (19, 23, 3), dtype=np.uint16)
WITH_ALPHA = np.concatenate([COLOUR, GENERATOR.integers(1, 65536, (19, 23, 1), dtype=np.uint16)], axis=2)


# ---- reading --------------------------------------------------------------------------------------------------------


def test_colour_of_a_png(tmp_path: Path) -> None:
    picture = read_picture(plain_png(tmp_path / "x.png", COLOUR))
    np.testing.assert_array_equal(picture.pixels, COLOUR)
    assert (picture.alpha, picture.warnings) == (None, ())


def test_alpha_of_a_png(tmp_path: Path) -> None:
    picture = read_picture(plain_png(tmp_path / "x.png", WITH_ALPHA))
    np.testing.assert_array_equal(picture.pixels, COLOUR)
    np.testing.assert_array_equal(picture.alpha, WITH_ALPHA[..., 3])


def test_grey_with_alpha_of_a_png(tmp_path: Path) -> None:
    picture = read_picture(plain_png(tmp_path / "x.png", WITH_ALPHA[..., 2:]))
    np.testing.assert_array_equal(picture.pixels, WITH_ALPHA[..., 2])
    np.testing.assert_array_equal(picture.alpha, WITH_ALPHA[..., 3])


@pytest.mark.parametrize("channels", [1, 3])
def test_transparent_colour_of_a_png(tmp_path: Path, channels: int) -> None:
    samples = COLOUR[..., :channels].copy()
    samples[4, 5] = 1000
    samples[4, 6] = 1001  # the same upper byte
    picture = read_picture(plain_png(tmp_path / "x.png", samples, (1000,) * channels))
    assert picture.alpha is not None
    assert np.argwhere(picture.alpha == 0).tolist() == [[4, 5]]


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize(
    "layout", [{}, {"rowsperstrip": 3}, {"tile": (16, 16)}, {"compression": "zlib"}], ids=["one", "strips", "tiles", "deflated"]
)  # fmt: skip
@pytest.mark.parametrize("samples", [COLOUR, WITH_ALPHA], ids=["colour", "alpha"])
def test_tiff(tmp_path: Path, samples: Samples, layout: dict[str, Any], byteorder: Any) -> None:
    path = tmp_path / "x.tif"
    extra = ["unassalpha"] if samples.shape[2] == 4 else None
    tifffile.imwrite(path, samples, photometric="rgb", byteorder=byteorder, extrasamples=extra, **layout)
    picture = read_picture(path)
    np.testing.assert_array_equal(picture.pixels, COLOUR)
    if extra:
        np.testing.assert_array_equal(picture.alpha, WITH_ALPHA[..., 3])


def test_alpha_multiplied_into_a_tiff_is_taken_out(tmp_path: Path) -> None:
    alpha = np.full((4, 4, 1), 30000, np.uint16)
    colours = np.full((4, 4, 3), 50000, np.uint16)
    multiplied = np.rint(colours * (alpha / 65535)).astype(np.uint16)
    path = tmp_path / "x.tif"
    samples = np.concatenate([multiplied, alpha], axis=2)
    tifffile.imwrite(path, samples, photometric="rgb", extrasamples=["assocalpha"])
    assert np.abs(read_picture(path).pixels.astype(int) - 50000).max() <= 1


def test_channels_apart_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, COLOUR.transpose(2, 0, 1), photometric="rgb", planarconfig="separate")
    with pytest.raises(PatchScalerError, match="stores its 16-bit channels apart"):
        read_picture(path)


@pytest.mark.parametrize("share", [0.2, 0.7, 0.95])
def test_cut_short(tmp_path: Path, share: float) -> None:
    path = plain_png(tmp_path / "x.png", COLOUR)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(PatchScalerError, match="damaged"):
        read_picture(path)


def test_inks_keep_their_upper_bits_with_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "x.tif"
    tifffile.imwrite(path, np.zeros((4, 4, 4), np.uint16), photometric="separated")
    picture = read_picture(path)
    assert picture.pixels.dtype == np.uint8
    assert "only the upper 8 are kept" in picture.warnings[0]


# ---- writing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("strip_rows", [1, 7, 256])
@pytest.mark.parametrize("channels", [2, 3, 4])
def test_png_is_what_the_standard_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, channels: int, strip_rows: int
) -> None:
    """Decoded by hand, filter and all."""
    monkeypatch.setattr("patchscaler_cli.images.depth._STRIP_ROWS", strip_rows)
    samples = np.ascontiguousarray(WITH_ALPHA[:9, :5, 4 - channels :] // 7)
    with (tmp_path / "x.png").open("wb") as file:
        write_deep_png(file, samples)
    contents, data, place = (tmp_path / "x.png").read_bytes(), b"", 8
    while place < len(contents):
        (length,) = struct.unpack_from(">I", contents, place)
        kind, body = contents[place + 4 : place + 8], contents[place + 8 : place + 8 + length]
        assert struct.unpack_from(">I", contents, place + 8 + length) == (zlib.crc32(kind + body),)
        data += body if kind == b"IDAT" else b""
        place += 12 + length
    pixel, row = 2 * channels, 2 * channels * 5
    filtered = np.frombuffer(zlib.decompress(data), np.uint8).reshape(9, 1 + row)
    assert (filtered[:, 0] == 4).all()
    decoded = np.zeros((10, pixel + row), int)
    for y in range(9):
        for x in range(row):
            left, up, corner = decoded[y + 1, x], decoded[y, x + pixel], decoded[y, x]
            neighbours = [left, up, corner]
            guess = neighbours[int(np.argmin([abs(left + up - corner - each) for each in neighbours]))]
            decoded[y + 1, x + pixel] = (filtered[y, 1 + x] + guess) % 256
    back = decoded[1:, pixel:].astype(np.uint8).view(">u2").reshape(9, 5, channels)
    np.testing.assert_array_equal(back, samples)


@pytest.mark.parametrize("samples", [COLOUR, WITH_ALPHA], ids=["colour", "alpha"])
def test_another_program_reads_our_tiff(tmp_path: Path, samples: Samples) -> None:
    alpha = samples[..., 3] if samples.shape[2] == 4 else None
    write_picture(tmp_path / "x.tif", Picture(COLOUR, alpha))
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "x.tif"), samples)


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_sixteen_bits_in_are_sixteen_bits_out(tmp_path: Path, ending: str) -> None:
    smooth = np.linspace(0, 65535, 24 * 16 * 3).astype(np.uint16).reshape(16, 24, 3)
    picture = read_picture(plain_png(tmp_path / "x.png", smooth))
    enlarged = picture.enlarged(enlarge_smoothly(picture.pixels))
    write_picture(tmp_path / f"large.{ending}", enlarged)
    back = read_picture(tmp_path / f"large.{ending}")
    np.testing.assert_array_equal(back.pixels, enlarged.pixels)
    assert len(np.unique(back.pixels)) > 5000


def test_pillow_opens_our_png(tmp_path: Path) -> None:
    write_picture(tmp_path / "x.png", Picture(COLOUR))
    with Image.open(tmp_path / "x.png") as image:
        np.testing.assert_array_equal(np.asarray(image), COLOUR >> 8)
