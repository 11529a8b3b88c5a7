"""The page of `patchscaler explain` in a real browser, by keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from patchscaler_cli.models.weights_file import save_weights
from tests.browser import CHROMIUM, DRIVER, Browser, chromium
from tests.evaluation_samples import textured
from tests.fake_upscaler import RunCli
from tests.small_model import CALIBRATION, small_model

pytestmark = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None, reason="needs Debian's packages chromium and chromium-driver"
)
NASTY = "a <script><b title='\"&amp;<!--.png"


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def browser(window: Browser, tmp_path: Path, run_cli: RunCli) -> Browser:
    """A freshly opened page on a picture whose name HTML could stumble over."""
    Image.fromarray(textured(40, 60)).save(tmp_path / NASTY)
    save_weights(tmp_path / "w.safetensors", small_model(), {"calibration": CALIBRATION})
    words = ["--weights", tmp_path / "w.safetensors", "--device", "cpu", "--patch", "20,20", "--groups", 1]
    done = run_cli("explain", tmp_path / NASTY, "-o", tmp_path / "page.html", *words)
    assert done.exit_code == 0, done.output
    window.messages()
    window.open(tmp_path / "page.html")
    return window


def test_the_page_is_whole_and_answers_the_keyboard(browser: Browser) -> None:
    assert browser.messages() == []
    assert NASTY in browser.run("return document.querySelector('h1').textContent")
    # ---- every picture is there, in its own size
    sizes = browser.run("return [...document.querySelectorAll('.steps img')].map((image) => image.naturalWidth)")
    assert sizes == [16, 64, 64, 64, 64, 64, 64]  # input, coarse, start, three steps, result
    # ---- the divider and the overlays answer keys
    browser.type("[data-part=divider]", "Right", "Right")
    assert float(browser.run("return document.querySelector('[data-part=divider]').value")) == 51
    browser.type("[data-part=overlay]", "evaluations per patch")
    shown = browser.run("return document.querySelector('.overlay:not([hidden])').getAttribute('aria-label')")
    assert shown == "Network evaluations per patch"
    assert browser.run("return document.querySelectorAll('.overlay:not([hidden]) text').length") == 15
    # ---- the row of steps can be reached and moved without a mouse
    browser.run("document.querySelector('main').style.width = '400px'; document.querySelector('.steps').focus()")
    browser.press("Right", "Right", "Right")
    assert browser.run("return document.activeElement.className") == "steps"
    moved = "const row = document.querySelector('.steps'); return row.scrollWidth > row.clientWidth"
    assert browser.run(moved)
