"""The report in a real browser: its sliders, zoom and overlays by mouse, touch and keyboard."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from patchscaler_cli.evaluation.report.page import Report
from tests.browser import CHROMIUM, DRIVER, Browser, chromium
from tests.evaluation_samples import compared_pictures, example

pytestmark = pytest.mark.skipif(
    CHROMIUM is None or DRIVER is None, reason="needs Debian's packages chromium and chromium-driver"
)
NASTY = "a <script><b title='\"&amp;<!--.png"
FIRST, SECOND = ".picture:nth-of-type(1)", ".picture:nth-of-type(2)"


@pytest.fixture(scope="module")
def window(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with chromium(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report on two pictures, one of a name that HTML could stumble over."""
    pictures, comparison = compared_pictures([example(NASTY, 256, 400), example("b.png", 256, 400, 1)])
    report = Report(comparison)
    for one in pictures:
        report.add(one)
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(report.html({"HR": NASTY}), encoding="utf-8")
    return path


@pytest.fixture
def browser(window: Browser, page: Path) -> Browser:
    """The freshly opened report, scrolled to its first picture."""
    window.messages()
    window.open(page)
    window.run("document.querySelector('.picture').scrollIntoView()")
    return window


def value(browser: Browser, section: str = FIRST) -> float:
    return float(browser.run(f"return document.querySelector('{section} [data-part=divider]').value"))


def cut(browser: Browser) -> str:
    """How the left layer of the first picture is cut off."""
    return str(browser.run("return document.querySelector('[data-part=before]').style.clipPath"))


def choose(browser: Browser, part: str, option: str) -> None:
    """Choose an option of the first picture's menu."""
    browser.type(f"{FIRST} [data-part={part}]", option)


def test_nothing_is_complained_about(browser: Browser) -> None:
    assert browser.messages() == []


def test_the_name_is_shown_as_it_is(browser: Browser) -> None:
    assert browser.run("return document.querySelector('.picture h2').textContent") == NASTY.removesuffix(".png")


def test_a_mouse_moves_the_divider(browser: Browser) -> None:
    browser.drag(f"{FIRST} [data-part=frame]", (0, 0), (100, 10))
    assert value(browser) == pytest.approx(75, abs=1)
    assert cut(browser) == "inset(0px calc(100% - 300px) 0px 0px)"


def test_a_finger_moves_the_divider(browser: Browser) -> None:
    browser.drag(f"{FIRST} [data-part=frame]", (0, 0), (-100, 5), pointer="touch")
    assert value(browser) == pytest.approx(25, abs=1)


def test_the_arrow_keys_move_the_divider(browser: Browser) -> None:
    browser.type(f"{FIRST} [data-part=divider]", "Left", "Left")
    assert value(browser) == 49


def test_home_and_end_move_the_divider_all_the_way(browser: Browser) -> None:
    browser.type(f"{FIRST} [data-part=divider]", "End")
    assert value(browser) == 100
    browser.press("Home")
    assert value(browser) == 0


def test_keys_go_on_where_the_mouse_left_off(browser: Browser) -> None:
    browser.drag(f"{FIRST} [data-part=frame]", (0, 0), (100, 0))
    before = value(browser)
    browser.press("Right")
    assert value(browser) == before + 0.5


def test_a_screen_reader_is_told_what_the_divider_divides(browser: Browser) -> None:
    browser.type(f"{FIRST} [data-part=divider]", "Home", "Right")
    told = browser.run(
        "const range = document.querySelector('[data-part=divider]');"
        "return [range.getAttribute('aria-label'), range.getAttribute('aria-valuetext')]"
    )
    assert told == [
        "Divider between bicubic on the left and patchscaler on the right",
        "1 % bicubic, the rest patchscaler",
    ]


