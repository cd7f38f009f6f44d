"""Edge clients take part in experiments: they assign as the service does, and the log recomputes what they did."""

from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from foldline.client.edge import Edge
from foldline.client.http import Client
from foldline.engine.audit import audit
from foldline.engine.defining import read_catalogue
from foldline.engine.examining import check_assignments
from foldline.engine.experimenting import read_experiments
from foldline.errors import FoldError
from foldline.experiments.catalogue import ExperimentCatalogue
from foldline.experiments.settings import settings_of
from foldline.log.open import open_log
from foldline.loops.bundle import Bundle, content_hash, encode_bundle
from foldline.loops.catalogue import Catalogue
from foldline.loops.deciding import Decider
from foldline.loops.edge_bundle import decode_edge_bundle, edge_bundle, encode_edge_bundle
from foldline.loops.trying import TrialDecider
from foldline.records.types import Decision, Reward
from tests.client.conftest import Service, define, until

SETTINGS: dict[str, Any] = {
    "variants": [
        {"key": "control", "policy": {"kind": "fixed", "action": "a"}},
        {"key": "challenger", "policy": {"kind": "split", "shares": {"a": 0.3, "b": 0.7}}},
    ],
    "goal": {"name": "reward", "baseline": 0.07, "effect": 0.04},
    "max_days": 28,
    "salt": "s",
}


def _ask(service: Service, method: str, path: str, body: object = None) -> Any:
    answered = httpx.request(method, f"{service.url}/v1/{path}", json=body, timeout=30)
    assert answered.is_success, answered.text
    return answered.json()


def _started(service: Service, loop: str, **changed: Any) -> str:
    name = f"test-{loop}"
    _ask(service, "PUT", f"experiments/{name}", {"loop": loop, **SETTINGS, **changed})
    assert _ask(service, "POST", f"experiments/{name}/start")["decides"]
    return name


def _why(edge: Edge) -> str | None:
    return edge.decide("somebody", log=False).reason


def test_an_edge_client_assigns_as_the_service_does(service: Service, tmp_path: Path) -> None:
    """Variant, reason, probability and action; on the log too; check and audit recompute them; rewards are counted."""
    loop = define(service, partitions=2)
    name = _started(service, loop, coverage=0.7, forced={"vip": "challenger"})
    with Client(service.url) as client, Edge(service.url, loop=loop, outbox=tmp_path / "app.db") as edge:
        remote = client.loop(loop)
        until(lambda: _why(edge) is not None)
        units = ["vip", *(f"u{i}" for i in range(60))]
        made = [edge.decide(unit, id=f"d-{unit}") for unit in units]
        for here in made:
            there = remote.decide(here.unit, id=f"d-{here.unit}")
            assert (here.variant, here.experiment, here.reason, here.probability) == (
                there.variant, there.experiment, there.reason, there.probability,
            )  # fmt: skip
            assert (here.action, here.propensity) == (there.action, there.propensity)
        assert {one.reason for one in made} == {"SPLIT", "FORCED", "NOT_ENROLLED"}
        later = edge.decide("account-1", anonymous="u1")
        assert (later.unit, later.account, later.variant) == ("u1", "account-1", made[2].variant)
        edge.reward(None, 1, unit="account-1", anonymous="u1")
        assert edge.flush(20)
    records = service.records(loop)
    logged = {r.id: r for r in records if isinstance(r, Decision) and r.occurred is not None}  # the edge's
    for one in (*made, later):
        kept = logged[one.id]
        said = (kept.experiment, kept.variant, kept.reason, kept.probability, kept.account, kept.bundle)
        assert said == (one.experiment, one.variant, one.reason, one.probability, one.account, one.bundle)
    assert [r.unit for r in records if isinstance(r, Reward)] == ["u1"]
    with open_log(service.log) as log:
        loops, experiments = Catalogue(), ExperimentCatalogue()
        read_catalogue(log, loops)
        read_experiments(log, experiments)
        checked = check_assignments(log, loops.one(loop), experiments.versions(name))
        enrolled = sum(one.variant is not None for one in made)
        assert checked.agree == checked.decisions == 2 * enrolled + (later.variant is not None)
        assert audit(log, loops, loop).findings == []


