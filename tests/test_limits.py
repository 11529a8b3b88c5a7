"""A memory that is too small and numbers that overflow: the picture comes out the same, and the user is told.

The devices here are CPUs that pretend.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.models.coarse import CoarseModel, Ends, Restored
from patchscaler_cli.models.patch_dit import PatchDiT
from patchscaler_cli.pipeline import diffusion_stage, limits, precision, shared_batches
from patchscaler_cli.pipeline.denoising import CarefulDenoiser
from patchscaler_cli.pipeline.limits import Limits, batch_size, is_out_of_memory
from patchscaler_cli.pipeline.settings import UpscaleSettings
from patchscaler_cli.pipeline.upscaler import Upscaler
from tests.small_model import CALIBRATION, SMALL, small_model, small_upscaler

Forward = Callable[..., Tensor]


@pytest.fixture(scope="module")
def picture() -> npt.NDArray[np.uint8]:
    """Noise on a slope: all groups occur."""
    rng = np.random.default_rng(0)
    slope = np.linspace(60, 200, 58)[None, :, None] + rng.normal(0, 12, (44, 58, 3))
    slope[:, 30:] *= 0.6
    return np.clip(slope, 0, 255).astype(np.uint8)


def _holds_patches(count: int) -> Forward:
    """A Patch-DiT whose memory holds so many patches."""
    plain = PatchDiT.forward

    def forward(self: PatchDiT, residual: Tensor, *others: Any) -> Tensor:
        if len(residual) > count:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return plain(self, residual, *others)

    return forward


def _holds_pixels(side: int) -> Forward:
    """A coarse model whose memory holds tiles of so many LR pixels on a side, and their halo."""
    plain = CoarseModel.restore_inner

    def restore_inner(self: CoarseModel, lr: Tensor, ends: Ends) -> Any:
        if max(lr.shape[2:]) > side + 2 * self.config.halo:
            raise RuntimeError("MPS backend out of memory (MPS allocated: 5.20 GB)")
        return plain(self, lr, ends)

    return restore_inner


def test_a_batch_that_does_not_fit_is_halved_and_the_picture_stays_the_same(
    monkeypatch: pytest.MonkeyPatch, picture: npt.NDArray[np.uint8]
) -> None:
    upscaler = small_upscaler()
    usual = upscaler.upscale(picture)
    monkeypatch.setattr(PatchDiT, "forward", _holds_patches(3))
    tight = upscaler.upscale(picture)
    assert np.abs(tight.pixels.astype(int) - usual.pixels).max() <= 1
    assert tight.network_evaluations == usual.network_evaluations
    assert "--batch-size" in tight.warnings[-1]
    assert not usual.warnings


def test_what_did_not_fit_is_not_tried_again_with_the_next_picture(
    monkeypatch: pytest.MonkeyPatch, picture: npt.NDArray[np.uint8]
) -> None:
    monkeypatch.setattr(PatchDiT, "forward", _holds_patches(3))
    upscaler = small_upscaler()
    assert upscaler.upscale(picture).warnings
    assert not upscaler.upscale(picture).warnings


def test_a_tile_that_does_not_fit_is_parted_and_the_picture_stays_the_same(
    monkeypatch: pytest.MonkeyPatch, picture: npt.NDArray[np.uint8]
) -> None:
    upscaler = small_upscaler()
    usual = upscaler.upscale(picture)
    monkeypatch.setattr(CoarseModel, "restore_inner", _holds_pixels(20))
    tight = upscaler.upscale(picture)
    assert np.abs(tight.pixels.astype(int) - usual.pixels).max() <= 1
    assert "--tile" in tight.warnings[-1]


@pytest.mark.parametrize(("name", "make"), [("patch", _holds_patches), ("tile", _holds_pixels)])
def test_a_memory_that_holds_nothing_is_told_in_a_sentence(
    monkeypatch: pytest.MonkeyPatch, picture: npt.NDArray[np.uint8], name: str, make: Callable[[int], Forward]
) -> None:
    owner, method = (PatchDiT, "forward") if name == "patch" else (CoarseModel, "restore_inner")
    monkeypatch.setattr(owner, method, make(0))
    with pytest.raises(PatchScalerError, match="use another --device"):
        small_upscaler().upscale(picture)


def test_other_errors_of_the_device_are_not_taken_for_a_lack_of_memory() -> None:
    def broken(*inputs: Any) -> Tensor:
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    inputs = torch.zeros(4, 3, 2, 2), torch.ones(4), torch.zeros(4, 3, 2, 2), None
    with pytest.raises(RuntimeError, match="illegal"):
        CarefulDenoiser(broken, Limits())(*inputs)


@pytest.mark.parametrize(
    ("error", "is_it"),
    [
        (torch.cuda.OutOfMemoryError("CUDA out of memory."), True),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
            True,
        ),
        (RuntimeError("shape mismatch"), False),
    ],
)
def test_out_of_memory_is_told_by_its_class_or_its_words(error: RuntimeError, is_it: bool) -> None:
    assert is_out_of_memory(error) is is_it


def test_a_gpu_takes_as_many_patches_as_half_its_free_memory_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu, free = torch.device("cuda", 0), 2**30
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (free, 8 * 2**30))
    tiny = replace(SMALL.patch_dit, outer_channels=32)
    assert batch_size(5, gpu, tiny, 64**2) == 5
    assert batch_size(None, gpu, tiny, 64**2) == free // 2 // limits.patch_bytes(tiny, 64**2)
    wide = replace(tiny, outer_channels=64)
    assert batch_size(None, gpu, wide, 64**2) == free // 4 // limits.patch_bytes(tiny, 64**2)


def test_a_batch_has_as_many_pixels_whatever_the_patches_are() -> None:
    cpu, config = torch.device("cpu"), SMALL.patch_dit
    assert limits.patch_bytes(config, 128**2) == 4 * limits.patch_bytes(config, 64**2)
    assert batch_size(None, cpu, config, 64**2) == 4 * batch_size(None, cpu, config, 128**2) == 40
    assert batch_size(None, cpu, config, 4096**2) == 1


# ---- half precision ---------------------------------------------------------------------------------------------------


def _half_upscaler() -> Upscaler:
    """The small model in bf16, which any CPU computes, if slowly."""
    upscaler = small_upscaler()
    upscaler._model.patch_dit.to(torch.bfloat16)
    upscaler._model.coarse.to(torch.bfloat16)
    return upscaler


def test_patches_that_overflow_are_computed_again_in_fp32(
    monkeypatch: pytest.MonkeyPatch, picture: npt.NDArray[np.uint8]
) -> None:
    usual, plain = _half_upscaler().upscale(picture), PatchDiT.forward

    def forward(self: PatchDiT, residual: Tensor, *others: Any) -> Tensor:
        denoised = plain(self, residual, *others)
        if self.stem.weight.dtype == torch.bfloat16:
            denoised[::2, 0, 5, 7] = torch.inf
        return denoised

    monkeypatch.setattr(PatchDiT, "forward", forward)
    saved = _half_upscaler().upscale(picture)
    assert np.abs(saved.pixels.astype(int) - usual.pixels).mean() < 1
    assert "fp32" in saved.warnings[0]
    assert saved.network_evaluations > usual.network_evaluations


def test_tiles_that_overflow_are_computed_again_in_fp32(
    monkeypatch: pytest.MonkeyPatch, picture: npt.NDArray[np.uint8]
) -> None:
    usual, plain = _half_upscaler().upscale(picture), CoarseModel.restore_inner

    def restore_inner(self: CoarseModel, lr: Tensor, ends: Ends) -> Restored:
        restored = plain(self, lr, ends)
        return (
            restored._replace(image=restored.image * torch.inf)
            if self.head.weight.dtype == torch.bfloat16
            else restored
        )

    monkeypatch.setattr(CoarseModel, "restore_inner", restore_inner)
    saved = _half_upscaler().upscale(picture)
    assert np.abs(saved.coarse.astype(int) - usual.coarse).mean() < 1
    assert "fp32" in saved.warnings[0]


@pytest.mark.parametrize("part", ["coarse", "patch_dit"])
def test_numbers_that_are_not_finite_in_fp32_are_refused(part: str, picture: npt.NDArray[np.uint8]) -> None:
    model = small_model()
    bias = model.coarse.tail.bias if part == "coarse" else model.patch_dit.out.bias
    assert bias is not None
    bias[0] = torch.nan
    with pytest.raises(PatchScalerError, match="may be damaged"):
        Upscaler(model, {"calibration": CALIBRATION}, "cpu", "fp32").upscale(picture)


# ---- devices that compute wrongly -----------------------------------------------------------------------------------


def test_a_device_is_compared_with_the_cpu_in_every_arithmetic() -> None:
    for dtype in ("fp32", "bf16"):
        assert precision.computes_rightly(torch.device("cpu"), dtype)
    assert not precision.computes_rightly(torch.device("meta"), "fp32")  # computes nothing


def test_a_device_that_is_wrong_in_half_precision_computes_in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "computes_rightly", lambda device, dtype: dtype == "fp32")
    dtype, notice = precision.trusted_dtype("fp16", torch.device("mps"))
    assert dtype == "fp32"
    assert notice is not None
    assert "compared with the CPU" in notice


def test_a_device_that_is_wrong_in_fp32_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "computes_rightly", lambda device, dtype: False)
    with pytest.raises(PatchScalerError, match="use --device cpu"):
        precision.trusted_dtype("fp16", torch.device("mps"))


def test_the_picture_does_not_depend_on_when_results_are_fetched(
    monkeypatch: pytest.MonkeyPatch, picture: npt.NDArray[np.uint8]
) -> None:
    """Devices other than CPUs are asked for their results at the end of a band."""
    upscaler = small_upscaler()
    usual = upscaler.upscale(picture, UpscaleSettings(batch_size=4))

    class Renamed:
        """A device of another type, which everything else takes for the CPU."""

        type = "other"

    plain = shared_batches.sample_shares

    def sample(*shares: Any, **words: Any) -> list[int]:
        return plain(*shares, **(words | {"device": Renamed()}))

    monkeypatch.setattr(diffusion_stage, "sample_shares", sample)
    assert np.array_equal(upscaler.upscale(picture, UpscaleSettings(batch_size=4)).pixels, usual.pixels)
