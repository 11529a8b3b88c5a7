"""`--device cuda:0,cuda:1`: a batch is spread over devices. Here each is a CPU with a model of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from patchscaler_cli.engines.devices import run_devices
from patchscaler_cli.engines.inputs import Work
from patchscaler_cli.engines.local import run_local
from patchscaler_cli.engines.orders import Orders
from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.pipeline.device import choose_dtype
from patchscaler_cli.pipeline.settings import NoProgress, Progress, UpscaleSettings
from patchscaler_cli.pipeline.upscaler import Upscaler
from tests.fake_upscaler import FakeUpscaler, RunCli
from tests.small_model import small_upscaler

ORDERS = Orders(UpscaleSettings(scale=2))


def _work(folder: Path, count: int) -> tuple[Work, ...]:
    """Pictures of several sizes."""
    numbers = np.random.default_rng(0)
    work = []
    for n in range(count):
        source = folder / f"{n}.png"
        Image.fromarray(numbers.integers(0, 256, (12 + 5 * (n % 3), 16, 3), np.uint8)).save(source)
        work.append(Work(source, folder / f"{n}_x2.png"))
    return tuple(work)


def _threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("device")]


class _Counted:
    """Loads a device's model and remembers which pictures it did."""

    def __init__(self, gate: Callable[[Progress], None] = lambda progress: None) -> None:
        self.loads = self.pictures = 0
        self._gate = gate

    def __call__(self) -> Upscaler:
        self.loads += 1
        upscaler = small_upscaler()
        plain = upscaler.upscale

        def upscale(*arguments: Any, **options: Any) -> Any:
            self._gate(options["progress"])
            self.pictures += 1
            return plain(*arguments, **options)

        upscaler.upscale = upscale  # type: ignore[method-assign]
        return upscaler


def test_every_picture_is_done_once_and_told_in_order(tmp_path: Path) -> None:
    work, devices = _work(tmp_path, 7), [_Counted(), _Counted()]
    outcomes = list(run_devices(work, ORDERS, devices))
    assert [outcome.work for outcome in outcomes] == list(work)
    assert [outcome.error for outcome in outcomes] == [None] * 7
    assert sum(device.pictures for device in devices) == 7
    assert [device.loads for device in devices] == [1, 1]
    assert all(device.pictures for device in devices)
    assert not _threads()


def test_the_files_are_those_of_one_device(tmp_path: Path) -> None:
    work = _work(tmp_path, 5)
    list(run_local(work, ORDERS, small_upscaler, NoProgress()))
    alone = [one.target.read_bytes() for one in work]
    for one in work:
        one.target.unlink()
    list(run_devices(work, ORDERS, [small_upscaler, small_upscaler]))
    assert [one.target.read_bytes() for one in work] == alone


def test_two_pictures_are_done_by_two_devices_and_a_third_is_not_loaded(tmp_path: Path) -> None:
    devices = [_Counted(), _Counted(), _Counted()]
    list(run_devices(_work(tmp_path, 2), ORDERS, devices))
    assert [(device.loads, device.pictures) for device in devices] == [(1, 1), (1, 1), (0, 0)]


@pytest.mark.parametrize("bad", [0, 1, 4])
def test_one_bad_file_does_not_stop_the_others(tmp_path: Path, bad: int) -> None:
    work = _work(tmp_path, 5)
    work[bad].source.write_bytes(b"no picture")
    outcomes = list(run_devices(work, ORDERS, [small_upscaler, small_upscaler]))
    assert [outcome.error is not None for outcome in outcomes] == [n == bad for n in range(5)]
    assert [one.target.exists() for one in work] == [n != bad for n in range(5)]


def test_a_device_that_is_not_there_stops_the_batch(tmp_path: Path) -> None:
    def missing() -> Upscaler:
        raise PatchScalerError("There is no such device.")

    with pytest.raises(PatchScalerError, match="no such device"):
        list(run_devices(_work(tmp_path, 4), ORDERS, [small_upscaler, missing]))
    assert not _threads()


def test_an_interrupt_stops_all_devices_and_leaves_whole_files_alone(tmp_path: Path) -> None:
    """Ctrl-C reaches the thread that waits for outcomes; here it comes while a device is at a picture without end."""

    def endless(progress: Progress) -> None:
        while True:
            progress.advance("diffuse")

    work = _work(tmp_path, 40)
    outcomes = run_devices(work, ORDERS, [_Counted(), _Counted(endless)])
    assert isinstance(outcomes, Generator)
    assert next(outcomes).work == work[0]
    with pytest.raises(KeyboardInterrupt):
        outcomes.throw(KeyboardInterrupt())
    assert not _threads()
    assert not work[1].target.exists()
    assert not list(tmp_path.glob(".*"))  # half files
    for one in work:
        if one.target.exists():
            Image.open(one.target).load()


# ---- the command --------------------------------------------------------------------------------------------------------


def test_the_command_spreads_a_batch_and_gives_a_single_picture_to_the_first(
    run_cli: RunCli, fake_upscaler: type[FakeUpscaler], tmp_path: Path
) -> None:
    work = _work(tmp_path, 3)
    result = run_cli("upscale", *(one.source for one in work), "-o", tmp_path / "out", "--device", "cuda:1,cuda:0")
    assert result.exit_code == 0, result.output
    assert "3 done, 0 skipped, 0 failed" in result.stdout
    assert sorted(load["device"] for load in fake_upscaler.loads) == ["cuda:0", "cuda:1"]
    fake_upscaler.loads.clear()
    assert run_cli("upscale", work[0].source, "--device", "cuda:1,cuda:0").exit_code == 0
    assert [load["device"] for load in fake_upscaler.loads] == ["cuda:1"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["upscale", "--device", "cuda,cuda:0"], "names a device twice"),
        (["upscale", "--device", "auto,cuda:1"], "auto chooses one device"),
        (["upscale", "--device", "cuda:0,"], "must be auto, cpu, cuda, cuda:N"),
        (["upscale", "--device", "cuda:0,cuda:1", "--engine", "ray"], "Ray gives out the GPUs"),
        (["explain", "-o", "page.html", "--device", "cuda:0,cuda:1"], "only `patchscaler upscale` takes several"),
    ],
)
def test_lists_that_make_no_sense_are_refused(run_cli: RunCli, tmp_path: Path, words: list[str], sentence: str) -> None:
    (one,) = _work(tmp_path, 1)
    refused = run_cli(words[0], one.source, *words[1:])
    assert refused.exit_code == 2
    assert sentence in " ".join(refused.stderr.split())


# ---- which arithmetic -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("amx", "bf16", "maker", "dtype"),
    [
        (True, True, "Intel Xeon", "bf16"),
        (False, True, "AMD Ryzen", "bf16"),
        (False, True, "Intel Xeon", "fp32"),
        (False, False, "AMD Ryzen", "fp32"),
    ],
)
def test_a_cpu_takes_bf16_by_itself_only_where_it_is_the_faster(
    monkeypatch: pytest.MonkeyPatch, amx: bool, bf16: bool, maker: str, dtype: str
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: bf16)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"cpu_name": maker}, raising=False)
    assert choose_dtype("auto", torch.device("cpu")) == (dtype, None)
    assert choose_dtype("bf16", torch.device("cpu"))[0] == ("bf16" if bf16 else "fp32")
