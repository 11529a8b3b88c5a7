"""Phase 5: the groups, their thresholds, the default fidelity and the presets, found on pictures whose truth is known.

Three steps: `calibrate_measure` samples every patch by every candidate (sigma_tau, N), `calibrate_search` has the rule and
chooses, and the chosen presets are then measured here as a user would see them, by the pipeline. What the search reads
from the patches' shares is a forecast: at the borders between groups it cannot see what LPIPS sees. Where the real PSNR-Y
misses the margin, the fidelity is raised.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from patchscaler_cli.errors import UsageError
from patchscaler_cli.evaluation.folder import examples
from patchscaler_cli.evaluation.metrics import Lpips, psnr_y
from patchscaler_cli.models.patchscaler import PatchScalerModel
from patchscaler_cli.pipeline.settings import UpscaleSettings
from patchscaler_cli.pipeline.upscaler import Upscaler
from patchscaler_cli.sampling.groups import Group, GroupLadder
from patchscaler_cli.training.calibrate_measure import BATCH, FIDELITIES, PatchMeasurer, Sets
from patchscaler_cli.training.calibrate_search import FIDELITIES as FIDELITY_GRID
from patchscaler_cli.training.calibrate_search import Found, frontier, presets, search, uniform_curve
from patchscaler_cli.training.calibrate_table import KEEP, Floats, Measurements, Outcome, outcome

CANDIDATES = tuple(
    Group(sigma, steps)
    for steps, sigmas in ((1, (0.06, 0.1, 0.2, 0.3)), (2, (0.1, 0.2, 0.3)), (4, (0.2, 0.3)))
    for sigma in sigmas
)
"""What a group may be: where the few-step phase trains, and more noise for more steps."""
PSNR_MARGIN = 0.15
"""dB that PSNR-Y stays above bicubic's, on the set of pictures where it is the least."""

Say = Callable[[str], None]


def load_sets(hr: Path, lr_folders: list[Path], every: int) -> Sets:
    """Examples of each LR folder, by the folder's name."""
    return {folder.name: list(examples(hr, folder, every)) for folder in lr_folders}


def parse_candidates(words: str) -> tuple[Group, ...]:
    """Candidates from words such as "0.1:1,0.3:32": start noise and steps, with commas between.

    Raises:
        UsageError: if a word is no candidate.
    """
    found = set()
    for word in words.split(","):
        sigma, _, steps = word.partition(":")
        try:
            group = Group(float(sigma), int(steps))
        except ValueError:
            group = KEEP
        if not (0.01 <= group.sigma <= 10 and 1 <= group.steps <= 1000):
            raise UsageError(
                f"--candidates: {word!r} is no candidate; give SIGMA:STEPS with commas between, such as 0.1:1,0.3:4 "
                "(sigma from 0.01 to 10, 1 to 1000 steps)."
            )
        found.add(group)
    return tuple(sorted(found, key=lambda group: (group.steps, group.sigma)))


