"""Mosaics of reduced photographs: faces small and whole, every photograph shown before one comes again, and no file harmed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.training.mosaics import Face, face_mosaics, half_mosaics, main, read_faces
from patchscaler_cli.training.photos import load_photos

FACES = {"near": Face("near", 0.5, 0.45, 0.6), "far": Face("far", 0.1, 0.9, 0.15)}


def crop_with(face: Face) -> Image.Image:
    """A black crop whose face is a white disc."""
    crop = Image.new("RGB", (512, 512))
    radius = face.width * 256
    box = (face.x * 512 - radius, face.y * 512 - radius, face.x * 512 + radius, face.y * 512 + radius)
    ImageDraw.Draw(crop).ellipse(box, (255, 255, 255))
    return crop


@pytest.mark.parametrize("kind", FACES)
def test_every_window_shows_a_face_as_small_as_in_small_pictures(kind: str) -> None:
    face = FACES[kind]
    mosaics = list(face_mosaics({kind: crop_with(face)}, [face], 4, np.random.default_rng(0)))
    for mosaic, cells in zip(mosaics, (4, 2, 4, 2), strict=True):
        cell = 512 // cells
        windows = np.asarray(mosaic.convert("L")).reshape(cells, cell, cells, cell).transpose(0, 2, 1, 3)
        white = windows.reshape(cells**2, cell, cell) > 128
        wide = white.any(1).sum(1)  # columns of each window with some of the face
        assert wide.min() >= 38
        assert wide.max() <= (160 if kind == "near" else 132)  # it fills its crop: no window is larger


def test_a_crowd_does_not_crowd_out_who_is_alone() -> None:
    crops = {"crowd": Image.new("RGB", (512, 512), "red"), "alone": Image.new("RGB", (512, 512), "blue")}
    faces = [*(Face("crowd", 0.1 * n, 0.5, 0.2) for n in range(9)), Face("alone", 0.5, 0.5, 0.2)]
    mosaics = np.stack([np.asarray(m) for m in face_mosaics(crops, faces, 20, np.random.default_rng(0))])
    assert 0.15 < (mosaics[..., 2] > 128).mean() < 0.35  # a quarter, not a tenth


def test_photographs_at_half_their_size_come_all_before_one_comes_again() -> None:
    photos = [[Image.new("RGB", (512, 512), (10 * n, 0, 0))] * (1 + n % 3) for n in range(8)]
    mosaics = [np.asarray(m)[128::256, 128::256, 0] for m in half_mosaics(photos, 2, np.random.default_rng(0))]
    assert sorted(np.stack(mosaics).ravel().tolist()) == [10 * n for n in range(8)]


def test_too_few_photographs_come_again() -> None:
    photos = [[Image.new("RGB", (512, 512), "white")]]
    (mosaic,) = half_mosaics(photos, 1, np.random.default_rng(0))
    assert np.asarray(mosaic).min() == 255


def test_mosaics_are_trained_on_like_photographs(tmp_path: Path) -> None:
    for name, face in FACES.items():
        crop_with(face).save(tmp_path / f"{name}.png")
    listed = tmp_path / "faces.csv"
    listed.write_text("crop,x,y,width\nnear,0.5,0.45,0.6\nfar,0.1,0.9,0.15\n")
    main(tmp_path, tmp_path / "mosaics", listed, face_count=2, half_count=2, seed=0)
    photos = load_photos(tmp_path)
    assert len(photos.images) == 2 + 2 + 2
    assert len(set(photos.sources.tolist())) == 6
    with pytest.raises(PatchScalerError, match="remove it"):
        main(tmp_path, tmp_path / "mosaics", listed, face_count=2, half_count=2, seed=0)


def test_a_list_made_for_other_photographs_is_refused(tmp_path: Path) -> None:
    crop_with(FACES["near"]).save(tmp_path / "near.png")
    (listed := tmp_path / "faces.csv").write_text("crop,x,y,width\nsomeone,0.5,0.45,0.6\n")
    with pytest.raises(PatchScalerError, match="has no picture someone"):
        main(tmp_path, tmp_path / "mosaics", listed, face_count=2, half_count=2, seed=0)
    assert not (tmp_path / "mosaics").exists()


@pytest.mark.parametrize("content", ["crop,x,y\nnear,0.5,0.45\n", "crop,x,y,width\nnear,left,0.45,0.6\n"])
def test_what_is_no_list_of_faces_is_refused(tmp_path: Path, content: str) -> None:
    (listed := tmp_path / "faces.csv").write_text(content)
    with pytest.raises(PatchScalerError, match="no list of faces"):
        read_faces(listed)


def test_a_folder_without_photographs_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (100, 100)).save(tmp_path / "small.png")
    with pytest.raises(PatchScalerError, match="at least 512x512"):
        main(tmp_path, tmp_path / "mosaics", None, face_count=2, half_count=2, seed=0)
    assert not (tmp_path / "mosaics").exists()
