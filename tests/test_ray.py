"""The Ray engine: the same files as the local engine's, whatever happens to the workers."""

from __future__ import annotations

import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from patchscaler_cli.engines import ray_cluster
from patchscaler_cli.engines.inputs import Work
from patchscaler_cli.engines.local import run_local
from patchscaler_cli.engines.orders import Orders, Outcome
from patchscaler_cli.engines.ray_cluster import run_ray
from patchscaler_cli.errors import PatchScalerError, UsageError
from patchscaler_cli.models.weights_file import save_weights
from patchscaler_cli.pipeline import bands
from patchscaler_cli.pipeline.bands import Band, Section
from patchscaler_cli.pipeline.model_choice import ModelChoice
from patchscaler_cli.pipeline.settings import NoProgress, UpscaleSettings
from patchscaler_cli.pipeline.upscaler import Upscaler
from tests.fake_upscaler import RunCli
from tests.plain_png import plain_png
from tests.small_model import CALIBRATION, small_model

SETTINGS = UpscaleSettings(scale=2)


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A Ray cluster of two worker processes on this machine, which `run_ray` finds connected."""
    ray = pytest.importorskip("ray")
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(
        address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR",
        object_store_memory=2**27,
    )  # fmt: skip
    yield
    ray.shutdown()


@pytest.fixture
def choice(tmp_path: Path) -> ModelChoice:
    path = tmp_path / "small.safetensors"
    save_weights(path, small_model(), {"calibration": CALIBRATION})
    return ModelChoice(weights=path, device="cpu", dtype="fp32")


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Five pictures and, between them, one that is broken."""
    rng, folder = np.random.default_rng(0), tmp_path / "album"
    folder.mkdir()
    for name in "abdef":
        Image.fromarray(rng.integers(0, 256, (24, 40, 3), np.uint8)).save(folder / f"{name}.png")
    (folder / "c.png").write_bytes(b"no picture")
    return folder


def works(album: Path, folder: Path) -> tuple[Work, ...]:
    return tuple(Work(file, folder / file.name) for file in sorted(album.iterdir()))


def killing(folder: Path, name: str, *, times: int) -> Callable[[Work], Path]:
    """Where confidence maps go, and the death of the process that asks for the one of `name`, so many times."""

    def confidence(work: Work) -> Path:
        if work.source.name == name:
            for time in range(times):
                mark = folder / f"killed_{time}"
                if not mark.exists():
                    mark.touch()
                    os.kill(os.getpid(), signal.SIGKILL)
        return folder / f"sure_{work.source.name}"

    return confidence


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix == ".png"}


def told(outcomes: list[Outcome]) -> list[tuple[str, str]]:
    return [(one.work.source.name, str(one.error)) for one in outcomes]


