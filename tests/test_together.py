"""Small pictures of a batch share the network's batches; what comes out is what each would be alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from patchscaler_cli.engines.inputs import Work
from patchscaler_cli.engines.local import run_local
from patchscaler_cli.engines.orders import Orders, Outcome
from patchscaler_cli.models.patch_dit import PatchDiT
from patchscaler_cli.pipeline import device
from patchscaler_cli.pipeline.limits import batch_size
from patchscaler_cli.pipeline.settings import NoProgress, UpscaleSettings
from patchscaler_cli.pipeline.together import patches_to_share, upscale_together
from patchscaler_cli.pipeline.upscaler import Upscaler
from tests.small_model import CALIBRATION, small_model, small_upscaler

HAS_BF16 = torch.cpu._is_avx512_bf16_supported()
SIZES = [(30, 20), (1, 1), (17, 44), (20, 30), (64, 9), (16, 16), (40, 40)]


def half_upscaler() -> Upscaler:
    """In bf16, whose products are the same to the bit in batches of any size where the CPU computes it."""
    return Upscaler(small_model(), {"calibration": CALIBRATION}, "cpu", "bf16")


def alike(found: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> bool:
    """Whether two pictures are the same: to the bit, or to rounding where bf16 is not the CPU's own."""
    off = 0 if HAS_BF16 else 1
    return bool((np.abs(found.astype(int) - wanted.astype(int)) <= off * (257 if found.itemsize > 1 else 1)).all())


@pytest.fixture(scope="module", autouse=True)
def _bf16_everywhere() -> Iterator[None]:
    """A CPU without bf16 is asked to compute it all the same: it can, slowly, and takes fp32 by itself."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(device, "computes_bf16", lambda where: True)
        yield


@pytest.fixture(scope="module")
def upscaler() -> Upscaler:
    return half_upscaler()


def picture(height: int, width: int, seed: int = 0) -> npt.NDArray[np.uint8]:
    """Noise whose strength rises from left to right: all groups occur where there is room."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 1, (height, width, 3)) * np.linspace(0, 60, width)[None, :, None]
    return np.clip(120 + noise, 0, 255).astype(np.uint8)


def pictures(sizes: list[tuple[int, int]]) -> list[npt.NDArray[np.uint8]]:
    return [picture(*size, seed) for seed, size in enumerate(sizes)]


def as_alone(upscaler: Upscaler, sizes: list[tuple[int, int]], settings: UpscaleSettings) -> None:
    """Assert that pictures upscaled together are those upscaled one by one."""
    together = upscale_together(upscaler, pictures(sizes), settings, NoProgress())
    for found, one in zip(together, pictures(sizes), strict=True):
        alone = upscaler.upscale(one, settings)
        assert alike(found.pixels, alone.pixels)
        assert np.array_equal(found.confidence, alone.confidence)
        assert np.array_equal(found.patch_groups, alone.patch_groups)
        assert (found.groups, found.patches) == (alone.groups, alone.patches)
        assert found.network_evaluations == alone.network_evaluations


@pytest.mark.parametrize(
    "settings",
    [
        UpscaleSettings(),
        UpscaleSettings(scale=2.5, seed=3, fidelity=0.3),
        UpscaleSettings(texture=False, steps=3),
        UpscaleSettings(groups=1, batch_size=20),
        UpscaleSettings(scale=1.5, wrap=True, batch_size=2000),
    ],
    ids=str,
)
def test_pictures_upscaled_together_are_those_upscaled_alone(upscaler: Upscaler, settings: UpscaleSettings) -> None:
    assert all(patches_to_share(upscaler, width, height, settings) for height, width in SIZES)
    as_alone(upscaler, SIZES, settings)


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=1, max_size=6))
@hypothesis_settings(max_examples=15)
def test_any_sizes_go_together(sizes: list[tuple[int, int]]) -> None:
    as_alone(half_upscaler(), sizes, UpscaleSettings())


def test_a_picture_of_16_bits_keeps_its_depth_in_company(upscaler: Upscaler) -> None:
    deep = picture(20, 20).astype(np.uint16) * 257 + 5
    found, _ = upscale_together(upscaler, [deep, picture(20, 20)], UpscaleSettings(), NoProgress())
    assert alike(found.pixels, upscaler.upscale(deep).pixels)
    assert found.pixels.dtype == np.uint16


