"""A log that has learnt something, the dashboard over it, and a real browser."""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import foldline as fl
from foldline.log.protocol import Log
from tests.dashboard.site import await_timeline, learn_experiments, learn_news, learn_prices, opened, served

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = Path("/usr/bin/chromium")
STEPS = 1_500
OFFERS = 200


@pytest.fixture(scope="session")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[fl.Foldline]:
    """A log with two loops: `shop-offer` with rewards of many sizes, then `news` over 1,500 simulated seconds."""
    begin = time.time_ns() // 1_000_000 - 1_000 * STEPS - 2_000 * OFFERS
    folder = tmp_path_factory.mktemp("dashboard")
    with opened(f"sqlite:///{folder}/news.db", begin) as (made, clock):
        learn_prices(made, clock, OFFERS)
        learn_news(made, clock, STEPS)
        for name in made.loops():
            await_timeline(made, name)
        yield made


@pytest.fixture(scope="session")
def log(app: fl.Foldline) -> Log:
    """Its log."""
    return app.log


@pytest.fixture(scope="session")
def site(log: Log) -> Iterator[str]:
    """The address of the dashboard over it."""
    with served(log) as address:
        yield address


@pytest.fixture(scope="session")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[fl.Foldline]:
    """A log with experiments: `one-page` has its verdict; `banner` runs, with guardrails; `later` is a draft."""
    begin = time.time_ns() // 1_000_000 - 3_000 * 3_200
    folder = tmp_path_factory.mktemp("experiments")
    with opened(f"sqlite:///{folder}/shop.db", begin) as (made, clock):
        learn_experiments(made, clock)
        yield made


@pytest.fixture(scope="session")
def shop(tried: fl.Foldline) -> Iterator[str]:
    """The address of the dashboard over it."""
    with served(tried.log) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """Headless Chromium. Gone with its module: while it lives, its event loop runs in the tests' thread."""
    from playwright.sync_api import sync_playwright

    if not CHROMIUM.is_file():
        reason = f"needs Chromium at {CHROMIUM}: apt-get install chromium"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    root = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=root)
        yield chromium
        chromium.close()
