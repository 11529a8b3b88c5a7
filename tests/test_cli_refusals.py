"""What `patchscaler upscale` refuses: one sentence, the right exit code, nothing touched, no model loaded."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import Result

from tests.fake_upscaler import FakeUpscaler, RunCli
from tests.plain_png import claiming_png

Make = Callable[[Path], Path]
"""Makes a bad input in a folder and says where it is."""

pytestmark = pytest.mark.usefixtures("fake_upscaler")
not_as_root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read and write all")


@pytest.fixture
def photo(tmp_path: Path, chelsea: Path) -> Path:
    """The cat in a folder of its own."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    return Path(shutil.copy(chelsea, folder / "cat.png"))


def assert_refused(result: Result, exit_code: int, *words: str) -> None:
    """One sentence on stderr with all `words`, nothing on stdout, and no model was loaded."""
    assert result.exit_code == exit_code, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("Error: ")
    assert result.stderr.endswith(".\n")
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.stderr
    assert "bug in PatchScaler" not in result.stderr
    for word in words:
        assert word in result.stderr
    assert FakeUpscaler.loads == []


def contents(folder: Path) -> dict[Path, bytes | None]:
    """Everything below a folder, with the files' bytes."""
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


# ---- bad inputs -----------------------------------------------------------------------------------------------------


def noise() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8))


def cut_short(name: str, share: float) -> Make:
    """A file of which only the first part is there."""

    def make(folder: Path) -> Path:
        path = folder / name
        noise().save(path)
        whole = path.read_bytes()
        path.write_bytes(whole[: int(len(whole) * share)])
        return path

    return make


def holding(name: str, data: bytes) -> Make:
    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(data)
        return path

    return make


def folder_named_like_a_picture(folder: Path) -> Path:
    path = folder / "folder.png"
    path.mkdir()
    return path


def float_tiff(folder: Path) -> Path:
    path = folder / "float.tif"
    Image.fromarray(np.zeros((4, 4), np.float32)).save(path)
    return path


@pytest.mark.parametrize(
    ("make", "word"),
    [
        pytest.param(lambda folder: folder / "missing.png", "no file", id="missing"),
        pytest.param(folder_named_like_a_picture, "folder", id="folder"),
        pytest.param(holding("empty.png", b""), "empty", id="empty"),
        pytest.param(cut_short("cut.png", 0.5), "cut short", id="cut PNG"),
        pytest.param(cut_short("cut.png", 0.97), "cut short", id="PNG cut near its end"),
        pytest.param(cut_short("cut.jpg", 0.5), "cut short", id="cut JPEG"),
        pytest.param(cut_short("cut.jpg", 0.02), "damaged", id="JPEG cut in its header"),
        pytest.param(cut_short("cut.webp", 0.5), "damaged", id="cut WebP"),
        pytest.param(cut_short("cut.tif", 0.5), "damaged", id="cut TIFF"),
        pytest.param(cut_short("cut.bmp", 0.5), "cut short", id="cut BMP"),
        pytest.param(cut_short("cut.avif", 0.9), "damaged", id="cut AVIF"),
        pytest.param(holding("notes.png", b"Milk, bread, apples.\n" * 40), "not a picture", id="text named .png"),
        pytest.param(holding("none.png", claiming_png(0, 5)), "no pixels", id="no pixels"),
        pytest.param(holding("bomb.png", claiming_png(10000, 10000)), "100,000,000 pixels", id="bomb"),
        pytest.param(holding("bomb.png", claiming_png(50000, 50000)), "2,500,000,000 pixels", id="large bomb"),
        pytest.param(float_tiff, "32 bits", id="float TIFF"),
    ],
)
def test_bad_input(run_cli: RunCli, tmp_path: Path, make: Make, word: str) -> None:
    path = make(tmp_path)
    before = contents(tmp_path)
    assert_refused(run_cli("upscale", path), 1, str(path), word)
    assert contents(tmp_path) == before


@not_as_root
def test_input_that_may_not_be_read(run_cli: RunCli, photo: Path) -> None:
    photo.chmod(0)
    assert_refused(run_cli("upscale", photo), 1, str(photo), "may read it")


# ---- bad outputs ----------------------------------------------------------------------------------------------------


def test_missing_output_folder(run_cli: RunCli, photo: Path) -> None:
    folder = photo.parent / "no" / "such"
    assert_refused(run_cli("upscale", photo, "-o", folder / "x.png"), 1, str(folder), "does not exist")
    assert not folder.exists()


@not_as_root
def test_output_folder_that_may_not_be_written_to(run_cli: RunCli, photo: Path) -> None:
    photo.parent.chmod(0o555)
    assert_refused(run_cli("upscale", photo), 1, str(photo.parent), "may not be written to")


