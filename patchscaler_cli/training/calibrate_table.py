"""What calibration measured, patch by patch, and what a choice of groups would make of it. No networks here.

A picture's LPIPS is a mean over places, so it falls into shares that its patches add; so does its squared error. Measured
once for every candidate (sigma_tau, N), the shares tell what any ladder would give, without making its pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from patchscaler_cli.sampling.groups import Group

Floats = npt.NDArray[np.float64]
Choice = npt.NDArray[np.int64]
"""The candidate that samples each patch [P]."""


@dataclass(frozen=True)
class Shares:
    """What every candidate does at one fidelity: each patch's share of its picture's LPIPS and mean squared error of Y.

    Attributes:
        lpips: [C, P].
        squared: [C, P], in squared 8-bit levels.
    """

    lpips: Floats
    squared: Floats


KEEP = Group(0.0, 0)
"""The candidate that keeps the coarse patch."""


@dataclass(frozen=True)
class Measurements:
    """All patches of all pictures, sampled by every candidate.

    Attributes:
        candidates: [C], the first keeps the coarse patch, then by steps and start noise.
        fidelities: at which LPIPS was measured [K], rising; the last is 1, the coarse image.
        sets: the names of the sets of pictures.
        picture_set: each picture's set [N].
        bicubic: PSNR-Y of each picture's bicubic enlargement [N].
        picture: each patch's picture [P].
        qmap: each patch's confidence [P].
        lpips: shares of LPIPS [K, C, P].
        squared: shares of the squared error of Y as a polynomial of w = 1 - fidelity: coefficients of 1, w, w² [3, C, P].
    """

    candidates: tuple[Group, ...]
    fidelities: tuple[float, ...]
    sets: tuple[str, ...]
    picture_set: npt.NDArray[np.int64]
    bicubic: Floats
    picture: npt.NDArray[np.int64]
    qmap: Floats
    lpips: npt.NDArray[np.float32]
    squared: npt.NDArray[np.float32]

    @property
    def steps(self) -> npt.NDArray[np.int64]:
        """Steps of each candidate [C]."""
        return np.array([group.steps for group in self.candidates], np.int64)

    def at(self, fidelity: float) -> Shares:
        """Every candidate's shares at any fidelity: LPIPS interpolated between the measured ones."""
        weight = 1 - fidelity
        return Shares(
            np.tensordot(lagrange_weights(self.fidelities, fidelity), self.lpips, 1),
            np.tensordot([1, weight, weight**2], self.squared, 1),
        )

    def save(self, file: Path, key: str) -> None:
        """Write everything into a file (.npz); `key` tells later what was measured."""
        arrays = {name: getattr(self, name) for name in ARRAYS}
        groups = [(group.sigma, group.steps) for group in self.candidates]
        partial = file.with_suffix(".partial.npz")
        np.savez(partial, key=key, candidates=groups, fidelities=self.fidelities, sets=self.sets, **arrays)
        partial.replace(file)

    @classmethod
    def load(cls, file: Path, key: str) -> Measurements | None:
        """What `save` wrote under the same key; None where there is no such file or it holds something else."""
        try:
            with np.load(file) as stored:
                if str(stored["key"]) != key:
                    return None
                groups = tuple(Group(float(sigma), int(steps)) for sigma, steps in stored["candidates"])
                fidelities = tuple(float(one) for one in stored["fidelities"])
                sets = tuple(str(one) for one in stored["sets"])
                return cls(groups, fidelities, sets, *(stored[name] for name in ARRAYS))
        except (OSError, ValueError, KeyError, BadZipFile):
            return None


ARRAYS = ("picture_set", "bicubic", "picture", "qmap", "lpips", "squared")


def lagrange_weights(knots: tuple[float, ...], place: float) -> Floats:
    """How much each knot's value counts at a place, for the polynomial through all of them [K]."""
    weights = np.ones(len(knots))
    for i, knot in enumerate(knots):
        for other in knots[:i] + knots[i + 1 :]:
            weights[i] *= (place - other) / (knot - other)
    return weights


@dataclass(frozen=True)
class Outcome:
    """What a way of sampling gives on all pictures.

    Attributes:
        evaluations: of the network, a patch.
        lpips: mean of the pictures.
        gain: PSNR-Y over bicubic's in dB, the mean of the set where it is smallest.
    """

    evaluations: float
    lpips: float
    gain: float


def outcome(table: Measurements, shares: Shares, choice: Choice) -> Outcome:
    """What comes out if candidate `choice[p]` samples patch p, at the fidelity of the shares."""
    patches = np.arange(len(choice))
    error = np.bincount(table.picture, shares.squared[choice, patches], len(table.bicubic))
    gains = 10 * np.log10(255**2 / error) - table.bicubic
    return Outcome(
        evaluations=float(table.steps[choice].mean()),
        lpips=float(shares.lpips[choice, patches].sum() / len(table.bicubic)),
        gain=min(float(gains[table.picture_set == one].mean()) for one in range(len(table.sets))),
    )
