"""What a memory built of photographs holds: their textures, many kinds of them, the same ones for the same seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from patchscaler_cli.errors import PatchScalerError, UsageError
from patchscaler_cli.models.diversity import pick_diverse
from patchscaler_cli.models.memory_file import MOST_ENTRIES, StoredMemory
from patchscaler_cli.models.patchscaler import PatchScalerModel
from patchscaler_cli.models.texture import TextureMemory
from patchscaler_cli.pipeline.pixels import AnyArray, to_network
from patchscaler_cli.textures.build import build_memory
from patchscaler_cli.textures.candidates import cut, draw_corners, texture_energy
from patchscaler_cli.textures.photographs import photographs
from tests.small_model import small_model
from tests.texture_photos import Kind, save_textures, texture


@pytest.fixture(scope="module")
def model() -> PatchScalerModel:
    """The small model. Random weights find all patches alike; taking off their mean makes it tell stripes from blobs."""
    model, raw = small_model(), list[torch.Tensor]()
    hook = model.classifier.out.register_forward_hook(lambda layer, inputs, output: raw.append(output))
    kinds: tuple[Kind, ...] = ("stripes", "blobs")
    patches = [to_network(texture(kind, seed, 64, 64)) for kind in kinds for seed in range(50, 60)]
    model.classifier(torch.from_numpy(np.stack(patches)))
    hook.remove()
    model.classifier.out.bias.sub_(raw[0].mean(0))
    return model


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    """Two photographs of stripes and two of blobs."""
    return save_textures(tmp_path / "photos")


def _flat(path: Path, size: tuple[int, int] = (100, 90)) -> Path:
    Image.new("RGB", size, (90, 120, 200)).save(path)
    return path


def _shows_stripes(picture: torch.Tensor) -> bool:
    """Whether an entry's picture [3, 32, 32] does not change from row to row."""
    return bool((picture.float().diff(dim=1).abs() < 3).all())


# ---- what it holds --------------------------------------------------------------------------------------------------


def test_keys_and_values_are_those_of_the_photos_patches(model: PatchScalerModel, tmp_path: Path) -> None:
    pixels = texture("blobs", 0, 64, 64)
    Image.fromarray(pixels).save(tmp_path / "one.png")
    memory = build_memory(model, [tmp_path / "one.png"], 4)
    patch = torch.from_numpy(to_network(pixels))[None]
    assert torch.allclose(memory.keys, model.classifier(patch), atol=1e-5)
    assert torch.allclose(memory.values.float(), model.encoder.encode(patch, own=True), atol=5e-3)


def test_keys_are_unit_vectors(model: PatchScalerModel, photos: list[Path]) -> None:
    memory = build_memory(model, photos, 5)
    assert torch.allclose(memory.keys.norm(dim=1), torch.ones(len(memory.keys)), atol=1e-5)


def test_entries_are_as_many_as_asked_for_or_fewer(model: PatchScalerModel, photos: list[Path]) -> None:
    assert 1 <= len(build_memory(model, photos, 5).keys) <= 5


def test_no_entry_is_there_twice(model: PatchScalerModel, photos: list[Path]) -> None:
    values = build_memory(model, photos, 40).values.flatten(1).float()
    assert len({tuple(value) for value in values.tolist()}) == len(values)


def test_every_kind_of_texture_is_in_a_small_memory(model: PatchScalerModel, tmp_path: Path) -> None:
    """Stripes are one photo of five: chance alone would often leave them out of two entries."""
    photos = save_textures(tmp_path, ("blobs",), each=4) + save_textures(tmp_path, ("stripes",), each=1)
    pictures = build_memory(model, photos, 2, keep_pictures=True).pictures
    assert pictures is not None
    assert sorted(_shows_stripes(picture) for picture in pictures) == [False, True]