def test_output_folder_that_may_not_be_written_to_even_for_root(
    run_cli: RunCli, photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert_refused(run_cli("upscale", photo), 1, str(photo.parent), "may not be written to")


@pytest.mark.parametrize("name", ["out.gif", "out.txt", "out", "out.png.bak"])
def test_unknown_output_ending(run_cli: RunCli, photo: Path, name: str) -> None:
    output = photo.parent / name
    assert_refused(run_cli("upscale", photo, "-o", output), 2, str(output), ".png", ".avif")


@pytest.mark.parametrize("spelling", ["same", "dots", "symbolic link", "hard link"])
def test_output_is_the_input(run_cli: RunCli, photo: Path, spelling: str) -> None:
    link = photo.parent / "link.png"
    if spelling == "symbolic link":
        link.symlink_to(photo)
    elif spelling == "hard link":
        link.hardlink_to(photo)
    output = {"same": photo, "dots": photo.parent / ".." / photo.parent.name / photo.name}.get(spelling, link)
    before = contents(photo.parent)
    assert_refused(run_cli("upscale", photo, "-o", output, "--overwrite"), 2, "is the input itself")
    assert contents(photo.parent) == before


def test_existing_output_without_overwrite(run_cli: RunCli, photo: Path) -> None:
    output = photo.with_name("cat_x4.png")
    output.write_bytes(b"mine")
    assert_refused(run_cli("upscale", photo), 1, str(output), "exists already", "--overwrite")
    assert output.read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("ending", "limit", "length"), [("jpg", 65500, 4200), ("webp", 16383, 1100), ("avif", 32768, 2100)]
)
def test_too_large_for_the_output_format(run_cli: RunCli, tmp_path: Path, ending: str, limit: int, length: int) -> None:
    photo = tmp_path / "strip.png"
    Image.new("L", (length, 1)).save(photo)
    output = tmp_path / f"out.{ending}"
    result = run_cli("upscale", photo, "--scale", "16", "-o", output)
    assert_refused(result, 1, str(output), f"{length * 16}x16", str(limit))


def test_confidence_map_in_the_output_file(run_cli: RunCli, photo: Path) -> None:
    output = photo.parent / "x.png"
    result = run_cli("upscale", photo, "-o", output, "--save-confidence", photo.parent / "." / "x.png")
    assert_refused(result, 2, "--save-confidence", str(output))


def test_confidence_map_with_unknown_ending(run_cli: RunCli, photo: Path) -> None:
    assert_refused(run_cli("upscale", photo, "--save-confidence", "map.dat"), 2, "map.dat")


def test_confidence_map_over_an_existing_file(run_cli: RunCli, photo: Path) -> None:
    existing = photo.parent / "map.png"
    existing.write_bytes(b"mine")
    assert_refused(run_cli("upscale", photo, "--save-confidence", existing), 1, str(existing), "--overwrite")


# ---- bad options ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        ("--scale", "nan"), ("--scale", "inf"), ("--scale", "0.5"), ("--scale", "17"), ("--scale", "-2"),
        ("--steps", "0"), ("--steps", "1001"), ("--groups", "0"), ("--fidelity", "1.5"), ("--fidelity", "-0.6"), ("--fidelity", "nan"),
        ("--tile", "8"), ("--batch-size", "0"), ("--seed", "-1"), ("--width", "0"),
        ("--scale", "2", "--width", "300"), ("--height", "300", "--long-edge", "300"),
        ("--device", "gpu"), ("--device", "cuda:x"),
        ("--model", "tiny", "--weights", "own.safetensors"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_option_that_makes_no_sense(run_cli: RunCli, photo: Path, words: tuple[str, ...]) -> None:
    assert_refused(run_cli("upscale", photo, *words), 2, words[0].split("=")[0])


def test_options_are_refused_before_the_input_is_looked_at(run_cli: RunCli) -> None:
    assert_refused(run_cli("upscale", "missing.png", "--steps", "0"), 2, "--steps")


def test_input_is_refused_before_the_output(run_cli: RunCli) -> None:
    assert_refused(run_cli("upscale", "missing.png", "-o", "out.gif"), 1, "missing.png")


@pytest.mark.parametrize("words", [("--long-edge", "100"), ("--width", "159"), ("--height", "2049")], ids=" ".join)
def test_size_out_of_reach_of_this_input(run_cli: RunCli, photo: Path, words: tuple[str, ...]) -> None:
    assert_refused(run_cli("upscale", photo, *words), 2, "160x128")


@pytest.mark.parametrize("words", [("--dtype", "int8"), ("--steps", "many"), ("--sharpen",)], ids=" ".join)
def test_words_that_do_not_parse(run_cli: RunCli, photo: Path, words: tuple[str, ...]) -> None:
    result = run_cli("upscale", photo, *words)
    assert result.exit_code == 2
    assert words[0] in result.stderr
    assert result.stdout == ""
    assert FakeUpscaler.loads == []
