"""The loss of how much texture there is where."""

from __future__ import annotations

import torch

from patchscaler_cli.training.texture_energy import WINDOWS, log_energies, texture_gap


def grain(seed: int, level: float) -> torch.Tensor:
    return torch.randn(2, 1, 128, 128, generator=torch.Generator().manual_seed(seed)).repeat(1, 3, 1, 1) * level


def test_equal_pictures_lack_nothing() -> None:
    picture = grain(0, 0.1)
    assert texture_gap(picture, picture) == 0


def test_where_its_lines_run_matters_less_than_how_much_there_is() -> None:
    truth, other, fainter, smooth = grain(0, 0.1), grain(1, 0.1), grain(0, 0.05), torch.zeros(2, 3, 128, 128)
    assert texture_gap(other, truth) < texture_gap(fainter, truth) / 4 < texture_gap(smooth, truth) / 12


def test_too_much_is_as_bad_as_too_little() -> None:
    truth = grain(0, 0.1)
    assert torch.allclose(texture_gap(truth * 2, truth), texture_gap(truth / 2, truth), rtol=0.1)


def test_faint_texture_counts_as_strong_one_does() -> None:
    strong, faint = (texture_gap(grain(1, level / 2), grain(0, level)) for level in (0.3, 0.06))
    assert torch.allclose(strong, faint, rtol=0.15)


def test_squares_of_single_pixels_in_turn_do_not_stand_for_texture() -> None:
    """A photograph's texture has next to none of them."""
    truth = torch.nn.functional.interpolate(grain(0, 0.1)[..., :64, :64], scale_factor=2, mode="bicubic")
    fainter = truth / 2
    turn = torch.arange(128) % 2 * 2.0 - 1
    for level in (0.01, 0.02, 0.05):
        assert texture_gap(fainter + level * turn * turn[:, None], truth) > texture_gap(fainter, truth)


def test_lines_across_do_not_stand_for_lines_down() -> None:
    across = torch.nn.functional.avg_pool2d(grain(0, 0.2), (1, 5), 1, (0, 2))
    assert texture_gap(across.transpose(2, 3), across) > 5 * texture_gap(across.flip(2, 3), across)


def test_colour_and_brightness_are_no_texture() -> None:
    truth = grain(0, 0.1)
    tinted = truth * 1.0
    tinted[:, 0] += 0.2
    assert texture_gap(tinted, truth) < 1e-3


def test_every_octave_is_told_apart() -> None:
    fine = grain(0, 0.1)
    rough = torch.nn.functional.interpolate(fine[..., ::4, ::4], scale_factor=4, mode="bilinear")
    energies = zip(log_energies(fine), log_energies(rough), strict=True)
    steps = [float((one - other).mean()) for one, other in energies]
    assert len(steps) == len(WINDOWS)
    assert steps[0] > steps[1] > steps[2]


def test_flat_pictures_have_gradients_that_are_numbers() -> None:
    flat = torch.zeros(1, 3, 64, 64, requires_grad=True)
    texture_gap(flat, grain(0, 0.1)[:1, :, :64, :64]).backward()  # type: ignore[no-untyped-call]
    assert flat.grad is not None
    assert torch.isfinite(flat.grad).all()
