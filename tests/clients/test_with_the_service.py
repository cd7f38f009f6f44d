"""The JavaScript client against the real service: in Node, and in a page of another origin."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Page

from foldline.engine.audit import audit
from foldline.log.memory import MemoryLog
from foldline.loops.catalogue import Catalogue
from foldline.loops.settings import LoopSettings
from tests.clients.service import Service
from tests.serving.running import ON_LOOPBACK, Running, running

CLIENT = Path(__file__).resolve().parents[2] / "clients" / "js" / "src" / "index.js"
UNITS = 40
LOOP = LoopSettings(
    actions=("a", "b", "ç"), policy={"kind": "thompson", "prior_mean": 0.5, "prior_count": 2}, partitions=2
)

SCRIPT = """
const faults = [];
const edge = await Edge.open({ url, loop: 'news', key, lingerMs: 0, onError: (error) => faults.push(error.code) });
await edge.ready();
for (let i = 0; i < units; i += 1) {
  const choice = edge.decide(`unit-${i}-é`, { available: i % 3 ? null : ['a', 'ç'], context: { hour: i } });
  edge.reward(choice, i % 2);
}
await edge.flush();
const { pending, accepted, refused, dropped } = edge.status;
await edge.close();
"""
REPORT = "({ pending, accepted, refused, dropped, faults })"


@pytest.fixture
def news(service: Service) -> Iterator[Running]:
    """The real service, open to the pages of another origin."""
    settings = msgspec.structs.replace(ON_LOOPBACK, origins=(service.url,))
    with MemoryLog() as log, running(log, settings=settings, loops={"news": LOOP}) as made:
        yield made


def _everything_arrived(news: Running, report: object) -> None:
    assert report == {"pending": 0, "accepted": 2 * UNITS, "refused": 0, "dropped": 0, "faults": []}
    counts = news.counts("news", decisions=UNITS, rewards=UNITS)
    assert (counts["decisions"], counts["rewards"], counts["reward_sum"]) == (UNITS, UNITS, UNITS / 2)
    assert (counts["duplicates"], counts["unmatched"], counts["dead"]) == (0, 0, 0)
    found = audit(news.log, Catalogue(), "news")
    assert found.agree
    assert found.decisions == UNITS


def test_in_node_everything_arrives_and_audits_clean(node: str, news: Running) -> None:
    """Decisions with masks and contexts, drawn by JavaScript, are what Python draws from the same bundles."""
    _, key = news.key("decide", "reward")
    given = f"const [url, key, units] = [{news.url!r}, {key!r}, {UNITS}];"
    code = f"import {{ Edge }} from {CLIENT.as_uri()!r};{given}{SCRIPT}console.log(JSON.stringify({REPORT}));"
    ran = subprocess.run(
        [node, "--input-type=module", "-e", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    _, admin = news.key("admin")
    news.client.headers["authorization"] = f"Bearer {admin}"
    _everything_arrived(news, json.loads(ran.stdout))


def test_a_page_of_another_origin_may_ask(page: Page, service: Service, news: Running) -> None:
    """The browser asks first whether it may, and is told."""
    page.goto(f"{service.url}/page")
    _, key = news.key("decide", "reward")
    _, admin = news.key("admin")
    news.client.headers["authorization"] = f"Bearer {admin}"
    report = page.evaluate(
        f"""async ([url, key, units]) => {{
          const {{ Edge }} = await import('/clients/js/src/index.js');
          {SCRIPT}
          return {REPORT};
        }}""",
        [news.url, key, UNITS],
    )
    _everything_arrived(news, report)
