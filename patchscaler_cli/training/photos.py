"""Training photos: decoded once into one uint8 tensor, so that no training step opens a file."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from patchscaler_cli.errors import PatchScalerError
from patchscaler_cli.models.dihedral import dihedral

CROP = 512
IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".avif", ".tif", ".tiff", ".bmp"}


@dataclass(frozen=True)
class Photos:
    """Square crops of photographs and where they come from.

    Attributes:
        images: uint8 RGB [N, 3, 512, 512].
        sources: int64 [N]; crops of one photograph share the number, so that retrieval can leave them out.
    """

    images: Tensor
    sources: Tensor

    def to(self, device: torch.device) -> Photos:
        return Photos(self.images.to(device), self.sources.to(device))

    def joined(self, pictures: np.ndarray) -> Photos:
        """These and other pictures, uint8 RGB [M, 3, 512, 512], each of which counts as a photograph."""
        images = torch.cat((self.images, torch.from_numpy(pictures).to(self.images.device)))
        numbers = torch.arange(len(pictures), device=self.sources.device) + self.sources.max() + 1
        return Photos(images, torch.cat((self.sources, numbers)))

    def draw(self, count: int) -> Tensor:
        """Numbers of `count` crops [B], int64, on the images' device: every photograph is as likely as any other, and so is
        each of its crops. Drawn crop by crop, the few large photographs would crowd out the many small ones."""
        crops_of_same = torch.bincount(self.sources)[self.sources]
        return torch.multinomial(1 / crops_of_same, count, replacement=True)


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    """(file name without its ending, encoded image) of every image in a folder or in its tar shards."""
    shards = [path] if path.suffix == ".tar" else sorted(path.glob("*.tar"))
    for shard in shards:
        with tarfile.open(shard) as archive:
            for member in archive:
                stem = Path(member.name).stem
                content = archive.extractfile(member)
                if content is not None and Path(member.name).suffix.lower() in IMAGE_SUFFIXES:
                    yield stem, content.read()
    if path.is_dir():
        for file in sorted(path.rglob("*")):
            if file.suffix.lower() in IMAGE_SUFFIXES:
                yield file.stem, file.read_bytes()


def _decode_crops(member: tuple[str, bytes]) -> tuple[str, list[np.ndarray]]:
    """Non-overlapping crops on a centred grid; an image smaller than a crop gives none."""
    name, content = member
    image = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    rows, columns = image.shape[0] // CROP, image.shape[1] // CROP
    top, left = (image.shape[0] - rows * CROP) // 2, (image.shape[1] - columns * CROP) // 2
    corners = [(top + r * CROP, left + c * CROP) for r in range(rows) for c in range(columns)]
    return name, [image[y : y + CROP, x : x + CROP].transpose(2, 0, 1).copy() for y, x in corners]


def source_of(stem: str) -> str:
    """The photograph that a file called `NNNNN_<source>` is a crop of; any other name is a photograph's own."""
    return stem.partition("_")[2] or stem


def crops_of(path: Path, threads: int = 2) -> Iterator[tuple[str, list[np.ndarray]]]:
    """File name without its ending and crops, uint8 RGB [3, 512, 512], of every image of a folder, of its tar shards, or of
    one shard; an image smaller than a crop has none."""
    with ThreadPoolExecutor(threads) as pool:
        yield from pool.map(_decode_crops, _members(path))


def load_photos(path: Path, threads: int = 2) -> Photos:
    """Decode a folder of images, a folder of tar shards, or one shard.

    Raises:
        PatchScalerError: if there is no image of at least 512x512 pixels.
    """
    numbers: dict[str, int] = {}
    crops: list[np.ndarray] = []
    sources: list[int] = []
    for stem, images in crops_of(path, threads):
        crops += images
        sources += [numbers.setdefault(source_of(stem), len(numbers))] * len(images)
    if not crops:
        raise PatchScalerError(
            f"{path}: no image of at least {CROP}x{CROP} pixels found; give a folder of images or of tar shards."
        )
    return Photos(torch.from_numpy(np.stack(crops)), torch.tensor(sources))


def random_crops(photos: Photos, count: int, size: int, align: int = 4) -> Tensor:
    """Draw crops with random flips and quarter turns.

    Args:
        photos: what to draw from, by `Photos.draw`.
        count: how many crops B to draw.
        size: side of a crop in pixels.
        align: corners lie on multiples of this.

    Returns:
        uint8 crops [B, 3, size, size] on the photos' device.
    """
    height, width = photos.images.shape[-2:]
    which = photos.draw(count).tolist()
    tops = (torch.randint((height - size) // align + 1, (count,)) * align).tolist()
    lefts = (torch.randint((width - size) // align + 1, (count,)) * align).tolist()
    corners = zip(which, tops, lefts, strict=True)
    crops = torch.stack([photos.images[i, :, y : y + size, x : x + size] for i, y, x in corners])
    return dihedral(crops, int(torch.randint(8, ())))
