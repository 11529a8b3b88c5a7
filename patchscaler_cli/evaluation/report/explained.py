"""The page of `patchscaler explain`: what the method did with one picture, and with some of its patches step by step."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

import numpy as np
import numpy.typing as npt

from patchscaler_cli.evaluation.examples import SCALE
from patchscaler_cli.evaluation.metrics import Pixels
from patchscaler_cli.evaluation.report.overlays import (
    evaluations_overlay,
    overlays_of,
    places_overlay,
    qmap_of,
)
from patchscaler_cli.evaluation.report.page import document
from patchscaler_cli.evaluation.report.viewer import note_on, viewer
from patchscaler_cli.evaluation.report.window import Window, data_uri, window_of
from patchscaler_cli.pipeline.result import UpscaleResult
from patchscaler_cli.pipeline.trace import PatchTrace

SHOWN = 2
"""Times its size that a patch is shown."""

TEXTURE = (48, 48)
"""Rows and columns of a patch that are as large as a texture is shown."""


@dataclass(frozen=True)
class Explanation:
    """One upscale by four, and what is told of it.

    Attributes:
        name: of the picture.
        lr: the picture that came in [h, w, 3], uint8.
        result: at four times its size, uint8, with the coarse image.
        fidelity: that the result was made with.
        traces: the chosen patches.
        texture_pictures: of the memory's entries [M, 32, 32, 3]; None where it holds none.
        facts: what computed and how, by headings.
    """

    name: str
    lr: Pixels
    result: UpscaleResult
    fidelity: float
    traces: list[PatchTrace]
    texture_pictures: Pixels | None
    facts: dict[str, str]


def choose_patches(result: UpscaleResult) -> list[tuple[int, int]]:
    """Row and column of one patch of every group that occurs, hardest first: the one of median confidence.

    Where the page shows the middle of the picture only, a patch that is seen there is taken if there is one.
    """
    qmap, found = qmap_of(result), []
    window = window_of(*result.pixels.shape[:2])
    for group in range(len(result.groups) - 1, -1, -1):
        places = np.argwhere(result.patch_groups == group)
        seen = (
            places[[_is_seen(result, row, column, window) for row, column in places.tolist()]]
            if len(places)
            else places
        )
        if len(places):
            chosen = seen if len(seen) else places
            order = np.argsort(qmap[chosen[:, 0], chosen[:, 1]], kind="stable")
            row, column = chosen[order[len(order) // 2]].tolist()
            found.append((row, column))
    return found


def patch_at(result: UpscaleResult, x: int, y: int) -> tuple[int, int]:
    """Row and column of the patch in whose middle part pixel (x, y) of the input lies."""
    grid = result.grid
    row, column = (
        int(axis.nearest(np.array([place + 0.5]))[0]) for axis, place in ((grid.vertical, y), (grid.horizontal, x))
    )
    return row, column


def _is_seen(result: UpscaleResult, row: int, column: int, window: Window) -> bool:
    grid = result.grid
    top, left, height, width = (length * SCALE for length in (grid.tops[row], grid.lefts[column], *grid.size))
    return window.top <= top and top + height <= window.bottom and window.left <= left and left + width <= window.right


def explain_page(explanation: Explanation) -> str:
    """The whole page as HTML."""
    one, result = explanation, explanation.result
    window = window_of(*result.pixels.shape[:2])
    confidence = (result.confidence * 255).round().astype(np.uint8)
    layers = {
        "LR": data_uri(window.cut_lr(one.lr)),
        "coarse image": data_uri(window.cut(result.coarse)),
        "confidence map": data_uri(window.cut_lr(np.repeat(confidence[..., None], 3, axis=2))),
        "result": data_uri(window.cut(result.pixels)),
    }
    places = [(trace.row, trace.column) for trace in one.traces]
    overlays = [
        *overlays_of("this picture", result, window),
        evaluations_overlay(result, window),
        places_overlay(result, places, window),
    ]
    heading = "The picture" + note_on(window, *result.pixels.shape[:2])
    described = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in one.facts.items())
    body = f"""<h1>PatchScaler: how {escape(one.name)} was enlarged</h1>
