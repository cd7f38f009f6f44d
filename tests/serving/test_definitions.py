"""Loops over HTTP: new, changed, the same; shown and listed."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from foldline.app.define_loop import define_loop
from foldline.app.foldline import wall_clock
from foldline.loops.settings import LoopSettings
from foldline.loops.topics import CATALOGUE
from tests.serving.conftest import NEWS
from tests.serving.direct import Direct
from tests.serving.running import ON_LOOPBACK, Running, running


def test_a_loop_is_made_changed_and_left_alone(served: Running) -> None:
    """201, then 200 with the next version, then 200 with the same; what is left out stays."""
    put = served.client.put
    made = put("/v1/loops/posts", json={"actions": ["a", "b"], "reward_wait_s": 0.5, "salt": "s"})
    assert made.status_code == 201
    assert made.json()["definition"]["reward"]["wait_ms"] == 500
    assert made.json()["bundle"]["definition"] == 1
    assert {e["action"]: e["share"] for e in made.json()["estimates"]} == {"a": 0.5, "b": 0.5}
    changed = put("/v1/loops/posts", json={"actions": ["a", "b", "c"], "policy": {"kind": "random"}})
    assert (changed.status_code, changed.json()["definition"]["version"]) == (200, 2)
    assert changed.json()["definition"]["reward"]["wait_ms"] == 500
    assert changed.json()["bundle"]["definition"] == 2
    end = served.log.offsets(CATALOGUE, 0)[1]
    same = put("/v1/loops/posts", json={"actions": ["a", "b", "c"]})
    nothing = put("/v1/loops/posts", json={})
    assert [same.status_code, nothing.status_code] == [200, 200]
    assert same.json()["definition"] == nothing.json()["definition"] == changed.json()["definition"]
    assert served.log.offsets(CATALOGUE, 0)[1] == end


def test_a_decision_after_a_definition_is_made_by_it(served: Running) -> None:
    """The answer to PUT waits for the bundle, so the next decision has the new actions."""
    for name in ("c", "d", "e"):
        served.client.put("/v1/loops/news", json={"actions": [name]})
        assert served.client.post("/v1/loops/news/decisions", json={"unit": "u"}).json()["action"] == name


@pytest.mark.parametrize(
    ("given", "status", "code", "field"),
    [
        ({}, 400, "input.no_action", "actions"),
        ({"actions": []}, 400, "input.no_action", "actions"),
        ({"actions": ["a", "a"]}, 400, "input.invalid", "actions"),
        ({"actions": ["a\nb"]}, 400, "input.invalid", "actions"),
        ({"actions": ["a"], "colour": 1}, 400, "input.invalid", "colour"),
        ({"actions": ["a"], "policy": {"kind": "magic"}}, 400, "input.unknown_policy", None),
        ({"actions": ["a"], "policy": {}}, 400, "input.invalid", "kind"),
        (
            {"actions": ["a"], "policy": {"kind": "epsilon_greedy", "epsilon": 2}},
            400,
            "input.invalid",
            "epsilon",
        ),
        (
            {"actions": ["a"], "policy": {"kind": "constant_step"}},
            400,
            "definition.incoherent",
            "reward_wait_s",
        ),
        ({"actions": ["a"], "low": 1, "high": 0}, 400, "definition.incoherent", None),
        ({"actions": ["a"], "high": 1e12}, 400, "definition.incoherent", "high"),
        ({"actions": ["a"], "reward_wait_s": 1e18}, 400, "definition.incoherent", "reward_wait_s"),
        ({"actions": ["a"], "correction_s": 0}, 400, "definition.incoherent", "correction_s"),
        ({"actions": ["a"], "default_reward": 1e300}, 400, "definition.incoherent", "default_reward"),
        ({"actions": ["a"], "partitions": 0}, 400, "input.invalid", "partitions"),
        ({"actions": ["a"], "unit_bits": 99}, 400, "input.invalid", "unit_bits"),
        ({"actions": ["a"], "aggregation": "median"}, 400, "input.invalid", "aggregation"),
    ],
)
def test_what_cannot_be_defined_is_refused(
    asked: Direct, given: dict[str, Any], status: int, code: str, field: str | None
) -> None:
    """Each refusal names its setting; nothing is written."""
    end = asked.log.offsets(CATALOGUE, 0)[1]
    replied = asked.ask("PUT", "/v1/loops/refused", given)
    assert (replied.status, replied.error["code"]) == (status, code)
    assert field is None or replied.error["field"] == field
    assert asked.log.offsets(CATALOGUE, 0)[1] == end


@pytest.mark.parametrize(("field", "value"), [("partitions", 2), ("salt", "other")])
def test_what_is_fixed_for_life_is_a_conflict(asked: Direct, field: str, value: object) -> None:
    """409, naming the field."""
    replied = asked.ask("PUT", "/v1/loops/news", {field: value})
    assert (replied.status, replied.error["code"], replied.error["field"]) == (
        409,
        "definition.conflict",
        field,
    )


@pytest.mark.parametrize("name", ["", "bad name!", "-x", "x" * 65, "ümlaut", "a.b", "news\n"])
def test_a_name_that_is_none_is_refused(asked: Direct, name: str) -> None:
    """400, and no topics are left behind."""
    topics = len(asked.log.topics())
    replied = asked.ask("PUT", f"/v1/loops/{name}", {"actions": ["a"]})
    assert (replied.status, replied.error["code"]) == (400, "input.invalid")
    assert len(asked.log.topics()) == topics


def test_definitions_at_once_leave_one_history(served: Running) -> None:
    """Twenty callers change one loop: every version is one of theirs, counted through, and the log agrees."""

    def put(n: int) -> dict[str, Any]:
        answered = served.client.put("/v1/loops/news", json={"actions": ["a", f"extra-{n}"]})
        assert answered.status_code == 200
        definition: dict[str, Any] = answered.json()["definition"]
        return definition

    with ThreadPoolExecutor(10) as pool:
        given = list(pool.map(put, range(20)))
    catalogue = served.host.catalogue
    versions = [catalogue.at("news", v) for v in range(1, 22)]
    assert [v.version for v in versions] == list(range(1, 22))
    assert sorted(v.actions[1] for v in versions[1:]) == sorted(f"extra-{n}" for n in range(20))
    assert max(definition["version"] for definition in given) == 21
    counts = served.counts("news")
    assert counts["dead"] == 0


def test_without_a_learner_a_definition_is_answered_all_the_same() -> None:
    """After the time it may take; the bundle is null then."""
    settings = ON_LOOPBACK.__class__(port=0, bundle_timeout_s=0.05)
    with running(learn=False, settings=settings) as served:
        made = served.client.put("/v1/loops/news", json={"actions": ["a"]})
        assert (made.status_code, made.json()["bundle"]) == (201, None)
        assert made.json()["counts"]["decisions"] == 0


def test_a_loop_shows_what_it_learnt(served: Running) -> None:
    """Definition, bundle with its cut, estimates with shares, counts."""
    outcomes = [{"unit": f"u{i}", "action": "b", "propensity": 1, "reward": 1} for i in range(8)]
    served.client.post("/v1/loops/news/outcomes", json=outcomes)
    served.counts("news", outcomes=8)
    while served.client.get("/v1/loops/news").json()["bundle"]["cut"] == "0:1":
        served.log.wait({("news.policy", 0): served.host._hosted["news"].replica.offset}, 1.0)
    shown = served.client.get("/v1/loops/news").json()
    assert shown["name"] == "news"
    by_action = {e["action"]: e for e in shown["estimates"]}
    assert (by_action["b"]["pulls"], by_action["b"]["mean"], by_action["a"]["mean"]) == (8, 1.0, None)
    assert sum(e["share"] for e in shown["estimates"]) == pytest.approx(1.0)
    assert (shown["counts"]["decisions"], shown["counts"]["reward_sum"]) == (8, 8.0)
    assert shown["bundle"]["stream_time"] <= shown["bundle"]["time"]


def test_hundreds_of_loops_are_listed_and_served() -> None:
    """Every loop by name; the newest of them decides."""
    loops = {f"loop-{i:03}": LoopSettings(actions=("a", "b")) for i in range(200)}
    with running(loops=loops) as served:
        listed = served.client.get("/v1/loops").json()["loops"]
        assert [line["name"] for line in listed] == sorted(loops)
        assert listed[0] == {"name": "loop-000", "version": 1, "actions": 2, "policy": "epsilon_greedy"}
        assert served.client.post("/v1/loops/loop-199/decisions", json={"unit": "u"}).is_success
        missing = served.client.get("/v1/loops/other").json()["error"]
        assert len(missing["message"]) < 1_100
        assert served.client.get("/metrics").is_success
        assert served.client.get("/readyz").json()["missing"] == []


def test_a_loop_defined_elsewhere_is_served_without_a_restart(served: Running) -> None:
    """The host follows the catalogue."""
    define_loop(served.log, "later", NEWS, holder="other", now=wall_clock())
    bundle = served.client.get("/v1/loops/later/bundle", params={"wait": 30})
    while bundle.status_code == 404:
        served.log.wait({("foldline.loops", 0): served.host.catalogue.offset}, 0.05)
        bundle = served.client.get("/v1/loops/later/bundle", params={"wait": 30})
    assert bundle.status_code == 200
