"""Phase 5: the groups, their thresholds and the default fidelity, found on pictures whose truth is known.

Fidelity and groups depend on each other: what many steps make of a patch may be too much alone and just right when it is
mixed with the coarse image. So every candidate is judged at its own best fidelity: the one of the lowest LPIPS whose
PSNR-Y stays PSNR_MARGIN above bicubic's on every set of pictures. The rule, in order:

1. Every candidate (sigma_tau, N) samples all patches uniformly. The hardest group takes HARD_STEPS steps, the middle one
   half of them, each from the start noise of the lowest LPIPS.
2. The easiest group keeps the coarse patch or takes one step from one of the start noises.
3. The thresholds are quantiles of the Qmap. Of all easiest groups and shares whose evaluations are at most MOST_COST of
   uniform sampling's, those of the lowest LPIPS are taken; their fidelity, on a finer grid, is the default.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from patchscaler_cli.evaluation.folder import Distance, Example, bicubic, examples, per_patch_errors
from patchscaler_cli.evaluation.metrics import psnr_y
from patchscaler_cli.models.patchscaler import PatchScalerModel
from patchscaler_cli.pipeline.result import UpscaleResult
from patchscaler_cli.pipeline.settings import UpscaleSettings
from patchscaler_cli.pipeline.upscaler import Upscaler
from patchscaler_cli.sampling.groups import Group, GroupLadder

SIGMAS = (0.06, 0.1, 0.15, 0.2, 0.3)
HARD_STEPS = 4
MOST_COST = 0.48
PSNR_MARGIN = 0.15
HARD_SHARES = (0.05, 0.12)
KEEP_SHARES = (0.05, 0.15)
EASY_SHARE = 0.45
FIDELITIES = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8)
FINE_FIDELITIES = tuple(i / 20 for i in range(18))

Sets = dict[str, list[Example]]


def load_sets(hr: Path, lr_folders: list[Path], every: int) -> Sets:
    """Examples of each LR folder, by the folder's name."""
    return {folder.name: list(examples(hr, folder, every)) for folder in lr_folders}


class Calibration:
    """The search, with every measurement it made in `table`."""

    def __init__(self, model: PatchScalerModel, sets: Sets, lpips: Distance, device: str) -> None:
        self.model, self.sets, self.lpips, self.device = model, sets, lpips, device
        self.table: list[dict[str, Any]] = []

    def run(self) -> dict[str, Any]:
        """Search by the rule above.

        Returns:
            JSON values: groups, thresholds, fidelity, and the table of what was measured.
        """
        hard, middle = self._choose_groups()
        ladder = self._choose_thresholds(hard, middle)
        chosen = self._measure(ladder, FINE_FIDELITIES, chosen=True)
        return ladder.to_dict() | {"fidelity": chosen["fidelity"], "table": self.table}

    def _upscale(self, ladder: GroupLadder, coarse_only: bool = False) -> dict[str, list[UpscaleResult]]:
        upscaler = Upscaler(self.model, {"calibration": ladder.to_dict()}, self.device)
        settings = UpscaleSettings(batch_size=64, coarse_only=coarse_only)
        return {name: [upscaler.upscale(one.lr, settings) for one in chosen] for name, chosen in self.sets.items()}

    def _measure(self, ladder: GroupLadder, fidelities: tuple[float, ...] = FIDELITIES, **what: Any) -> dict[str, Any]:
        """A ladder's best fidelity with its mean LPIPS and PSNR-Y, and its evaluations a patch; added to the table."""
        results = self._upscale(ladder)
        rows = [self._at_fidelity(fidelity, results) for fidelity in fidelities]
        allowed = [row for row in rows if row["psnr_y_over_bicubic"] >= PSNR_MARGIN]
        best = min(allowed, key=lambda row: row["lpips"]) if allowed else rows[-1]
        evaluations = [result.network_evaluations / result.patches for some in results.values() for result in some]
        row = what | best | {"evaluations": round(float(np.mean(evaluations)), 3)}
        print(row, flush=True)
        self.table.append(row)
        return row

    def _at_fidelity(self, fidelity: float, results: dict[str, list[UpscaleResult]]) -> dict[str, Any]:
        """Mean LPIPS over all pictures, and the mean gain of PSNR-Y over bicubic on the set where it is smallest."""
        distances, gains = [], []
        for name, pictures in self.sets.items():
            set_gains = []
            for one, result in zip(pictures, results[name], strict=True):
                coarse, refined = result.coarse.astype(np.float32), result.pixels.astype(np.float32)
                mixed = (coarse + (1 - fidelity) * (refined - coarse)).round().clip(0, 255).astype(np.uint8)
                distances.append(self.lpips(one.hr, mixed))
                set_gains.append(psnr_y(one.hr, mixed) - psnr_y(one.hr, bicubic(one.lr)))
            gains.append(float(np.mean(set_gains)))
        lpips = round(float(np.mean(distances)), 4)
        return {"fidelity": fidelity, "lpips": lpips, "psnr_y_over_bicubic": round(min(gains), 3)}

    def _choose_groups(self) -> tuple[Group, Group]:
        def best(steps: int) -> Group:
            rows = [
                (self._measure(GroupLadder((Group(sigma, steps),), ()), sigma=sigma, steps=steps)["lpips"], sigma)
                for sigma in SIGMAS
            ]
            return Group(min(rows)[1], steps)

        return best(HARD_STEPS), best(HARD_STEPS // 2)

    def _choose_thresholds(self, hard: Group, middle: Group) -> GroupLadder:
        qmap = self._qmap()
        easy = [(Group(0.0, 0), share) for share in KEEP_SHARES] + [(Group(sigma, 1), EASY_SHARE) for sigma in SIGMAS]
        measured: list[tuple[float, GroupLadder]] = []
        for (easiest, easy_share), hard_share in itertools.product(easy, HARD_SHARES):
            evaluations = hard_share * hard.steps + easy_share * easiest.steps
            evaluations += (1 - hard_share - easy_share) * middle.steps
            if evaluations > MOST_COST * hard.steps:
                continue
            thresholds = (float(np.quantile(qmap, 1 - easy_share)), float(np.quantile(qmap, hard_share)))
            ladder = GroupLadder((easiest, middle, hard), thresholds)
            row = self._measure(
                ladder, easiest=[easiest.sigma, easiest.steps], easy_share=easy_share, hard_share=hard_share
            )
            measured.append((row["lpips"], ladder))
        return min(measured, key=lambda item: item[0])[1]

    def _qmap(self) -> npt.NDArray[np.float64]:
        """The Qmap of all pictures' patches side by side [N]."""
        results = self._upscale(GroupLadder((Group(0.1, 1),), ()), coarse_only=True)
        pairs = zip(
            (one for pictures in self.sets.values() for one in pictures),
            (result for some in results.values() for result in some),
            strict=True,
        )
        return np.concatenate([per_patch_errors(result, one.hr)[0] for one, result in pairs])
