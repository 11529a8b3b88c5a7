"""Phase 2: the texture classifier and the choice of the reference textures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from patchscaler_cli.models.diversity import pick_diverse
from patchscaler_cli.models.placement import place
from patchscaler_cli.models.texture import TEXTURE_SIDE, TextureClassifier, TextureConfig
from patchscaler_cli.training.optimizers import adamw
from patchscaler_cli.training.pairs import Pairs, PatchBatch
from patchscaler_cli.training.run import Budget, Run, Trainee, autocast

TEMPERATURE = 0.07


@dataclass(frozen=True)
class ReferenceTextures:
    """HR patches that the memory is made of. They stay with the training run and are never exported.

    Attributes:
        patches: uint8 [M, 3, 64, 64].
        keys: the classifier's embedding of each [M, D], float32.
        sources: the photograph of each [M], int64.
    """

    patches: Tensor
    keys: Tensor
    sources: Tensor

    def pixels(self, entries: Tensor) -> Tensor:
        """Patches of the given entries [E] as float32 [E, 3, 64, 64] in [-1, 1]."""
        return self.patches[entries].float() / 127.5 - 1

    def retrieve(self, query: Tensor, sources: Tensor, top_k: int) -> tuple[Tensor, Tensor]:
        """Entries and similarities [B, K] nearest to queries [B, D], never from the query's own photograph [B]."""
        similarities = query.float() @ self.keys.T  # (B, M)
        similarities = similarities.masked_fill(sources[:, None] == self.sources, -2.0)
        nearest = similarities.topk(top_k, dim=1)
        return nearest.indices, nearest.values


def contrastive_loss(queries: Tensor, keys: Tensor) -> tuple[Tensor, Tensor]:
    """InfoNCE of unit vectors [B, D] whose i-th query belongs to the i-th key, and the share found first."""
    logits = queries @ keys.T / TEMPERATURE
    target = torch.arange(len(queries), device=queries.device)
    return F.cross_entropy(logits, target), (logits.argmax(1) == target).float().mean()


def train_texture(
    pairs: Pairs, checkpoint: Path, config: TextureConfig, budget: Budget, *, batch_size: int = 128
) -> TextureClassifier:
    """Train the classifier so that a coarse patch finds the HR texture around it; resumes from `checkpoint`.

    Instance discrimination: the query is the coarse patch, its key an HR patch that overlaps it by a half in
    each direction at least; the other keys of the batch are wrong answers. No labels are needed.
    """
    device = pairs.coarse.device
    classifier = place(TextureClassifier(config), device)
    trainee = Trainee(classifier, adamw(classifier, 1e-3))
    run, pictures = Run(checkpoint, {"classifier": trainee}, budget), pairs.pictures_only()
    run.resume()
    for progress in run.steps():
        with run.fetching(device):
            wide = pictures.draw(batch_size, TEXTURE_SIDE * 3 // 2)
        corner = (torch.randint(9, (4,)) * 4).tolist()
        rows, columns, key_rows, key_columns = (slice(first, first + TEXTURE_SIDE) for first in corner)
        query, key = wide.coarse[..., rows, columns], wide.hr[..., key_rows, key_columns]
        with autocast(device):
            embedded = trainee.module(torch.cat((query, key)))
        loss, found = contrastive_loss(*embedded.chunk(2))
        trainee.step(loss, progress)
        run.record(batch_size, loss=loss.detach(), top1=found)
    average = trainee.average
    assert isinstance(average, TextureClassifier)
    return average


@torch.no_grad()
def choose_textures(
    pairs: Pairs, classifier: TextureClassifier, entries: int, per_entry: int = 32, rounds: int = 12
) -> ReferenceTextures:
    """Draw candidates among the HR patches and pick diverse ones.

    Args:
        entries: how many textures M.
        per_entry: candidates drawn for each.
        rounds: of k-means.
    """
    pictures = pairs.pictures_only()
    patches, embeddings, sources = [], [], []
    for _ in range(-(-entries * per_entry // 256)):
        batch: PatchBatch = pictures.draw(256, TEXTURE_SIDE)
        patches.append(((batch.hr + 1) * 127.5).round().to(torch.uint8))
        embeddings.append(classifier(batch.hr))
        sources.append(batch.sources)
    embedding = torch.cat(embeddings)
    chosen = pick_diverse(embedding, entries, rounds)
    return ReferenceTextures(torch.cat(patches)[chosen], embedding[chosen], torch.cat(sources)[chosen])
