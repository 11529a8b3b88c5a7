"""The perceptual distances of EfficientNet: what they say of pictures, and what a user reads who lacks its packages."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.training.efficientnet import VARIANTS, EfficientNetLite

CPU = torch.device("cpu")


@pytest.fixture(scope="module", params=VARIANTS)
def network(request: pytest.FixtureRequest) -> EfficientNetLite:
    return EfficientNetLite(request.param, CPU)


@pytest.fixture(scope="module")
def photo() -> torch.Tensor:
    """A part of the cat's photograph [1, 3, 112, 112] in [-1, 1]."""
    with Image.open(Path(__file__).parent / "samples" / "chelsea.png") as picture:
        part = picture.convert("RGB").crop((40, 40, 152, 152))
    return torch.from_numpy(np.asarray(part).copy()).permute(2, 0, 1)[None].float() / 127.5 - 1


def distance(network: EfficientNetLite, images: torch.Tensor, truth: torch.Tensor) -> float:
    return float(network.distance(network.features(images), network.features(truth)))


def test_a_picture_has_no_distance_from_itself(network: EfficientNetLite, photo: torch.Tensor) -> None:
    assert len(network.features(photo)) == len(network.variant.layers)
    assert distance(network, photo, photo) == pytest.approx(0, abs=1e-6)


def test_the_more_is_lost_the_farther_it_is(network: EfficientNetLite, photo: torch.Tensor) -> None:
    def blurred(factor: int) -> torch.Tensor:
        small = F.interpolate(photo, scale_factor=1 / factor, mode="area")
        return F.interpolate(small, size=photo.shape[-2:], mode="bicubic")

    slightly, strongly = (distance(network, blurred(factor), photo) for factor in (2, 4))
    assert 0.05 < slightly < strongly < 1


def test_its_gradients_reach_the_picture(network: EfficientNetLite, photo: torch.Tensor) -> None:
    image = (photo * 0.9).requires_grad_()
    network.distance(network.features(image), network.features(photo)).backward()  # type: ignore[no-untyped-call]
    assert image.grad is not None
    assert image.grad.abs().sum() > 0


def test_without_its_packages_a_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    with pytest.raises(PatchScalerError, match=r"pip install 'patchscaler\[train\]', or give --efficientnet 0"):
        EfficientNetLite("lite0", CPU)
