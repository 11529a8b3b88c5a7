"""What a caller may ask of one upscale, checked before any work starts. Imports nothing heavy."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Protocol

from patchscaler_cli.errors import UsageError

MIN_SCALE, MAX_SCALE = 1.0, 16.0
MIN_FIDELITY = -0.5
DEFAULT_SCALE = 4.0
PRESETS = ("fast", "balanced", "best")
DEFAULT_PRESET = "balanced"


@dataclass(frozen=True)
class UpscaleSettings:
    """One upscale's settings. `None` means the default that the weights were calibrated for.

    Attributes:
        scale: factor on both sides, 1 to 16, fractions too; 4 where neither it nor a size is given.
        width: output width in pixels; with `height` alone or neither, the other side keeps the aspect ratio.
        height: output height in pixels.
        long_edge: length of the longer output side in pixels; excludes the three above.
        preset: fast, balanced or best: the calibrated groups and fidelity to start from; None is balanced. What the next
            three say goes before it.
        steps: sampling steps of the hardest group; the other groups follow in proportion.
        groups: how many difficulty groups; 1 is uniform sampling with the hardest group's settings.
        fidelity: 1 is the coarse image, 0 the whole refinement, -0.5 half as much again.
        coarse_only: leave the diffusion out.
        ensemble: restore the coarse image in eight ways, turned and mirrored, and take their mean.
        texture: use the texture prompt; None: where it pays, which is with textures of the user's own, and with the model's where the
            calibration found so.
        wrap: the picture is a texture that is laid like tiles: its left side continues its right one and its top its
            bottom, and so will the result's.
        tile: side of a tile in LR pixels; costs memory, never changes the result.
        batch_size: patches that go through the network together; costs memory, never changes the result. None for as
            many as suit the device.
        seed: of the sampling noise.
    """

    scale: float | None = None
    width: int | None = None
    height: int | None = None
    long_edge: int | None = None
    preset: str | None = None
    steps: int | None = None
    groups: int | None = None
    fidelity: float | None = None
    coarse_only: bool = False
    ensemble: bool = False
    texture: bool | None = None
    wrap: bool = False
    tile: int = 256
    batch_size: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what makes no sense.

        Raises:
            UsageError: naming the option, its range and what was given.
        """
        if self.scale is not None and not MIN_SCALE <= self.scale <= MAX_SCALE:  # also refuses nan
            raise UsageError(f"--scale must be a number from {MIN_SCALE:g} to {MAX_SCALE:g}, not {self.scale:g}.")
        if self.fidelity is not None and not MIN_FIDELITY <= self.fidelity <= 1.0:
            raise UsageError(f"--fidelity must be a number from {MIN_FIDELITY:g} to 1, not {self.fidelity:g}.")
        if self.preset is not None and self.preset not in PRESETS:
            raise UsageError(f"--preset must be {', '.join(PRESETS[:-1])} or {PRESETS[-1]}, not {self.preset}.")
        for name, smallest in (("steps", 1), ("groups", 1), ("tile", 16), ("batch_size", 1), ("width", 1), ("height", 1), ("long_edge", 1)):  # fmt: skip
            value = getattr(self, name)
            if value is not None and value < smallest:
                raise UsageError(f"--{name.replace('_', '-')} must be at least {smallest}, not {value}.")
        if not 0 <= self.seed < 2**63:
            raise UsageError(f"--seed must be from 0 to 2^63 - 1, not {self.seed}.")
        if self.steps is not None and self.steps > 1000:
            raise UsageError(f"--steps must be at most 1000, not {self.steps}.")
        given = [self.scale is not None, self.width is not None or self.height is not None, self.long_edge is not None]
        if sum(given) > 1:
            raise UsageError(
                "Give only one of --scale, --width/--height and --long-edge: they all set the output size."
            )

    def output_size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height in pixels of the output for an input of `width` x `height`.

        Raises:
            UsageError: if a wanted size is smaller than the input or more than 16 times as large.
        """
        if self.long_edge is not None:
            factor = self.long_edge / max(width, height)
        elif self.width is not None:
            factor = self.width / width
        elif self.height is not None:
            factor = self.height / height
        else:
            factor = self.scale if self.scale is not None else DEFAULT_SCALE
        out_width = self.width or max(1, math.floor(width * factor + 0.5))
        out_height = self.height or max(1, math.floor(height * factor + 0.5))
        for side, before, after in (("width", width, out_width), ("height", height, out_height)):
            if not before <= after <= before * MAX_SCALE:
                raise UsageError(
                    f"The output {side} would be {after} pixels, but from an input of {width}x{height} it can be "
                    f"{before} to {before * int(MAX_SCALE)}; PatchScaler enlarges by 1 to {MAX_SCALE:g} times."
                )
        return out_width, out_height


def pass_sizes(height: int, width: int, out_height: int, out_width: int) -> list[tuple[int, int]]:
    """Height and width after each pass of the x4 network: one pass up to a factor of 4, two above."""
    if out_height <= 4 * height and out_width <= 4 * width:
        return [(out_height, out_width)]
    return [(4 * height, 4 * width), (out_height, out_width)]


def check_device_name(name: str) -> None:
    """Refuse what names no device; whether the machine has it is found out where it is used.

    Raises:
        UsageError: if the name is unknown, or names several devices.
    """
    if "," in name:
        raise UsageError(
            f"--device {name}: this is done on one device; only `patchscaler upscale` takes several, and spreads the "
            "pictures of a batch over them."
        )
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", name):
        raise UsageError(f"--device must be auto, cpu, cuda, cuda:N (N counts from 0) or mps, not {name}.")


def device_names(names: str) -> tuple[str, ...]:
    """The devices of a list such as "cuda:0,cuda:1".

    Raises:
        UsageError: if a name is unknown or comes twice, or auto is one of several.
    """
    devices = tuple(name.strip() for name in names.split(","))
    for name in devices:
        check_device_name(name)
    if len(devices) > 1 and "auto" in devices:
        raise UsageError(f"--device {names}: auto chooses one device; name each, such as cuda:0,cuda:1.")
    if len({"cuda:0" if name == "cuda" else name for name in devices}) < len(devices):
        raise UsageError(f"--device {names} names a device twice.")
    return devices


class Progress(Protocol):
    """Where the pipeline reports how far it is; the command line draws it, everyone else ignores it.

    A picture streams through, so its stages advance in turns.
    """

    def begin(self, stage: str, total: int) -> None:
        """A stage begins, "coarse" (tiles) or "diffuse" (patches), with `total` units."""

    def advance(self, stage: str, units: int = 1) -> None:
        """So many more units of a stage are done."""


class NoProgress:
    """Reports nothing."""

    def begin(self, stage: str, total: int) -> None:
        pass

    def advance(self, stage: str, units: int = 1) -> None:
        pass
