"""The dashboard in a real headless Chromium: plots, live updates, keyboard, phone, contrast, nothing from elsewhere."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import APIResponse, Route, expect

import foldline as fl
from tests.dashboard.site import LIVE, NASTY

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.timeout(180)
PAGES = ["/", "/loops/news", "/loops/shop-offer", "/streams"]
PLOTS = ["average", "estimates", "shares", "rate"]

INKED = """canvas => {
    const { width, height } = canvas;
    const data = canvas.getContext("2d").getImageData(0, 0, width, height).data;
    let inked = 0;
    for (let i = 3; i < data.length; i += 4) inked += data[i] > 0;
    return inked / (width * height);
}"""

FAINT = """least => {
    const parse = (text) => (text.match(/[\\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
    const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
        .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const behind = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const colour = parse(getComputedStyle(at).backgroundColor);
            if (colour.length < 4 || colour[3] === 1) return colour;
        }
        return [255, 255, 255];
    };
    const found = [];
    for (const element of document.body.querySelectorAll("*")) {
        const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        if (!own || !element.checkVisibility() || element.closest(".hidden")) continue;
        const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < least) found.push(`${element.tagName} ${element.textContent.trim()}: ${ratio.toFixed(2)}`);
    }
    return found;
}"""


@dataclass
class Watched:
    """A page, and what it did besides.

    Attributes:
        page: in its own context.
        said: errors and warnings on the console, exceptions.
        asked: addresses asked for.
    """

    page: "Page"
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def watched(browser: "Browser", request: pytest.FixtureRequest) -> Iterator[Watched]:
    """A fresh page in a wide window, or as the test's parameter says; nothing may appear on its console."""
    settings = {"viewport": {"width": 1280, "height": 900}, "timezone_id": "Asia/Tokyo", "locale": "en-GB"}
    context = browser.new_context(**{**settings, **getattr(request, "param", {})})
    watched = Watched(context.new_page())
    page = watched.page
    page.set_default_timeout(30_000)
    expect.set_options(timeout=30_000)
    page.on("console", lambda m: watched.said.append(m.text) if m.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: watched.said.append(str(error)))
    page.on("request", lambda asked: watched.asked.append(asked.url))
    yield watched
    context.close()
    assert watched.said == []


def _drawn(page: "Page", address: str) -> None:
    page.goto(address)
    for plot in PLOTS:
        page.wait_for_selector(f"[data-plot={plot}][data-drawn] canvas")


@pytest.mark.parametrize("loop", ["news", "shop-offer"])
def test_plots_draw(watched: Watched, site: str, loop: str) -> None:
    """Each of the four plots puts ink on its canvas, and has a name and a description."""
    _drawn(watched.page, f"{site}/loops/{loop}")
    for plot in PLOTS:
        canvas = watched.page.locator(f"[data-plot={plot}] canvas").first
        assert canvas.evaluate(INKED) > 0.01
    names = watched.page.get_by_role("img").all()
    assert len(names) == len(PLOTS)
    assert watched.page.get_by_role("img", name="Estimate per action").count() == 1


def test_nothing_comes_from_elsewhere(watched: Watched, site: str) -> None:
    """Every request of every page goes to the server itself; the policy forbids others besides."""
    for path in PAGES:
        watched.page.goto(site + path)
        watched.page.wait_for_selector("[data-state=live]")
    assert len(watched.asked) > 20
    assert [url for url in watched.asked if not url.startswith(site)] == []


