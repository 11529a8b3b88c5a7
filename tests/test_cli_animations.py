"""`patchscaler upscale` with animations: every frame, as long as before, as often as before, or a refusal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from patchscaler_cli.images.animation import read_animation
from patchscaler_cli.pipeline.upscaler import Upscaler
from tests.fake_upscaler import FakeUpscaler, RunCli
from tests.image_samples import save
from tests.small_model import small_upscaler

DURATIONS = [100, 250, 40]
PLAYS = {".gif": 3, ".webp": 3, ".png": 3}


def animate(path: Path, mode: str = "RGB", **words: Any) -> Path:
    """Three frames, 20x16: a square that moves over a ground that stands still."""
    frames = []
    for number in range(3):
        image = Image.new(mode, (20, 16), (90, 60, 30, 0)[: len(mode)])
        ImageDraw.Draw(image).rectangle((2 + 5 * number, 4, 6 + 5 * number, 9), fill=(220, 30, 40, 255)[: len(mode)])
        frames.append(image)
    words.setdefault("loop", 2 if path.suffix == ".gif" else 3)  # a GIF counts the repeats
    if mode == "RGBA":
        words["disposal"] = 2
    return save(frames[0], path, save_all=True, append_images=frames[1:], duration=DURATIONS, lossless=True, **words)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The small model wherever the command line loads one."""
    monkeypatch.setattr(Upscaler, "from_pretrained", lambda *names, **words: small_upscaler())


@pytest.mark.usefixtures("fake_upscaler")
@pytest.mark.parametrize("ending", [".gif", ".webp", ".png"])
@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_every_frame_is_upscaled_and_shown_as_long_and_as_often(
    run_cli: RunCli, tmp_path: Path, ending: str, mode: str
) -> None:
    path = animate(tmp_path / f"move{ending}", mode)
    result = run_cli("upscale", path)
    assert result.exit_code == 0, result.output
    before, after = read_animation(path), read_animation(tmp_path / f"move_x4{ending}")
    assert (after.width, after.height, after.mode) == (80, 64, mode)
    assert list(after.timing.durations) == DURATIONS
    assert after.timing.plays == before.timing.plays == 3
    assert "80x64 from 20x16 (x4), 3 frames" in result.stdout
    for old, new in zip(before.frames(), after.frames(), strict=True):
        wanted = old.pixels.repeat(4, 0).repeat(4, 1).astype(int)
        seen = np.ones((64, 80), bool)
        if old.alpha is not None and new.alpha is not None:
            assert np.array_equal(new.alpha[2::4, 2::4] > 127, old.alpha > 127)
            seen = new.alpha > 127
        assert np.abs(new.pixels - wanted)[seen].mean() < 8


@pytest.mark.usefixtures("fake_upscaler")
def test_the_asked_format_is_written(run_cli: RunCli, tmp_path: Path) -> None:
    path = animate(tmp_path / "move.gif")
    assert run_cli("upscale", path, "-o", tmp_path / "large.webp").exit_code == 0
    assert run_cli("upscale", path, "--format", "png").exit_code == 0
    for name in ("large.webp", "move_x4.png"):
        assert list(read_animation(tmp_path / name).timing.durations) == DURATIONS


@pytest.mark.usefixtures("fake_upscaler")
def test_an_animation_in_a_format_that_is_only_read_becomes_a_png(run_cli: RunCli, tmp_path: Path) -> None:
    path = animate(tmp_path / "move.png")
    frames = [Image.fromarray(frame.pixels) for frame in read_animation(path).frames()]
    save(frames[0], tmp_path / "film.avif", save_all=True, append_images=frames[1:], duration=100)
    assert run_cli("upscale", tmp_path / "film.avif").exit_code == 0
    assert len(read_animation(tmp_path / "film_x4.png").timing.durations) == 3


