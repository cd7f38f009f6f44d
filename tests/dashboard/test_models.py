"""The page of a model: its figures are those of its snapshots, and its plots are drawn in a real browser."""

import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import httpx
import numpy as np
import pytest
from playwright.sync_api import expect

import foldline as fl
from foldline.models.ranking import Ranking
from tests.dashboard.site import opened, served
from tests.dashboard.test_browser import FAINT, INKED

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.timeout(180)

MODELS = [
    fl.Model(name="logistic", model="LogisticRegression:lr=0.05", window=200, snapshot_every_s=0),
    fl.Model(name="detector", model="HalfSpaceTrees:window_size=50", shadow=True, snapshot_every_s=0),
]
EXAMPLES = 1_200


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[fl.Loop, str, list[int]]]:
    """A loop of two models that saw a stream change its mind, and the dashboard over it."""
    begin = time.time_ns() // 1_000_000 - 60_000 * EXAMPLES
    rng = np.random.default_rng(3)
    with opened(f"sqlite:///{tmp_path_factory.mktemp('cards')}/cards.db", begin) as (app, clock):
        loop = app.loop("cards", models=MODELS, partitions=2)
        for start in range(0, EXAMPLES, 100):
            with loop.batch():
                for n in range(start, start + 100):
                    clock[0] = begin + 60_000 * n
                    a, b = rng.random(2).round(3).tolist()
                    fraud = (a > b) if n < EXAMPLES * 0.7 else (a < b)
                    loop.example({"a": a, "b": b}, unit=f"card-{n % 9}", y=fraud)
        loop.catch_up()
        with served(app.log) as address:
            yield loop, address, clock


def test_the_page_says_what_the_snapshots_say(cards: tuple[fl.Loop, str, list[int]]) -> None:
    """Figures, confusion, partitions, drift; the JSON has the report whole."""
    loop, address, _ = cards
    report = loop.models()["logistic"]
    page = httpx.get(f"{address}/loops/cards/models/logistic")
    assert page.status_code == 200
    for part in report.partitions:
        assert f">{part.counts['examples']}<" in page.text.replace(",", "")
    assert "LogisticRegression:lr=0.05" in page.text
    found = httpx.get(f"{address}/loops/cards/models/logistic/report.json").json()
    assert found["report"]["counts"] == report.counts
    assert found["report"]["metrics"]["roc_auc"] == report.metrics.roc_auc  # type: ignore[union-attr]  # it classifies
    assert len(found["series"]["partitions"]) == 2
    assert len(found["series"]["times"]) >= 4
    assert sum(part["drift_alarms"] for part in found["report"]["partitions"]) >= 1
    again = httpx.get(
        f"{address}/loops/cards/models/logistic/report.json",
        headers={"if-none-match": f'"{found["version"]}"'},
    )
    assert again.status_code == 304


def test_a_detector_is_said_to_be_in_shadow_and_cold(cards: tuple[fl.Loop, str, list[int]]) -> None:
    """And no accuracy is made up for it; the loop's page links to both models."""
    _, address, _ = cards
    page = httpx.get(f"{address}/loops/cards/models/detector").text
    assert "in shadow: never served" in page
    assert "first window was full" in page
    assert "A detector names no class." in page
    listed = httpx.get(f"{address}/loops/cards").text
    assert 'href="/loops/cards/models/logistic"' in listed
    assert 'href="/loops/cards/models/detector"' in listed
    assert httpx.get(f"{address}/loops/cards/models/none").status_code == 404


def test_plots_are_drawn_and_live(cards: tuple[fl.Loop, str, list[int]], browser: "Browser") -> None:
    """Both plots have ink; a new example changes the page without reloading; every text can be read."""
    loop, address, clock = cards
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    try:
        page.goto(f"{address}/loops/cards/models/logistic")
        for kind in ("window", "ranking"):
            canvas = page.locator(f'[data-plot="{kind}"]')
            expect(canvas).to_have_attribute("data-drawn", re.compile("[0-9]+"))
            assert canvas.locator("canvas").first.evaluate(INKED) > 0.001
        assert page.evaluate(FAINT, 4.5) == []
        before = loop.models()["logistic"].counts["examples"]
        clock[0] += 60_000
        loop.predict({"a": 0.5, "b": 0.1}, unit="card-1")
        loop.catch_up()
        expect(page.locator("#tiles dd").first).to_contain_text(str(before + 1)[-3:])
    finally:
        page.close()
    assert faults == []


def test_a_score_of_each_bin_falls_into_it() -> None:
    """Binned scores are drawn where they lie: the named score of a bin is in that bin."""
    rng = np.random.default_rng(1)
    score = np.concatenate(
        (rng.random(3_000), rng.random(500) * 1e-6, 1 - rng.random(500) * 1e-6, rng.random(500) * 9)
    )
    exact, binned = Ranking(100_000), Ranking(10)
    for ranking in (exact, binned):
        ranking.add(score, score > 0.3)
    named, of = binned.distribution()
    assert of.sum() == len(score)
    assert (np.diff(named) >= 0).all()
    again = Ranking(1)
    again.add(np.repeat(named, of.sum(axis=1)), np.zeros(len(score), np.bool_))
    assert again.key.tolist() == binned.key.tolist()
    edges = np.linspace(0, 9, 10)
    one = np.histogram(exact.distribution()[0], edges)[0]
    other = np.histogram(np.repeat(named, of.sum(axis=1)), edges)[0]
    assert np.abs(one - other).max() <= 0.02 * len(score)
