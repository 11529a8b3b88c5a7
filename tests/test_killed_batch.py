"""A batch that is killed with SIGKILL at ten moments and begun again each time ends as one that was left alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from patchscaler_cli.pipeline.upscaler import Upscaler
from tests.fake_upscaler import RunCli
from tests.small_model import small_upscaler

ROOT = Path(__file__).parents[1]


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills are POSIX's")
def test_ten_kills_change_nothing_and_leave_nothing(
    run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, left_alone, killed = tmp_path / "in", tmp_path / "left alone", tmp_path / "killed"
    (folder / "deep").mkdir(parents=True)
    noise = np.random.default_rng(0)
    pictures = [Image.fromarray(noise.integers(0, 256, (12 + n, 30 - n, 3), np.uint8)) for n in range(14)]
    for number, picture in enumerate(pictures):
        picture.save(folder / ("deep" if number % 3 == 0 else "") / f"{number}.png")
    pictures[0].save(folder / "moving.webp", save_all=True, append_images=[pictures[0].rotate(180)], duration=50)
    monkeypatch.setattr(Upscaler, "from_pretrained", lambda *names, **words: small_upscaler())
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # as those that are killed: how sums are parted among threads shows in their last bits
    try:
        done = run_cli("upscale", folder, "-o", left_alone, "--save-confidence", left_alone / "sure", "-r")
    finally:
        torch.set_num_threads(threads)
    assert done.exit_code == 0
    wanted = bytes_of(left_alone)

    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "tests.killed_batch", str(folder), str(killed)]
    told = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, check=False)
    assert told.returncode == 0, told.stderr.decode()
    report = json.loads(told.stdout)
    assert [run["killed"] for run in report["runs"]] == [True] * 10
    assert any(name.endswith(".part") for run in report["runs"] for name in run["files"]), "some died while writing"
    for run in report["runs"]:
        whole = {name: bytes.fromhex(data) for name, data in run["files"].items() if not name.endswith(".part")}
        assert all(wanted[name] == data for name, data in whole.items()), "what has its name is whole"
    assert 0 < len(report["runs"][-1]["files"]) < len(wanted), "they died in the midst of the work"
    assert report["end"] == 0
    assert bytes_of(killed) == wanted
