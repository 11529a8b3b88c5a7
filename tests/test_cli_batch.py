"""`patchscaler upscale` with many pictures: all of it done, nothing lost, nothing else touched."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from patchscaler_cli.images.replacing import replacing
from tests.fake_upscaler import FakeUpscaler, RunCli

pytestmark = pytest.mark.usefixtures("fake_upscaler")


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Three pictures, one of them in a folder inside, and things that are no pictures."""
    folder = tmp_path / "album"
    for name in ("a.png", "b.jpg", "deep/ü ß.webp", ".hidden.png", ".thumbs/a.png", "deep/@eaDir/x.png"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 16), (200, 100, 50)).save(path)
    (folder / "notes.txt").write_text("no picture")
    return folder


def _tree(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_folder_goes_into_a_folder_beside_it(run_cli: RunCli, album: Path) -> None:
    result = run_cli("upscale", album)
    assert result.exit_code == 0, result.output
    assert _tree(album.with_name("album_upscaled")) == ["a.png", "b.png"]
    assert "2 done, 0 skipped, 0 failed, 2 other files passed over" in result.stdout


def test_recursive_keeps_the_tree(run_cli: RunCli, album: Path, tmp_path: Path) -> None:
    assert run_cli("upscale", album, "--recursive", "-o", tmp_path / "out").exit_code == 0
    assert _tree(tmp_path / "out") == ["a.png", "b.png", "deep/ü ß.png"]


def test_several_files_and_a_pattern_go_into_one_folder(run_cli: RunCli, album: Path, tmp_path: Path) -> None:
    result = run_cli("upscale", album / "a.png", album / "*.jpg", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert _tree(tmp_path / "out") == ["a.png", "b.png"]


def test_several_files_without_an_output_go_beside_themselves(run_cli: RunCli, album: Path) -> None:
    assert run_cli("upscale", album / "a.png", album / "b.jpg", "--scale", "2").exit_code == 0
    assert {"a_x2.png", "b_x2.png"} <= set(_tree(album))


def test_one_file_goes_into_an_existing_folder_under_its_name(run_cli: RunCli, album: Path, tmp_path: Path) -> None:
    assert run_cli("upscale", album / "b.jpg", "-o", tmp_path).exit_code == 0
    assert (tmp_path / "b.png").exists()


def test_a_second_run_goes_on_where_the_first_stopped(run_cli: RunCli, album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_cli("upscale", album, "-o", out)
    before = (out / "a.png").stat().st_mtime_ns
    (out / "b.png").unlink()
    result = run_cli("upscale", album, "-o", out)
    assert "1 done, 1 skipped, 0 failed" in result.stdout
    assert (out / "a.png").stat().st_mtime_ns == before
    assert _tree(out) == ["a.png", "b.png"]


def test_overwrite_does_all_again(run_cli: RunCli, album: Path, tmp_path: Path) -> None:
    run_cli("upscale", album, "-o", tmp_path / "out")
    assert "2 done, 0 skipped" in run_cli("upscale", album, "-o", tmp_path / "out", "--overwrite").stdout


def test_one_bad_file_is_named_and_the_others_go_on(run_cli: RunCli, album: Path, tmp_path: Path) -> None:
    (album / "aa.png").write_bytes(b"no picture at all")
    result = run_cli("upscale", album, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "2 done, 0 skipped, 1 failed" in result.stdout
    assert "aa.png" in result.stderr
    assert _tree(tmp_path / "out") == ["a.png", "b.png"]


def test_a_picture_on_which_the_network_fails_does_not_stop_the_others(
    run_cli: RunCli, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeUpscaler, "raises", MemoryError())
    result = run_cli("upscale", album, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "0 done, 0 skipped, 2 failed" in result.stdout
    assert result.stderr.count("The memory is not enough") == 2


def test_two_pictures_for_one_output_are_refused_before_the_work(run_cli: RunCli, album: Path, tmp_path: Path) -> None:
    shutil.copy(album / "a.png", album / "a.bmp")
    result = run_cli("upscale", album, "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert "would both be written to" in " ".join(result.stderr.split())
    assert not (tmp_path / "out").exists()


def test_an_output_that_is_anothers_input_is_refused(run_cli: RunCli, tmp_path: Path) -> None:
    for name in ("a.png", "a_x4.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    result = run_cli("upscale", tmp_path / "a.png", tmp_path / "a_x4.png")
    assert result.exit_code == 2
    assert "written over the input" in " ".join(result.stderr.split())


def test_outputs_inside_the_input_folder_are_not_taken_for_inputs(run_cli: RunCli, album: Path) -> None:
    run_cli("upscale", album, "-r", "-o", album / "large")
    result = run_cli("upscale", album, "-r", "-o", album / "large")
    assert "0 done, 3 skipped, 0 failed" in result.stdout


@pytest.mark.parametrize("what", ["empty folder", "pattern", "file as output"])
def test_a_batch_that_cannot_be_is_refused(run_cli: RunCli, album: Path, tmp_path: Path, what: str) -> None:
    (tmp_path / "empty").mkdir()
    refusals: dict[str, tuple[list[object], int, str]] = {
        "empty folder": ([tmp_path / "empty"], 1, "holds no pictures"),
        "pattern": ([tmp_path / "*.tiff"], 1, "No file matches"),
        "file as output": ([album, "-o", album / "notes.txt"], 2, "give a folder"),
    }
    words, code, sentence = refusals[what]
    result = run_cli("upscale", *words)
    assert result.exit_code == code
    assert sentence in " ".join(result.stderr.split())


def test_json_of_a_batch_is_one_object_with_every_picture(run_cli: RunCli, album: Path, tmp_path: Path) -> None:
    (album / "bad.png").write_bytes(b"")
    result = run_cli("upscale", album, "-o", tmp_path / "out", "--json")
    report = json.loads(result.stdout)
    assert [Path(file["input"]).name for file in report["files"]] == ["a.png", "b.jpg", "bad.png"]
    assert (report["done"], report["failed"], report["passed_over"]) == (2, 1, 2)
    assert "error" in report["files"][2]


def test_json_lines_are_one_object_a_picture(run_cli: RunCli, album: Path, tmp_path: Path) -> None:
    result = run_cli("upscale", album, "-o", tmp_path / "out", "--json-lines")
    assert [Path(json.loads(line)["output"]).name for line in result.stdout.splitlines()] == ["a.png", "b.png"]


def test_a_dry_run_writes_nothing(run_cli: RunCli, album: Path, tmp_path: Path) -> None:
    result = run_cli("upscale", album, "-o", tmp_path / "out", "--dry-run")
    assert result.exit_code == 0
    assert result.stdout.count("nothing was written") == 2
    assert not (tmp_path / "out").exists()


def test_confidence_maps_of_a_batch_go_into_a_folder(run_cli: RunCli, album: Path, tmp_path: Path) -> None:
    result = run_cli("upscale", album, "-r", "-o", tmp_path / "out", "--save-confidence", tmp_path / "sure")
    assert result.exit_code == 0, result.output
    assert _tree(tmp_path / "sure") == ["a.png", "b.png", "deep/ü ß.png"]


def test_the_inputs_stay_as_they_were(run_cli: RunCli, album: Path, tmp_path: Path) -> None:
    before = {name: (album / name).read_bytes() for name in _tree(album)}
    run_cli("upscale", album, "-r", "-o", tmp_path / "out")
    assert {name: (album / name).read_bytes() for name in _tree(album)} == before


def test_what_a_killed_run_left_is_cleared_up_and_what_a_running_one_writes_is_not(
    run_cli: RunCli, album: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    litter = out / ".patchscaler-00ff.part"
    litter.write_bytes(b"half a picture")
    with replacing(out / "other.png") as file:
        file.write(b"of another run")
        assert run_cli("upscale", album, "-o", out).exit_code == 0
        assert not litter.exists()
        assert Path(file.name).exists()
    assert (out / "other.png").read_bytes() == b"of another run"


def test_a_dry_run_clears_nothing_up(run_cli: RunCli, album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / ".patchscaler-00ff.part").write_bytes(b"half a picture")
    run_cli("upscale", album, "-o", out, "--dry-run")
    assert _tree(out) == [".patchscaler-00ff.part"]
