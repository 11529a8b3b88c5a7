"""HEIC, with the extra that reads it and without."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.images.reading import read_picture
from tests.fake_upscaler import RunCli
from tests.image_samples import P3_PROFILE, save

HEIC_HEADER = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"


def test_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    path = tmp_path / "phone.heic"
    path.write_bytes(HEIC_HEADER + bytes(100))
    with pytest.raises(PatchScalerError, match=r"is a HEIC picture.*pip install 'patchscaler\[heif\]'"):
        read_picture(path)


def written(path: Path, **words: object) -> Path:
    importlib.import_module("pillow_heif").register_heif_opener()
    image = Image.new("RGB", (40, 24), (200, 60, 30))
    image.paste((0, 0, 0), (0, 0, 8, 24))
    return save(image, path, quality=95, **words)


def test_heic_is_read(tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif")
    picture = read_picture(written(tmp_path / "phone.heic"))
    assert (picture.width, picture.height) == (40, 24)
    assert np.abs(picture.pixels[12, 30].astype(int) - (200, 60, 30)).max() < 6


def test_heic_keeps_metadata_and_gamut(tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif")
    exif = Image.Exif()
    exif[ExifTags.Base.Model] = "Phone"
    picture = read_picture(written(tmp_path / "phone.heic", icc_profile=P3_PROFILE, exif=exif.tobytes()))
    assert picture.own_colours is not None
    kept = Image.Exif()
    kept.load(picture.metadata.exif or b"")
    assert kept[ExifTags.Base.Model] == "Phone"


def test_orientation_of_heic_is_applied_once(tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif")
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    picture = read_picture(written(tmp_path / "phone.heic", exif=exif.tobytes()))
    assert (picture.width, picture.height) == (24, 40)
    assert picture.pixels[2, 12].max() < 30  # the left side is now at the top
    assert picture.pixels[30, 12].max() > 150


def test_ten_bits_of_heic_become_eight_with_a_warning(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    path = tmp_path / "phone.heic"
    pillow_heif.from_bytes("RGB;16", (16, 16), bytes(16 * 16 * 6)).save(path, quality=-1)
    picture = read_picture(path)
    assert picture.pixels.dtype == np.uint8
    assert "10 bits" in picture.warnings[0]


def test_cut_heic_is_damaged(tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif")
    path = written(tmp_path / "phone.heic")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * 0.6)])
    with pytest.raises(PatchScalerError, match=r"damaged|not a picture"):
        read_picture(path)


# ---- through the command line ---------------------------------------------------------------------------------------


@pytest.mark.usefixtures("fake_upscaler")
def test_a_phones_picture_becomes_an_upright_png_with_its_metadata(run_cli: RunCli, tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif")
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Model] = "Phone"
    written(tmp_path / "IMG_1.HEIC", icc_profile=P3_PROFILE, exif=exif.tobytes())
    result = run_cli("upscale", tmp_path, "-o", tmp_path / "out", "--long-edge", "80")
    assert result.exit_code == 0, result.output
    with Image.open(tmp_path / "out" / "IMG_1.png") as image:
        assert image.size == (48, 80)
        assert image.info["icc_profile"] == P3_PROFILE
        assert image.getexif()[ExifTags.Base.Model] == "Phone"
        assert image.getexif().get(ExifTags.Base.Orientation, 1) == 1
        assert np.abs(np.asarray(image)[60, 24].astype(int) - (200, 60, 30)).max() < 8


@pytest.mark.usefixtures("fake_upscaler")
def test_a_phones_picture_is_named_by_its_upright_size(run_cli: RunCli, tmp_path: Path) -> None:
    pytest.importorskip("pillow_heif")
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    path = written(tmp_path / "IMG_1.heic", exif=exif.tobytes())
    assert run_cli("upscale", path, "--width", "48").exit_code == 0
    assert (tmp_path / "IMG_1_48x80.png").exists()


@pytest.mark.usefixtures("fake_upscaler")
def test_heic_is_not_written(run_cli: RunCli, tmp_path: Path, chelsea: Path) -> None:
    result = run_cli("upscale", chelsea, "-o", tmp_path / "cat.heic")
    assert result.exit_code == 2
    assert "has the ending .heic, which says no format" in " ".join(result.stderr.split())


@pytest.mark.usefixtures("fake_upscaler")
def test_without_the_extra_it_is_named_and_the_other_pictures_go_on(
    run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    (tmp_path / "a.heic").write_bytes(HEIC_HEADER + bytes(100))
    Image.new("RGB", (8, 8)).save(tmp_path / "b.png")
    result = run_cli("upscale", tmp_path, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "a.heic is a HEIC picture, which needs the extra heif: pip install" in " ".join(result.stderr.split())
    assert "1 done, 0 skipped, 1 failed" in result.stdout
