"""Animations: frames, durations and loops in and out, or a refusal."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from patchscaler_cli.errors import PatchScalerError, UsageError
from patchscaler_cli.images.animation import Timing, read_animation, write_animation
from patchscaler_cli.images.header import read_header
from patchscaler_cli.images.metadata import Metadata
from patchscaler_cli.images.options import WriteOptions
from patchscaler_cli.images.picture import Picture
from patchscaler_cli.images.reading import read_picture
from tests.image_samples import P3_PROFILE, Samples, enlarge_smoothly, save

COLOURS = ((220, 30, 40), (30, 200, 60), (20, 40, 230))
DURATIONS = (100, 250, 40)
ENDINGS = ["gif", "webp", "png"]


def drawn(mode: str, number: int) -> Image.Image:
    """A frame with a disc that moves, 32x24, on a clear or a grey ground."""
    image = Image.new(mode, (32, 24), (90, 90, 90, 0)[: len(mode)])
    ImageDraw.Draw(image).ellipse((2 + 6 * number, 4, 16 + 6 * number, 18), fill=(*COLOURS[number], 255)[: len(mode)])
    return image


def animate(path: Path, mode: str = "RGB", **words: Any) -> Path:
    frames = [drawn(mode, number) for number in range(3)]
    if path.suffix == ".gif":
        words.setdefault("disposal", 2)
    if path.suffix == ".webp":
        words["lossless"] = True
    return save(frames[0], path, save_all=True, append_images=frames[1:], duration=list(DURATIONS), **words)


def shown(picture: Picture, ground: int = 255) -> Samples:
    """[H, W, 3] on a ground."""
    if picture.alpha is None:
        return picture.pixels.astype(float)
    opacity = picture.alpha[..., None] / 255
    return picture.pixels * opacity + ground * (1 - opacity)


# ---- reading --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_frames_are_whole_pictures(tmp_path: Path, ending: str, mode: str) -> None:
    animation = read_animation(animate(tmp_path / f"x.{ending}", mode, loop=0))
    frames = list(animation.frames())
    assert (animation.width, animation.height, len(frames)) == (32, 24, 3)
    assert animation.has_alpha == (mode == "RGBA")
    for number, frame in enumerate(frames):
        wanted = np.asarray(drawn(mode, number)).astype(float)
        if mode == "RGBA":
            wanted = np.where(wanted[..., 3:] > 0, wanted[..., :3], 255)
        assert np.abs(shown(frame) - wanted).max() <= 3


@pytest.mark.parametrize("ending", ENDINGS)
def test_durations_are_read(tmp_path: Path, ending: str) -> None:
    assert read_animation(animate(tmp_path / f"x.{ending}")).timing.durations == DURATIONS


@pytest.mark.parametrize(
    ("ending", "words", "plays"),
    [
        ("gif", {}, 1), ("gif", {"loop": 0}, 0), ("gif", {"loop": 2}, 3),
        ("webp", {"loop": 0}, 0), ("webp", {"loop": 2}, 2), ("png", {"loop": 0}, 0), ("png", {"loop": 2}, 2),
    ],
)  # fmt: skip
def test_plays_are_read(tmp_path: Path, ending: str, words: dict[str, Any], plays: int) -> None:
    assert read_animation(animate(tmp_path / f"x.{ending}", **words)).timing.plays == plays


@pytest.mark.parametrize("ending", ENDINGS)
def test_grey_frames_stay_grey(tmp_path: Path, ending: str) -> None:
    frames = [drawn("RGBA", number).convert("LA").convert("RGBA") for number in range(3)]
    path = save(frames[0], tmp_path / f"x.{ending}", save_all=True, append_images=frames[1:], lossless=True, disposal=2)
    animation = read_animation(path)
    assert animation.mode == "LA"
    assert all(frame.pixels.ndim == 2 for frame in animation.frames())


def test_frames_are_written_one_by_one(tmp_path: Path) -> None:
    """However many frames there are, few are held: the first, the one that is encoded and the one before it."""
    made: list[weakref.ref[Picture]] = []
    most = 0

    def frames() -> Iterator[Picture]:
        nonlocal most
        for number in range(8):
            frame = Picture(np.asarray(drawn("RGB", number % 3)))
            made.append(weakref.ref(frame))
            most = max(most, sum(one() is not None for one in made))
            yield frame

    for ending in ENDINGS:
        write_animation(tmp_path / f"x.{ending}", frames(), Timing((50,) * 8))
        assert most <= 3
        assert len(read_animation(tmp_path / f"x.{ending}").timing.durations) == 8


def test_what_stands_still_is_written_once(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    for ending in ("gif", "png"):
        sizes = []
        for count in (2, 12):
            write_animation(tmp_path / f"x.{ending}", [Picture(noise)] * count, Timing((50,) * count))
            sizes.append((tmp_path / f"x.{ending}").stat().st_size)
        assert sizes[1] < sizes[0] * 1.5
        last = list(read_animation(tmp_path / f"x.{ending}").frames())[-1]
        assert np.abs(last.pixels.astype(int) - noise).mean() < 20


def test_picture_for_those_who_know_no_apng_is_no_frame(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    frames = [drawn("RGB", number) for number in range(3)]
    Image.new("RGB", (32, 24)).save(path, save_all=True, append_images=frames, default_image=True, duration=50)
    animation = read_animation(path)
    assert animation.timing.durations == (50, 50, 50)
    np.testing.assert_array_equal(next(animation.frames()).pixels, np.asarray(frames[0]))


@pytest.mark.parametrize("ending", [*ENDINGS, "avif"])
def test_frames_are_counted(tmp_path: Path, ending: str) -> None:
    assert read_header(animate(tmp_path / f"x.{ending}")).frames == 3


def test_pages_are_no_frames(tmp_path: Path) -> None:
    assert read_header(animate(tmp_path / "x.tif")).frames == 1


def test_single_picture_is_an_animation_of_one_frame(chelsea: Path) -> None:
    assert read_header(chelsea).frames == 1
    assert len(list(read_animation(chelsea).frames())) == 1


@pytest.mark.parametrize("ending", [*ENDINGS, "avif"])
def test_animation_is_refused_where_one_picture_is_wanted(tmp_path: Path, ending: str) -> None:
    path = animate(tmp_path / f"x.{ending}")
    with pytest.raises(PatchScalerError, match=r"is an animation of 3 frames.*--first-frame"):
        read_picture(path)


@pytest.mark.parametrize("ending", ENDINGS)
def test_first_frame_on_request(tmp_path: Path, ending: str) -> None:
    picture = read_picture(animate(tmp_path / f"x.{ending}"), first_frame=True)
    assert np.abs(picture.pixels.astype(int) - np.asarray(drawn("RGB", 0))).max() <= 3
    assert picture.warnings == ()


@pytest.mark.parametrize("ending", ENDINGS)
def test_frames_that_are_cut_off_are_noticed_at_once(tmp_path: Path, ending: str) -> None:
    path = animate(tmp_path / f"x.{ending}")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * 0.8)])
    with pytest.raises(PatchScalerError, match="damaged"):
        read_animation(path)


# ---- writing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["RGB", "RGBA"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_frames_come_back(tmp_path: Path, ending: str, source: str) -> None:
    animation = read_animation(animate(tmp_path / "x.png", source))
    large = [frame.enlarged(enlarge_smoothly(frame.pixels)) for frame in animation.frames()]
    path = tmp_path / f"large.{ending}"
    write_animation(path, iter(large), animation.timing)
    back = list(read_animation(path).frames())
    assert len(back) == 3
    for wanted, frame in zip(large, back, strict=True):
        assert (frame.width, frame.height) == (128, 96)
        assert np.abs(shown(frame) - shown(wanted)).mean() < 4


@pytest.mark.parametrize("plays", [0, 1, 3])
@pytest.mark.parametrize("ending", ENDINGS)
def test_timing_comes_back(tmp_path: Path, ending: str, plays: int) -> None:
    frames = list(read_animation(animate(tmp_path / "x.png")).frames())
    path = tmp_path / f"again.{ending}"
    write_animation(path, frames, Timing(DURATIONS, plays))
    assert read_animation(path).timing == Timing(DURATIONS, plays)


def test_rounded_durations_of_a_gif_do_not_add_up(tmp_path: Path) -> None:
    frames = list(read_animation(animate(tmp_path / "x.png")).frames())
    write_animation(tmp_path / "x.gif", [*frames, *frames], Timing((33,) * 6))
    assert sum(read_animation(tmp_path / "x.gif").timing.durations) == 200


def test_lossless_webp_loses_nothing(tmp_path: Path) -> None:
    frames = list(read_animation(animate(tmp_path / "x.png")).frames())
    write_animation(tmp_path / "x.webp", frames, Timing(DURATIONS), WriteOptions(lossless=True))
    for number, frame in enumerate(read_animation(tmp_path / "x.webp").frames()):
        np.testing.assert_array_equal(frame.pixels, np.asarray(drawn("RGB", number)))


def test_clear_pixels_of_a_gif_do_not_show_the_frame_before(tmp_path: Path) -> None:
    frames = list(read_animation(animate(tmp_path / "x.png", "RGBA")).frames())
    write_animation(tmp_path / "x.gif", frames, Timing(DURATIONS))
    for number, frame in enumerate(read_animation(tmp_path / "x.gif").frames()):
        assert frame.alpha is not None
        np.testing.assert_array_equal(frame.alpha, np.asarray(drawn("RGBA", number))[..., 3])


def test_gif_says_that_it_has_few_colours(tmp_path: Path) -> None:
    frames = list(read_animation(animate(tmp_path / "x.png")).frames())
    assert "256 colours" in write_animation(tmp_path / "x.gif", frames, Timing(DURATIONS))[0]


@pytest.mark.parametrize("ending", ["webp", "png"])
def test_profile_and_provenance_go_along(tmp_path: Path, ending: str) -> None:
    frames = [Picture(np.asarray(drawn("RGB", i)), metadata=Metadata(icc_profile=P3_PROFILE)) for i in range(3)]
    path = tmp_path / f"x.{ending}"
    write_animation(path, frames, Timing(DURATIONS), WriteOptions(provenance="PatchScaler 1", lossless=True))
    with Image.open(path) as image:
        assert image.info["icc_profile"] == P3_PROFILE
        assert image.getexif()[305] == "PatchScaler 1"


def test_wide_gamut_frames_become_srgb_in_a_gif(tmp_path: Path) -> None:
    frames = [
        Picture(np.full((8, 8, 3), c, np.uint8), metadata=Metadata(icc_profile=P3_PROFILE))
        for c in [(234, 51, 35), (0, 0, 0)]
    ]
    notes = write_animation(tmp_path / "x.gif", frames, Timing((100, 100)))
    first = next(read_animation(tmp_path / "x.gif").frames())
    assert np.abs(first.pixels[0, 0].astype(int) - (255, 0, 0)).max() <= 1
    assert "sRGB" in notes[0]


@pytest.mark.parametrize("ending", ["jpg", "tif", "avif", "bmp", "txt"])
def test_format_without_animations_is_refused(tmp_path: Path, ending: str) -> None:
    frame = Picture(np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(UsageError, match=r"no format for an animation; give it one of \.png, \.apng, \.webp, \.gif"):
        write_animation(tmp_path / f"x.{ending}", [frame, frame], Timing((10, 10)))


def test_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def save_nothing(*words: object, **options: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", save_nothing)
    frame = Picture(np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(PatchScalerError, match="No space left"):
        write_animation(tmp_path / "x.png", [frame, frame], Timing((10, 10)))
    assert list(tmp_path.iterdir()) == []
