"""What every training phase shares: a budget, optimisers with a cosine schedule, averaged weights, checkpoints, a log."""

from __future__ import annotations

import copy
import json
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.pipeline.device import gains_from_bf16


@dataclass(frozen=True)
class Budget:
    """How long a phase trains: until `steps` are done or `minutes` are over, whichever comes first.

    The learning rate's cosine follows the larger of the two fractions, so a run bound by the clock anneals too.
    """

    steps: int | None = None
    minutes: float | None = None

    def progress(self, steps: int, seconds: float) -> float:
        """Share of the budget that is spent, from 0 to 1."""
        shares = [1.0] if self.steps is None and self.minutes is None else []
        if self.steps is not None:
            shares.append(steps / max(self.steps, 1))
        if self.minutes is not None:
            shares.append(seconds / max(self.minutes * 60, 1e-9))
        return min(1.0, max(shares))


class Trainee:
    """A network with its optimisers and the exponential moving average of its weights (the average is what is kept)."""

    def __init__(
        self, module: nn.Module, optimizers: list[Optimizer], *, ema_decay: float = 0.999, warmup: int = 100
    ) -> None:
        """The optimisers share the module's weights among them, and have one learning rate, of which a group of theirs with
        an "eagerness" has so many times as much."""
        self.module = module
        self.average = copy.deepcopy(module).eval().requires_grad_(False)
        self.optimizers = optimizers
        self.learning_rate: float = optimizers[0].defaults["lr"]
        self.ema_decay = ema_decay
        self.warmup = warmup
        self.steps = 0

    def step(self, loss: Tensor, progress: float) -> None:
        """One step of the optimisers down `loss`, with the learning rate that belongs to `progress` (0 to 1)."""
        cosine = 0.5 * (1 + math.cos(math.pi * progress))
        rate = self.learning_rate * (0.02 + 0.98 * cosine) * min(1.0, (self.steps + 1) / self.warmup)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = rate * group.get("eagerness", 1.0)
        self.module.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.module.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        self.steps += 1
        decay = min(self.ema_decay, (1 + self.steps) / (10 + self.steps))
        with torch.no_grad():
            parameters = [p.detach() for p in self.module.parameters()]
            torch._foreach_lerp_(list(self.average.parameters()), parameters, 1 - decay)

    def state(self) -> dict[str, Any]:
        return {
            "module": self.module.state_dict(),
            "average": self.average.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "steps": self.steps,
        }

    def load_state(self, state: dict[str, Any]) -> None:
        self.module.load_state_dict(state["module"])
        self.average.load_state_dict(state["average"])
        if state["optimizers"] is not None:
            for optimizer, one in zip(self.optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(one)
        self.steps = state["steps"]


@dataclass
class Run:
    """One phase's training: loops while the budget lasts, saves every few minutes, resumes from its last checkpoint.

    Attributes:
        checkpoint: file that the state is written to; its `.jsonl` neighbour is the log.
        trainees: the networks in training, by name.
        budget: when to stop.
        save_every: seconds between checkpoints.
    """

    checkpoint: Path
    trainees: dict[str, Trainee]
    budget: Budget
    save_every: float = 120.0
    step: int = 0
    seconds: float = 0.0
    samples: int = 0
    _sums: dict[str, float] = field(default_factory=dict)
    _counts: int = 0
    _data_seconds: float = 0.0

    @contextmanager
    def fetching(self, device: torch.device) -> Iterator[None]:
        """Count the time of a block, which makes a step's samples, as data: the log shows its share of all time.

        A GPU's queue is waited for before and after, or the block would only count the launching of its work.
        """
        _wait_for(device)
        begin = time.monotonic()
        yield
        _wait_for(device)
        self._data_seconds += time.monotonic() - begin

    def resume(self) -> None:
        """Go on from the checkpoint where there is one.

        Raises:
            PatchScalerError: if its networks are others, as those of an older version may be.
        """
        if self.checkpoint.exists():
            state = load_checkpoint(self.checkpoint)
            self.step, self.seconds, self.samples = state["step"], state["seconds"], state["samples"]
            try:
                for name, trainee in self.trainees.items():
                    trainee.load_state(state["trainees"][name])
            except (KeyError, RuntimeError, ValueError) as error:
                raise PatchScalerError(
                    f"{self.checkpoint}: this phase cannot go on from it, since networks in training were other ones when it "
                    "was written (by an older version, or with other losses); remove it, or give another --run."
                ) from error

    def save(self) -> None:
        """Write the checkpoint under a temporary name, then rename it: a killed run leaves the last one whole."""
        state = {
            "step": self.step,
            "seconds": self.seconds,
            "samples": self.samples,
            "trainees": {name: trainee.state() for name, trainee in self.trainees.items()},
        }
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        partial = self.checkpoint.with_name(self.checkpoint.name + ".partial")
        torch.save(state, partial)
        os.replace(partial, self.checkpoint)

    @property
    def progress(self) -> float:
        return self.budget.progress(self.step, self.seconds)

    def record(self, samples: int, **figures: Tensor | float) -> None:
        """Count one step's samples and add its figures to the means that the next log line shows."""
        self.samples += samples
        self._counts += 1
        for name, value in figures.items():
            self._sums[name] = self._sums.get(name, 0.0) + float(value)

    def steps(self, log_every: float = 30.0) -> Any:
        """Yield the progress (0 to 1) once for every training step until the budget is spent."""
        begin = last_log = last_save = time.monotonic()
        before, samples_before = self.seconds, self.samples
        if self.progress >= 1.0 and self.checkpoint.exists():
            return  # nothing to do: what later phases made from this checkpoint stays newer than it
        while self.progress < 1.0:
            yield self.progress
            self.step += 1
            now = time.monotonic()
            self.seconds = before + now - begin
            if now - last_log >= log_every or self.progress >= 1.0:
                self._log(self.samples - samples_before, now - last_log)
                last_log, samples_before = now, self.samples
            if now - last_save >= self.save_every:
                self.save()
                last_save = time.monotonic()
        self.save()

    def _log(self, samples: int, seconds: float) -> None:
        means = {name: round(total / max(self._counts, 1), 5) for name, total in self._sums.items()}
        line = {"step": self.step, "minutes": round(self.seconds / 60, 2), "per_second": round(samples / seconds, 1)}
        line |= {"data_share": round(self._data_seconds / seconds, 3)} | means
        self._sums, self._counts, self._data_seconds = {}, 0, 0.0
        print(json.dumps(line), flush=True)
        self.checkpoint.parent.mkdir(parents=True, exist_ok=True)
        with self.checkpoint.with_suffix(".jsonl").open("a") as log:
            log.write(json.dumps(line) + "\n")


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def fresh_checkpoint(checkpoint: Path, name: str, module: nn.Module) -> None:
    """Write a checkpoint at step 0 whose one trainee has the weights of `module` and no optimiser state yet."""
    weights = module.state_dict()
    trainee = {"module": weights, "average": weights, "optimizers": None, "steps": 0}
    torch.save({"step": 0, "seconds": 0.0, "samples": 0, "trainees": {name: trainee}}, checkpoint)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Read a training checkpoint (tensors and plain values only, never pickled code).

    Raises:
        PatchScalerError: if it is missing, which means that the phase before has not run.
    """
    if not path.exists():
        raise PatchScalerError(f"{path}: no such checkpoint; run the training phase that writes it first.")
    state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    return state


def load_average(module: nn.Module, path: Path, name: str) -> nn.Module:
    """Fill `module` with the averaged weights of a checkpoint's trainee, ready for use: eval mode, no gradients."""
    module.load_state_dict(load_checkpoint(path)["trainees"][name]["average"])
    return module.eval().requires_grad_(False)


def autocast(device: torch.device) -> torch.autocast:
    """bf16 autocast where it pays; elsewhere a context that does nothing."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=gains_from_bf16(device))
