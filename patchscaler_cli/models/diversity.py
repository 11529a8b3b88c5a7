"""Which of many textures go into a memory: those that between them stand for all."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

MOST_SIMILARITIES = 2**24
"""How many similarities are held at once: 64 MiB."""


@torch.no_grad()
def pick_diverse(
    embeddings: Tensor, count: int, rounds: int = 12, generator: torch.Generator | None = None
) -> Tensor:  # fmt: skip
    """Spherical k-means on the candidates' embeddings, then the candidate nearest to each centre.

    Args:
        embeddings: unit vectors [N, D], float32.
        count: how many centres; at most N are found.
        rounds: of k-means.
        generator: draws the first centres, on the embeddings' device; None for torch's own.

    Returns:
        The candidates' numbers [count], int64. One may stand for two centres and is then there twice.
    """
    drawn = torch.randperm(len(embeddings), device=embeddings.device, generator=generator)
    centres = embeddings[drawn[:count]]
    for _ in range(rounds):
        sums = torch.zeros_like(centres).index_add_(0, _nearest(embeddings, centres), embeddings)
        centres = torch.where(sums.norm(dim=1, keepdim=True) > 0, F.normalize(sums, dim=1), centres)
    return _nearest(centres, embeddings)


def _nearest(vectors: Tensor, others: Tensor) -> Tensor:
    """For each of `vectors` [A, D] the number of the most similar one of `others` [B, D]: int64 [A]."""
    rows = max(1, MOST_SIMILARITIES // len(others))
    starts = range(0, len(vectors), rows)
    return torch.cat([(vectors[start : start + rows] @ others.T).argmax(1) for start in starts])
