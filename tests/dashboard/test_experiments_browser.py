"""The pages of experiments in a real headless Chromium."""

import re

import pytest
from playwright.sync_api import expect

import foldline as fl
from tests.dashboard.site import learn_more
from tests.dashboard.test_browser import FAINT, INKED, PHONE, Watched, watched

__all__ = ["watched"]
pytestmark = pytest.mark.timeout(180)
PAGES = [
    "/experiments",
    "/experiments/one-page",
    "/experiments/banner",
    "/experiments/later",
    "/experiments/one-page/segments/device",
]


def test_plots_draw(watched: Watched, shop: str) -> None:
    """Effect and units put ink on their canvases, and the arrow keys walk over the points."""
    page = watched.page
    page.goto(f"{shop}/experiments/one-page")
    for plot in ("effect", "units"):
        page.wait_for_selector(f"[data-plot={plot}][data-drawn] canvas")
        assert page.locator(f"[data-plot={plot}] canvas").first.evaluate(INKED) > 0.01
    page.focus("[data-plot=effect]")
    page.keyboard.press("ArrowLeft")
    assert "challenger 0.0" in page.inner_text("#effect-said")
    page.focus("[data-plot=units]")
    page.keyboard.press("ArrowLeft")
    assert re.search(r"control 1,3\d\d\b.*planned 1,124\b", page.inner_text("#units-said"))


def test_units_appear_without_a_reload(watched: Watched, tried: fl.Foldline, shop: str) -> None:
    """Visitors who come while one looks move the numbers of the page that stands."""
    page = watched.page
    page.goto(f"{shop}/experiments/banner")
    page.wait_for_selector("[data-state=live]")
    page.evaluate("window.same = true")
    before = page.inner_text("#variants")
    learn_more(tried, "front", 40)
    expect(page.locator("#variants")).not_to_have_text(before, use_inner_text=True)
    assert page.evaluate("window.same")


@pytest.mark.parametrize("watched", [PHONE], indirect=True)
def test_a_phone_need_not_scroll_sideways(watched: Watched, shop: str) -> None:
    """At 390 pixels no page is wider than the screen."""
    for path in PAGES:
        watched.page.goto(shop + path)
        assert watched.page.evaluate("document.documentElement.scrollWidth") <= 390, path


@pytest.mark.parametrize("watched", [{"color_scheme": "light"}, {"color_scheme": "dark"}], indirect=True)
def test_text_can_be_read(watched: Watched, shop: str) -> None:
    """In light and dark, every text has a contrast of at least 4.5."""
    for path in PAGES:
        watched.page.goto(shop + path)
        assert watched.page.evaluate(FAINT, 4.5) == [], path