def test_what_overflows_in_company_is_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    usual = [one.pixels for one in upscale_together(half_upscaler(), pictures(SIZES), UpscaleSettings(), NoProgress())]
    plain, calls = PatchDiT.forward, 0

    def overflowing(self: PatchDiT, residual: Tensor, *others: Any) -> Tensor:
        nonlocal calls
        calls += 1
        denoised = plain(self, residual, *others)
        return torch.full_like(denoised, torch.inf) if calls == 1 else denoised

    monkeypatch.setattr(PatchDiT, "forward", overflowing)
    found = upscale_together(half_upscaler(), pictures(SIZES), UpscaleSettings(), NoProgress())
    for one, pixels in zip(found, usual, strict=True):  # fp32 rounds otherwise than bf16
        assert np.abs(one.pixels.astype(int) - pixels).max() <= 3
    assert any("overflowed" in sentence for one in found for sentence in one.warnings)


@pytest.mark.parametrize(
    "settings",
    [UpscaleSettings(coarse_only=True), UpscaleSettings(scale=5), UpscaleSettings(batch_size=1)],
    ids=["no diffusion", "two passes", "more patches than a batch"],
)
def test_nothing_to_share_by_the_settings(upscaler: Upscaler, settings: UpscaleSettings) -> None:
    assert patches_to_share(upscaler, 40, 40, settings) == 0


def test_nothing_is_shared_in_fp32_on_a_cpu() -> None:
    assert patches_to_share(half_upscaler(), 30, 30, UpscaleSettings()) == 4
    assert patches_to_share(small_upscaler(), 30, 30, UpscaleSettings()) == 0


# ---- in a folder ------------------------------------------------------------------------------------------------------


class Watched:
    """Counts what goes through the Patch-DiT."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.batches: list[int] = []
        plain = PatchDiT.forward

        def forward(network: PatchDiT, residual: Tensor, *others: Any) -> Tensor:
            self.batches.append(len(residual))
            return plain(network, residual, *others)

        monkeypatch.setattr(PatchDiT, "forward", forward)


def album(folder: Path, sizes: list[tuple[int, int]]) -> tuple[Work, ...]:
    work = []
    for number, one in enumerate(pictures(sizes)):
        source = folder / f"{number}.png"
        Image.fromarray(one).save(source)
        work.append(Work(source, folder / f"{number}_x4.png"))
    return tuple(work)


def done(work: tuple[Work, ...], settings: UpscaleSettings | None = None) -> list[Outcome]:
    return list(run_local(work, Orders(settings or UpscaleSettings()), half_upscaler, NoProgress()))


def test_small_pictures_of_a_folder_share_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watched, work = Watched(monkeypatch), album(tmp_path, [(30, 30)] * 12)
    alone = [done((one,)) for one in work]
    one_by_one, files = len(watched.batches), [one.target.read_bytes() for one in work]
    for one in work:
        one.target.unlink()
    watched.batches.clear()
    outcomes = done(work)
    assert [outcome.work for outcome in outcomes] == list(work)
    if HAS_BF16:
        assert [one.target.read_bytes() for one in work] == files
    assert len(watched.batches) < one_by_one / 3
    assert max(watched.batches) == batch_size(None, torch.device("cpu"), small_model().patch_dit.config, 64**2)
    for found, (before,) in zip(outcomes, alone, strict=True):
        assert found.result is not None
        assert before.result is not None
        assert found.result.network_evaluations == before.result.network_evaluations


def test_large_and_bad_pictures_among_small_ones(tmp_path: Path) -> None:
    work = album(tmp_path, [(20, 20), (20, 20), (90, 110), (20, 20), (12, 12), (20, 20), (20, 20)])
    work[4].source.write_bytes(b"no picture")
    outcomes = done(work)
    assert [outcome.work for outcome in outcomes] == list(work)
    assert [outcome.error is None for outcome in outcomes] == [True] * 4 + [False] + [True] * 2
    assert [one.target.exists() for one in work] == [True] * 4 + [False] + [True] * 2


def test_where_pictures_fail_together_each_is_tried_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    work = album(tmp_path, [(20, 20), (21, 20), (20, 20)])
    plain = Upscaler.upscale

    def upscale(self: Upscaler, image: npt.NDArray[Any], *words: Any, **more: Any) -> Any:
        if image.shape[0] == 21:
            raise MemoryError("no room for this one")
        return plain(self, image, *words, **more)

    monkeypatch.setattr(Upscaler, "upscale", upscale)
    outcomes = done(work)
    assert [outcome.error is None for outcome in outcomes] == [True, False, True]
    assert "no room" in str(outcomes[1].error)


def test_a_folder_without_diffusion_is_done_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watched, work = Watched(monkeypatch), album(tmp_path, [(20, 20)] * 3)
    assert all(outcome.error is None for outcome in done(work, UpscaleSettings(coarse_only=True)))
    assert not watched.batches
