"""The design page: what its numbers say, what it refuses, and a draft defined in a real browser."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, expect

import foldline as fl
from foldline.dashboard.asgi import dashboard
from foldline.log.memory import MemoryLog
from tests.dashboard.test_browser import FAINT, PHONE, Watched, watched
from tests.serving.conftest import NEWS
from tests.serving.running import Running, running

__all__ = ["watched"]
pytestmark = pytest.mark.timeout(180)
VALUES = {
    "loop": "news",
    "name": "ctr",
    "control": "fixed:action=sport",
    "challenger": "thompson",
    "baseline": "0.07",
    "effect": "0.04",
    "power": "0.9",
}


def _asked(site: str, **changed: str) -> httpx.Response:
    return httpx.get(f"{site}/design.json", params={**VALUES, **changed})


@pytest.fixture
def actions(app: fl.Foldline) -> list[str]:
    """Of the loop `news`."""
    return list(app.loop("news").definition.actions)


def test_the_numbers_are_the_designs(site: str, actions: list[str]) -> None:
    """Of a proportion and of a mean; with traffic its duration; and a request that says it all."""
    control = f"fixed:action={actions[0]}"
    found = _asked(site, control=control, traffic="400").json()
    assert (found["sample_sizes"], found["sample_size_total"], found["days"]) == ([1124, 1124], 2248, 6)
    assert found["analysis"] == "yates"
    assert found["curve"][len(found["curve"]) // 2 - 1] == [1124, pytest.approx(0.9, abs=1e-3)]
    body = found["request"]
    assert (body["loop"], body["goal"]["effect"], body["power"]) == ("news", 0.04, 0.9)
    assert [variant["policy"]["kind"] for variant in body["variants"]] == ["fixed", "thompson"]
    mean = _asked(site, control=control, kind="mean", sd="15", effect="0.7", baseline="").json()
    assert mean["sample_sizes"] == [9650, 9650]
    uneven = _asked(site, control=control, weights="3,1").json()
    assert uneven["sample_sizes"][0] == pytest.approx(3 * uneven["sample_sizes"][1], rel=0.01)


@pytest.mark.parametrize(
    ("changed", "field", "says"),
    [
        ({"sample_size": "100"}, "sample_size", "power"),
        ({"baseline": "7"}, "goal.baseline", "between 0 and 1"),
        ({"effect": ""}, "effect", "worth finding"),
        ({"effect": "much"}, "effect", "expected a number"),
        ({"loop": "none"}, "loop", "expected one of"),
        ({"challenger": "fixed:action=nothing"}, None, "nothing"),
        ({"challenger": "best"}, None, "best"),
        ({"traffic": "10"}, "max_days", "days"),
        ({"kind": "mean"}, "goal.sd", "deviation"),
        ({"alpha": "0.9"}, None, "alpha"),
    ],
)
def test_what_cannot_be_is_named(
    site: str, actions: list[str], changed: dict[str, str], field: str | None, says: str
) -> None:
    """The field at fault, and what would be possible."""
    answered = _asked(site, **{"control": f"fixed:action={actions[0]}", **changed})
    assert answered.status_code == 400
    error: dict[str, Any] = answered.json()["error"]
    assert says in error["message"]
    assert field is None or error["field"] == field


@pytest.fixture
def service() -> Iterator[Running]:
    """A service with its pages."""
    with MemoryLog() as log, running(log, loops={"news": NEWS}, pages=dashboard(log)) as made:
        yield made


def test_a_draft_is_defined_in_the_page(browser: Browser, service: Running) -> None:
    """Sizes move while one types; what contradicts itself is said and not sent; a key is wanted where there is one."""
    page = browser.new_page()
    try:
        page.goto(f"{service.url}/design")
        expect(page.locator("#units")).to_have_text("1,124 + 1,124")
        assert page.locator("#curve path").count() == 1
        page.fill("[name=effect]", "0.02")
        expect(page.locator("#units")).not_to_have_text("1,124 + 1,124")
        page.fill("[name=sample_size]", "50")
        expect(page.locator("#refusal")).to_contain_text("power")
        page.fill("[name=sample_size]", "")
        page.fill("[name=effect]", "0.04")
        expect(page.locator("#refusal")).to_be_hidden()
        page.fill("[name=name]", "ctr")
        page.click("button[type=submit]")
        expect(page.locator("#answer")).to_contain_text("version 1")
        page.click("#answer a")
        expect(page).to_have_title("ctr · Foldline")
    finally:
        page.close()
    definition = service.service.host.experiments.one("ctr")
    assert (definition.state, definition.sample_sizes) == ("draft", (1124, 1124))


def test_a_service_with_keys_wants_one(browser: Browser, service: Running) -> None:
    """The page's own password is not enough to write: an admin's key is given with the request."""
    _, token = service.key("admin")
    _, other = service.key("decide")
    context = browser.new_context(http_credentials={"username": "ops", "password": token})
    try:
        page = context.new_page()
        page.goto(f"{service.url}/design")
        expect(page.locator("#units")).to_have_text("1,124 + 1,124")
        for key, says in (
            ("", "wants a key"),
            ("fl_wrong", "unknown"),
            (other, "this needs admin"),
            (token, "version 1"),
        ):
            page.fill("[name=key]", key)
            page.click("button[type=submit]")
            expect(page.locator("#answer")).to_contain_text(says)
    finally:
        context.close()


@pytest.mark.parametrize("watched", [PHONE], indirect=True)
def test_a_phone_need_not_scroll_sideways(watched: Watched, site: str) -> None:
    """At 390 pixels the form is no wider than the screen."""
    watched.page.goto(f"{site}/design")
    assert watched.page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("watched", [{"color_scheme": "light"}, {"color_scheme": "dark"}], indirect=True)
def test_text_can_be_read(watched: Watched, site: str) -> None:
    """In light and dark every text has a contrast of at least 4.5."""
    watched.page.goto(f"{site}/design")
    watched.page.wait_for_selector("#curve path")
    assert watched.page.evaluate(FAINT, 4.5) == []