def test_what_is_left_of_the_divider_is_the_left_layer(browser: Browser, tmp_path: Path) -> None:
    """Measured in a screenshot: truth on the left, bicubic on the right."""
    choose(browser, "left", "truth")
    choose(browser, "right", "bicubic")
    place: dict[str, Any] = browser.run("return document.querySelector('.viewport').getBoundingClientRect().toJSON()")
    browser.run("document.querySelectorAll('.divider, .tag').forEach((each) => each.remove())")
    browser.screenshot(tmp_path / "seen.png")
    with Image.open(tmp_path / "seen.png") as screenshot:
        seen = np.asarray(screenshot.convert("RGB"))
    top, left = round(place["top"]), round(place["left"])
    # The outermost row is left out: the page's layout may put the frame between two rows of the screen.
    shown, truth = seen[top + 1 : top + 255, left : left + 400], example(NASTY, 256, 400).hr[1:255]
    np.testing.assert_array_equal(shown[:, :199], truth[:, :199])
    assert (shown[:, 201:] != truth[:, 201:]).mean() > 0.5


def test_zoom_goes_up_and_down(browser: Browser) -> None:
    width = "return document.querySelector('.stage').clientWidth"
    for button, expected in (("in", 800), ("in", 1600), ("out", 800), ("fit", 400)):
        browser.click(f"{FIRST} [data-part={button}]")
        assert browser.run(width) == expected


def test_zoom_by_keys(browser: Browser) -> None:
    browser.type(f"{FIRST} .viewport", "+", "+")
    assert browser.run("return document.querySelector('[data-part=zoom]').textContent") == "400 %"
    browser.press("0")
    assert browser.run("return document.querySelector('[data-part=zoom]').textContent") == "100 %"


def test_a_zoomed_picture_keeps_its_divider_in_sight(browser: Browser) -> None:
    browser.type(f"{FIRST} .viewport", "+", "+")
    browser.run("document.querySelector('.viewport').scrollTo(500, 0)")
    browser.run("document.querySelector('.viewport').dispatchEvent(new Event('scroll'))")
    x = browser.run("return document.querySelector('.viewport').clientWidth") / 2
    assert cut(browser) == f"inset(0px calc(100% - {500 + x:g}px) 0px 0px)"


def test_a_zoomed_picture_moves_with_the_mouse(browser: Browser) -> None:
    browser.type(f"{FIRST} .viewport", "+", "+")
    browser.run("document.querySelector('.viewport').scrollTo(300, 0)")
    browser.drag(f"{FIRST} [data-part=frame]", (-100, 0), (-150, 0))
    assert browser.run("return document.querySelector('.viewport').scrollLeft") == 350
    assert value(browser) == 50


def test_a_zoomed_pictures_divider_is_dragged_by_its_handle(browser: Browser) -> None:
    browser.type(f"{FIRST} .viewport", "+", "+")
    before = browser.run("return document.querySelector('.viewport').scrollLeft")
    browser.drag(f"{FIRST} [data-part=handle]", (0, 0), (100, 0))
    assert value(browser) > 55
    assert browser.run("return document.querySelector('.viewport').scrollLeft") == before


def test_an_overlay_is_shown_with_its_legend(browser: Browser) -> None:
    choose(browser, "overlay", "groups")
    shown = browser.run(
        "return [...document.querySelectorAll('.picture:nth-of-type(1) :is(.overlay, .legend)')]"
        ".filter((each) => each.getBoundingClientRect().width > 0).map((each) => each.ariaLabel ?? each.textContent)"
    )
    assert shown[0] == "Groups of patchscaler"
    assert "group 0:" in shown[1]
    assert len(shown) == 2


def test_settings_change_for_all_pictures_together(browser: Browser) -> None:
    choose(browser, "right", "truth")
    assert browser.run(f"return document.querySelector('{SECOND} [data-part=right]').value") == "truth"


def test_settings_change_for_one_picture_alone(browser: Browser) -> None:
    browser.run("document.getElementById('alike').checked = false")
    choose(browser, "right", "truth")
    assert browser.run(f"return document.querySelector('{SECOND} [data-part=right]').value") == "patchscaler"


def test_a_narrow_window_shows_the_whole_picture(browser: Browser) -> None:
    browser.run("document.querySelector('main').style.width = '300px'; window.dispatchEvent(new Event('resize'))")
    assert browser.run("return document.querySelector('.stage').clientWidth") == 300
