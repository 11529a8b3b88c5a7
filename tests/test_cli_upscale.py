"""`patchscaler upscale` where it works: what it writes, what it says, what it passes on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from patchscaler_cli.pipeline.settings import UpscaleSettings
from tests.fake_upscaler import FakeUpscaler, RunCli

pytestmark = pytest.mark.usefixtures("fake_upscaler")


@pytest.fixture
def photo(tmp_path: Path, chelsea: Path) -> Path:
    """The cat, 160x128, in an otherwise empty folder."""
    return Path(shutil.copy(chelsea, tmp_path / "cat.png"))


@pytest.mark.parametrize(
    ("words", "name", "size"),
    [
        ((), "cat_x4.png", (640, 512)),
        (("--scale", "2"), "cat_x2.png", (320, 256)),
        (("--scale", "2.5"), "cat_x2.5.png", (400, 320)),
        (("--width", "800"), "cat_800x640.png", (800, 640)),
        (("--height", "200"), "cat_250x200.png", (250, 200)),
        (("--long-edge", "320"), "cat_320x256.png", (320, 256)),
        (("--width", "300", "--height", "300"), "cat_300x300.png", (300, 300)),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) and value and isinstance(value[0], str) else None,
)
def test_default_output(run_cli: RunCli, photo: Path, words: tuple[str, ...], name: str, size: tuple[int, int]) -> None:
    assert run_cli("upscale", photo, *words).exit_code == 0
    assert sorted(path.name for path in photo.parent.iterdir()) == sorted(["cat.png", name])
    with Image.open(photo.with_name(name)) as image:
        assert image.size == size


def test_input_stays_as_it_was(run_cli: RunCli, photo: Path, chelsea: Path) -> None:
    run_cli("upscale", photo)
    assert photo.read_bytes() == chelsea.read_bytes()


def test_output_in_the_named_format(run_cli: RunCli, photo: Path) -> None:
    output = photo.parent / "big.JPEG"
    assert run_cli("upscale", photo, "--output", output).exit_code == 0
    with Image.open(output) as image:
        assert image.format == "JPEG"


def test_overwrite_replaces_the_output(run_cli: RunCli, photo: Path) -> None:
    output = photo.with_name("cat_x4.png")
    output.write_bytes(b"old")
    assert run_cli("upscale", photo, "--overwrite").exit_code == 0
    with Image.open(output) as image:
        assert image.size == (640, 512)


def test_every_option_reaches_the_pipeline(run_cli: RunCli, photo: Path) -> None:
    words = (
        "--scale 3 --preset best --steps 5 --groups 2 --fidelity 0.25 --coarse-only --ensemble --no-texture --tile 64 "
        "--batch-size 7 --seed 9 --device cpu --dtype fp32 --weights own.safetensors"
    )
    assert run_cli("upscale", photo, *words.split()).exit_code == 0
    assert FakeUpscaler.asked == [
        UpscaleSettings(
            scale=3,
            preset="best",
            steps=5,
            groups=2,
            fidelity=0.25,
            coarse_only=True,
            ensemble=True,
            texture=False,
            tile=64,
            batch_size=7,
            seed=9,
        )
    ]
    own = {"model": None, "weights": Path("own.safetensors"), "device": "cpu", "dtype": "fp32", "may_download": True}
    assert FakeUpscaler.loads == [own]


def test_offline_forbids_downloads(run_cli: RunCli, photo: Path) -> None:
    run_cli("upscale", photo, "--offline")
    assert FakeUpscaler.loads[0]["may_download"] is False


def test_model_name_reaches_the_pipeline(run_cli: RunCli, photo: Path) -> None:
    run_cli("upscale", photo, "--model", "tiny")
    assert FakeUpscaler.loads[0]["model"] == "tiny"


def test_no_options_mean_the_pipelines_own_defaults(run_cli: RunCli, photo: Path) -> None:
    run_cli("upscale", photo)
    assert FakeUpscaler.asked == [UpscaleSettings()]
    defaults = {"model": None, "weights": None, "device": "auto", "dtype": "auto", "may_download": True}
    assert FakeUpscaler.loads == [defaults]


def test_confidence_map_is_grey_at_input_size(run_cli: RunCli, photo: Path) -> None:
    output = photo.parent / "map.png"
    assert run_cli("upscale", photo, "--save-confidence", output).exit_code == 0
    with Image.open(output) as image:
        assert (image.mode, image.size) == ("L", (160, 128))
        assert np.unique(np.asarray(image)).tolist() == [128]  # 0.5


def test_transparent_picture_as_jpeg_warns(run_cli: RunCli, tmp_path: Path) -> None:
    photo = tmp_path / "clear.png"
    Image.new("RGBA", (20, 20)).save(photo)
    result = run_cli("upscale", photo, "-o", tmp_path / "clear.jpg")
    assert result.exit_code == 0
    assert "Warning: JPEG has no transparency" in result.stderr


# ---- what it says ---------------------------------------------------------------------------------------------------


def test_people_read_where_the_result_is_and_what_it_took(run_cli: RunCli, photo: Path) -> None:
    result = run_cli("upscale", photo)
    assert f"{photo.with_name('cat_x4.png')}: 640x512 from 160x128 (x4)" in result.stdout
    assert "fake on cpu in fp32" in result.stdout
    assert "30 patches, 40 network evaluations" in result.stdout


def test_notices_and_progress_go_to_stderr(run_cli: RunCli, photo: Path) -> None:
    result = run_cli("upscale", photo)
    assert "Warning: fp16 is not computed on a CPU" in result.stderr
    assert "coarse: 1 tiles" in result.stderr
    assert "Warning" not in result.stdout


def test_json_is_one_object_and_nothing_else_on_stdout(run_cli: RunCli, photo: Path) -> None:
    report = json.loads(run_cli("upscale", photo, "--json", "--seed", "3").stdout)
    seconds, stages = report.pop("seconds"), report.pop("stages")
    assert report == {
        "input": str(photo),
        "output": str(photo.with_name("cat_x4.png")),
        "width": 640,
        "height": 512,
        "scale": 4.0,
        "model": "fake",
        "device": "cpu",
        "dtype": "fp32",
        "seed": 3,
        "patches": 30,
        "network_evaluations": 40,
        "groups": [{"sigma": 0.05, "steps": 1, "patches": 20}, {"sigma": 0.2, "steps": 2, "patches": 10}],
    }
    assert set(stages) == {"read", "load", "coarse", "diffuse", "write"}
    assert seconds > 0


def test_json_gives_the_scale_that_a_size_comes_to(run_cli: RunCli, photo: Path) -> None:
    assert json.loads(run_cli("upscale", photo, "--json", "--width", "400").stdout)["scale"] == 2.5


def test_quiet_says_nothing(run_cli: RunCli, photo: Path) -> None:
    result = run_cli("upscale", photo, "--quiet")
    assert (result.exit_code, result.output) == (0, "")
    assert photo.with_name("cat_x4.png").exists()


def test_quiet_json_is_json_alone(run_cli: RunCli, photo: Path) -> None:
    result = run_cli("upscale", photo, "--quiet", "--json")
    assert json.loads(result.stdout)["width"] == 640
    assert result.stderr == ""


def test_dry_run_writes_nothing(run_cli: RunCli, photo: Path) -> None:
    result = run_cli("upscale", photo, "--dry-run", "--save-confidence", photo.parent / "map.png")
    assert result.exit_code == 0
    assert "640x512" in result.stdout
    assert "1 pass of the x4 network, 2 tiles, 30 patches, at most 60 network evaluations" in result.stdout
    assert "100 MiB" in result.stdout
    assert list(photo.parent.iterdir()) == [photo]


def test_dry_run_as_json(run_cli: RunCli, photo: Path) -> None:
    report = json.loads(run_cli("upscale", photo, "--dry-run", "--json").stdout)
    wanted = {"dry_run": True, "width": 640, "height": 512, "passes": 1, "tiles": 2, "patches": 30}
    assert report | wanted == report
    assert report["memory_bytes"] == 100 * 2**20
    assert list(photo.parent.iterdir()) == [photo]


@pytest.mark.parametrize(("name", "ending"), [("webp", ".webp"), ("jpeg", ".jpg"), ("tiff", ".tif"), ("avif", ".avif")])
def test_format_decides_the_ending(run_cli: RunCli, photo: Path, name: str, ending: str) -> None:
    assert run_cli("upscale", photo, "--format", name).exit_code == 0
    assert photo.with_name(f"cat_x4{ending}").exists()


def test_suffix_names_the_output(run_cli: RunCli, photo: Path) -> None:
    assert run_cli("upscale", photo, "--suffix", "-large", "--width", "320").exit_code == 0
    assert photo.with_name("cat-large.png").exists()


def test_quality_decides_the_size(run_cli: RunCli, photo: Path) -> None:
    sizes = []
    for quality in (30, 95):
        output = photo.with_name(f"q{quality}.jpg")
        assert run_cli("upscale", photo, "-o", output, "--quality", quality).exit_code == 0
        sizes.append(output.stat().st_size)
    assert sizes[0] < sizes[1] / 2


def test_a_quality_for_png_is_refused_before_the_model_is_loaded(run_cli: RunCli, photo: Path) -> None:
    result = run_cli("upscale", photo, "--quality", 90)
    assert result.exit_code == 2
    assert "PNG has no quality to choose" in " ".join(result.stderr.split())
    assert FakeUpscaler.loads == []


def test_background_shows_where_jpeg_has_no_transparency(run_cli: RunCli, tmp_path: Path) -> None:
    Image.new("RGBA", (16, 16), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    run_cli("upscale", tmp_path / "clear.png", "-o", tmp_path / "out.jpg", "--background", "#ff0000")
    with Image.open(tmp_path / "out.jpg") as image:
        red, green, blue = image.convert("RGB").getpixel((20, 20))  # type: ignore[misc]
    assert red > 245
    assert max(green, blue) < 10


def test_the_file_tells_how_it_was_made(run_cli: RunCli, photo: Path) -> None:
    run_cli("upscale", photo, "--seed", "7")
    with Image.open(photo.with_name("cat_x4.png")) as image:
        note = str(image.getexif()[0x0131])
    assert note.startswith("PatchScaler ")
    assert all(
        word in note
        for word in ("model fake", "640x512 from 160x128", "preset balanced", "fidelity 0.25", "2 steps", "seed 7")
    )
