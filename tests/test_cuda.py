"""What a GPU promises; skipped where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch

from patchscaler_cli.engines.devices import run_devices
from patchscaler_cli.engines.inputs import Work
from patchscaler_cli.engines.orders import Orders
from patchscaler_cli.pipeline.settings import UpscaleSettings
from patchscaler_cli.pipeline.upscaler import Upscaler
from patchscaler_cli.sampling import grouped
from tests.conftest import SAMPLES
from tests.small_model import CALIBRATION, small_model

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")


@pytest.fixture(scope="module")
def photo() -> npt.NDArray[np.uint8]:
    from PIL import Image

    return np.asarray(Image.open(SAMPLES / "chelsea.png").convert("RGB"))


@pytest.fixture(autouse=True)
def _exact_fp32() -> Iterator[None]:
    """fp32 products in fp32, not in TF32, so that they can be compared with a CPU's."""
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield


def test_fp32_is_the_cpus_picture(photo: npt.NDArray[np.uint8]) -> None:
    pictures = [
        Upscaler.from_pretrained(device=name, dtype="fp32").upscale(photo).pixels.astype(int)
        for name in ("cpu", "cuda")
    ]
    difference = np.abs(pictures[0] - pictures[1])
    # A patch whose confidence lies on a threshold may change its group; elsewhere only rounding differs.
    assert np.mean(difference > 1) < 0.01


@pytest.mark.parametrize("dtype", ["fp16", "bf16"])
def test_half_precision_is_near_fp32(photo: npt.NDArray[np.uint8], dtype: str) -> None:
    exact, half = (
        Upscaler.from_pretrained(device="cuda", dtype=name).upscale(photo).pixels.astype(int)
        for name in ("fp32", dtype)
    )
    assert np.abs(exact - half).mean() <= 2


def test_batches_do_not_change_the_picture(photo: npt.NDArray[np.uint8]) -> None:
    upscaler = Upscaler.from_pretrained(device="cuda", dtype="fp32")
    usual, small = (upscaler.upscale(photo, UpscaleSettings(batch_size=size)).pixels for size in (None, 5))
    assert np.abs(usual.astype(int) - small).max() <= 1


def test_the_sampling_loop_never_waits_for_the_device(
    photo: npt.NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    upscaler = Upscaler(small_model(), {"calibration": CALIBRATION}, "cuda", "fp16")
    upscaler.upscale(photo)  # what is done once may wait
    plain = grouped._advance_one_step

    def step(*arguments: object) -> None:
        torch.cuda.set_sync_debug_mode("error")
        try:
            plain(*arguments)  # type: ignore[arg-type]
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(grouped, "_advance_one_step", step)
    upscaler.upscale(photo)


def test_the_devices_memory_is_a_few_gibibytes_at_most(photo: npt.NDArray[np.uint8]) -> None:
    upscaler = Upscaler.from_pretrained(device="cuda")
    torch.cuda.reset_peak_memory_stats()
    upscaler.upscale(np.tile(photo, (4, 4, 1))[:512, :512])
    assert torch.cuda.max_memory_allocated() <= 4 * 2**30


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="there is one CUDA device")
def test_two_devices_do_what_one_does(photo: npt.NDArray[np.uint8], tmp_path: Path) -> None:
    from PIL import Image

    work = tuple(Work(tmp_path / f"{n}.png", tmp_path / f"{n}_x4.png") for n in range(4))
    for n, one in enumerate(work):
        Image.fromarray(photo[n:, n:]).save(one.source)
    loads = [partial(Upscaler.from_pretrained, device=f"cuda:{n}", dtype="fp32") for n in range(2)]
    outcomes = list(run_devices(work, Orders(UpscaleSettings()), loads))
    assert {outcome.machine.device for outcome in outcomes if outcome.machine} == {"cuda:0", "cuda:1"}
    for n, one in enumerate(work):
        alone = loads[0]().upscale(np.ascontiguousarray(photo[n:, n:])).pixels.astype(int)
        assert np.mean(np.abs(alone - np.asarray(Image.open(one.target))) > 1) < 0.01
