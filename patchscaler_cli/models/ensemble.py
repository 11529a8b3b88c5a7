"""The coarse model's geometric self-ensemble: a picture restored turned and mirrored in all eight ways, and the mean of them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from patchscaler_cli.models.coarse import NOWHERE, CoarseConfig, CoarseModel, Ends, Restored


class CoarseEnsemble(nn.Module):
    """A coarse model that looks eight times (EDSR, Lim et al. 2017, section 3.4: "geometric self-ensemble").

    What the model gets wrong by chance differs between the eight, what it knows does not; so the mean lies nearer to the
    truth than each. Its receptive field is the model's.
    """

    def __init__(self, model: CoarseModel) -> None:
        super().__init__()
        self.model = model

    @property
    def config(self) -> CoarseConfig:
        return self.model.config

    def restore_inner(self, lr: Tensor, ends: Ends = NOWHERE) -> Restored:
        """As `CoarseModel.restore_inner`: the mean of eight coarse images, and of eight logits of the confidence map. The
        features are those of the upright picture; nobody has learned to read others'."""
        upright, *turned = (self._restore_turned(lr, ends, way) for way in range(8))
        images, logits = (torch.stack([upright[part], *(one[part] for one in turned)]).mean(0) for part in range(2))
        return Restored(images, logits, upright.features)

    def _restore_turned(self, lr: Tensor, ends: Ends, way: int) -> Restored:
        """Restore the picture mirrored (bits 0 and 1 of `way`) and transposed (bit 2), and turn back what comes out."""
        mirrored = [dim for dim in (2, 3) if way & (dim - 1)]
        transposed = bool(way & 4)
        x = lr.flip(mirrored)
        top, bottom, left, right = ends
        if 2 in mirrored:
            top, bottom = bottom, top
        if 3 in mirrored:
            left, right = right, left
        ends = Ends(top, bottom, left, right)
        if transposed:
            x, ends = x.transpose(2, 3), Ends(left, right, top, bottom)
        restored = self.model.restore_inner(x.contiguous(), ends)
        if transposed:
            restored = Restored(*(part.transpose(2, 3) for part in restored))
        return Restored(*(part.flip(mirrored) for part in restored))
