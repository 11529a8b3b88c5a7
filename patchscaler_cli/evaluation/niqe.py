"""NIQE: how natural a picture looks, without its truth (Mittal, Soundararajan and Bovik 2013).

The picture's luma is normalised locally and cut into 96x96-pixel blocks. Each block, at full and at half size, is described
by the shapes of its distributions: 36 features. NIQE is the distance of their mean and covariance over the picture from
those of pristine photos, which the authors published. Lower is more natural.
"""

from __future__ import annotations

import io
import zipfile
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.evaluation.metrics import Pixels, inner_luma

BLOCK = 96
FEATURES = 36
Array = npt.NDArray[np.float64]


class Pristine(NamedTuple):
    """The published model of pristine photos: mean [36] and covariance [36, 36] of features, and the window [7, 7]."""

    mean: Array
    covariance: Array
    window: Array


class Asymmetric(NamedTuple):
    """An asymmetric generalised Gaussian: its shape and its scales left and right of zero."""

    shape: float
    left: float
    right: float


@lru_cache(maxsize=2)
def load_pristine(path: Path) -> Pristine:
    """The pristine model of a .npz file.

    Raises:
        PatchScalerError: if the file cannot be read or holds something else.
    """
    try:
        with np.load(io.BytesIO(path.read_bytes())) as arrays:  # of a damaged file numpy would leave the file open
            model = Pristine(
                arrays["mu_pris_param"].astype(np.float64).ravel(),
                arrays["cov_pris_param"].astype(np.float64),
                arrays["gaussian_window"].astype(np.float64),
            )
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, TypeError) as error:
        raise PatchScalerError(
            f"{path}: this is not NIQE's pristine model ({error}); give the published niqe_pris_params.npz."
        ) from error
    shapes = (model.mean.shape, model.covariance.shape)
    if shapes != ((FEATURES,), (FEATURES, FEATURES)) or model.window.ndim != 2:
        raise PatchScalerError(
            f"{path}: its arrays have other shapes than NIQE's pristine model; give the published one."
        )
    return model


def niqe(picture: Pixels, pristine: Pristine) -> float:
    """NIQE of an RGB picture [H, W, 3]; nan where it has fewer than two blocks that are not flat."""
    luma = inner_luma(picture).round()
    rows, columns = luma.shape[0] // BLOCK, luma.shape[1] // BLOCK
    luma = luma[: rows * BLOCK, : columns * BLOCK]
    if rows * columns < 2:
        return float("nan")
    full = _features_of_blocks(_normalised(luma, pristine.window), BLOCK)
    half = _features_of_blocks(_normalised(halved(luma), pristine.window), BLOCK // 2)
    features = np.concatenate((full, half), axis=1)  # (blocks, 36)
    usable = features[~np.isnan(features).any(axis=1)]
    if len(usable) < 2:
        return float("nan")
    distance = pristine.mean - np.nanmean(features, axis=0)
    covariance = (pristine.covariance + np.cov(usable, rowvar=False)) / 2
    return float(np.sqrt(distance @ np.linalg.pinv(covariance) @ distance))


def _normalised(luma: Array, window: Array) -> Array:
    """Luma [H, W] less its local mean, divided by its local deviation plus one."""
    from scipy.ndimage import convolve

    mean = convolve(luma, window, mode="nearest")
    variance = convolve(luma**2, window, mode="nearest") - mean**2
    normalised: Array = (luma - mean) / (np.sqrt(np.abs(variance)) + 1)
    return normalised


def _features_of_blocks(normalised: Array, side: int) -> Array:
    """The 18 features of every block [blocks, 18] of normalised luma [H, W]."""
    height, width = normalised.shape
    blocks = normalised.reshape(height // side, side, width // side, side).swapaxes(1, 2).reshape(-1, side, side)
    return np.array([_features(block) for block in blocks])


def _features(block: Array) -> list[float]:
    """Shape and mean scale of a block's values [h, w]; shape, mean, left and right scale of the products of neighbours."""
    values = fit(block)
    features = [values.shape, (values.left + values.right) / 2]
    for shift in ((0, 1), (1, 0), (1, 1), (1, -1)):  # the neighbour beside, below and on both diagonals
        products = fit(block * np.roll(block, shift, axis=(0, 1)))
        mean = (products.right - products.left) * _gamma(2 / products.shape) / _gamma(1 / products.shape)
        features += [products.shape, mean, products.left, products.right]
    return features


def fit(values: Array) -> Asymmetric:
    """The asymmetric generalised Gaussian with the moments of `values`, of any array shape.

    A block that is flat has no values left or right of zero: its scale there is nan, and its shape the smallest of the
    table, as in the published implementations.
    """
    left, right = _root_mean_square(values[values < 0]), _root_mean_square(values[values > 0])
    shapes, ratios = _table()
    if np.isnan(left) or np.isnan(right):
        shape = float(shapes[0])
    else:
        skew = left / right
        ratio = np.mean(np.abs(values)) ** 2 / np.mean(values**2)
        ratio *= (skew**3 + 1) * (skew + 1) / (skew**2 + 1) ** 2
        shape = float(shapes[np.argmin((ratios - ratio) ** 2)])
    scale = float(np.sqrt(_gamma(1 / shape) / _gamma(3 / shape)))
    return Asymmetric(shape, left * scale, right * scale)


def _root_mean_square(values: Array) -> float:
    return float(np.sqrt(np.mean(values**2))) if values.size else float("nan")


@lru_cache(maxsize=1)
def _table() -> tuple[Array, Array]:
    """Shapes 0.2 to 10 in steps of 0.001, and for each the ratio of squared mean magnitude to mean square."""
    from scipy.special import gamma

    shapes = np.arange(0.2, 10.001, 0.001)
    return shapes, gamma(2 / shapes) ** 2 / (gamma(1 / shapes) * gamma(3 / shapes))


def _gamma(x: float) -> float:
    from scipy.special import gamma

    return float(gamma(x))


def halved(luma: Array) -> Array:
    """Luma [H, W] at half size by antialiased bicubic (a = -0.5, border mirrored), as Matlab's imresize does."""
    offsets = np.arange(-3, 5)  # input 2i + offset contributes to output i, whose centre lies at 2i + 0.5
    distance = np.abs(offsets - 0.5) / 2  # the kernel is stretched by the reduction
    near = 1.5 * distance**3 - 2.5 * distance**2 + 1
    far = -0.5 * distance**3 + 2.5 * distance**2 - 4 * distance + 2
    weights = np.where(distance <= 1, near, far)
    weights /= weights.sum()
    for axis in (0, 1):
        length = luma.shape[axis] // 2
        lines = np.pad(luma, [(4, 4) if each == axis else (0, 0) for each in (0, 1)], mode="symmetric")
        contributions = [lines.take(np.arange(length) * 2 + 4 + offset, axis=axis) for offset in offsets]
        luma = np.tensordot(weights, np.stack(contributions), axes=1)
    return luma