@pytest.mark.usefixtures("fake_upscaler")
@pytest.mark.parametrize("words", [("-o", "x.jpg"), ("--format", "tiff")])
def test_a_format_without_animations_is_refused_and_the_way_out_named(
    run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    path = animate(tmp_path / "move.gif")
    monkeypatch.chdir(tmp_path)
    refused = run_cli("upscale", path, *words)
    assert refused.exit_code == 2
    assert "or --first-frame for a single picture" in " ".join(refused.stderr.split())
    assert FakeUpscaler.loads == []
    assert run_cli("upscale", path, *words, "--first-frame").exit_code == 0


@pytest.mark.usefixtures("fake_upscaler")
def test_the_first_frame_alone_is_a_png(run_cli: RunCli, tmp_path: Path) -> None:
    assert run_cli("upscale", animate(tmp_path / "move.gif"), "--first-frame").exit_code == 0
    with Image.open(tmp_path / "move_x4.png") as image:
        assert getattr(image, "n_frames", 1) == 1


@pytest.mark.usefixtures("fake_upscaler")
def test_a_single_picture_is_no_gif(run_cli: RunCli, tmp_path: Path) -> None:
    path = save(Image.new("RGB", (8, 8)), tmp_path / "still.gif")
    assert run_cli("upscale", path).exit_code == 0
    assert (tmp_path / "still_x4.png").exists()
    refused = run_cli("upscale", path, "--format", "gif")
    assert refused.exit_code == 2
    assert "GIF is not a format for single pictures" in refused.stderr


@pytest.mark.usefixtures("fake_upscaler")
def test_in_a_folder_stills_and_animations_go_the_same_way_and_are_resumed(run_cli: RunCli, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in ("a.gif", "b.webp", "d.png"):
        animate(folder / name)
    save(Image.new("RGB", (8, 8)), folder / "c.webp")
    result = run_cli("upscale", folder, "-o", tmp_path / "out", "--json")
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.gif", "b.webp", "c.png", "d.png"]
    assert [file.get("frames") for file in json.loads(result.stdout)["files"]] == [3, 3, None, 3]
    assert "0 done, 4 skipped" in run_cli("upscale", folder, "-o", tmp_path / "out").stdout


@pytest.mark.usefixtures("fake_upscaler")
def test_progress_in_a_log_counts_frames_alone(run_cli: RunCli, tmp_path: Path) -> None:
    stderr = run_cli("upscale", animate(tmp_path / "move.webp")).stderr
    assert "frames: 3 frames" in stderr
    assert "coarse" not in stderr


@pytest.mark.usefixtures("fake_upscaler")
def test_a_frame_on_which_the_network_fails_is_told_in_its_own_words_and_leaves_nothing(
    run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeUpscaler, "raises", RuntimeError("CUDA out of memory"))
    result = run_cli("upscale", animate(tmp_path / "move.webp"))
    assert result.exit_code == 1
    assert "The memory is not enough" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["move.webp"]


@pytest.mark.usefixtures("small")
def test_a_dry_run_counts_the_patches_of_all_frames(run_cli: RunCli, tmp_path: Path) -> None:
    path = animate(tmp_path / "move.webp")
    plan = json.loads(run_cli("upscale", path, "--dry-run", "--json").stdout)
    still = json.loads(run_cli("upscale", path, "--dry-run", "--json", "--first-frame").stdout)
    assert (plan["frames"], plan["patches"]) == (3, 3 * still["patches"])
    assert not (tmp_path / "move_x4.webp").exists()


@pytest.mark.usefixtures("small")
def test_confidence_maps_of_frames_are_an_animation(run_cli: RunCli, tmp_path: Path) -> None:
    result = run_cli("upscale", animate(tmp_path / "move.gif"), "--save-confidence", tmp_path / "sure.png")
    assert result.exit_code == 0, result.output
    sure = read_animation(tmp_path / "sure.png")
    assert (sure.width, sure.height, sure.mode, len(sure.timing.durations)) == (20, 16, "L", 3)


@pytest.mark.usefixtures("small")
def test_equal_frames_are_upscaled_to_equal_frames(run_cli: RunCli, tmp_path: Path) -> None:
    """Nothing flickers: a frame has the noise of the others, and what it comes after changes nothing."""
    noise = np.random.default_rng(0)
    first, second = (Image.fromarray(noise.integers(90, 170, (20, 24, 3), np.uint8)) for _ in range(2))
    path = tmp_path / "x.png"
    save(first, path, save_all=True, append_images=[second, first], duration=50)
    result = run_cli("upscale", path, "--json", "-o", tmp_path / "y.webp", "--lossless")
    report = json.loads(result.stdout)
    frames = list(read_animation(tmp_path / "y.webp").frames())
    assert np.array_equal(frames[0].pixels, frames[2].pixels)
    assert not np.array_equal(frames[0].pixels, frames[1].pixels)
    assert report["network_evaluations"] > 0
    run_cli("upscale", path, "--first-frame", "-o", tmp_path / "z.png", "--coarse-only")
    run_cli("upscale", path, "--first-frame", "-o", tmp_path / "still.png")
    with Image.open(tmp_path / "still.png") as still, Image.open(tmp_path / "z.png") as coarse:
        assert np.array_equal(np.asarray(still), frames[0].pixels)
        assert not np.array_equal(np.asarray(coarse), frames[0].pixels)
