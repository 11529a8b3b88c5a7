"""`patchscaler explain`: the page tells what really happened, and what cannot be explained is refused before the work."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from patchscaler_cli.evaluation.report.explained import choose_patches, patch_at
from patchscaler_cli.models.memory_file import PICTURE_SIDE, StoredMemory, save_memory
from patchscaler_cli.models.weights_file import save_weights
from patchscaler_cli.pipeline.colour import REFINEMENT_SIGMA, enlarged_low_pass, reduced
from patchscaler_cli.pipeline.pixels import to_network
from patchscaler_cli.pipeline.settings import UpscaleSettings
from patchscaler_cli.pipeline.trace import trace_patches
from patchscaler_cli.sampling.groups import Group
from patchscaler_cli.tiling.rows import RowWindow
from tests.evaluation_samples import textured
from tests.fake_upscaler import RunCli
from tests.small_model import CALIBRATION, gentle_upscaler, small_model, small_upscaler

PICTURE = textured(40, 60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture in.png, the small model's weights, and a texture memory with pictures for them."""
    folder, model = tmp_path_factory.mktemp("explain"), small_model()
    Image.fromarray(PICTURE).save(folder / "in.png")
    save_weights(folder / "w.safetensors", model, {"calibration": CALIBRATION})
    pictures = torch.zeros(8, 3, PICTURE_SIDE, PICTURE_SIDE, dtype=torch.uint8)
    memory = StoredMemory(model.memory.keys, model.memory.values, 3, pictures)
    save_memory(folder / "own.safetensors", memory, model)
    return folder


def test_a_traced_patch_ends_where_the_upscale_ends() -> None:
    """The picture is one patch, so nothing is blended: what the trace ends with, without colour drift, is the result."""
    group = {"groups": [{"sigma": 0.2, "steps": 3}], "thresholds": [], "fidelity": 0.0}
    upscaler, picture = gentle_upscaler(calibration=group), textured(16, 16) // 4 + 96
    result = upscaler.upscale(picture)
    trace = trace_patches(upscaler, picture, UpscaleSettings(), result.patch_groups, [(0, 0)])[0]
    assert len(trace.steps) == 3
    assert not np.array_equal(trace.steps[0], trace.steps[2])
    residual = to_network(trace.steps[-1]) - to_network(trace.coarse)
    window = RowWindow(3, 16)
    window.append(reduced(residual, 4))
    held = residual - enlarged_low_pass(window, REFINEMENT_SIGMA, 0, 16, 16, 4)
    expected = trace.coarse.astype(int) + (held * 127.5).transpose(1, 2, 0)
    inner = (slice(4, -4), slice(4, -4))  # at the border the refinement fades in
    assert all(one.min() > 0 and one.max() < 255 for one in (trace.coarse, trace.steps[-1], result.pixels))
    assert (np.abs(held) > 4 / 127.5).mean() > 0.2  # there is something to be compared
    assert np.abs(expected - result.pixels)[inner].max() <= 2.5  # four roundings to 8 bits


def test_a_trace_does_not_depend_on_what_is_traced_beside_it() -> None:
    upscaler, settings = small_upscaler(), UpscaleSettings()
    groups = np.array([[0, 1, 2, 2], [2, 1, 0, 1], [1, 1, 1, 1]])
    several = trace_patches(upscaler, PICTURE, settings, groups, [(0, 0), (0, 2), (1, 1)])
    alone = trace_patches(upscaler, PICTURE, settings, groups, [(0, 2)])[0]
    assert [one.group for one in several] == [Group(0.0, 0), Group(0.2, 3), Group(0.1, 1)]
    assert [len(one.steps) for one in several] == [0, 3, 1]
    assert several[0].sigmas == []
    assert np.array_equal(several[0].start, several[0].coarse)
    assert alone.sigmas[0] == 0.2
    assert alone.sigmas[-1] == 0
    assert [entry for entry, _ in alone.textures] == [entry for entry, _ in several[1].textures]
    similarities = [similarity for _, similarity in several[1].textures]
    assert [similarity for _, similarity in alone.textures] == pytest.approx(similarities, abs=1e-5)
    for one, other in zip([alone.start, *alone.steps], [several[1].start, *several[1].steps], strict=True):
        assert int(np.abs(one.astype(int) - other).max()) <= 1


def test_textures_are_the_nearest_of_the_memory() -> None:
    upscaler = small_upscaler()
    groups = np.ones((3, 5), np.int64)
    with_textures = trace_patches(upscaler, PICTURE, UpscaleSettings(), groups, [(1, 1)])[0]
    without = trace_patches(upscaler, PICTURE, UpscaleSettings(texture=False), groups, [(1, 1)])[0]
    assert len(with_textures.textures) == upscaler.network.memory.top_k
    similarities = [similarity for _, similarity in with_textures.textures]
    assert similarities == sorted(similarities, reverse=True)
    assert without.textures == []


