"""The report's HTML: self-contained, safe against names, true to the pictures, its overlays where the patches are."""

from __future__ import annotations

import base64
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from patchscaler_cli.evaluation.metrics import Pixels
from patchscaler_cli.evaluation.report.overlays import overlays_of, qmap_of
from patchscaler_cli.evaluation.report.page import Report
from patchscaler_cli.evaluation.report.window import data_uri, window_of
from patchscaler_cli.pipeline.bands import patch_grid
from patchscaler_cli.sampling.qmap import quantify
from tests.evaluation_samples import compared_pictures, example, textured
from tests.small_model import small_model, small_upscaler


class Tags(HTMLParser):
    """Gathers a page's elements: name and attributes of each."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def page_of(name: str = "a.png", patchscaler: bool = True) -> str:
    pictures, comparison = compared_pictures([example(name)], patchscaler)
    report = Report(comparison)
    for one in pictures:
        report.add(one)
    return report.html({"HR": name})


def decoded(uri: str) -> Pixels:
    with Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))) as picture:
        return np.asarray(picture.convert("RGB"))


def layers_of(page: str) -> dict[str, str]:
    """The pictures of a page's first section, by name."""
    [text] = re.findall(r'data-part="layers">(.*?)</script>', page)
    found: dict[str, str] = json.loads(text)
    return found


def test_the_page_asks_for_nothing_from_outside() -> None:
    for tag, attributes in Tags(page_of()).found:
        assert tag not in {"iframe", "object", "embed", "base"}
        for name in ("src", "href", "action", "srcset"):
            assert (attributes.get(name) or "data:").startswith("data:")
    assert not re.search(r"@import|url\(|https?://", page_of())


def test_the_policy_forbids_everything_but_the_pages_own() -> None:
    [policy] = [
        tag["content"] for _, tag in Tags(page_of()).found if tag.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy is not None
    assert policy.startswith("default-src 'none'; img-src data:;")
    assert "unsafe" not in policy


def test_the_layers_are_the_pictures_to_the_last_bit() -> None:
    layers = layers_of(page_of())
    assert list(layers) == ["LR", "bicubic", "patchscaler", "truth"]
    np.testing.assert_array_equal(decoded(layers["truth"]), example().hr)
    np.testing.assert_array_equal(decoded(layers["LR"]), example().lr)


def test_names_cannot_become_markup() -> None:
    page = page_of("<script>alert(1)<!--</script>&.png")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_the_divider_is_a_range_with_a_name() -> None:
    [divider] = [tag for _, tag in Tags(page_of()).found if tag.get("data-part") == "divider"]
    assert (divider["type"], divider["min"], divider["max"]) == ("range", "0", "100")
    assert divider["aria-label"]


def test_the_best_figure_is_bold() -> None:
    assert re.search(r"<td><strong>[\d.]+</strong></td>", page_of())


def test_without_the_model_there_are_no_overlays() -> None:
    assert "<svg" not in page_of(patchscaler=False)


def test_a_large_picture_is_shown_in_part() -> None:
    window = window_of(1303, 900)
    assert (window.height, window.width) == (1024, 900)
    assert (window.top, window.left) == (136, 0)
    lr, hr = window.cut_lr(textured(325, 225)), window.cut(textured(1303, 900))
    assert (lr.shape[0] * 4, lr.shape[1] * 4) == hr.shape[:2]


def test_a_picture_in_the_page_loses_nothing() -> None:
    np.testing.assert_array_equal(decoded(data_uri(textured(30, 41))), textured(30, 41))


@pytest.mark.parametrize(("height", "width"), [(32, 32), (20, 47), (9, 100)])
def test_the_overlays_patches_lie_where_the_pipelines_do(height: int, width: int) -> None:
    result = small_upscaler().upscale(textured(height, width))
    grid = patch_grid(small_model(), height, width)
    assert result.patch_groups.shape == (grid.rows, grid.columns)
    shown = result.grid
    assert grid.size == shown.size
    np.testing.assert_array_equal(grid.tops, shown.tops)
    np.testing.assert_array_equal(grid.lefts, shown.lefts)


def test_the_qmap_is_that_of_the_pipeline_inside_the_picture() -> None:
    result = small_upscaler().upscale(textured(40, 44))
    grid = patch_grid(small_model(), 40, 44)
    np.testing.assert_allclose(
        qmap_of(result), quantify(result.confidence, grid.tops, grid.lefts, grid.size), rtol=1e-5
    )


def test_every_patch_shows_its_group() -> None:
    result = small_upscaler().upscale(textured(60, 60))
    _, groups = overlays_of("patchscaler", result, window_of(240, 240))
    numbers = [int(number) for number in re.findall(r">(\d)</text>", groups.svg)]
    assert numbers == result.patch_groups.ravel().tolist()


def test_the_cells_cover_the_picture() -> None:
    result = small_upscaler().upscale(textured(50, 70))
    qmap, _ = overlays_of("patchscaler", result, window_of(200, 280))
    covered = np.zeros((200, 280), bool)
    for x, y, width, height in re.findall(r'x="(\d+)" y="(\d+)" width="(\d+)" height="(\d+)"', qmap.svg):
        covered[int(y) : int(y) + int(height), int(x) : int(x) + int(width)] = True
    assert covered.all()