def test_a_batch_one_of_whose_workers_is_killed_ends_as_the_local_one(
    cluster: None, choice: ModelChoice, album: Path, tmp_path: Path
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    orders = Orders(SETTINGS, skip_existing=True, make_folders=True)
    there.mkdir()
    on_ray = replace(orders, confidence=killing(there, "d.png", times=1))
    outcomes = list(run_ray(works(album, there), on_ray, choice, None))
    assert (there / "killed_0").exists()
    local = replace(orders, confidence=killing(here, "", times=0))
    wanted = list(run_local(works(album, here), local, lambda: choice.load([SETTINGS]), NoProgress()))
    assert told(outcomes) == told(wanted)
    assert [one.source for one in (each.work for each in outcomes if each.error)] == [album / "c.png"]
    assert len(contents(there)) == 10
    assert contents(there) == contents(here)
    assert [one.machine for one in outcomes] == [one.machine for one in wanted]


def test_a_picture_that_kills_its_workers_is_named_and_the_others_are_done(
    cluster: None, choice: ModelChoice, album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_cluster, "RETRIES", 1)
    out = tmp_path / "out"
    out.mkdir()
    orders = Orders(SETTINGS, skip_existing=True, confidence=killing(out, "b.png", times=2))
    outcomes = list(run_ray(works(album, out), orders, choice, None))
    errors = {one.work.source.name: str(one.error) for one in outcomes if one.error}
    assert set(errors) == {"b.png", "c.png"}
    assert "workers died of it 2 times" in errors["b.png"]
    assert {"a.png", "d.png", "e.png", "f.png"} <= set(contents(out))


def test_what_exists_is_left_alone_or_refused_and_replaced_only_if_asked_to(
    cluster: None, choice: ModelChoice, album: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.png").write_bytes(b"mine")
    (work, *_) = works(album, out)
    (skipped,) = run_ray((work,), Orders(SETTINGS, skip_existing=True), choice, None)
    assert skipped.skipped
    (refused,) = run_ray((work,), Orders(SETTINGS), choice, None)
    assert "exists already" in str(refused.error)
    assert (out / "a.png").read_bytes() == b"mine"
    (replaced,) = run_ray((work,), Orders(SETTINGS, overwrite=True), choice, None)
    assert replaced.error is None
    assert (out / "a.png").read_bytes() != b"mine"


# ---- large pictures ---------------------------------------------------------------------------------------------------


@pytest.fixture
def small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every picture is large, and cut into sections as low as can be."""
    monkeypatch.setattr(ray_cluster, "LARGE_PIXELS", 1)
    monkeypatch.setattr(bands, "BAND_PIXELS", 1)
    monkeypatch.setattr(bands, "SECTION_PIXELS", 1)


def photo(folder: Path, mode: str) -> Path:
    """A picture of 5 or more sections, with noise in all its channels."""
    rng, file = np.random.default_rng(1), folder / f"{mode}.png"
    if mode == "RGB16":
        plain_png(file, rng.integers(0, 65536, (90, 40, 3), np.uint16))
    else:
        samples = rng.integers(0, 256, (90, 40, {"L": 1, "RGB": 3, "RGBA": 4}[mode]), np.uint8)
        Image.fromarray(samples.squeeze(), mode).save(file)
    return file


def upscaled_on_both(
    file: Path, orders: Orders, choice: ModelChoice, tmp_path: Path
) -> tuple[Outcome, Outcome, dict[str, bytes], dict[str, bytes]]:
    """What became of a picture on Ray and here, and the files."""
    folders = (tmp_path / "there", tmp_path / "here")
    for folder in folders:
        folder.mkdir()
    there, here = (replace(orders, confidence=lambda work, folder=folder: folder / "sure.png") for folder in folders)  # type: ignore[misc]
    (on_ray,) = run_ray((Work(file, folders[0] / "big.png"),), there, choice, None)
    (local,) = run_local((Work(file, folders[1] / "big.png"),), here, lambda: choice.load([SETTINGS]), NoProgress())
    return on_ray, local, contents(folders[0]), contents(folders[1])


@pytest.mark.parametrize(
    ("mode", "settings"),
    [
        ("RGB", UpscaleSettings(tile=16)),
        ("RGBA", UpscaleSettings(tile=16, scale=2.5)),
        ("RGB16", UpscaleSettings(tile=32)),
        ("L", UpscaleSettings(tile=16, wrap=True, seed=3)),
        ("RGB", UpscaleSettings(tile=16, coarse_only=True)),
    ],
)
def test_a_picture_that_is_cut_ends_as_the_local_engines(
    cluster: None, small_is_large: None, choice: ModelChoice, tmp_path: Path, mode: str, settings: UpscaleSettings
) -> None:
    on_ray, local, there, here = upscaled_on_both(photo(tmp_path, mode), Orders(settings), choice, tmp_path)
    assert on_ray.error is None
    assert on_ray.result is not None
    assert local.result is not None
    assert "cluster" in on_ray.result.seconds, "it was not cut"
    assert there == here
    assert len(there) == 2
    assert on_ray.machine == local.machine
    assert on_ray.result.groups == local.result.groups
    assert on_ray.result.network_evaluations == local.result.network_evaluations


def deadly(choice: ModelChoice, mark: Path, *, times: int) -> ModelChoice:
    """The model, whose workers die in the midst of a section that is not the first, so many times."""
    here = os.getpid()

    class Deadly(ModelChoice):
        def load(self, *words: Any, **more: Any) -> Upscaler:
            upscaler = super().load(*words, **more)
            compute = upscaler.bands

            def bands_until_death(section: Section, *others: Any) -> Iterator[Band]:
                for band in compute(section, *others):
                    yield band
                    for time in range(times if section.first else 0):
                        if not (mark / f"killed_{time}").exists():
                            (mark / f"killed_{time}").touch()
                            os.kill(os.getpid(), signal.SIGKILL)

            if os.getpid() != here:
                upscaler.bands = bands_until_death  # type: ignore[method-assign, assignment]
            return upscaler

    return Deadly(choice.model, choice.weights, choice.texture, choice.device, choice.dtype)


def test_a_section_whose_worker_is_killed_is_done_again(
    cluster: None, small_is_large: None, choice: ModelChoice, tmp_path: Path
) -> None:
    killer = deadly(choice, tmp_path, times=1)
    orders = Orders(UpscaleSettings(tile=16))
    on_ray, _, there, here = upscaled_on_both(photo(tmp_path, "RGB"), orders, killer, tmp_path)
    assert (tmp_path / "killed_0").exists()
    assert on_ray.error is None
    assert there == here


def test_a_section_that_kills_its_workers_fails_its_picture_and_leaves_nothing(
    cluster: None, small_is_large: None, choice: ModelChoice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray_cluster, "RETRIES", 0)
    out = tmp_path / "out"
    out.mkdir()
    work = Work(photo(tmp_path, "RGB"), out / "big.png")
    (outcome,) = run_ray((work,), Orders(UpscaleSettings(tile=16)), deadly(choice, tmp_path, times=1), None)
    assert "RGB.png: Ray's workers died of it 1 times" in str(outcome.error)
    assert not list(out.iterdir())


def test_pictures_are_cut_only_where_there_are_fewer_than_workers(
    cluster: None, small_is_large: None, choice: ModelChoice, album: Path, tmp_path: Path
) -> None:
    outcomes = list(run_ray(works(album, tmp_path)[:2], Orders(SETTINGS), choice, None))
    assert all(one.result is not None and "cluster" not in one.result.seconds for one in outcomes)
    (alone,) = run_ray(works(album, tmp_path)[:1], Orders(SETTINGS, overwrite=True), choice, None)
    assert alone.result is not None
    assert "cluster" in alone.result.seconds


def test_whether_a_picture_is_large_counts_the_pixels_of_its_largest_pass(tmp_path: Path) -> None:
    Image.new("RGB", (200, 300)).save(tmp_path / "middle.png")
    Image.new("L", (800, 700)).save(tmp_path / "large.png")
    (tmp_path / "bad.png").write_bytes(b"no picture")
    found = {
        (name, scale): ray_cluster._is_large(tmp_path / f"{name}.png", UpscaleSettings(scale=scale))
        for name in ("middle", "large", "bad")
        for scale in (4.0, 5.0)
    }
    assert {key for key, large in found.items() if large} == {("middle", 5.0), ("large", 4.0), ("large", 5.0)}


def test_a_model_that_cannot_be_loaded_ends_the_batch(cluster: None, album: Path, tmp_path: Path) -> None:
    choice = ModelChoice(weights=tmp_path / "none.safetensors")
    with pytest.raises(PatchScalerError, match=r"none\.safetensors"):
        list(run_ray(works(album, tmp_path), Orders(SETTINGS), choice, None))


# ---- without a cluster ------------------------------------------------------------------------------------------------


def test_without_the_extra_a_sentence_names_it(
    run_cli: RunCli, chelsea: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    result = run_cli("upscale", chelsea, "-o", tmp_path / "x.png", "--engine", "ray")
    assert result.exit_code == 1
    assert "patchscaler[ray]" in " ".join(result.stderr.split())


def test_an_address_without_the_engine_is_refused(run_cli: RunCli, chelsea: Path, tmp_path: Path) -> None:
    result = run_cli("upscale", chelsea, "-o", tmp_path / "x.png", "--address", "head:6379")
    assert result.exit_code == 2
    assert "--engine ray" in " ".join(result.stderr.split())


def test_a_cluster_that_does_not_answer_is_one_sentence(
    album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pytest.importorskip("ray"), "is_initialized", lambda: False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]  # nobody listens there any more when it is closed
    with pytest.raises(PatchScalerError, match=rf"127\.0\.0\.1:{port} \(.*refused"):
        list(run_ray(works(album, tmp_path), Orders(SETTINGS), ModelChoice(), f"127.0.0.1:{port}"))


@pytest.mark.parametrize(
    ("device", "gpus", "wanted"),
    [("auto", 0, ("auto", 0)), ("auto", 2, ("cuda", 1)), ("cpu", 2, ("cpu", 0)), ("cuda", 1, ("cuda", 1))],
)
def test_a_task_takes_a_gpu_where_the_cluster_has_them(device: str, gpus: int, wanted: tuple[str, int]) -> None:
    choice, resources = ray_cluster._with_resources(ModelChoice(device=device), {"CPU": 8, "GPU": gpus})
    assert (choice.device, resources) == (wanted[0], {"num_cpus": 1, "num_gpus": wanted[1]})


def test_a_gpu_that_is_not_there_or_is_named_is_refused(album: Path, tmp_path: Path) -> None:
    with pytest.raises(PatchScalerError, match="has no GPU"):
        ray_cluster._with_resources(ModelChoice(device="cuda"), {"CPU": 8})
    pytest.importorskip("ray")
    with pytest.raises(UsageError, match="Ray gives out the GPUs"):
        list(run_ray(works(album, tmp_path), Orders(SETTINGS), ModelChoice(device="cuda:1"), None))
