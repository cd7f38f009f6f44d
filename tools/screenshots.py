"""Writes the dashboard's screenshots into docs/images, as `make screenshots` does: Chromium over a log made here."""

import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from foldline.log.protocol import Log
from tests.dashboard.conftest import CHROMIUM
from tests.dashboard.site import (
    await_timeline,
    learn_experiments,
    learn_news,
    learn_payments,
    learn_prices,
    opened,
    served,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser

STEPS = 11_000
OFFERS = 600
MOST_BYTES = 200_000
WIDE = {"width": 1200, "height": 940}
SHOTS: dict[str, tuple[str, dict[str, Any]]] = {
    "dashboard_loop": ("/loops/news", {"viewport": WIDE, "color_scheme": "light"}),
    "dashboard_loop_dark": ("/loops/news", {"viewport": WIDE, "color_scheme": "dark"}),
    "dashboard_loop_phone": (
        "/loops/news",
        {"viewport": {"width": 390, "height": 1200}, "color_scheme": "light", "is_mobile": True},
    ),
    "dashboard_overview": ("/", {"viewport": {"width": 1200, "height": 360}, "color_scheme": "light"}),
    "dashboard_streams": ("/streams", {"viewport": WIDE, "color_scheme": "dark"}),
}
"""File by name: the page, and the browser's settings."""

TRIED: dict[str, tuple[str, dict[str, Any]]] = {
    "dashboard_experiment": ("/experiments/one-page", {"viewport": WIDE, "color_scheme": "light"}),
    "dashboard_experiments": (
        "/experiments",
        {"viewport": {"width": 1200, "height": 320}, "color_scheme": "light"},
    ),
    "dashboard_design": (
        "/design?name=one-page-again&loop=checkout&goal.effect=0.04&alpha=0.05&power=0.9&traffic=400",
        {"viewport": {"width": 1200, "height": 900}, "color_scheme": "light"},
    ),
}
"""The same, over a log with experiments."""

MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "dashboard_model": (
        "/loops/payments/models/tree",
        {"viewport": {"width": 1200, "height": 1000}, "color_scheme": "light"},
    ),
}
"""The same, over a log with a model."""
EXAMPLES = 20_000

VISITS = 2_600 + 500


def main() -> None:
    """Make the log, serve it, take every picture."""
    images = Path(__file__).resolve().parent.parent / "docs" / "images"
    begin = time.time_ns() // 1_000_000 - 1_000 * STEPS - 2_000 * OFFERS
    with TemporaryDirectory() as folder, opened(f"sqlite:///{folder}/news.db", begin) as (app, clock):
        learn_prices(app, clock, OFFERS, name="free delivery")
        learn_news(app, clock, STEPS, at_once=20)
        for name in app.loops():
            await_timeline(app, name)
        _shots(app.log, SHOTS, images)
    begin = time.time_ns() // 1_000_000 - 3_000 * VISITS
    with TemporaryDirectory() as folder, opened(f"sqlite:///{folder}/shop.db", begin) as (app, clock):
        learn_experiments(app, clock)
        _shots(app.log, TRIED, images)
    begin = time.time_ns() // 1_000_000 - 10_000 * EXAMPLES
    with TemporaryDirectory() as folder, opened(f"sqlite:///{folder}/payments.db", begin) as (app, clock):
        learn_payments(app, clock, EXAMPLES)
        _shots(app.log, MODELS, images)


def _shots(log: Log, shots: dict[str, tuple[str, dict[str, Any]]], images: Path) -> None:
    from playwright.sync_api import sync_playwright

    with served(log) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        for file, (path, settings) in shots.items():
            size = _shot(browser, address + path, settings, images / f"{file}.png")
            print(f"docs/images/{file}.png  {size:,} bytes")
            if size > MOST_BYTES:
                sys.exit(f"{file} is larger than {MOST_BYTES:,} bytes")
        browser.close()


def _shot(browser: "Browser", url: str, settings: dict[str, Any], file: Path) -> int:
    context = browser.new_context(**settings, timezone_id="UTC", locale="en-GB")
    page = context.new_page()
    page.goto(url)
    page.wait_for_selector("#design[data-asked]" if "/design" in url else "[data-state=live]")
    if "/models/" in url:
        page.wait_for_selector("[data-plot=ranking][data-drawn] canvas")
    elif "/loops/" in url:
        page.wait_for_selector("[data-plot=rate][data-drawn] canvas")
    elif "/experiments/" in url:
        page.wait_for_selector("[data-plot=units][data-drawn] canvas")
    page.screenshot(path=file)
    context.close()
    return file.stat().st_size


if __name__ == "__main__":
    main()
