"""The coarse model's geometric self-ensemble: a picture restored turned and mirrored in all eight ways, and the mean of them."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from patchscaler_cli.models.coarse import NOWHERE, CoarseConfig, CoarseModel, Ends, Restored
from patchscaler_cli.models.dihedral import dihedral, inverse


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
        image, logit, features = self.model.restore_inner(lr, ends)
        images, logits = [image], [logit]
        for way in range(1, 8):
            turned = self.model.restore_inner(dihedral(lr, way).contiguous(), ends.turned(way))
            images.append(dihedral(turned.image, inverse(way)))
            logits.append(dihedral(turned.logit, inverse(way)))
        return Restored(torch.stack(images).mean(0), torch.stack(logits).mean(0), features)
