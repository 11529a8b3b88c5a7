"""Wide-gamut colours: to the sRGB that the network knows, and back into their own profile without loss of gamut.

Most profiles of photographs (Display P3, Adobe RGB, ProPhoto) are three tone curves and a matrix. These are computed
here in floating point: Pillow's ImageCms knows only 8 bits for each channel, which would band a picture that makes
the way twice, and clips what sRGB cannot hold.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from patchscaler_cli.images.depth import quantised, resized_rows, strips, unit, white_of, wrapped

Floats = npt.NDArray[np.float32]
_Curve = npt.NDArray[np.float64]

# Chromaticities of sRGB as an ICC profile has them, adapted to D50: linear sRGB -> XYZ.
_SRGB_TO_XYZ = np.array(
    [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
)
_KNOTS: _Curve = np.linspace(0, 1, 16385)
"""Where tone curves are sampled: close enough that what lies between is straight to 16 bits."""
_SRGB_CURVE: _Curve = np.where(_KNOTS <= 0.04045, _KNOTS / 12.92, ((_KNOTS + 0.055) / 1.055) ** 2.4)
_BICUBIC_SUPPORT = 2
_SAME = 2 / 255
"""Profiles whose colours differ from sRGB's by less than this are sRGB, as some maker rounded it."""


@dataclass(frozen=True)
class MatrixProfile:
    """A colour profile that is three tone curves and a matrix.

    Attributes:
        curves: for each channel the linear light [K] of the samples `_KNOTS`, never falling.
        to_linear_srgb: matrix [3, 3] from its linear light to sRGB's.
    """

    curves: tuple[_Curve, _Curve, _Curve]
    to_linear_srgb: npt.NDArray[np.float64]

    def to_srgb(self, colours: Floats) -> Floats:
        """Its own colours [..., 3] in 0..1 to sRGB in 0..1; what sRGB cannot hold is clipped."""
        light = np.stack([np.interp(colours[..., i], _KNOTS, self.curves[i]) for i in range(3)], axis=-1)
        light = np.clip(light @ self.to_linear_srgb.T, 0, 1)
        return np.interp(light, _SRGB_CURVE, _KNOTS).astype(np.float32)

    def from_srgb(self, colours: Floats) -> Floats:
        """sRGB [..., 3] in 0..1 to its own colours in 0..1."""
        light = np.interp(colours, _KNOTS, _SRGB_CURVE) @ np.linalg.inv(self.to_linear_srgb).T
        return np.stack([np.interp(light[..., i], self.curves[i], _KNOTS) for i in range(3)], axis=-1).astype(
            np.float32
        )


@dataclass(frozen=True)
class OwnColours:
    """The colours of a wide-gamut picture as its file has them.

    Attributes:
        profile: how they relate to sRGB.
        pixels: [H, W, 3] uint8 or uint16.
    """

    profile: MatrixProfile
    pixels: npt.NDArray[np.unsignedinteger]

    def for_network(self) -> npt.NDArray[np.uint16]:
        """In sRGB: [H, W, 3], of 16 bits whatever the file has, so that nothing is banded on the way."""
        srgb = np.empty(self.pixels.shape, np.uint16)
        for rows in strips(len(srgb)):
            srgb[rows] = quantised(self.profile.to_srgb(unit(self.pixels[rows])), srgb.dtype)
        return srgb

    def enlarged(self, srgb: npt.NDArray[np.generic], *, wraps: bool = False) -> npt.NDArray[np.unsignedinteger]:
        """Upscaled sRGB [H', W', 3] back in the file's profile and depth.

        What sRGB could not hold is enlarged apart, smoothly, and added: saturated colours come back as saturated,
        and the low-pass picture is the file's own. Beyond its ends lies its border again, or if it `wraps` its other
        side.
        """
        height, width = srgb.shape[:2]
        lost, margin = self._lost(), _BICUBIC_SUPPORT if wraps else 0
        box = (margin, margin, margin + self.pixels.shape[1], margin + self.pixels.shape[0])
        if lost is not None:
            lost = wrapped(lost, margin)
        enlarged = np.empty((height, width, 3), self.pixels.dtype)
        for rows in strips(height):
            own = self.profile.from_srgb(unit(srgb[rows]))
            if lost is not None:
                own += resized_rows(lost, width, height, rows, box, Image.Resampling.BICUBIC)
            enlarged[rows] = quantised(own, enlarged.dtype)
        return enlarged

    def _lost(self) -> Floats | None:
        """The difference [H, W, 3] that the way to sRGB and back makes; None where it makes none."""
        lost, srgb = np.empty(self.pixels.shape, np.float32), self.for_network()
        for rows in strips(len(lost)):
            lost[rows] = unit(self.pixels[rows]) - self.profile.from_srgb(unit(srgb[rows]))
        return lost if max(lost.max(), -lost.min()) > 0.5 / white_of(self.pixels.dtype) else None


