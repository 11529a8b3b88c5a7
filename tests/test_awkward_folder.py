"""A folder of everything: every good file right, every bad one named, none lost, nothing else touched."""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageOps
from typer.testing import Result

from patchscaler_cli.images.formats import Mode
from patchscaler_cli.images.reading import read_picture
from patchscaler_cli.pipeline.upscaler import Upscaler
from tests.awkward_folder import LONG, Good, bad_files, good_files, other_files
from tests.fake_upscaler import RunCli
from tests.image_samples import ramp
from tests.small_model import small_upscaler

GOOD, BAD, OTHER = good_files(), bad_files(), other_files()
Samples = npt.NDArray[Any]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The folder, with a link to a good picture and one to a folder, and a folder that may not be written to."""
    folder = tmp_path / "everything"
    folder.mkdir()
    for name, make in ({name: good.make for name, good in GOOD.items()} | BAD | OTHER).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        make(path)
    (folder / "link to a picture.png").symlink_to("sprite.png")
    (folder / "link to a folder").symlink_to("deep")
    (folder / "read only").chmod(0o555)
    yield folder
    (folder / "read only").chmod(0o755)


def state(folder: Path) -> dict[str, tuple[Any, ...]]:
    """Everything below a folder: what it is, when it was changed, and the hash of what is in it."""
    found: dict[str, tuple[Any, ...]] = {}
    for path in sorted(folder.rglob("*")):
        about = path.lstat()
        holds = os.readlink(path) if path.is_symlink() else ""
        if stat.S_ISREG(about.st_mode):
            holds = hashlib.sha256(path.read_bytes()).hexdigest()
        found[str(path.relative_to(folder))] = (about.st_mode, about.st_size, about.st_mtime_ns, holds)
    return found


def everything() -> dict[str, Good]:
    return GOOD | {"link to a picture.png": GOOD["sprite.png"]}


def output_of(name: str) -> str:
    """An animation stays in its format, the rest becomes PNG."""
    path = Path(name)
    return str(path if path.stem.startswith("moving") else path.with_suffix(".png"))


def assert_all_named(result: Result, out: Path) -> None:
    """Good and bad files are counted and reported, each good one has an output and nothing else is there."""
    assert result.exit_code == 1, result.output
    assert result.stdout, result.stderr
    report = json.loads(result.stdout)
    assert (report["done"], report["failed"], report["skipped"]) == (len(everything()), len(BAD), 0)
    assert report["passed_over"] == len(OTHER)
    failed = {Path(file["input"]).name for file in report["files"] if "error" in file}
    assert failed == set(BAD)
    for file in report["files"]:
        if "error" in file:
            assert Path(file["input"]).name in file["error"], "the sentence names the file"
            assert "bug in PatchScaler" not in file["error"]
            assert file["error"] in result.stderr
    written = {str(path.relative_to(out)) for path in out.rglob("*") if not path.is_dir()}
    assert written == {output_of(name) for name in everything()}


def test_the_folder_is_awkward_enough() -> None:
    assert len(GOOD) + len(BAD) >= 60


@pytest.mark.usefixtures("fake_upscaler")
def test_every_good_file_is_right_every_bad_one_named_and_nothing_else_touched(
    run_cli: RunCli, folder: Path, tmp_path: Path
) -> None:
    before, out = state(folder), tmp_path / "out"
    result = run_cli("upscale", folder, "-r", "-o", out, "--json")
    assert state(folder) == before
    assert_all_named(result, out)
    for name, good in everything().items():
        assert_right(folder / name, out / output_of(name), good)


def test_the_network_takes_every_size_and_depth(
    run_cli: RunCli, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Upscaler, "from_pretrained", lambda *names, **words: small_upscaler())
    out = tmp_path / "out"
    result = run_cli("upscale", folder, "-r", "-o", out, "--json", "--coarse-only", "--scale", "2")
    assert_all_named(result, out)
    for name, good in everything().items():
        with Image.open(out / output_of(name)) as image, Image.open(folder / name) as source:
            width, height = ImageOps.exif_transpose(source).size
            assert image.size == (2 * width, 2 * height)
        assert mode_of(out / output_of(name)) == good.mode
    again = run_cli("upscale", folder, "-r", "-o", out, "--json", "--coarse-only", "--scale", "2")
    report = json.loads(again.stdout)
    assert (report["done"], report["failed"], report["skipped"]) == (0, len(BAD), len(everything()))


def mode_of(path: Path) -> Mode:
    return read_picture(path, first_frame=True).mode


def assert_right(source: Path, output: Path, good: Good) -> None:
    """The output shows the input, upright, four times as large, in the right mode."""
    picture = read_picture(output, first_frame=True)
    assert picture.mode == good.mode, source.name
    own = picture.as_in_file()
    wanted, opacity = shown(source, good)
    assert (picture.height, picture.width) == (wanted.shape[0] * 4, wanted.shape[1] * 4), source.name
    pixels = own.pixels[2::4, 2::4].astype(int)
    unit = 257 if own.pixels.dtype == np.uint16 else 1
    if opacity is None:
        assert own.alpha is None, source.name
        seen = np.ones(wanted.shape[:2], bool)
    else:
        assert own.alpha is not None, source.name
        assert np.abs(own.alpha[2::4, 2::4].astype(int) - opacity).max() <= 32 * unit, source.name  # its edges are soft
        seen = opacity > 0
    assert np.abs(pixels - wanted)[seen].max() <= good.tolerance * unit, source.name


def shown(source: Path, good: Good) -> tuple[Samples, Samples | None]:
    """What a file shows, as Pillow sees it or, where it has more than 8 bits, as it was made: colour or grey, and alpha."""
    if good.mode.endswith("16"):
        made = ramp(source.name.split(" as ")[0])  # type: ignore[arg-type]
        pixels = made.pixels.astype(int)
        if pixels.ndim == 2 and good.mode.startswith("RGB"):
            pixels = np.repeat(pixels[..., None], 3, 2)
        return pixels, None if made.alpha is None else made.alpha.astype(int)
    with Image.open(source) as image:
        upright = ImageOps.exif_transpose(image)
        whole = np.asarray(upright.convert("RGBA" if good.mode.startswith("RGB") else "LA")).astype(int)
    colours = whole[..., :3] if good.mode.startswith("RGB") else whole[..., 0]
    return colours, whole[..., -1] if "A" in good.mode else None


@pytest.mark.usefixtures("fake_upscaler")
def test_names_that_no_terminal_can_show_do_not_stop_the_work(run_cli: RunCli, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    name = os.fsdecode(b"caf\xe9.png")
    GOOD["one pixel.png"].make(folder / name)
    (folder / os.fsdecode(b"caf\xea.png")).write_bytes(b"")
    result = run_cli("upscale", folder, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "1 done, 0 skipped, 1 failed" in result.stdout
    assert os.listdir(tmp_path / "out") == [name]


@pytest.mark.usefixtures("fake_upscaler")
def test_a_name_that_becomes_too_long_is_refused_and_the_others_go_on(run_cli: RunCli, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name in (f"{LONG}.jpg", "short.jpg"):
        GOOD["ENDING.JPG"].make(folder / name)
    result = run_cli("upscale", folder, "-o", tmp_path / "out", "--suffix", "_large")
    assert result.exit_code == 1
    assert "is too long for this disk" in result.stderr
    assert os.listdir(tmp_path / "out") == ["short_large.png"]


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.usefixtures("fake_upscaler")
def test_a_folder_that_may_not_be_written_to_is_named_and_the_others_go_on(run_cli: RunCli, tmp_path: Path) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    for path in (folder / "a.png", folder / "closed" / "b.png"):
        path.parent.mkdir(parents=True, exist_ok=True)
        GOOD["one pixel.png"].make(path)
    (out / "closed").mkdir(parents=True)
    (out / "closed").chmod(0o555)
    result = run_cli("upscale", folder, "-r", "-o", out)
    assert result.exit_code == 1
    assert "closed may not be written to" in result.stderr
    assert [path.name for path in out.rglob("*.png")] == ["a.png"]
