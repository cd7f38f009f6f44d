"""The JavaScript client: its own tests in Node, golden vectors and edge client in a real browser."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page

from tests.clients.service import Service, bundle

CLIENT = Path(__file__).resolve().parents[2] / "clients" / "js"

COMPARE = """async () => {
  const { compared } = await import('/clients/js/test/support/comparing.js');
  const read = async (name) => (await fetch(`/vectors/${name}`)).json();
  return compared(await read('decisions.json'), await read('draws.json'));
}"""

OPEN = """async ({ url, lingerMs = 1e8 }) => {
  const { Edge, browserStorage } = await import('/clients/js/src/index.js');
  const backoff = { leastMs: 1e8, mostMs: 1e8 };
  globalThis.edge = await Edge.open({
    url, loop: 'news', key: 'fl_x_y', fallback: 'b', storage: browserStorage(), lingerMs, backoff,
  });
  return globalThis.edge.bundle?.hash ?? null;
}"""

DECIDE = "(unit) => { const { action, bundle } = edge.decide(unit); return [action, bundle]; }"


def _opened(page: Page, service: Service, **options: float) -> Any:
    return page.evaluate(OPEN, {"url": service.url, **options})


def test_its_own_tests_pass_in_node(node: str) -> None:
    """Vectors, tables, hashes, and the edge client against a service that fails."""
    tests = sorted(map(str, (CLIENT / "test").glob("*.test.js")))
    ran = subprocess.run([node, "--test", *tests], capture_output=True, text=True, check=False, timeout=110)
    assert ran.returncode == 0, ran.stdout[-5000:] + ran.stderr[-2000:]
    assert "# skipped 0" in ran.stdout


@pytest.mark.parametrize(("path", "hashes"), [("page", ["wasm", "plain"]), ("strict", ["plain"])])
def test_a_browser_gives_every_golden_answer(
    page: Page, service: Service, path: str, hashes: list[str]
) -> None:
    """With WebAssembly, and without where the page's security policy refuses it."""
    page.goto(f"{service.url}/{path}")
    result = page.evaluate(COMPARE)
    assert result["faults"][:10] == []
    assert result["hashes"] == hashes
    assert result["compared"] > 20_000


def test_a_browser_follows_bundles_and_reports(page: Page, service: Service) -> None:
    """Fallback before the first bundle; then each new one as it is published."""
    assert _opened(page, service) is None
    assert page.evaluate(DECIDE, "u0") == ["b", "fallback"]
    for hash_, action in (("h1", "a"), ("h2", "b")):
        service.set(bundle=bundle(hash_, action))
        page.evaluate("edge.refresh()")
        assert page.evaluate(DECIDE, hash_) == [action, hash_]
    assert page.evaluate("edge.flush()") == 0
    assert service.units(3) == ["u0", "h1", "h2"]


def test_without_network_a_browser_decides_and_delivers_when_it_is_back(page: Page, service: Service) -> None:
    """The browser says when it is online again; nobody has to ask."""
    service.set(bundle=bundle("h1", "a"))
    _opened(page, service)
    page.evaluate("edge.ready()")
    page.context.set_offline(True)
    assert [page.evaluate(DECIDE, unit) for unit in ("u1", "u2")] == [["a", "h1"]] * 2
    assert page.evaluate("edge.flush()") == 2
    page.context.set_offline(False)
    assert service.units(2) == ["u1", "u2"]
    assert page.evaluate("edge.close()") == 0


def test_a_page_loaded_again_delivers_what_the_last_left_and_nothing_twice(
    page: Page, service: Service
) -> None:
    """The answer was lost, then the page; the next one decides at once by the stored bundle."""
    service.set(bundle=bundle("h1", "a"))
    _opened(page, service)
    page.evaluate("edge.ready()")
    page.evaluate(DECIDE, "u1")
    # A browser repeats a request by itself where a connection it used again is cut.
    service.set(lose=1000)
    assert page.evaluate("edge.flush()") == 1
    service.set(down=True)
    page.reload()
    assert _opened(page, service) == "h1"
    assert page.evaluate(DECIDE, "u2") == ["a", "h1"]
    service.set(down=False, lose=0)
    assert page.evaluate("edge.flush()") == 0
    assert service.units(2) == ["u1", "u2"]
    assert list(service.expected.values()) == [2]
    assert page.evaluate("edge.status.repeated") == 1


def test_two_tabs_write_to_outboxes_of_their_own(page: Page, service: Service) -> None:
    """They share one storage; locks keep them apart, and an outbox left is taken over."""
    service.set(bundle=bundle("h1", "a"))
    other = page.context.new_page()
    other.goto(f"{service.url}/page")
    for tab, unit in ((page, "u1"), (other, "u2")):
        _opened(tab, service)
        tab.evaluate(DECIDE, unit)
        assert tab.evaluate("edge.flush()") == 0
    assert list(service.expected.values()) == [1, 1]
    other.close()
    third = page.context.new_page()
    third.goto(f"{service.url}/page")
    _opened(third, service)
    third.evaluate(DECIDE, "u3")
    assert third.evaluate("edge.flush()") == 0
    assert list(service.expected.values()) == [1, 2]


def test_a_browser_sends_events_by_itself(page: Page, service: Service) -> None:
    """After the linger, together with what followed."""
    service.set(bundle=bundle("h1", "a"))
    _opened(page, service, lingerMs=1)
    page.evaluate("edge.ready()")
    page.evaluate("['u1', 'u2'].forEach((unit) => edge.decide(unit))")
    assert service.units(2) == ["u1", "u2"]
