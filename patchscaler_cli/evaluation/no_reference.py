"""CLIP-IQA and MUSIQ through pyiqa, where it is installed: networks that say how good a picture looks, without its truth.

pyiqa is no extra of ours: it has a licence of its own, and it downloads the networks' weights by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch

from patchscaler_cli.evaluation.metrics import Pixels

PYIQA_METRICS = {"clipiqa": "CLIP-IQA", "musiq": "MUSIQ"}
"""pyiqa's names for them, and the field's; both are better when higher (0 to 1, and 0 to 100)."""


def load_pyiqa(name: str) -> tuple[Callable[[Pixels], float] | None, str]:
    """A metric of pyiqa on the CPU.

    Returns:
        The metric, from a picture [H, W, 3] to its figure, and ""; or None and what is missing, in a few words.
    """
    try:
        pyiqa: Any = import_module("pyiqa")
    except ImportError:
        return None, "needs pyiqa"
    try:
        metric = pyiqa.create_metric(name, device=torch.device("cpu"))
    except (OSError, RuntimeError) as error:  # its weights could not be downloaded or read
        return None, f"pyiqa has no weights ({type(error).__name__})"

    def judge(picture: Pixels) -> float:
        rgb = torch.tensor(picture).permute(2, 0, 1)[None].float() / 255  # (1, 3, H, W)
        with torch.inference_mode():
            return float(metric(rgb))

    return judge, ""
