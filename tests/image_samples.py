"""What the tests of images/ share: a picture of every mode, and colour profiles made by hand."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from patchscaler_cli.images.formats import Mode
from patchscaler_cli.images.picture import Picture

Samples = npt.NDArray[Any]

WIDTH, HEIGHT = 40, 24


def ramp(mode: Mode) -> Picture:
    """Smooth ramps in every channel, 40x24; alpha, where there is one, from clear to opaque."""
    top = 65535 if mode.endswith("16") else 255
    dtype = np.uint16 if mode.endswith("16") else np.uint8
    across = np.linspace(0, 1, WIDTH)[None].repeat(HEIGHT, axis=0)
    down = np.linspace(0, 1, HEIGHT)[:, None].repeat(WIDTH, axis=1)
    grey = mode.startswith("L")
    pixels = across if grey else np.stack([across, down, 1 - across], axis=2)
    alpha: Samples | None = None
    if "A" in mode:
        alpha = np.rint(np.clip(down * 1.5 - 0.25, 0, 1) * top).astype(dtype)
    return Picture(np.rint(pixels * top).astype(dtype), alpha)


def save(image: Image.Image, path: Path, **options: Any) -> Path:
    image.save(path, **options)
    return path


# Linear light to CIE XYZ, adapted to D50 as profiles have it (columns red, green, blue).
DISPLAY_P3 = ((0.515102, 0.291965, 0.157153), (0.241182, 0.692236, 0.066582), (-0.001050, 0.041882, 0.784378))
ADOBE_RGB = ((0.609741, 0.205276, 0.149185), (0.311111, 0.625671, 0.063217), (0.019470, 0.060867, 0.744568))
SRGB_PARAMETERS = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def fixed(*numbers: float) -> bytes:
    return struct.pack(f">{len(numbers)}i", *(round(number * 65536) for number in numbers))


def parametric_curve(kind: int, *numbers: float) -> bytes:
    return struct.pack(">4sIHH", b"para", 0, kind, 0) + fixed(*numbers)


def sampled_curve(*samples: int) -> bytes:
    """Of 16-bit samples; one alone is a gamma in 1/256."""
    data = struct.pack(f">4sII{len(samples)}H", b"curv", 0, len(samples), *samples)
    return data + b"\0" * (-len(data) % 4)


SRGB_CURVE = parametric_curve(3, *SRGB_PARAMETERS)
ADOBE_CURVE = sampled_curve(round(2.19921875 * 256))


def matrix_profile_bytes(matrix: tuple[tuple[float, ...], ...], curve: bytes) -> bytes:
    """The smallest ICC profile of a display: three tone curves and a matrix."""
    tags = {
        b"desc": struct.pack(">4sIIIHHII", b"mluc", 0, 1, 12, 0x656E, 0x5553, 8, 28) + "Test".encode("utf-16-be"),
        b"wtpt": b"XYZ \0\0\0\0" + fixed(0.9642, 1.0, 0.8249),
        b"rTRC": curve,
        b"gTRC": curve,
        b"bTRC": curve,
    }
    for i, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ")):
        tags[name] = b"XYZ \0\0\0\0" + fixed(*(row[i] for row in matrix))
    offset, table, data = 128 + 4 + 12 * len(tags), b"", b""
    for name, content in tags.items():
        table += struct.pack(">4sII", name, offset + len(data), len(content))
        data += content + b"\0" * (-len(content) % 4)
    body = struct.pack(">I", len(tags)) + table + data
    head = struct.pack(">I4sI4s4s4s", 128 + len(body), b"\0\0\0\0", 0x04300000, b"mntr", b"RGB ", b"XYZ ")
    head += struct.pack(">6H4s", 2026, 1, 1, 0, 0, 0, b"acsp") + b"\0" * 28 + fixed(0.9642, 1.0, 0.8249)
    return head.ljust(128, b"\0") + body


P3_PROFILE = matrix_profile_bytes(DISPLAY_P3, SRGB_CURVE)
ADOBE_PROFILE = matrix_profile_bytes(ADOBE_RGB, ADOBE_CURVE)


def enlarge_smoothly(pixels: Samples, scale: int = 4) -> Samples:
    """A stand-in for the network: Lanczos, in the depth that comes in, as [H', W', 3] from [H, W, 3] or [H, W]."""
    colours = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
    size = (pixels.shape[1] * scale, pixels.shape[0] * scale)
    planes = [Image.fromarray(colours[..., i].astype(np.float32)) for i in range(3)]
    large: Samples = np.stack([np.asarray(plane.resize(size, Image.Resampling.LANCZOS)) for plane in planes], axis=2)
    if pixels.dtype == np.float32:
        return large.clip(0, 1)
    return large.round().clip(0, np.iinfo(pixels.dtype).max).astype(pixels.dtype)
