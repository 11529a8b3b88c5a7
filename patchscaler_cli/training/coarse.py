"""Phase 1: the coarse model and its confidence map."""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from patchscaler_cli.models.coarse import ETA, CoarseConfig, CoarseModel
from patchscaler_cli.models.placement import place
from patchscaler_cli.training.degradation import Degradation, degrade
from patchscaler_cli.training.optimizers import adamw
from patchscaler_cli.training.photos import Photos, random_crops
from patchscaler_cli.training.run import Budget, Run, Trainee, autocast

L1_UNTIL = 0.6
"""Share of the budget after which the pixel loss is the squared error instead of the absolute one. L1 learns faster; what it
ends at is the median of all true pictures, and the mean is what lies nearest to them."""

WIDER = 1.5
"""How much wider the crops are from then on, with as many fewer of them: most of a small crop lies so near to its border
that the model sees less around it than it will see in use."""

PIXEL_SCALE = 6.0
"""Brings the squared error to about the absolute error's size, so that the confidence's loss keeps its share."""


def confidence_loss(image: Tensor, logit: Tensor, hr: Tensor) -> Tensor:
    """C * |y - x| - eta * log C, averaged (PatchScaler, section 3.2).

    The error is detached: a confidence that weighs the image's own loss would tell the model to give up
    where it is bad, so the image learns from plain L1 and the confidence only watches.

    C = eta / error minimises it.

    Args:
        image: coarse images y [B, 3, 4h, 4w] in [-1, 1].
        logit: confidence logits [B, 1, h, w].
        hr: ground truth x [B, 3, 4h, 4w] in [-1, 1].
    """
    error = F.avg_pool2d((image.detach() - hr).abs().mean(1, keepdim=True), 4)  # (B, 1, h, w)
    return (torch.sigmoid(logit) * error - ETA * F.logsigmoid(logit)).mean()


def train_coarse(
    photos: Photos,
    checkpoint: Path,
    config: CoarseConfig,
    budget: Budget,
    *,
    batch_size: int = 16,
    lr_size: int = 48,
    learning_rate: float = 6e-4,
    degradation: Degradation | None = None,
) -> CoarseModel:
    """Train the coarse model on crops of `photos`, on the device that they lie on; resumes from `checkpoint`.

    Args:
        batch_size: crops a step, of the first part's size.
        lr_size: side of a crop in LR pixels; WIDER times as much in the last part.

    Returns:
        The model with its averaged weights.
    """
    device = photos.images.device
    settings = degradation or Degradation()
    model = place(CoarseModel(config), device)
    trainee = Trainee(model, adamw(model, learning_rate))
    run = Run(checkpoint, {"coarse": trainee}, budget)
    run.resume()
    for progress in run.steps():
        wider = WIDER if progress >= L1_UNTIL else 1.0
        count, side = max(1, round(batch_size / wider**2)), round(lr_size * wider) * config.scale
        with run.fetching(device):
            hr = random_crops(photos, count, side).float() / 255
            lr = degrade(hr, settings, config.scale)
        with autocast(device):
            image, logit = model((lr * 2 - 1).contiguous(memory_format=torch.channels_last))
        target = hr * 2 - 1
        pixel = F.l1_loss(image, target) if progress < L1_UNTIL else PIXEL_SCALE * F.mse_loss(image, target)
        confidence = confidence_loss(image, logit, target)
        trainee.step(pixel + 0.5 * confidence, progress)
        run.record(count, pixel=pixel.detach(), confidence=confidence.detach())
    average = trainee.average
    assert isinstance(average, CoarseModel)
    return average