def test_changes_appear_without_a_reload(watched: Watched, app: fl.Foldline, site: str) -> None:
    """Decisions made while one looks move the numbers and the plots of the page that stands."""
    page = watched.page
    _drawn(page, f"{site}/loops/news")
    page.wait_for_selector("[data-state=live]")
    page.evaluate("window.same = true")
    version = page.get_attribute("#plots", "data-version")
    news = app.loop("news")
    for n in range(3):
        news.reward(news.decide(f"live-{n}"), 1)
    news.catch_up()
    total = news.counts()["decisions"]
    expect(page.locator("#tiles")).to_contain_text(f"{total:,}")
    expect(page.locator("#plots")).not_to_have_attribute("data-version", version or "")
    assert page.evaluate("window.same")
    page.goto(f"{site}/")
    page.wait_for_selector("[data-state=live]")
    news.decide("live-last")
    expect(page.locator("#loops")).to_contain_text(f"{total + 1:,}")
    page.goto(f"{site}/streams")
    page.wait_for_selector("[data-state=live]")
    before = page.inner_text("#topics")
    news.decide("live-again")
    expect(page.locator("#topics")).not_to_have_text(before, use_inner_text=True)


def test_a_change_while_the_page_is_fetched_is_not_lost(
    watched: Watched, app: fl.Foldline, site: str
) -> None:
    """An answer that was on its way when more happened is followed by a newer one."""
    page, held = watched.page, list[tuple[Route, APIResponse]]()

    def hold_the_first(route: Route) -> None:
        if "hx-request" in route.request.headers and not held:
            held.append((route, route.fetch()))
        else:
            route.continue_()

    page.route(f"{site}/loops/news", hold_the_first)
    page.goto(f"{site}/loops/news")
    page.wait_for_selector("[data-state=live]")
    page.evaluate("window.changes = 0; document.body.addEventListener('changed', () => window.changes++)")
    news = app.loop("news")
    news.decide("first")
    while not held:
        page.evaluate("new Promise(requestAnimationFrame)")
    changes = page.evaluate("window.changes")
    news.decide("second")
    news.catch_up()
    while page.evaluate("window.changes") <= changes:
        page.evaluate("new Promise(requestAnimationFrame)")
    route, stale = held[0]
    route.fulfill(response=stale)
    expect(page.locator("#tiles")).to_contain_text(f"{news.counts()['decisions']:,}")
    page.unroute_all(behavior="wait")


def test_the_page_can_be_paused(watched: Watched, app: fl.Foldline, site: str) -> None:
    """Paused, the page lets its connection go and stays as it is; going on, it catches up."""
    page, live = watched.page, LIVE[site]
    page.goto(f"{site}/loops/news")
    page.wait_for_selector("[data-state=live]")
    page.get_by_role("button", name="Live").click()
    assert page.get_attribute("#live", "aria-pressed") == "true"
    while live.listeners:
        page.evaluate("new Promise(requestAnimationFrame)")
    shown = page.inner_text("#tiles")
    news = app.loop("news")
    news.decide("paused")
    news.catch_up()
    decisions = f"{news.counts()['decisions']:,}"
    assert decisions not in shown
    assert decisions not in page.inner_text("#tiles")
    page.get_by_role("button", name="Paused").click()
    expect(page.locator("#tiles")).to_contain_text(decisions)


def test_everything_is_reached_by_keyboard(watched: Watched, site: str) -> None:
    """Skip link, navigation, buttons, plots and the table of numbers, each with a visible outline."""
    page = watched.page
    _drawn(page, f"{site}/loops/news")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    reached = []
    for _ in range(30):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("document.activeElement.dataset.plot ?? document.activeElement.textContent.trim()")
        )
        if reached[-1] == "average":
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
            page.keyboard.press("ArrowLeft")
            page.keyboard.press("ArrowLeft")
            assert "average 0." in page.inner_text("#average-said")
            page.keyboard.press("Escape")
        if reached[-1] == "The numbers behind the plots":
            page.keyboard.press("Enter")
            break
    assert [each for each in reached if each in PLOTS] == PLOTS
    assert page.locator("#numbers table").is_visible()
    page.get_by_role("link", name="Streams").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("h1:text('Streams')")
    assert page.get_by_role("link", name="Streams").get_attribute("aria-current") == "page"


def test_focus_stays_while_the_page_changes(watched: Watched, app: fl.Foldline, site: str) -> None:
    """A link in a part that is replaced keeps the focus."""
    page = watched.page
    page.goto(site)
    page.wait_for_selector("[data-state=live]")
    page.focus("#loop-news")
    news = app.loop("news")
    news.decide("focus")
    news.catch_up()
    decisions = f"{news.counts()['decisions']:,}"
    expect(page.locator("#loops")).to_contain_text(decisions)
    expect(page.locator("#loop-news")).to_be_focused()


PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}


@pytest.mark.parametrize("watched", [PHONE], indirect=True)
def test_a_phone_need_not_scroll_sideways(watched: Watched, site: str) -> None:
    """At 390 pixels no page is wider than the screen, and what can be touched is large enough."""
    for path in [*PAGES, "/nothing-here"]:
        watched.page.goto(site + path)
        if path.startswith("/loops/"):
            watched.page.wait_for_selector("[data-plot=rate][data-drawn] canvas")
            watched.page.click("summary")
        assert watched.page.evaluate("document.documentElement.scrollWidth") <= 390
        heights = watched.page.evaluate(
            "[...document.querySelectorAll('header a, header button')].map((e) => e.getBoundingClientRect().height)"
        )
        assert min(height for height in heights if height) >= 32
    watched.said = [text for text in watched.said if "404" not in text]


@pytest.mark.parametrize("watched", [{"color_scheme": "light"}, {"color_scheme": "dark"}], indirect=True)
def test_text_can_be_read(watched: Watched, site: str) -> None:
    """In light and dark, every text has a contrast of at least 4.5 to what is behind it (WCAG 2.2, AA)."""
    page = watched.page
    for path in PAGES:
        page.goto(site + path)
        assert page.evaluate(FAINT, 4.5) == []


def test_the_theme_follows_the_system_and_the_viewer(watched: Watched, site: str) -> None:
    """Dark when the system says so, until the button says otherwise, on every page from then on; plots follow."""
    page = watched.page
    page.emulate_media(color_scheme="dark")
    _drawn(page, f"{site}/loops/news")
    background = "getComputedStyle(document.body).backgroundColor"
    dark, canvas = page.evaluate(background), page.locator("[data-plot=average] canvas").first
    before = canvas.evaluate("canvas => canvas.toDataURL()")
    page.get_by_role("button", name="Light").click()
    assert page.evaluate(background) != dark
    assert canvas.evaluate("canvas => canvas.toDataURL()") != before
    page.goto(site)
    assert page.evaluate(background) != dark
    assert page.get_by_role("button", name="Dark").is_visible()


def test_names_stay_text(watched: Watched, site: str) -> None:
    """An action's name that is HTML is shown as it is written: in tables, on plots, in tooltips."""
    page = watched.page
    _drawn(page, f"{site}/loops/shop-offer")
    assert page.get_by_text(NASTY).count() >= 1
    page.hover("[data-plot=estimates] canvas", position={"x": 200, "y": 80})
    tip = page.locator("[data-plot=estimates] .tip")
    tip.wait_for()
    assert "<img src=x" in tip.inner_text()
    assert page.locator("main img").count() == 0
    assert page.evaluate("window.hacked") is None


def test_times_are_the_viewers(watched: Watched, site: str) -> None:
    """Shown in the viewer's zone (nine hours ahead here), with UTC in the title."""
    page = watched.page
    page.goto(f"{site}/loops/news")
    shown = page.locator("#bundles time").first
    title = shown.get_attribute("title") or ""
    assert title.endswith(" UTC")
    hours = (int(shown.inner_text().split(", ")[1].split(":")[0]) - int(title[11:13])) % 24
    assert hours == 9


def test_a_loop_without_a_timeline_has_no_plots(browser: "Browser") -> None:
    """The plots give way to what to do."""
    from tests.dashboard.site import PACE, served

    with fl.open("memory://", pace=PACE, timeline=False) as app, served(app.log) as address:
        app.loop("quiet", actions=["a"])
        page = browser.new_page()
        page.goto(f"{address}/loops/quiet")
        page.wait_for_selector("[data-state=live]")
        assert page.get_by_text("No timeline yet").is_visible()
        assert not page.locator("#plots").is_visible()
        page.close()
