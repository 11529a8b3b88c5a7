"""Memory and disk: what a picture takes grows with its own pixels, and what has no room is refused before the work."""

from __future__ import annotations

import errno
import os
import platform
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from patchscaler_cli.engines.inputs import Work
from patchscaler_cli.engines.local import run_local
from patchscaler_cli.engines.orders import Orders
from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.evaluation.memory import Kind, picture_of_size, watch
from patchscaler_cli.images.reading import read_picture
from patchscaler_cli.images.writing import check_output, write_picture
from patchscaler_cli.pipeline import bands, canvas
from patchscaler_cli.pipeline.settings import NoProgress, UpscaleSettings
from patchscaler_cli.pipeline.upscaler import Upscaler
from patchscaler_cli.tiling.rows import RowWindow
from tests.fake_upscaler import FakeUpscaler, RunCli
from tests.small_model import small_upscaler


def most_traced(work: Callable[[], object]) -> int:
    """Most bytes of numpy's and Python's that some work has at a time, what it leaves included."""
    tracemalloc.start()
    try:
        kept = work()
        peak = tracemalloc.get_traced_memory()[1]
        del kept
    finally:
        tracemalloc.stop()
    return peak


# ---- what freed tensors leave behind ---------------------------------------------------------------------------------

FREED_BLOCKS = """
import re
import sys
from pathlib import Path
import numpy as np
from patchscaler_cli.pipeline.host_memory import return_freed_memory

np.ones(2**25 - 2**16, np.uint8)  # teaches glibc to keep blocks of this size in its heap
blocks = [np.ones(2**24, np.uint8) for _ in range(20)]
last = blocks.pop()
del blocks
if sys.argv[1] == "returned":
    return_freed_memory()
print(re.search(r"RssAnon:\\s+(\\d+)", Path("/proc/self/status").read_text()).group(1))
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries keep other blocks")
def test_freed_memory_goes_back_to_the_system() -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}

    def kept(how: str) -> int:
        command = [sys.executable, "-c", FREED_BLOCKS, how]
        return int(subprocess.run(command, env=clean, capture_output=True, text=True, check=True).stdout)

    assert kept("returned") < kept("as ever") - 250 * 1024


# ---- what grows with a picture ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("coarse_only", [True, False])
def test_a_taller_picture_takes_only_its_own_pixels_more(monkeypatch: pytest.MonkeyPatch, coarse_only: bool) -> None:
    """In float, the coarse image alone would be 12 bytes for each pixel of the result."""
    monkeypatch.setattr(bands, "BAND_PIXELS", 2**13)
    upscaler, settings = small_upscaler(), UpscaleSettings(coarse_only=coarse_only, tile=16)
    low, high = (np.full((height, 48, 3), 90, np.uint8) for height in (96, 320))
    upscaler.upscale(low, settings)  # what is made once
    peaks = [most_traced(lambda p=p: upscaler.upscale(p, settings, keep_coarse=False)) for p in (low, high)]  # type: ignore[misc]
    assert (peaks[1] - peaks[0]) / ((high.size - low.size) / 3 * 16) < 4


@pytest.mark.parametrize("kind", get_args(Kind))
def test_colours_alpha_and_profile_of_the_result_are_worked_through_in_strips(tmp_path: Path, kind: Kind) -> None:
    """What is new beside the network's picture is the file's own samples, not several copies of them nor floats."""
    peaks = []
    for height in (128, 512):
        write_picture(tmp_path / "small.tiff", picture_of_size(64, height, kind))
        small = read_picture(tmp_path / "small.tiff")
        assert (small.own_colours is not None) == (kind == "P3")
        large = np.full((height * 4, 256, 3), 99, small.pixels.dtype)
        peaks.append(most_traced(lambda s=small, e=large: write_picture(tmp_path / "x.tiff", s.enlarged(e))))  # type: ignore[misc]
    new = {"RGB": 0, "L": 1, "RGBA": 1, "RGB16": 0, "RGBA16": 2, "P3": 3}[kind]
    assert (peaks[1] - peaks[0]) / (256 * 4 * (512 - 128)) < new + 1.5


def test_bled_colours_take_less_than_the_picture_in_float(tmp_path: Path) -> None:
    peaks = []
    for height in (256, 1024):
        write_picture(tmp_path / "x.tiff", picture_of_size(256, height, "RGBA"))
        peaks.append(most_traced(lambda: read_picture(tmp_path / "x.tiff")))
    assert (peaks[1] - peaks[0]) / (256 * (1024 - 256)) < 30


def test_what_a_batch_reports_holds_no_pictures(
    fake_upscaler: type[FakeUpscaler], chelsea: Path, tmp_path: Path
) -> None:
    (outcome,) = run_local((Work(chelsea, tmp_path / "x.png"),), Orders(UpscaleSettings()), as_loader(), NoProgress())
    assert outcome.result is not None
    for array in (outcome.result.pixels, outcome.result.confidence, outcome.result.patch_groups):
        assert array.nbytes == 0
        assert array.base is None


def test_large_pictures_are_written_before_the_next_is_upscaled(
    chelsea: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = [tmp_path / f"{number}.png" for number in range(4)]
    there: list[int] = []

    class Watching(FakeUpscaler):
        def upscale(self, *words: Any, **options: Any) -> Any:
            there.append(sum(target.exists() for target in targets))
            return super().upscale(*words, **options)

    monkeypatch.setattr("patchscaler_cli.engines.local.WAITING_PIXELS", 0)
    work = tuple(Work(chelsea, target) for target in targets)
    done = list(run_local(work, Orders(UpscaleSettings()), lambda: cast("Upscaler", Watching()), NoProgress()))
    assert [one.error for one in done] == [None] * 4
    assert there == [0, 1, 2, 3]


def as_loader() -> Callable[[], Upscaler]:
    return lambda: cast("Upscaler", FakeUpscaler())


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=12))
def test_a_window_holds_the_rows_that_joined_it_and_were_not_dropped(steps: list[tuple[int, int]]) -> None:
    window, whole = RowWindow(2, 3), np.empty((2, 0, 3), np.float32)
    for number, (more, fewer) in enumerate(steps):
        rows = np.random.default_rng(number).random((2, more, 3), np.float32)
        window.append(rows)
        whole = np.concatenate((whole, rows), axis=1)
        window.drop(min(window.start + fewer, window.stop))
        assert window.stop == whole.shape[1]
        np.testing.assert_array_equal(window.view(window.start, window.stop), whole[:, window.start :])


# ---- what has no room -------------------------------------------------------------------------------------------------


class Disk:
    """What `shutil.disk_usage` says of a nearly full disk."""

    free = 1000


def test_a_canvas_in_a_temporary_file_gives_the_same_picture(monkeypatch: pytest.MonkeyPatch, chelsea: Path) -> None:
    upscaler, settings = small_upscaler(), UpscaleSettings(coarse_only=True, scale=5)
    picture = np.asarray(Image.open(chelsea).convert("RGB").crop((0, 0, 24, 20)))
    usual = upscaler.upscale(picture, settings).pixels
    monkeypatch.setattr(canvas, "MAPPED_BYTES", 1)
    mapped = upscaler.upscale(picture, settings).pixels
    assert isinstance(mapped, np.memmap)
    np.testing.assert_array_equal(mapped, usual)


def test_a_canvas_that_finds_no_room_is_refused_before_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    upscaler, picture = small_upscaler(), np.zeros((20, 30, 3), np.uint8)
    monkeypatch.setattr(canvas, "MAPPED_BYTES", 1)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: Disk)
    for refused in (
        lambda: upscaler.upscale(picture, keep_coarse=False),
        lambda: upscaler.plan(30, 20, UpscaleSettings()),
    ):
        with pytest.raises(PatchScalerError, match=r"28,800 bytes.*1,000 free.*TMPDIR"):
            refused()


def test_room_that_is_gone_when_the_canvas_is_made_is_told_with_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(canvas, "MAPPED_BYTES", 1)
    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(PatchScalerError, match=r"28,800 bytes"):
        canvas.Canvas((80, 120), (80, 120), np.dtype(np.uint8))


@pytest.mark.parametrize(("ending", "needed"), [("tiff", 30_000), ("bmp", 30_000), ("png", 7_500), ("jpg", 1_500)])
def test_an_output_that_finds_no_room_is_refused_with_the_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str, needed: int
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda folder: Disk)
    path = tmp_path / f"x.{ending}"
    with pytest.raises(PatchScalerError, match=rf"x.{ending} would have 100x100 pixels.* {needed:,} bytes.*1,000 free"):
        check_output(path, source=tmp_path / "in.png", width=100, height=100, overwrite=False)


@pytest.mark.parametrize(
    ("ending", "size", "number"),
    [("webp", (4096, 2), "16383"), ("jpg", (2, 16376), "65500"), ("avif", (8193, 2), "32768"), ("bmp", (32768, 11000), "4,293,918,720")],
)  # fmt: skip
def test_a_picture_too_large_for_its_format_is_refused_before_the_work(
    tmp_path: Path, ending: str, size: tuple[int, int], number: str
) -> None:
    width, height = size[0] * 4, size[1] * 4
    with pytest.raises(PatchScalerError, match=rf"{width}x{height} pixels.*{number}.*write PNG"):
        check_output(tmp_path / f"x.{ending}", source=tmp_path / "in", width=width, height=height, overwrite=False)


def test_nothing_is_upscaled_for_a_picture_without_room(
    run_cli: RunCli, fake_upscaler: type[FakeUpscaler], chelsea: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda folder: Disk)
    result = run_cli("upscale", chelsea, "-o", tmp_path / "x.png")
    assert result.exit_code == 1
    assert "1,000 free" in " ".join(result.stderr.split())
    assert not fake_upscaler.loads
    assert not list(tmp_path.iterdir())


# ---- the measurement --------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux says what a process's memory is made of")
def test_a_process_is_watched_for_its_own_memory() -> None:
    small, large = (
        watch([sys.executable, "-c", f"import time; held = b'x' * {megabytes} * 2**20; time.sleep(0.3)"])
        for megabytes in (1, 101)
    )
    assert 90 < (large.own - small.own) / 2**20 < 110


def test_a_failed_command_is_told_with_its_words() -> None:
    with pytest.raises(PatchScalerError, match="a reason"):
        watch([sys.executable, "-c", "import sys; sys.exit('a reason')"])