def profile_space(icc_profile: bytes) -> str:
    """What a profile's colours are made of: "RGB", "GRAY", "CMYK" and so on."""
    return icc_profile[16:20].decode("ascii", "replace").strip()


def matrix_profile(icc_profile: bytes | None) -> MatrixProfile | None:
    """The tone curves and the matrix of a profile.

    Returns:
        None where nothing needs converting or nothing can be: there is no profile, it is sRGB, it is built otherwise
        (by tables: rare, and many of these lead only one way), or it is damaged.
    """
    if not icc_profile or profile_space(icc_profile) != "RGB":
        return None
    try:
        tags = _tags(icc_profile)
        if b"A2B0" in tags:
            return None
        red, green, blue = (_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC"))
        primaries = np.stack([_numbers(tags[name][8:20]) for name in (b"rXYZ", b"gXYZ", b"bXYZ")], axis=1)
        matrix = np.linalg.inv(_SRGB_TO_XYZ) @ primaries
        np.linalg.inv(matrix)
    except (KeyError, IndexError, struct.error, ValueError, np.linalg.LinAlgError):
        return None
    profile = MatrixProfile((red, green, blue), matrix)
    lattice = np.stack(np.meshgrid(*[np.linspace(0, 1, 6)] * 3), axis=-1).astype(np.float32)
    return None if np.abs(profile.to_srgb(lattice) - lattice).max() < _SAME else profile


def _tags(icc_profile: bytes) -> dict[bytes, bytes]:
    """The contents of a profile by their four-letter names."""
    (count,) = struct.unpack_from(">I", icc_profile, 128)
    entries = (struct.unpack_from(">4sII", icc_profile, 132 + 12 * i) for i in range(min(count, 100)))
    return {name: icc_profile[offset : offset + size] for name, offset, size in entries}


def _numbers(data: bytes) -> _Curve:
    """ICC's fixed-point numbers: 16 bits before and 16 after the point."""
    return np.frombuffer(data, ">i4") / 65536


def _curve(tag: bytes) -> _Curve:
    """The linear light [K] of the samples `_KNOTS`.

    Raises:
        ValueError: if it is no tone curve, or falls somewhere.
        struct.error: if it is cut short.
    """
    if tag[:4] == b"curv":
        (count,) = struct.unpack_from(">I", tag, 8)
        if count == 0:
            curve = _KNOTS
        elif count == 1:
            curve = _KNOTS ** (struct.unpack_from(">H", tag, 12)[0] / 256)
        else:
            table = np.frombuffer(tag, ">u2", count, 12) / 65535
            curve = np.interp(_KNOTS, np.linspace(0, 1, count), table)
    elif tag[:4] == b"para":
        curve = _parametric(struct.unpack_from(">H", tag, 8)[0], _numbers(tag[12 : len(tag) // 4 * 4]))
    else:
        raise ValueError("no tone curve")
    if not np.isfinite(curve).all() or (np.diff(curve) < 0).any() or curve[-1] <= curve[0]:
        raise ValueError("a tone curve that cannot be turned round")
    return curve


def _parametric(kind: int, numbers: _Curve) -> _Curve:
    """ICC's five formulas, as cases of the last: (a·x + b)^g + e from d on, c·x + f below."""
    gamma, a, b, c, d, e, f = numbers[0], 1.0, 0.0, 0.0, 0.0, 0.0, 0.0
    if kind in (1, 2):
        a, b = numbers[1:3]
        d = -b / a
        e = f = numbers[3] if kind == 2 else 0.0
    elif kind == 3:
        a, b, c, d = numbers[1:5]
    elif kind == 4:
        a, b, c, d, e, f = numbers[1:7]
    elif kind != 0:
        raise ValueError("an unknown formula")
    above = np.maximum(a * _KNOTS + b, 0) ** gamma + e
    return np.where(d <= _KNOTS, above, c * _KNOTS + f)
