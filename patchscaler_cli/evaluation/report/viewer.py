"""One picture's section of the report: two layers with a divider between them, overlays, zoom, and its figures."""

from __future__ import annotations

import json
from html import escape

from patchscaler_cli.evaluation.comparison import Compared, Comparison
from patchscaler_cli.evaluation.report.overlays import Overlay, overlays_of
from patchscaler_cli.evaluation.report.window import Window, data_uri, window_of
from patchscaler_cli.evaluation.tables import cells

LR, TRUTH = "LR", "truth"
"""Names of the layers beside the methods'."""


def section(compared: Compared, comparison: Comparison, number: int) -> str:
    """The section's HTML.

    Args:
        compared: the picture.
        comparison: for its columns.
        number: of the section, from 0; ids are made of it.
    """
    example = compared.example
    window = window_of(*example.hr.shape[:2])
    layers = {LR: data_uri(window.cut_lr(example.lr))}
    layers |= {name: data_uri(window.cut(one.pixels)) for name, one in compared.enlarged.items()}
    layers[TRUTH] = data_uri(window.cut(example.hr))
    overlays = [
        overlay
        for name, one in compared.enlarged.items()
        if one.result is not None
        for overlay in overlays_of(name, one.result, window)
    ]
    before, after = _first_shown(list(compared.enlarged))
    below = (
        f"<details open><summary>Figures</summary>{figures(Comparison(comparison.columns, compared.rows))}</details>"
    )
    heading = escape(example.stem) + note_on(window, *example.hr.shape[:2])
    return viewer(example.stem, heading, number, window, layers, (before, after), overlays, below)


def note_on(window: Window, height: int, width: int) -> str:
    """What a heading adds where the window shows a part of a picture of that size only."""
    if (window.height, window.width) == (height, width):
        return ""
    return f" <small>the middle {window.width}×{window.height} pixels</small>"


def viewer(
    name: str,
    heading: str,
    number: int,
    window: Window,
    layers: dict[str, str],
    shown: tuple[str, str],
    overlays: list[Overlay],
    below: str = "",
) -> str:
    """A section with a picture's layers, two at a time with a divider between them.

    Args:
        name: of the picture, for screen readers.
        heading: HTML.
        number: of the section, from 0; ids are made of it.
        window: which part of the picture the layers show.
        layers: URIs by their names.
        shown: the layers on the left and on the right before anybody chooses.
        overlays: drawings to lay over them.
        below: HTML after the viewer.
    """
    before, after = shown
    return f"""
<section class="picture" data-width="{window.width}" data-height="{window.height}" aria-labelledby="name{number}">
<h2 id="name{number}">{heading}</h2>
<div class="controls">
<label>Left <select data-part="left">{_options(list(layers), before)}</select></label>
<label>Right <select data-part="right">{_options(list(layers), after)}</select></label>
{_overlay_menu(overlays)}
<span class="zoom" role="group" aria-label="Zoom">
<button type="button" data-part="out" aria-label="Zoom out">−</button>
<output data-part="zoom">100 %</output>
<button type="button" data-part="in" aria-label="Zoom in">+</button>
<button type="button" data-part="fit">Fit</button>
</span>
</div>
{_frame(name, window, overlays)}
<input type="range" data-part="divider" min="0" max="100" step="0.5" value="50" aria-label="Divider">
{_legends(overlays)}
{below}
<script type="application/json" data-part="layers">{json_in_html(layers)}</script>
</section>"""


def _first_shown(methods: list[str]) -> tuple[str, str]:
    """The layers that are shown before anybody chooses: bicubic on the left, PatchScaler on the right, where they are."""
    before = "bicubic" if "bicubic" in methods else methods[0]
    after = "patchscaler" if "patchscaler" in methods else methods[-1]
    return before, after if after != before else TRUTH


def _options(names: list[str], selected: str) -> str:
    return "".join(f"<option{' selected' if name == selected else ''}>{escape(name)}</option>" for name in names)


def _overlay_menu(overlays: list[Overlay]) -> str:
    if not overlays:
        return ""
    labels = "".join(f'<option value="{i}">{escape(one.label)}</option>' for i, one in enumerate(overlays))
    return f'<label>Overlay <select data-part="overlay"><option value="">none</option>{labels}</select></label>'


def _frame(name: str, window: Window, overlays: list[Overlay]) -> str:
    """The picture itself. The divider in it is for pointers; the range below it is the control that keyboards and screen
    readers meet.
    """
    image = f'width="{window.width}" height="{window.height}" alt="" draggable="false"'
    return f"""<div class="frame" data-part="frame">
<div class="viewport" data-part="viewport" tabindex="0" role="group" aria-label="{escape(name)}: keys + and − zoom, arrows move">
<div class="stage" data-part="stage"><img data-part="after" {image}><img data-part="before" {image}>
{"".join(one.svg for one in overlays)}</div></div>
<div class="divider" data-part="handle" aria-hidden="true"></div>
<span class="tag before" data-part="tag-before"></span><span class="tag after" data-part="tag-after"></span>
</div>"""


def _legends(overlays: list[Overlay]) -> str:
    return "".join(f'<p class="legend" hidden>{one.legend}</p>' for one in overlays)


def figures(comparison: Comparison) -> str:
    """The table of means, a row a method; the best figure of a column is bold."""
    head = "".join(f'<th scope="col">{escape(column.heading)}</th>' for column in comparison.columns)
    body = "".join(
        f'<tr><th scope="row">{escape(method)}</th>'
        + "".join(
            f"<td>{f'<strong>{text}</strong>' if is_best else escape(text)}</td>"
            for text, is_best in cells(comparison, method)
        )
        + "</tr>"
        for method in comparison.methods
    )
    return (
        f'<div class="scroll"><table><thead><tr><th scope="col">method</th>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def json_in_html(value: object) -> str:
    """JSON that cannot end the element it stands in."""
    return json.dumps(value).replace("<", "\\u003c")