<dl>{described}</dl>
<p>The coarse model restores the whole picture and says how sure it is of every region (white in the confidence map is sure).
A patch's mean confidence decides its group: how much noise is put on the coarse patch, and in how many steps the diffusion
transformer takes it away again. The overlays show which patch took what.</p>
<noscript><p>The picture above the patches needs JavaScript; the rest does not.</p></noscript>
{viewer(one.name, heading, 0, window, layers, ("coarse image", "result"), overlays)}
{_groups_table(result)}
<h2>Patches step by step</h2>
<p>Every picture of a patch is {result.grid.size[1] * SCALE}×{result.grid.size[0] * SCALE} pixels, shown {SHOWN} times as large. After each step the
network's whole change to the coarse patch is shown; the last part takes {100 * (1 - one.fidelity):.0f} % of it (fidelity
{one.fidelity:g}), without colour drift, blended with its neighbours.</p>
{"".join(_patch(one, trace, number) for number, trace in enumerate(one.traces, 1))}"""
    return document(f"PatchScaler: how {one.name} was enlarged", body)


def _groups_table(result: UpscaleResult) -> str:
    rows = "".join(
        f'<tr><th scope="row">{number}</th><td>{group.sigma:.3g}</td><td>{group.steps}</td><td>{group.patches}</td>'
        f"<td>{group.patches * group.steps}</td></tr>"
        for number, group in enumerate(result.groups)
    )
    return (
        '<div class="scroll" tabindex="0" role="region" aria-label="Groups"><table><thead><tr><th scope="col">group</th>'
        '<th scope="col">start noise σ</th><th scope="col">steps</th><th scope="col">patches</th>'
        f'<th scope="col">evaluations</th></tr></thead><tbody>{rows}</tbody></table></div>'
    )


def _patch(explanation: Explanation, trace: PatchTrace, number: int) -> str:
    """One patch: its pictures in the order of what happened, and the textures that it was shown."""
    result = explanation.result
    grid = result.grid
    top, left, size = int(grid.tops[trace.row]), int(grid.lefts[trace.column]), grid.size
    whole = (size[0] * SCALE, size[1] * SCALE)
    confidence = qmap_of(result)[trace.row, trace.column]
    lr = _cut(explanation.lr, top, left, size)
    ended = _cut(result.pixels, top * SCALE, left * SCALE, whole)
    pictures = [("input", lr), ("coarse patch", trace.coarse)]
    if trace.steps:
        pictures.append((f"start: noise of σ {trace.sigmas[0]:.3g} on it", trace.start))
    before = trace.coarse
    for step, made in enumerate(trace.steps, 1):
        changed = float(np.abs(made.astype(np.int64) - before).mean())
        pictures.append(
            (f"step {step}, from σ {trace.sigmas[step - 1]:.3g}: changed by {changed:.1f} levels on average", made)
        )
        before = made
    pictures.append(("in the result", ended))
    figures = "".join(_figure(f"Patch {number}, {caption}", caption, pixels, whole) for caption, pixels in pictures)
    does = f"{trace.group.steps} step{'s' if trace.group.steps != 1 else ''} from σ {trace.group.sigma:.3g}"
    does = does if trace.group.steps else "the coarse patch is kept"
    return f"""<section class="picture-part" aria-labelledby="patch{number}">
<h3 id="patch{number}">Patch {number}: group {trace.number}, {does}</h3>
<p>Row {trace.row}, column {trace.column} of the patches; its corner is pixel ({left}, {top}) of the input. Confidence
{confidence:.3f}.</p>
<div class="steps" tabindex="0" role="group" aria-label="Patch {number}, step by step">{figures}</div>
{_textures(explanation, trace, number)}
</section>"""


def _textures(explanation: Explanation, trace: PatchTrace, number: int) -> str:
    if not trace.steps:
        return ""
    if not trace.textures:
        return "<p>It was sampled without textures.</p>"
    if explanation.texture_pictures is None:
        listed = ", ".join(f"{similarity:.3f} (entry {entry})" for entry, similarity in trace.textures)
        return f"<p>Textures it was shown, by similarity: {listed}. The memory holds no pictures of them.</p>"
    figures = "".join(
        _figure(
            f"Patch {number}, texture {entry}",
            f"entry {entry}: {similarity:.3f}",
            explanation.texture_pictures[entry],
            TEXTURE,
        )
        for entry, similarity in trace.textures
    )
    label = f"Textures of patch {number}"
    return f'<p>Textures it was shown, by similarity:</p><div class="steps" tabindex="0" role="group" aria-label="{label}">{figures}</div>'


def _cut(picture: Pixels, top: int, left: int, size: tuple[int, int]) -> Pixels:
    """A part of a picture [*size, 3]; what lies beyond its right and bottom is its mirror image, as patches have it."""
    inside = picture[top : top + size[0], left : left + size[1]]
    missing = [(0, wanted - length) for wanted, length in zip(size, inside.shape[:2], strict=True)]
    return np.pad(inside, [*missing, (0, 0)], mode="reflect")


def _figure(alt: str, caption: str, pixels: npt.NDArray[np.uint8], size: tuple[int, int]) -> str:
    """A picture of HR pixels that cover `size` of the result, or are shown as if they did."""
    height, width = (length * SHOWN for length in size)
    image = f'<img src="{data_uri(pixels)}" alt="{escape(alt)}" width="{width}" height="{height}">'
    return f"<figure>{image}<figcaption>{escape(caption)}</figcaption></figure>"
