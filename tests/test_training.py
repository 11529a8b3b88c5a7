"""The phases run one after the other on small photos, resume where they stopped, and end in a file that upscales."""

from __future__ import annotations

import copy
import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from torch.optim import AdamW, Muon, Optimizer

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.models.coarse import ETA
from patchscaler_cli.models.dihedral import dihedral, inverse
from patchscaler_cli.models.patch_dit import PatchDiT, unpacked
from patchscaler_cli.models.texture import TextureEncoder
from patchscaler_cli.pipeline.upscaler import Upscaler
from patchscaler_cli.training import alignment, optimizers
from patchscaler_cli.training.diffusion import PromptedDenoiser
from patchscaler_cli.training.export import details
from patchscaler_cli.training.few_step_losses import FewStepWeights
from patchscaler_cli.training.folder import RunFolder
from patchscaler_cli.training.looks import random_views
from patchscaler_cli.training.optimizers import Fp32Muon, muon
from patchscaler_cli.training.pairs import SURROUNDINGS, Pairs
from patchscaler_cli.training.phases import PhaseSettings, run_few_step
from patchscaler_cli.training.photos import Photos
from patchscaler_cli.training.recipe import minutes_of_phases
from patchscaler_cli.training.run import Budget, load_checkpoint
from tests.evaluation_samples import write_lpips
from tests.fake_upscaler import RunCli
from tests.small_model import SMALL, small_model

UNSURE = torch.full((1, 1, 1, 64, 64), 0.5, dtype=torch.float16)
"""Confidence of a degradation of one photo of 256x256 pixels."""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three photos of 512x512 pixels: coloured waves with grain."""
    folder = tmp_path_factory.mktemp("photos")
    y, x = np.mgrid[0:512, 0:512]
    for number in range(3):
        rng = np.random.default_rng(number)
        waves = np.stack([np.sin(x / (5 + number) + c) * np.cos(y / (9 - number)) for c in range(3)], -1)
        grain = rng.normal(0, 20, (512, 512, 1))
        Image.fromarray(np.clip(waves * 90 + 128 + grain, 0, 255).astype(np.uint8)).save(folder / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Perceptual networks of the right shapes with random weights: SqueezeNet 1.1 and AlexNet with LPIPS's heads."""
    folder, generator = tmp_path_factory.mktemp("networks"), torch.Generator().manual_seed(0)

    def layer(name: str, outputs: int, inputs: int, size: int) -> dict[str, torch.Tensor]:
        weight = torch.randn(outputs, inputs, size, size, generator=generator) * (2 / (inputs * size * size)) ** 0.5
        return {f"{name}.weight": weight, f"{name}.bias": torch.zeros(outputs)}

    squeeze = layer("0", 64, 3, 3)
    inputs = 64
    for fire, (narrow, wide) in {3: (16, 64), 4: (16, 64), 6: (32, 128), 7: (32, 128), 9: (48, 192), 10: (48, 192), 11: (64, 256), 12: (64, 256)}.items():  # fmt: skip
        squeeze |= layer(f"{fire}.squeeze", narrow, inputs, 1)
        squeeze |= layer(f"{fire}.expand1x1", wide, narrow, 1) | layer(f"{fire}.expand3x3", wide, narrow, 3)
        inputs = 2 * wide
    squeeze |= {f"lin{i}": torch.ones(width) for i, width in enumerate((64, 128, 256, 384, 384, 512, 512))}
    save_file(squeeze, folder / "squeeze.safetensors")
    write_lpips(folder)
    return folder


@pytest.fixture(scope="module")
def validation(tmp_path_factory: pytest.TempPathFactory, data: Path) -> Path:
    """Two pictures of 128x128 pixels in hr/ and a fourth of it in lr/."""
    folder = tmp_path_factory.mktemp("validation")
    for name in ("hr", "lr"):
        (folder / name).mkdir()
    for number in range(2):
        picture = Image.open(data / f"{number}.png").crop((0, 0, 128, 128))
        picture.save(folder / "hr" / f"{number}.png")
        picture.resize((32, 32), Image.Resampling.BICUBIC).save(folder / "lr" / f"{number}.png")
    return folder


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, data: Path, networks: Path) -> RunFolder:
    """A run through all training phases, two steps each."""
    from typer.testing import CliRunner

    from patchscaler_cli.cli.main import app

    folder = RunFolder(tmp_path_factory.mktemp("run"))
    folder.set_config(SMALL)
    common = ["--data", data, "--run", folder.path, "--steps", 2, "--batch-size", 2, "--threads", 1]
    for phase in (
        ["coarse"],
        ["texture", "--variants", 1],
        ["diffusion"],
        ["few-step", "--lpips-squeeze", networks / "squeeze.safetensors"],
    ):
        result = CliRunner().invoke(app, [str(word) for word in ["train", *phase, *common]])
        assert result.exit_code == 0, result.output
    return folder