@pytest.mark.parametrize("kind", ["stripes", "blobs"])
def test_a_patch_finds_entries_of_its_own_kind(model: PatchScalerModel, photos: list[Path], kind: Kind) -> None:
    stored = build_memory(model, photos, 8, keep_pictures=True)
    memory = TextureMemory(model.config.texture, len(stored.keys))
    memory.keys.copy_(stored.keys)
    patch = torch.from_numpy(to_network(texture(kind, 99, 64, 64)))[None]
    entries, _ = memory.nearest(model.classifier(patch))
    assert stored.pictures is not None
    assert all(_shows_stripes(stored.pictures[entry]) == (kind == "stripes") for entry in entries[0].tolist())


def test_pictures_are_kept_only_if_asked_for(model: PatchScalerModel, photos: list[Path]) -> None:
    assert build_memory(model, photos, 4).pictures is None


def test_a_picture_is_its_patch_at_half_the_size(model: PatchScalerModel, tmp_path: Path) -> None:
    pixels = texture("blobs", 0, 64, 64)
    Image.fromarray(pixels).save(tmp_path / "one.png")
    pictures = build_memory(model, [tmp_path / "one.png"], 1, keep_pictures=True).pictures
    assert pictures is not None
    half = pixels.reshape(32, 2, 32, 2, 3).mean((1, 3)).transpose(2, 0, 1)
    assert np.abs(pictures[0].numpy() - half).max() <= 1


# ---- the same and not the same --------------------------------------------------------------------------------------


def _same(a: StoredMemory, b: StoredMemory) -> bool:
    return torch.equal(a.keys, b.keys) and torch.equal(a.values, b.values)


def test_the_same_seed_gives_the_same_memory(model: PatchScalerModel, photos: list[Path]) -> None:
    assert _same(build_memory(model, photos, 6, seed=3), build_memory(model, photos, 6, seed=3))


def test_torchs_own_generator_is_of_no_account(model: PatchScalerModel, photos: list[Path]) -> None:
    torch.manual_seed(1)
    one = build_memory(model, photos, 6)
    torch.manual_seed(2)
    assert _same(one, build_memory(model, photos, 6))


def test_another_seed_gives_another_memory(model: PatchScalerModel, photos: list[Path]) -> None:
    assert not _same(build_memory(model, photos, 6, seed=0), build_memory(model, photos, 6, seed=1))


# ---- which photos and patches ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "I;16"])
def test_photos_of_any_colours_are_taken(model: PatchScalerModel, tmp_path: Path, mode: str) -> None:
    picture = Image.fromarray(texture("blobs", 0))
    if mode == "I;16":
        picture = Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 257)
    else:
        picture = picture.convert(mode)
    picture.save(tmp_path / "photo.png")
    assert len(build_memory(model, [tmp_path / "photo.png"], 2).keys) == 2


def test_a_bad_file_is_named_and_passed_over(model: PatchScalerModel, photos: list[Path], tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"not a picture at all")
    said: list[str] = []
    memory = build_memory(model, [bad, *photos], 4, notice=said.append)
    assert (memory.photos, len(said)) == (4, 1)
    assert str(bad) in said[0]


def test_a_photo_smaller_than_a_patch_is_named_with_its_size(
    model: PatchScalerModel, photos: list[Path], tmp_path: Path
) -> None:
    said: list[str] = []
    build_memory(model, [_flat(tmp_path / "small.png", (200, 63)), *photos], 4, notice=said.append)
    assert "small.png has 200x63 pixels" in said[0]


def test_a_flat_photo_is_named_and_passed_over(model: PatchScalerModel, photos: list[Path], tmp_path: Path) -> None:
    said: list[str] = []
    memory = build_memory(model, [_flat(tmp_path / "sky.png"), *photos], 4, notice=said.append)
    assert memory.photos == 4
    assert "sky.png is flat" in said[0]


def test_photos_without_any_texture_are_an_error(model: PatchScalerModel, tmp_path: Path) -> None:
    with pytest.raises(PatchScalerError, match="None of the 1 pictures holds a texture"):
        build_memory(model, [_flat(tmp_path / "sky.png")], 4)


