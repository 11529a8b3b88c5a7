"""What the tests of the evaluation share: made-up pictures, folders of them, and weights and models of the right form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from patchscaler_cli.evaluation.columns import metric_columns
from patchscaler_cli.evaluation.comparison import Compared, Comparison, compare
from patchscaler_cli.evaluation.examples import Example, clean_bicubic
from patchscaler_cli.evaluation.methods import interpolation, upscaling
from patchscaler_cli.evaluation.metrics import Pixels
from patchscaler_cli.models.weights_file import save_weights
from patchscaler_cli.pipeline.settings import UpscaleSettings
from tests.small_model import CALIBRATION, small_model, small_upscaler


def textured(height: int, width: int, seed: int = 0) -> Pixels:
    """Coloured grain at several sizes [height, width, 3]: no flat region, the same on every machine."""
    rng = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3), np.int64)
    for size in (1, 2, 4, 8, 16):
        grain = rng.integers(-20, 21, (-(-height // size), -(-width // size), 3))
        picture += grain.repeat(size, 0).repeat(size, 1)[:height, :width]
    return (picture + 128).clip(0, 255).astype(np.uint8)


def example(name: str = "a.png", height: int = 128, width: int = 128, seed: int = 0) -> Example:
    """A textured picture with its bicubic reduction."""
    hr = textured(height, width, seed)
    return Example(name, hr, clean_bicubic(name, hr))


def write_folders(folder: Path, names: tuple[str, ...] = ("0.png", "1.png"), side: int = 128) -> tuple[Path, Path]:
    """Textured pictures in `folder`/hr and their reductions in `folder`/lr.

    Returns:
        The two folders.
    """
    places = folder / "hr", folder / "lr"
    for place in places:
        place.mkdir(parents=True)
    for seed, name in enumerate(names):
        one = example(name, side, side, seed)
        Image.fromarray(one.hr).save(places[0] / name)
        Image.fromarray(one.lr).save(places[1] / name)
    return places


def write_weights(folder: Path) -> Path:
    """A weights file of the small model."""
    path = folder / "small.safetensors"
    save_weights(path, small_model(), {"calibration": CALIBRATION})
    return path


def write_lpips(folder: Path) -> Path:
    """A file like LPIPS's AlexNet and heads, of random numbers: its distances are 0 for equal pictures, else positive."""
    path, generator = folder / "alex.safetensors", torch.Generator().manual_seed(0)
    tensors: dict[str, torch.Tensor] = {}
    for number, (outputs, inputs, size) in enumerate(
        [(64, 3, 11), (192, 64, 5), (384, 192, 3), (256, 384, 3), (256, 256, 3)], 1
    ):
        spread = (2 / (inputs * size * size)) ** 0.5
        tensors[f"conv{number}.weight"] = torch.randn(outputs, inputs, size, size, generator=generator) * spread
        tensors[f"conv{number}.bias"] = torch.zeros(outputs)
    tensors |= {f"lin{i}": torch.ones(width) for i, width in enumerate((64, 192, 384, 256, 256))}
    save_file(tensors, path)
    return path


def write_pristine(folder: Path) -> Path:
    """A file like NIQE's pristine model, of made-up numbers."""
    path, axis = folder / "niqe_pris_params.npz", np.arange(-3, 4)
    line = np.exp(-((axis / (7 / 6)) ** 2) / 2)
    window = np.outer(line, line)
    np.savez(
        path,
        mu_pris_param=np.linspace(0, 3, 36)[None],
        cov_pris_param=np.diag(np.linspace(0.5, 1, 36)),
        gaussian_window=window / window.sum(),
    )
    return path


def compared_pictures(examples: list[Example], patchscaler: bool = True) -> tuple[list[Compared], Comparison]:
    """Pictures enlarged by bicubic and, if wished, the small model, with the figures that need no weights."""
    columns = metric_columns()
    methods = [interpolation("bicubic")]
    if patchscaler:
        methods.append(upscaling("patchscaler", small_upscaler(), UpscaleSettings()))
    pictures, comparison = list(compare(examples, methods, columns)), Comparison.of(columns)
    for one in pictures:
        comparison.add(one)
    return pictures, comparison
