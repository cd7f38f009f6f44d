"""The news demo over HTTP: nothing is lost or counted twice, and the audit agrees with every decision."""

from pathlib import Path

import pytest

import foldline as fl
from foldline.demos.news import LOOP, Settings
from foldline.demos.news_delivery import read_delivery
from foldline.demos.news_served import Way, run_served
from foldline.engine.audit import audit
from foldline.errors import InputError
from foldline.log.open import open_log
from foldline.loops.catalogue import Catalogue
from foldline.policies.protocol import Policy
from foldline.simulation.worlds import NewsWorld


@pytest.mark.parametrize(
    ("way", "policy"),
    [("central", fl.Thompson()), ("edge", fl.EpsilonGreedy()), ("edge", fl.ConstantStep())],
)
def test_everything_arrives_once_and_is_what_its_bundle_gives(
    tmp_path: Path, way: Way, policy: Policy
) -> None:
    """Apps that ask and apps that decide by themselves, one of them cut off for a while."""
    _run(f"sqlite:///{tmp_path}/news.db", way, policy)


@pytest.mark.parametrize(("way", "policy"), [("central", fl.Thompson()), ("edge", fl.EpsilonGreedy())])
def test_everything_arrives_once_on_kafka(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kafka_url: str, way: Way, policy: Policy
) -> None:
    """The same over a cluster."""
    monkeypatch.chdir(tmp_path)  # where the service keeps its outbox
    _run(kafka_url, way, policy)


def _run(url: str, way: Way, policy: Policy) -> None:
    settings = Settings(policy, NewsWorld.evenly_spaced(), steps=240, apps=2)
    visits = run_served(settings, way, url)
    delivery = read_delivery(url, settings, way, visits)
    assert sorted(step for app in visits for step in app.step) == list(range(240))
    assert (delivery.lost, delivery.counted_twice, delivery.refused) == (0, 0, 0)
    assert (delivery.apps_cut_off, delivery.decided_offline) == ((1, 40) if way == "edge" else (0, 0))
    assert all(app.rewarded_ns for app in visits)
    with open_log(url) as log:
        found = audit(log, Catalogue(), LOOP)
    assert found.agree
    assert found.decisions + found.outcomes == 240


def test_a_service_that_decides_cannot_wait_for_complete_outcomes(tmp_path: Path) -> None:
    """A policy that cannot correct is refused before anything is started."""
    settings = Settings(fl.ConstantStep(), NewsWorld.evenly_spaced(), steps=10, apps=1)
    with pytest.raises(InputError, match="--edge"):
        run_served(settings, "central", f"sqlite:///{tmp_path}/news.db")