def test_without_network_it_goes_on_with_the_experiment_it_knew(service: Service, tmp_path: Path) -> None:
    """After a restart too: the same variants, and what happened is delivered once there is a network again."""
    loop = define(service)
    _started(service, loop)
    outbox = tmp_path / "app.db"
    with Edge(service.url, loop=loop, outbox=outbox) as edge:
        until(lambda: _why(edge) is not None)
        before = {unit: edge.decide(unit, log=False).variant for unit in "abcdefgh"}
    with Edge("http://127.0.0.1:9", loop=loop, outbox=outbox) as edge:
        after = {unit: edge.decide(unit).variant for unit in "abcdefgh"}
        edge.close(0.1)
    assert after == before
    assert set(before.values()) == {"control", "challenger"}
    with Edge(service.url, loop=loop, outbox=outbox) as edge:
        assert edge.flush(20)
        assert edge.refused() == []
    assert {r.unit: r.variant for r in service.records(loop) if isinstance(r, Decision)} == before


def test_it_hears_of_a_pause_and_of_the_end(service: Service) -> None:
    """With the loop's own policy from then on, and why."""
    loop = define(service)
    name = _started(service, loop)
    with Edge(service.url, loop=loop) as edge:
        until(lambda: _why(edge) == "SPLIT")
        _ask(service, "POST", f"experiments/{name}/pause")
        until(lambda: _why(edge) == "EXPERIMENT_PAUSED")
        _ask(service, "POST", f"experiments/{name}/start")
        until(lambda: _why(edge) == "SPLIT")
        _ask(service, "POST", f"experiments/{name}/stop")
        until(lambda: _why(edge) == "EXPERIMENT_ENDED")
        assert edge.decide("u1", log=False).variant is None


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"experiment": "nobody", "variant": "control"}, "experiment"),
        ({"experiment": "OWN", "variant": "third"}, "variant"),
        ({"experiment": "OWN"}, "variant"),
        ({"experiment": "OTHER", "variant": "control"}, "experiment"),
        ({"variant": "control"}, "experiment"),
        ({"reason": "BECAUSE"}, "reason"),
        ({"account": ""}, "account"),
    ],
)
def test_events_of_no_such_variant_are_refused(service: Service, changed: dict[str, Any], field: str) -> None:
    """One by one, named by the field; the rest of what was sent stands."""
    loop, other = define(service), define(service)
    names = {"OWN": _started(service, loop), "OTHER": _started(service, other)}
    event = {
        "type": "decision", "decision": "d1", "unit": "u1", "action": "a", "propensity": 1.0, "bundle": "0" * 16,
        "definition": 1, **{key: names.get(value, value) for key, value in changed.items()},
    }  # fmt: skip
    body = {"outbox": "box1", "first": 0, "events": [event]}
    answered = _ask(service, "POST", f"loops/{loop}/events", body)
    assert (answered["accepted"], answered["next"]) == (0, 1)
    assert answered["errors"][0]["error"]["field"] == field


def test_what_decides_is_checked_by_its_hash() -> None:
    """A definition changed on the way is refused, and so is a bundle; a bundle alone is one without experiments."""
    bare = Bundle(
        loop="news", hash="", time=0, cut=(0,), definition=1, stream_time=0, generation=0, salt="s", kind="fixed",
        actions=("a", "b"), parameters={"action": "a"},
    )  # fmt: skip
    bundle = msgspec.structs.replace(bare, hash=content_hash(bare))
    alone = decode_edge_bundle(encode_bundle(bundle))
    assert (alone.hash, alone.trials, alone.idle) == (bundle.hash, (), None)
    one = msgspec.structs.replace(
        settings_of(SETTINGS).settle("ctr", "news", salt="s", now=0), state="running"
    )
    trial = TrialDecider(one, {key: Decider(bundle) for key in one.keys})
    line = encode_edge_bundle(edge_bundle(bundle, [trial], None))
    assert decode_edge_bundle(line).trials[0].definition == one
    for old, new in (
        (b'"salt":"s","hash":"foldline_2"', b'"salt":"t","hash":"foldline_2"'),
        (b'"parameters":{"action":"a"}', b'"parameters":{"action":"b"}'),
    ):
        assert old in line
        with pytest.raises(FoldError):
            decode_edge_bundle(line.replace(old, new, 1))
    with pytest.raises(FoldError):
        decode_edge_bundle(b"{}")