def test_one_patch_of_every_group_that_occurs_is_chosen_hardest_first() -> None:
    result = small_upscaler().upscale(PICTURE)
    groups = [int(result.patch_groups[place]) for place in choose_patches(result)]
    assert groups == sorted(set(result.patch_groups.ravel().tolist()), reverse=True)


def test_a_pixel_belongs_to_the_patch_in_whose_middle_it_lies() -> None:
    result = small_upscaler().upscale(PICTURE)  # 3 x 4 patches of 16 x 18 pixels
    assert [patch_at(result, x, 0)[1] for x in (0, 16, 17, 32, 33, 59)] == [0, 0, 1, 1, 2, 3]
    assert [patch_at(result, 0, y)[0] for y in (0, 14, 15, 39)] == [0, 0, 1, 2]


def test_the_page_tells_of_the_patches_that_were_asked_for(folder: Path, tmp_path: Path, run_cli: RunCli) -> None:
    page = tmp_path / "page.html"
    words = ["--weights", folder / "w.safetensors", "--device", "cpu", "--quiet", "--fidelity", 0.25]
    done = run_cli("explain", folder / "in.png", "-o", page, *words, "--patch", "0,0", "--patch", "20,20")
    assert done.exit_code == 0, done.output
    text = page.read_text(encoding="utf-8")
    assert re.findall(r"Patch (\d): group", text) == ["1", "2"]
    assert "its corner is pixel (0, 0) of the input" in text
    assert "its corner is pixel (16, 14) of the input" in text
    assert "fidelity\n0.25" in text
    assert list(tmp_path.iterdir()) == [page]


def test_pictures_of_textures_are_shown_where_the_memory_is_the_users_own(
    folder: Path, tmp_path: Path, run_cli: RunCli
) -> None:
    page, words = tmp_path / "page.html", ["--weights", folder / "w.safetensors", "--device", "cpu", "--groups", 1]
    assert run_cli("explain", folder / "in.png", "-o", page, *words).exit_code == 0
    assert "The memory holds no pictures of them" in page.read_text(encoding="utf-8")
    own = ["--texture", folder / "own.safetensors", "--overwrite"]
    assert run_cli("explain", folder / "in.png", "-o", page, *words, *own).exit_code == 0
    text = page.read_text(encoding="utf-8")
    assert len(re.findall(r'alt="Patch 1, texture \d', text)) == 2
    assert "The memory holds no pictures of them" not in text
    assert "own.safetensors, 8 entries" in text
    assert run_cli("explain", folder / "in.png", "-o", page, *words, "--no-texture", "--overwrite").exit_code == 0
    assert "It was sampled without textures" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["-o", "page.png"], 2, "must end in .html"),
        (["-o", "none/page.html"], 1, "does not exist; create it first"),
        (["-o", "there.html"], 1, "exists already; give --overwrite"),
        (["-o", "page.html", "--patch", "60,0"], 2, "--patch 60,0 lies outside"),
        (["-o", "page.html", "--patch", "0,-1"], 2, "--patch 0,-1 lies outside"),
        (["-o", "page.html", "--patch", "here"], 2, "--patch takes a pixel as X,Y"),
        (["-o", "page.html", *["--patch", "1,1"] * 25], 2, "24 times at most"),
        (
            ["-o", "page.html", "--texture", "t.safetensors", "--no-texture"],
            2,
            "only one of --texture and --no-texture",
        ),
        (["-o", "page.html", "--preset", "quick"], 2, "--preset must be"),
    ],
)
def test_what_cannot_be_explained_is_refused(
    folder: Path,
    tmp_path: Path,
    run_cli: RunCli,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    code: int,
    said: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there.html").write_text("mine")
    refused = run_cli("explain", folder / "in.png", *words)
    assert refused.exit_code == code, refused.output
    assert said in " ".join(refused.stderr.split())
    assert [path.name for path in tmp_path.iterdir()] == ["there.html"]
    assert (tmp_path / "there.html").read_text() == "mine"


def test_a_picture_that_is_no_picture_is_one_sentence(tmp_path: Path, run_cli: RunCli) -> None:
    (tmp_path / "in.png").write_text("no picture")
    refused = run_cli("explain", tmp_path / "in.png", "-o", tmp_path / "page.html")
    assert refused.exit_code == 1
    assert "Traceback" not in refused.output
    assert "in.png" in refused.stderr
