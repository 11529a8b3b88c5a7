"""A training run's folder: what each phase leaves there and the next one takes up.

config.json    sizes of the model, written by the first phase
coarse.pt      phase 1       pairs.pt     LR and coarse images of all photos and how sure they are, made once
texture.pt     phase 2       textures.pt  the chosen reference textures (pixels: never leaves this folder)
diffusion.pt   phase 3       few_step.pt  phase 4
groups.json    calibration   calibration.npz  what it measured
commands.txt   the commands that trained in this folder, a line each
"""

from __future__ import annotations

import dataclasses
import json
import shlex
from dataclasses import dataclass
from pathlib import Path

import torch

from patchscaler_cli.errors import PatchScalerError, UsageError
from patchscaler_cli.models.coarse import CoarseModel
from patchscaler_cli.models.patch_dit import PatchDiT
from patchscaler_cli.models.patchscaler import PRESETS, ModelConfig
from patchscaler_cli.models.placement import place
from patchscaler_cli.models.texture import TextureClassifier, TextureEncoder
from patchscaler_cli.models.weights_file import load_to_train_on
from patchscaler_cli.training.diffusion import PromptedDenoiser
from patchscaler_cli.training.pairs import Pairs, make_pairs
from patchscaler_cli.training.photos import Photos
from patchscaler_cli.training.run import fresh_checkpoint, load_average, load_checkpoint
from patchscaler_cli.training.texture import ReferenceTextures, choose_textures
from patchscaler_cli.training.widening import can_grow, grown_coarse, shown_features, shown_lr, with_larger_patches

PAIRS = ("coarse", "lr", "confidence")
"""What is kept of `Pairs`."""