@dataclass(frozen=True)
class Calibrator:
    """Calibrates one model.

    Attributes:
        upscaler: the model as users run it, on its device and in its dtype; its own ladder is of no account.
        sets: the pictures.
        lpips: the judge.
        say: told how far the work is.
    """

    upscaler: Upscaler
    sets: Sets
    lpips: Lpips
    say: Say = print

    @classmethod
    def of(cls, model: PatchScalerModel, sets: Sets, lpips: Lpips, device: str, say: Say = print) -> Calibrator:
        """For a model that has no calibration yet."""
        placeholder = {"calibration": GroupLadder((Group(0.1, 1),), ()).to_dict()}
        return cls(Upscaler(model, placeholder, device), sets, lpips, say)

    def run(self, candidates: tuple[Group, ...], margin: float, store: Path | None = None) -> dict[str, Any]:
        """Measure, search, and measure what was chosen.

        Args:
            candidates: that sample, by steps and start noise.
            margin: dB of PSNR-Y above bicubic's.
            store: file (.npz) for the measurements; one that holds those of the same model, pictures and candidates is
                read instead of measuring again.

        Returns:
            JSON values: the default's groups, thresholds and fidelity; `texture`, whether the model's own textures are used,
            and `texture_lpips`, by which that was decided; `presets`; `curve`; `table`; `margin`.

        Raises:
            PatchScalerError: if no ladder keeps the margin.
        """
        by_textures = {texture: self._distance(candidates[0], texture) for texture in (False, True)}
        texture = by_textures[True] < by_textures[False]
        self.say(f"LPIPS with the model's own textures {by_textures[True]:.4f}, without {by_textures[False]:.4f}")
        table = self._table((KEEP, *candidates), store, texture)
        found = search(table, margin)
        chosen = presets(found)
        measured: dict[Found, dict[str, Any]] = {}
        for name, one in chosen.items():
            if one not in measured:
                measured[one] = self._measured(one, margin, table.bicubic, texture)
            self.say(f"{name}: {json.dumps(measured[one])}")
        values = {name: measured[one] for name, one in chosen.items()}
        default = values["balanced"]
        curve = {
            "adaptive": [_point(one.outcome, one.fidelity) for one in frontier(found)],
            "uniform": [_point(one, fidelity) for fidelity, one in uniform_curve(table, margin)],
        }
        return {name: default[name] for name in ("groups", "thresholds", "fidelity")} | {
            "texture": texture, "texture_lpips": {"with": round(by_textures[True], 4), "without": round(by_textures[False], 4)},
            "presets": values, "psnr_margin": margin, "pictures": len(table.bicubic), "curve": curve, "table": _rows(table),
        }  # fmt: skip

    def _distance(self, group: Group, texture: bool) -> float:
        """Mean LPIPS of all pictures with all patches in one group, with or without the model's own textures."""
        ladder = {"calibration": GroupLadder((group,), ()).to_dict()}
        upscaler = Upscaler(self.upscaler.network, ladder, self.upscaler.device, self.upscaler.dtype)
        settings = UpscaleSettings(texture=texture, batch_size=BATCH)
        pictures = [one for examples_of_set in self.sets.values() for one in examples_of_set]
        return float(np.mean([self.lpips(one.hr, upscaler.upscale(one.lr, settings).pixels) for one in pictures]))

    def _table(self, candidates: tuple[Group, ...], store: Path | None, texture: bool) -> Measurements:
        """The measurements, from the store where it has them."""
        key = self._fingerprint(candidates, texture)
        if store is not None and (known := Measurements.load(store, key)) is not None:
            self.say(f"the measurements are taken from {store}")
            return known
        upscaler = self.upscaler
        measurer = PatchMeasurer(upscaler.network, upscaler.network.memory.keys.device, self.lpips, texture)
        table = measurer.measure(self.sets, candidates, self.say)
        if store is not None:
            table.save(store, key)
        return table

    def _fingerprint(self, candidates: tuple[Group, ...], texture: bool) -> str:
        """Tells whether model, arithmetic, pictures, candidates and the use of textures are the same."""
        digest = hashlib.sha256(
            repr((candidates, texture, FIDELITIES, self.upscaler.dtype, self.upscaler.device)).encode()
        )
        for name, tensor in self.upscaler.network.state_dict().items():
            digest.update(name.encode() + tensor.float().cpu().contiguous().numpy().tobytes())
        for name, pictures in self.sets.items():
            digest.update(name.encode())
            for one in pictures:
                digest.update(one.name.encode() + one.hr.tobytes() + one.lr.tobytes())
        return digest.hexdigest()

    def _measured(self, found: Found, margin: float, of_bicubic: Floats, texture: bool) -> dict[str, Any]:
        """A preset as it goes into the metadata, its figures those of real pictures; bicubic's PSNR-Y of each is known."""
        ladder = {"calibration": found.ladder.to_dict()}
        upscaler = Upscaler(self.upscaler.network, ladder, self.upscaler.device, self.upscaler.dtype)
        pictures, evaluations = [], []
        for number, examples_of_set in enumerate(self.sets.values()):
            for one in examples_of_set:
                result = upscaler.upscale(one.lr, UpscaleSettings(fidelity=0.0, texture=texture, batch_size=BATCH))
                coarse, refined = result.coarse.astype(np.float32), result.pixels.astype(np.float32)
                pictures.append((number, one, coarse, refined - coarse))
                evaluations.append(result.network_evaluations / result.patches)
        for fidelity in [each for each in FIDELITY_GRID if each >= found.fidelity]:
            mixed = [
                (coarse + np.float32(1 - fidelity) * refinement).round().clip(0, 255).astype(np.uint8)
                for _, _, coarse, refinement in pictures
            ]
            gains: list[list[float]] = [[] for _ in self.sets]
            for (number, one, _, _), picture, least in zip(pictures, mixed, of_bicubic, strict=True):
                gains[number].append(psnr_y(one.hr, picture) - float(least))
            gain = min(float(np.mean(each)) for each in gains)
            if gain >= margin:
                break
        distances = [self.lpips(one.hr, picture) for (_, one, _, _), picture in zip(pictures, mixed, strict=True)]
        real = Outcome(float(np.mean(evaluations)), float(np.mean(distances)), gain)
        return found.ladder.to_dict() | _point(real, fidelity) | {
            "forecast": _point(found.outcome, found.fidelity), "uniform": _point(found.uniform, found.fidelity)
        }  # fmt: skip


def _point(one: Outcome, fidelity: float) -> dict[str, float]:
    return {
        "fidelity": fidelity,
        "evaluations": round(one.evaluations, 3),
        "lpips": round(one.lpips, 4),
        "psnr_y_over_bicubic": round(one.gain, 3),
    }


def _rows(table: Measurements) -> list[dict[str, Any]]:
    """Every candidate's uniform sampling at the fidelities where it was measured."""
    shares = {fidelity: table.at(fidelity) for fidelity in table.fidelities[:-1]}
    return [
        {"sigma": group.sigma, "steps": group.steps}
        | _point(outcome(table, shares[fidelity], np.full(len(table.qmap), number)), fidelity)
        for number, group in enumerate(table.candidates)
        for fidelity in shares
    ]
