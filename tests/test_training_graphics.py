"""Drawn training pictures: nobody's, the same for the same number, and like what people draw."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.random import default_rng
from PIL import Image

from patchscaler_cli.training.graphics import KINDS, drawn_pictures, main
from patchscaler_cli.training.photos import Photos


def test_a_number_draws_the_same_picture_whichever_others_are_drawn() -> None:
    three = drawn_pictures(3, seed=0)
    assert three.shape == (3, 3, 512, 512)
    assert np.array_equal(three[:2], drawn_pictures(2, seed=0))
    assert not np.array_equal(three[0], three[1])
    assert not np.array_equal(three, drawn_pictures(3, seed=1))


@pytest.mark.parametrize("number", range(len(KINDS)))
def test_every_kind_shows_both_its_colours(number: int) -> None:
    for seed in range(5):
        panel = Image.new("RGB", (400, 300), (255, 255, 255))
        KINDS[number](panel, (0, 0, 0), default_rng(seed))
        dark = (np.asarray(panel).mean(2) < 128).mean()
        assert 0.002 < dark < 0.95


def test_edges_are_smooth_as_in_what_is_scanned_or_shown_on_a_screen() -> None:
    picture = drawn_pictures(1, seed=0)[0].astype(int)
    steps = np.abs(np.diff(picture, axis=2)).max(0)
    between = (steps > 8) & (steps < 60)
    assert between.sum() > 1000


def test_a_drawn_picture_counts_as_a_photograph() -> None:
    photos = Photos(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), torch.tensor([0, 0, 0, 1]))
    both = photos.joined(np.ones((2, 3, 8, 8), np.uint8))
    assert both.sources.tolist() == [0, 0, 0, 1, 2, 3]
    torch.manual_seed(0)
    assert 0.45 < (both.images[both.draw(4000)] == 1).float().mean() < 0.55


def test_drawn_pictures_are_written_to_measure_with(tmp_path: Path) -> None:
    main(tmp_path / "drawn", count=2, seed=99)
    written = [np.asarray(Image.open(file)) for file in sorted((tmp_path / "drawn").iterdir())]
    assert np.array_equal(np.stack(written), drawn_pictures(2, seed=99).transpose(0, 2, 3, 1))