@dataclass(frozen=True)
class RunFolder:
    """One training run on disk."""

    path: Path

    def config(self, preset: str | None = None) -> ModelConfig:
        """The run's model sizes; a run that is new takes them from `preset` and keeps them.

        Raises:
            UsageError: if the preset is unknown or differs from what the run began with.
        """
        file = self.path / "config.json"
        if file.exists():
            config = ModelConfig.from_dict(json.loads(file.read_text()))
            if preset is not None and preset != config.name:
                raise UsageError(f"{self.path}: this run trains {config.name!r}; give another --run for {preset!r}.")
            return config
        name = preset or "tiny"
        if name not in PRESETS:
            raise UsageError(f"--preset must be one of {', '.join(PRESETS)}, not {name!r}.")
        self.set_config(PRESETS[name])
        return PRESETS[name]

    def set_config(self, config: ModelConfig) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / "config.json").write_text(json.dumps(config.to_dict(), indent=1))

    def begin_from(self, weights: Path) -> list[str]:
        """Start a new run from a weights file: its parts become the checkpoints of phases 1 to 3, at step 0.

        A Patch-DiT that has not seen the LR picture, or the coarse model's features, is shown them from now on; a coarse
        model, or patches, that are smaller than their preset's are grown to that.
        The reference textures are chosen anew by the first phase that needs them: a weights file holds no pixels.
        A run that has begun already is left as it is, so the same command resumes it.

        Returns:
            The names of the tensors that begin untrained: the file is of a version that did not have them so.

        Raises:
            PatchScalerError: if the weights file cannot be used.
        """
        if (self.path / "config.json").exists():
            return []
        model, details, untrained = load_to_train_on(weights)
        if not model.config.patch_dit.sees_lr:
            model.patch_dit = shown_lr(model.patch_dit)
        preset = PRESETS.get(model.config.name, model.config)
        if model.config.patch_dit.features < preset.patch_dit.features:
            model.patch_dit = shown_features(model.patch_dit, preset.patch_dit.features)
        if model.patch_dit.config.patch < preset.patch_dit.patch:
            model.patch_dit = with_larger_patches(model.patch_dit, preset.patch_dit.patch)
        if can_grow(model.config.coarse, preset.coarse):
            model.coarse = grown_coarse(model.coarse, preset.coarse)
        self.set_config(dataclasses.replace(model.config, coarse=model.coarse.config, patch_dit=model.patch_dit.config))
        past = {
            name: details[name]
            for name in ("commit", "seed", "device", "training", "commands", "begun_from")
            if name in details
        }
        self.begun_from.write_text(json.dumps(past, indent=1))
        fresh_checkpoint(self.coarse, "coarse", model.coarse)
        fresh_checkpoint(self.texture, "classifier", model.classifier)
        fresh_checkpoint(self.diffusion, "denoiser", PromptedDenoiser(model.patch_dit, model.encoder))
        return untrained

    def note_command(self, words: list[str]) -> None:
        """Keep a command line that trains here, for the weights' metadata; one that resumes a phase is kept once."""
        command = shlex.join(["patchscaler", *words[1:]])  # however it was called
        if command not in self.commands():
            self.path.mkdir(parents=True, exist_ok=True)
            with (self.path / "commands.txt").open("a") as file:
                file.write(command + "\n")

    def commands(self) -> list[str]:
        """The commands that trained in this folder, oldest first."""
        file = self.path / "commands.txt"
        return file.read_text().splitlines() if file.exists() else []

    @property
    def begun_from(self) -> Path:
        """How the weights were trained that the run began from; there is no such file where it began from nothing."""
        return self.path / "begun_from.json"

    @property
    def coarse(self) -> Path:
        return self.path / "coarse.pt"

    @property
    def texture(self) -> Path:
        return self.path / "texture.pt"

    @property
    def diffusion(self) -> Path:
        return self.path / "diffusion.pt"

    @property
    def few_step(self) -> Path:
        return self.path / "few_step.pt"

    @property
    def groups(self) -> Path:
        return self.path / "groups.json"

    @property
    def measurements(self) -> Path:
        return self.path / "calibration.npz"

    def load_coarse(self) -> CoarseModel:
        """The trained coarse model, averaged weights, on the CPU."""
        model = CoarseModel(self.config().coarse)
        load_average(model, self.coarse, "coarse")
        return model

    def load_classifier(self) -> TextureClassifier:
        """The trained texture classifier, averaged weights, on the CPU."""
        model = TextureClassifier(self.config().texture)
        load_average(model, self.texture, "classifier")
        return model

    def load_denoiser(self, checkpoint: Path | None = None) -> PromptedDenoiser:
        """Patch-DiT and texture encoder of a checkpoint, averaged weights; untrained ones without a checkpoint."""
        config = self.config()
        denoiser = PromptedDenoiser(PatchDiT(config.patch_dit), TextureEncoder(config.texture))
        if checkpoint is not None:
            load_average(denoiser, checkpoint, "denoiser")
        return denoiser

    def pairs(self, photos: Photos, variants: int) -> Pairs:
        """The coarse images of `photos`, made where they are not in the folder yet (minutes on a CPU)."""
        file, shown = self.path / "pairs.pt", None
        if self.config().patch_dit.features:
            shown = place(self.load_coarse(), photos.images.device)
        if file.exists() and file.stat().st_mtime > self.coarse.stat().st_mtime:
            device = photos.images.device
            stored = torch.load(file, weights_only=True, mmap=device.type == "cpu")
            if (
                not isinstance(stored, dict)
                or "confidence" not in stored
                or stored["coarse"].shape[1:] != photos.images.shape
            ):
                raise PatchScalerError(
                    f"{file}: made from other photos or by an older version; remove it to make it again."
                )
            coarse, lr, confidence = (stored[name].to(device) for name in PAIRS)
            return Pairs.of(photos, coarse, lr, confidence, shown)
        model = shown or place(self.load_coarse(), photos.images.device)
        pairs = make_pairs(photos, model, variants)
        partial = file.with_suffix(".partial")
        torch.save({name: getattr(pairs, name) for name in PAIRS}, partial)
        partial.replace(file)
        return dataclasses.replace(pairs, shown=shown)

    def textures(self, pairs: Pairs | None) -> ReferenceTextures:
        """The reference textures: those of the folder, or chosen from `pairs` where there are none yet."""
        file, device = self.path / "textures.pt", pairs.coarse.device if pairs else torch.device("cpu")
        if not file.exists() and pairs is not None:
            chosen = choose_textures(pairs, self.load_classifier().to(device), self.config().texture.entries)
            torch.save({"patches": chosen.patches, "keys": chosen.keys, "sources": chosen.sources}, file)
        stored = {name: tensor.to(device) for name, tensor in load_checkpoint(file).items()}
        return ReferenceTextures(stored["patches"], stored["keys"], stored["sources"])