def test_every_phase_leaves_its_checkpoint_and_log(trained: RunFolder) -> None:
    for checkpoint in (trained.coarse, trained.texture, trained.diffusion, trained.few_step):
        assert load_checkpoint(checkpoint)["step"] == 2
        lines = [json.loads(line) for line in checkpoint.with_suffix(".jsonl").read_text().splitlines()]
        assert lines[-1]["step"] == 2


def test_a_phase_goes_on_from_its_checkpoint(trained: RunFolder, data: Path, run_cli: RunCli, tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    folder.set_config(SMALL)
    words: list[Any] = ["train", "coarse", "--data", data, "--run", folder.path, "--batch-size", 2, "--threads", 1]
    assert run_cli(*words, "--steps", 1).exit_code == 0
    assert run_cli(*words, "--steps", 3).exit_code == 0
    state = load_checkpoint(folder.coarse)
    assert (state["step"], state["trainees"]["coarse"]["steps"]) == (3, 3)
    assert state["samples"] == 2 + 2 + 1, "the last step's crops are wider and half as many"


def test_the_few_step_phase_goes_on_with_all_its_optimisers(
    trained: RunFolder, data: Path, networks: Path, run_cli: RunCli, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path / "run")
    shutil.copytree(trained.path, folder.path)
    again = run_cli(
        "train", "few-step", "--data", data, "--run", folder.path, "--steps", 3, "--batch-size", 2, "--variants", 1,
        "--threads", 1, "--lpips-squeeze", networks / "squeeze.safetensors",
    )  # fmt: skip
    assert again.exit_code == 0, again.output
    momenta = [
        load_checkpoint(run.few_step)["trainees"]["critics"]["optimizers"][0]["state"] for run in (trained, folder)
    ]
    assert [float(one[0]["step"]) for one in momenta] == [2, 3]
    of_muon = [
        load_checkpoint(run.few_step)["trainees"]["denoiser"]["optimizers"][0]["state"] for run in (trained, folder)
    ]
    assert of_muon[0].keys() == of_muon[1].keys()


def test_a_run_becomes_weights_that_upscale(
    trained: RunFolder,
    networks: Path,
    validation: Path,
    tmp_path: Path,
    run_cli: RunCli,
) -> None:
    judge = [
        "--hr",
        validation / "hr",
        "--lr",
        validation / "lr",
        "--lpips",
        networks / "alex.safetensors",
        "--threads",
        1,
    ]
    calibrated = run_cli(
        "train", "calibrate", "--run", trained.path, *judge, "--every", 1, "--psnr-margin", -20,
        "--candidates", "0.1:1,0.2:2", "--plot", tmp_path / "curve.svg", "--peer", "another program:0.25",
    )  # fmt: skip
    assert calibrated.exit_code == 0, calibrated.output
    assert set(json.loads(trained.groups.read_text())["presets"]) == {"fast", "balanced", "best"}
    assert "another program (0.250)" in (tmp_path / "curve.svg").read_text()
    weights = tmp_path / "small.safetensors"
    exported = run_cli("train", "export", "--run", trained.path, *judge, "--output", weights)
    assert exported.exit_code == 0, exported.output
    upscaler = Upscaler.from_pretrained(weights=weights, device="cpu", dtype="fp32")
    assert upscaler.upscale(np.full((20, 24, 3), 90, np.uint8)).pixels.shape == (80, 96, 3)
    assert upscaler.details["training"]["coarse"]["steps"] == 2
    assert set(upscaler.details["validation"]["lr"]["patchscaler"]) == {"psnr_y", "ssim_y", "lpips"}
    assert (upscaler._model.memory.values != 0).any()


def test_one_command_trains_a_weights_file_and_goes_on_where_it_stopped(
    data: Path, networks: Path, validation: Path, tmp_path: Path, run_cli: RunCli
) -> None:
    folder, weights = RunFolder(tmp_path / "run"), tmp_path / "mine.safetensors"
    folder.set_config(SMALL)
    words: list[Any] = [
        "train", "all", "--data", data, "--run", folder.path, "--minutes", 0.001, "--threads", 1, "--psnr-margin", -20,
        "--drawn", 1,
        "--lpips-squeeze", networks / "squeeze.safetensors", "--lpips", networks / "alex.safetensors",
        "--hr", validation / "hr", "--lr", validation / "lr", "--output", weights,
    ]  # fmt: skip
    first = run_cli(*words)
    assert first.exit_code == 0, first.output
    facts = Upscaler.from_pretrained(weights=weights, device="cpu", dtype="fp32").details
    assert set(facts["training"]) == {"coarse", "texture", "diffusion", "few-step"}
    assert len(facts["commands"]) == 1
    made = torch.load(folder.path / "pairs.pt", weights_only=True, mmap=True)
    assert made["coarse"].shape[1] == len(list(data.iterdir())) + 1  # the drawn picture
    checkpoint, pairs = folder.coarse.stat().st_mtime_ns, (folder.path / "pairs.pt").stat().st_mtime_ns
    again = run_cli(*words)
    assert again.exit_code == 0, again.output
    assert (folder.coarse.stat().st_mtime_ns, (folder.path / "pairs.pt").stat().st_mtime_ns) == (checkpoint, pairs)


@pytest.mark.parametrize("missing", ["--lpips-squeeze", "--lpips", "--hr"])
def test_what_the_last_phases_lack_is_said_before_the_first(
    missing: str, data: Path, networks: Path, validation: Path, tmp_path: Path, run_cli: RunCli
) -> None:
    files = {
        "--lpips-squeeze": networks / "squeeze.safetensors", "--lpips": networks / "alex.safetensors",
        "--hr": validation / "hr",
    }  # fmt: skip
    files[missing] = tmp_path / "nowhere"
    words: list[Any] = [word for pair in files.items() for word in pair]
    words += ["--lr", validation / "lr", "--data", data, "--run", tmp_path / "run", "--minutes", 0.001, "--threads", 1]
    result = run_cli("train", "all", *words)
    assert result.exit_code == 1
    assert "nowhere" in result.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("from_weights", [False, True])
def test_the_phases_share_the_whole_time(from_weights: bool) -> None:
    assert sum(minutes_of_phases(120, from_weights).values()) == pytest.approx(120)


@pytest.mark.parametrize(("warmup", "learns"), [(2, False), (1, True)])
def test_the_denoiser_waits_for_its_critics(
    warmup: int, learns: bool, trained: RunFolder, data: Path, networks: Path, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path / "run")
    shutil.copytree(trained.path, folder.path)
    folder.few_step.unlink()
    settings = PhaseSettings(data, folder, Budget(steps=2), torch.device("cpu"), threads=1, batch_size=4)
    run_few_step(settings, 1, FewStepWeights(critic_warmup=warmup), networks / "squeeze.safetensors", 1e-4)
    before, after = (folder.load_denoiser(file).patch_dit.state_dict() for file in (folder.diffusion, folder.few_step))
    assert any(not torch.equal(before[name], after[name]) for name in before) is learns


def test_a_phase_does_not_go_on_from_a_checkpoint_of_other_networks(
    trained: RunFolder, data: Path, networks: Path, run_cli: RunCli, tmp_path: Path
) -> None:
    folder = RunFolder(tmp_path / "run")
    shutil.copytree(trained.path, folder.path)
    state = load_checkpoint(folder.few_step)
    critics = state["trainees"]["critics"]["module"]
    critics["old.name"] = critics.pop(next(iter(critics)))
    torch.save(state, folder.few_step)
    refused = run_cli(
        "train", "few-step", "--data", data, "--run", folder.path, "--steps", 3, "--batch-size", 2, "--variants", 1,
        "--lpips-squeeze", networks / "squeeze.safetensors",
    )  # fmt: skip
    assert refused.exit_code == 1
    assert "few_step.pt: this phase cannot go on from it" in " ".join(refused.stderr.split())


def test_a_new_run_begins_from_a_weights_file(data: Path, networks: Path, tmp_path: Path, run_cli: RunCli) -> None:
    from patchscaler_cli.models.weights_file import save_weights
    from tests.small_model import CALIBRATION, small_model

    past = {"commit": "0123456789ab", "training": {"coarse": {"steps": 7, "hours": 0.5, "samples": 112}}}
    save_weights(tmp_path / "w.safetensors", small_model(), {"calibration": CALIBRATION} | past)
    folder = RunFolder(tmp_path / "run")
    words: list[Any] = ["--data", data, "--run", folder.path, "--steps", 1, "--batch-size", 2, "--threads", 1]
    begun = run_cli(
        "train", "few-step", *words, "--variants", 1, "--init", tmp_path / "w.safetensors",
        "--lpips-squeeze", networks / "squeeze.safetensors",
    )  # fmt: skip
    assert begun.exit_code == 0, begun.output
    before, after = small_model().patch_dit.state_dict(), folder.load_denoiser(folder.few_step).patch_dit.state_dict()
    assert all(torch.allclose(before[name], after[name], atol=0.01) for name in before)
    assert load_checkpoint(folder.few_step)["step"] == 1
    folder.groups.write_text("{}")
    assert details(folder, None, 0, "cpu")["begun_from"] == past


def test_a_run_that_begins_from_an_earlier_versions_weights_says_what_is_untrained(
    data: Path, tmp_path: Path, run_cli: RunCli
) -> None:
    from patchscaler_cli.models.weights_file import load_weights, save_weights
    from tests.small_model import small_model

    file, missing = tmp_path / "w.safetensors", "encoder.rough.weight"
    save_weights(file, small_model(), {})
    with safe_open(file, "pt") as opened:
        tensors, metadata = {name: opened.get_tensor(name) for name in opened.keys()}, opened.metadata()  # noqa: SIM118
    tensors["encoder.stem.weight"] = tensors.pop(missing)
    save_file(tensors, file, metadata)
    with pytest.raises(PatchScalerError, match=r"encoder\.stem\.weight"):
        load_weights(file)
    folder = RunFolder(tmp_path / "run")
    begun = run_cli(
        "train", "texture", "--data", data, "--run", folder.path, "--steps", 1, "--batch-size", 2, "--init", file
    )
    assert begun.exit_code == 0, begun.output
    assert f"{missing} begin untrained" in " ".join(begun.stderr.split())
    after = folder.load_denoiser(folder.diffusion).patch_dit.state_dict()
    assert all(torch.allclose(small_model().patch_dit.state_dict()[name], after[name], atol=0.01) for name in after)


def test_a_run_that_begins_from_smaller_weights_grows_their_coarse_model_to_its_preset(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from patchscaler_cli.models.weights_file import save_weights
    from patchscaler_cli.training import folder as training_folder
    from tests.small_model import CALIBRATION, small_model

    before = small_model()
    save_weights(tmp_path / "w.safetensors", before, {"calibration": CALIBRATION})
    channels, blocks = SMALL.coarse.channels + 4, SMALL.coarse.blocks + 1
    preset = dataclasses.replace(SMALL, coarse=dataclasses.replace(SMALL.coarse, channels=channels, blocks=blocks))
    monkeypatch.setattr(training_folder, "PRESETS", {SMALL.name: preset})
    folder = RunFolder(tmp_path / "run")
    folder.begin_from(tmp_path / "w.safetensors")
    assert folder.config().coarse == preset.coarse
    lr = torch.rand(1, 3, 16, 16) * 2 - 1
    assert torch.allclose(folder.load_coarse()(lr)[0], before.coarse(lr)[0], atol=0.02)  # stored as fp16


def test_denoisers_are_averaged_one_that_has_seen_neither_lr_picture_nor_features_among_them(
    trained: RunFolder, tmp_path: Path, run_cli: RunCli
) -> None:
    mine, stem = RunFolder(tmp_path / "run"), "patch_dit.stem.weight"
    blind = load_checkpoint(trained.few_step)
    weights = blind["trainees"]["denoiser"]["average"]
    weights["patch_dit.out.bias"] += 1
    weights[stem] = weights[stem][:, :6]
    features = [name for name in weights if name.startswith("patch_dit.features_")]
    assert features
    for name in features:
        del weights[name]
    torch.save(blind, tmp_path / "blind.pt")
    assert run_cli("train", "average", trained.few_step, tmp_path / "blind.pt", "--run", mine.path).exit_code == 0
    mine.set_config(SMALL)
    before, after = (folder.load_denoiser(folder.few_step).state_dict() for folder in (trained, mine))
    assert torch.allclose(after["patch_dit.out.bias"], before["patch_dit.out.bias"] + 0.5)
    assert torch.allclose(after[stem][:, :6], before[stem][:, :6])
    assert torch.allclose(after[stem][:, 6:], before[stem][:, 6:] / 2)
    assert all(torch.equal(after[name], before[name]) for name in features)
    other = run_cli("train", "average", trained.few_step, trained.coarse, "--run", mine.path)
    assert other.exit_code == 1
    assert "no checkpoint of the few-step phase" in " ".join(other.stderr.split())


def test_a_denoiser_goes_on_in_the_direction_that_it_came_from(
    trained: RunFolder, tmp_path: Path, run_cli: RunCli
) -> None:
    from patchscaler_cli.models.weights_file import save_weights
    from tests.small_model import CALIBRATION, small_model

    came_from, file, mine = small_model(), tmp_path / "earlier.safetensors", RunFolder(tmp_path / "run")
    save_weights(file, came_from, {"calibration": CALIBRATION})
    average = "train", "average", trained.few_step, "--run", mine.path, "--earlier", file
    assert run_cli(*average, "--beyond", "0.5").exit_code == 0
    mine.set_config(SMALL)
    before, after = (folder.load_denoiser(folder.few_step).state_dict() for folder in (trained, mine))
    old = came_from.state_dict()
    for name, weight in before.items():
        moves = name.startswith("patch_dit.") and "prompt" not in name
        expected = weight + (weight - old[name]) / 2 if moves else weight
        assert torch.allclose(after[name], expected, atol=1e-3), name  # stored as fp16
    refused = run_cli(*average, "--coarse")
    assert refused.exit_code == 2
    assert "leave out --coarse or --earlier" in " ".join(refused.stderr.split())
    refused = run_cli("train", "average", trained.few_step, "--run", mine.path, "--beyond", "0.5")
    assert refused.exit_code == 2
    assert "give --earlier FILE" in " ".join(refused.stderr.split())


def test_coarse_models_are_averaged(trained: RunFolder, tmp_path: Path, run_cli: RunCli) -> None:
    mine, other = RunFolder(tmp_path / "run"), load_checkpoint(trained.coarse)
    other["trainees"]["coarse"]["average"]["tail.bias"] += 1
    torch.save(other, tmp_path / "other.pt")
    both = "train", "average", "--coarse", trained.coarse
    assert run_cli(*both, tmp_path / "other.pt", "--run", mine.path).exit_code == 0
    mine.set_config(trained.config())
    before, after = (folder.load_coarse().state_dict() for folder in (trained, mine))
    assert torch.allclose(after["tail.bias"], before["tail.bias"] + 0.5)
    assert torch.allclose(after["head.weight"], before["head.weight"])
    wrong = run_cli(*both, trained.few_step, "--run", mine.path)
    assert wrong.exit_code == 1
    assert "no checkpoint of the coarse phase" in " ".join(wrong.stderr.split())


def test_a_phase_without_the_one_before_says_so(tmp_path: Path, data: Path, run_cli: RunCli) -> None:
    result = run_cli("train", "texture", "--data", data, "--run", tmp_path / "new", "--steps", 1)
    assert result.exit_code == 1
    assert "run the training phase that writes it first" in " ".join(result.stderr.split())


def test_a_folder_without_photos_is_an_error(tmp_path: Path, run_cli: RunCli) -> None:
    result = run_cli("train", "coarse", "--data", tmp_path, "--run", tmp_path / "run", "--steps", 1)
    assert result.exit_code == 1
    assert "no image of at least 512x512 pixels" in " ".join(result.stderr.split())


def test_a_large_photograph_is_drawn_as_often_as_a_small_one() -> None:
    photos = Photos(torch.zeros(8, 3, 4, 4, dtype=torch.uint8), torch.tensor([0, 0, 0, 0, 0, 0, 0, 1]))
    torch.manual_seed(0)
    of_each = torch.bincount(photos.draw(7000), minlength=8)
    assert abs(int(of_each[7]) - 3500) < 250
    assert (of_each[:7] - 500).abs().max() < 125


def test_a_patch_and_what_is_shown_of_it_are_the_same_part_of_a_photograph() -> None:
    lr = torch.randint(256, (1, 2, 3, 32, 32), dtype=torch.uint8)
    enlarged = lr.repeat_interleave(4, -1).repeat_interleave(4, -2)
    sure = torch.full((1, 2, 1, 32, 32), 0.5, dtype=torch.float16)
    sure[:, 1] = 0.125  # of the second photograph less
    pairs = Pairs.of(Photos(enlarged[0], torch.tensor([0, 1])), enlarged, lr, sure)
    batch = pairs.draw(16, 64)
    assert torch.equal(batch.hr, batch.coarse)
    assert torch.equal(batch.lr, batch.coarse)
    assert torch.allclose(batch.expected[:, 0, 5, 5], (ETA / torch.tensor([0.5, 0.125]))[batch.sources])
    config = dataclasses.replace(SMALL.patch_dit, features=0)
    assert torch.equal(batch.condition(config), torch.cat((batch.coarse, batch.lr), 1))


def test_the_features_of_a_drawn_patch_are_those_of_its_part_of_the_turned_picture() -> None:
    model = small_model().coarse
    assert model.config.halo <= SURROUNDINGS  # so it is given all that it sees
    lr = torch.randint(256, (1, 1, 3, 64, 64), dtype=torch.uint8)
    rows, columns = torch.meshgrid(torch.arange(256), torch.arange(256), indexing="ij")
    images = torch.stack((rows, columns, columns))[None].to(torch.uint8)  # every pixel says where it is
    pairs = Pairs.of(Photos(images, torch.tensor([0])), images[None], lr, UNSURE, model)
    seen = set()
    for _ in range(40):
        batch = pairs.draw(2, 64)
        assert batch.features is not None
        for hr, planes in zip(batch.hr, batch.features, strict=True):
            uprights = [(dihedral(hr[:2], inverse(turn)) + 1) * 127.5 for turn in range(8)]
            turn = next(t for t, (y, x) in enumerate(uprights) if y[1, 0] > y[0, 0] and x[0, 1] > x[0, 0])
            top, left = (round(float(place[0, 0])) // 4 for place in uprights[turn])
            whole = dihedral(model.features(dihedral(lr[0].float() / 127.5 - 1, turn)), inverse(turn))[0]
            expected = dihedral(whole[:, top : top + 16, left : left + 16], turn)
            assert torch.allclose(unpacked(planes[None])[0], expected, atol=0.1)  # in bf16
            seen.add(turn)
    assert len(seen) > 4


def test_the_neighbours_of_a_patch_have_nothing_in_common_with_it() -> None:
    rows, columns = torch.meshgrid(torch.arange(256), torch.arange(256), indexing="ij")
    images = torch.stack((rows, columns, columns))[None].to(torch.uint8)  # every pixel says where it is
    pairs = Pairs.of(Photos(images, torch.tensor([0])), images[None], images[None, ..., ::4, ::4], UNSURE)
    batch = pairs.draw(64, 64)
    for patch, neighbour in zip(batch.hr, batch.neighbours[:, 0], strict=True):
        shared = [set(a.unique().tolist()) & set(b.unique().tolist()) for a, b in zip(patch, neighbour, strict=True)]
        assert not (shared[0] and shared[1])


def test_a_budget_ends_at_the_first_of_steps_and_minutes() -> None:
    budget = Budget(steps=100, minutes=1)
    assert budget.progress(50, 6) == 0.5
    assert budget.progress(10, 45) == 0.75
    assert budget.progress(100, 0) == budget.progress(0, 99) == 1


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(PatchScalerError, match=r"none\.pt: no such checkpoint"):
        load_checkpoint(tmp_path / "none.pt")


def test_views_show_the_same_of_all_patches_within_their_range() -> None:
    first = torch.rand(2, 3, 64, 64) * 2 - 1
    sides = set()
    for _ in range(20):
        one, other = random_views(first, -first)
        sides.add(one.shape[-1])
        assert one.shape == (2, 3, one.shape[-1], one.shape[-1])
        assert torch.equal(one, -other)
        assert one.abs().max() <= 1 + 1e-6
    assert 28 <= min(sides) < 56 < max(sides) <= 68


def test_muon_in_fp32_steps_as_torchs_does() -> None:
    for layer in (torch.nn.Linear(24, 40), torch.nn.Linear(40, 24), torch.nn.Linear(24, 24)):
        mine, theirs = (copy.deepcopy(layer.weight) for _ in range(2))
        settings: dict[str, Any] = {"lr": 0.1, "weight_decay": 0.0, "adjust_lr_fn": "match_rms_adamw"}
        both: list[Optimizer] = [Fp32Muon([mine], **settings), Muon([theirs], **settings)]
        for _ in range(3):
            mine.grad = theirs.grad = torch.randn_like(mine)
            for optimizer in both:
                optimizer.step()
        moved = (theirs - layer.weight).norm()
        assert (mine - theirs).norm() < 0.03 * moved  # bf16 has three digits


@pytest.mark.parametrize("bf16", [True, False])
def test_every_weight_has_one_optimiser_and_those_that_listen_are_eager(
    monkeypatch: pytest.MonkeyPatch, bf16: bool
) -> None:
    monkeypatch.setattr(optimizers, "gains_from_bf16", lambda device: bf16)
    denoiser = PromptedDenoiser(PatchDiT(SMALL.patch_dit), TextureEncoder(SMALL.texture))
    found = muon(denoiser, 1e-4, (0.5, 0.99), denoiser.listening(), 3.0)
    assert [type(one) for one in found] == [Muon if bf16 else Fp32Muon, AdamW]
    groups = [one for optimizer in found for one in optimizer.param_groups]
    taken = [id(one) for group in groups for one in group["params"]]
    assert sorted(taken) == sorted(id(one) for one in denoiser.parameters())
    eager = [id(one) for group in groups if "eagerness" in group for one in group["params"]]
    assert sorted(eager) == sorted(id(one) for one in denoiser.listening())
    names = {id(one): name for name, one in denoiser.named_parameters()}
    assert {"patch_dit.blocks.0.prompt_attention.query.weight", "encoder.fine.weight"} < {names[one] for one in eager}


def test_the_alignment_table_has_a_row_for_every_loss(
    trained: RunFolder, data: Path, networks: Path, validation: Path
) -> None:
    from typer import Typer
    from typer.testing import CliRunner

    app = Typer()
    app.command()(alignment.main)
    words = [
        "--run", trained.path, "--data", data, "--hr", validation / "hr", "--lr", validation / "lr", "--every", 1,
        "--lpips", networks / "alex.safetensors", "--lpips-squeeze", networks / "squeeze.safetensors",
        "--batches", 2, "--threads", 1,
    ]  # fmt: skip
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in result.output.splitlines()[2:]]
    assert [row[0] for row in table] == [
        "lr", "pixel", "lattice", "texture_energy", "squeezenet", "lite0", "lite2",
        "critics_of_pixels", "critics_of_squeezenet", "critics_of_lite0", "critics_of_lite2",
    ]  # fmt: skip
    assert table[0][4] == "+1.00", "the judge agrees with itself"
    assert all(-1 <= float(row[4]) <= 1 for row in table)


def test_directions_are_mean_gradients() -> None:
    weights = torch.nn.Parameter(torch.tensor([3.0, 4.0]))
    found = alignment.Directions([weights])
    for factor in (1.0, 3.0):
        found.add({"half the square": factor * weights.square().sum() / 2, "its opposite": -weights.square().sum()})
    assert found.norm("half the square") == pytest.approx(2 * 5)
    assert found.agreement("half the square") == pytest.approx(1)
    assert found.cosine("half the square", "its opposite") == pytest.approx(-1)
