"""Whole processes: `patchscaler upscale` as a user starts it, from the start of Python to its end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.evaluation.benchmark.workload import Workload
from patchscaler_cli.images.picture import Picture
from patchscaler_cli.images.writing import write_picture
from patchscaler_cli.pipeline.settings import UpscaleSettings

_OF_TEXTURE: dict[bool | None, list[str]] = {None: [], True: ["--texture", "model"], False: ["--no-texture"]}


@dataclass(frozen=True)
class WholeProcess:
    """Medians over several processes.

    Attributes:
        seconds: from the start of the process to its end.
        stages: seconds by stage: start (Python, libraries, loading the model and the end of the process), read, the
            pipeline's stages, write.
        host_bytes: peak of the resident memory; None where the system does not tell.
    """

    seconds: float
    stages: dict[str, float]
    host_bytes: int | None


def run_processes(workload: Workload, settings: UpscaleSettings, words: list[str], runs: int) -> WholeProcess:
    """Upscale a picture in one process after the other.

    Args:
        workload: the picture.
        settings: become options of the command.
        words: further options, which choose model, device and dtype.
        runs: how many processes.

    Raises:
        PatchScalerError: if a process fails, with what it said.
    """
    timed = []
    with tempfile.TemporaryDirectory(prefix="patchscaler-") as folder:
        source, target = Path(folder, "in.png"), Path(folder, "out.png")
        write_picture(source, Picture(workload.pixels))
        command = [sys.executable, "-m", "patchscaler_cli", "upscale", str(source), "-o", str(target), "--json"]
        command += ["--overwrite", *options_of(settings), *words]
        for _ in range(runs):
            timed.append(_run(command, Path(folder, "said.json")))
    stages = {stage: median(spent[stage] for _, spent, _ in timed) for stage in timed[0][1]}
    memory = [peak for _, _, peak in timed if peak is not None]
    return WholeProcess(median(seconds for seconds, _, _ in timed), stages, max(memory) if memory else None)


def options_of(settings: UpscaleSettings) -> list[str]:
    """The words of `patchscaler upscale` that ask for these settings."""
    words = ["--tile", str(settings.tile), "--seed", str(settings.seed)] + ["--wrap"] * settings.wrap
    for name in ("batch_size", "scale", "width", "height", "long_edge", "preset", "steps", "groups", "fidelity"):
        value = getattr(settings, name)
        if value is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    words += ["--coarse-only"] * settings.coarse_only + ["--ensemble"] * settings.ensemble
    return words + _OF_TEXTURE[settings.texture]


def _run(command: list[str], said: Path) -> tuple[float, dict[str, float], int | None]:
    """Seconds, seconds by stage and peak memory of one process; `said` takes what it prints."""
    package = Path(__file__).resolve().parents[3]
    paths = os.pathsep.join(path for path in (str(package), os.environ.get("PYTHONPATH")) if path)
    done = subprocess.run(
        [sys.executable, "-S", str(Path(__file__).with_name("launcher.py")), str(said), *command],
        env=os.environ | {"PYTHONPATH": paths}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    launched = json.loads(done.stdout) if done.returncode == 0 else {"exit_code": done.returncode}
    if launched["exit_code"] != 0:
        raise PatchScalerError(
            f"A process that was to be timed failed (exit code {launched['exit_code']}): {done.stderr.strip()}"
        )
    report: dict[str, Any] = json.loads(said.read_text())
    stages = {stage: float(spent) for stage, spent in report["stages"].items() if stage != "load"}
    seconds = float(launched["seconds"])
    return seconds, {"start": seconds - sum(stages.values())} | stages, launched["peak_bytes"]