@pytest.mark.parametrize("entries", [0, -1, MOST_ENTRIES + 1])
def test_a_number_of_entries_that_no_memory_has_is_refused(model: PatchScalerModel, entries: int) -> None:
    with pytest.raises(UsageError, match="--entries must be from 1 to"):
        build_memory(model, [], entries)


def test_patches_are_never_drawn_where_nothing_is_to_be_seen() -> None:
    photo = np.full((128, 256, 3), 100, np.uint8)
    photo[:, 160:] = texture("blobs", 0, 128, 96)
    corners = draw_corners(photo, 1000, torch.Generator().manual_seed(0))
    assert len(corners) > 0
    assert (corners[:, 1] + 64 >= 160).all()


def test_patches_of_much_texture_are_drawn_sooner() -> None:
    strong, weak = texture("blobs", 0, 64, 640), texture("blobs", 1, 64, 640) // 8
    photo = np.concatenate((strong, weak), axis=1)
    corners = draw_corners(photo, 10, torch.Generator().manual_seed(0))
    assert (corners[:, 1] < 640).sum() > 5


def test_no_patch_is_drawn_twice() -> None:
    corners = draw_corners(texture("blobs", 0), 1000, torch.Generator().manual_seed(0))
    assert len(np.unique(corners, axis=0)) == len(corners) == 4 * 5


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_energy_does_not_depend_on_the_depth(dtype: type) -> None:
    photo = texture("blobs", 0)
    white = 1.0 if dtype is np.float32 else np.iinfo(dtype).max
    deep: AnyArray = (photo.astype(np.float64) / 255 * white).astype(dtype)
    assert np.allclose(texture_energy(deep), texture_energy(photo), rtol=1e-3)


def test_patches_are_cut_where_their_corners_say() -> None:
    photo = texture("blobs", 0)
    patches = cut(photo, np.array([[32, 64], [96, 0]]))
    assert np.array_equal(patches[1].numpy(), to_network(photo[96:160, 0:64]))


def test_photographs_are_found_by_name_without_hidden_ones_and_thumbnails(tmp_path: Path) -> None:
    for name in (
        "b.JPG",
        "a.png",
        "a.jpg",
        "notes.txt",
        ".hidden.png",
        "more/c.tif",
        "thumbnails/d.png",
        ".trash/e.png",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = [path.relative_to(tmp_path).as_posix() for path in photographs(tmp_path, recursive=True)]
    assert found == ["a.jpg", "a.png", "b.JPG", "more/c.tif"]


def test_folders_of_the_folder_are_left_out_unless_asked_for(tmp_path: Path) -> None:
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "c.png").touch()
    with pytest.raises(PatchScalerError, match="--recursive looks into its folders too"):
        photographs(tmp_path)


# ---- the choice -----------------------------------------------------------------------------------------------------


def test_the_choice_takes_one_of_every_cluster() -> None:
    directions = torch.eye(4).repeat_interleave(50, dim=0)
    noisy = torch.nn.functional.normalize(directions + torch.randn(200, 4, generator=torch.Generator().manual_seed(0)) * 0.05, dim=1)  # fmt: skip
    chosen = pick_diverse(noisy, 12, generator=torch.Generator().manual_seed(0))
    assert set((chosen // 50).tolist()) == {0, 1, 2, 3}


def test_the_choice_does_not_depend_on_how_much_is_compared_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    embeddings = torch.nn.functional.normalize(
        torch.randn(300, 8, generator=torch.Generator().manual_seed(0)), dim=1
    )  # fmt: skip
    at_once = pick_diverse(embeddings, 20, generator=torch.Generator().manual_seed(1))
    monkeypatch.setattr("patchscaler_cli.models.diversity.MOST_SIMILARITIES", 1000)
    assert torch.equal(pick_diverse(embeddings, 20, generator=torch.Generator().manual_seed(1)), at_once)
