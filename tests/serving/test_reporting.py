"""Decisions, rewards, activations and outcomes over HTTP: one or many, durable, repeated, refused."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from foldline.log.protocol import Log
from foldline.loops.settings import LoopSettings
from foldline.serving.settings import ServiceSettings
from tests.serving.conftest import NEWS
from tests.serving.direct import Direct, direct
from tests.serving.running import GatedLog, Running, running


def _events(log: Log, loop: str, partitions: int = 1) -> list[Any]:
    """What stands on a loop's event topic, without markers and ticks."""
    lines = [
        json.loads(line)
        for partition in range(partitions)
        for row in log.read(f"{loop}.events", partition, 0, max_records=100_000)
        for line in row.payload.split(b"\n")
    ]
    return [line for line in lines if line["type"] not in ("definition", "tick")]


def _grown(asked: Direct, ask: Callable[[], object]) -> int:
    """By how many records `ask` makes the loop's events grow."""
    before = asked.log.offsets("news.events", 0)[1]
    ask()
    return asked.log.offsets("news.events", 0)[1] - before


def test_a_decision_is_on_the_log_when_it_is_answered(asked: Direct) -> None:
    """The answer is what stands there, with everything that was given."""
    given = {"unit": "u1", "context": {"device": "phone"}, "available": ["b"], "decision": "order-17"}
    replied = asked.ask("POST", "/v1/loops/news/decisions", given)
    bundle = asked.ask("GET", "/v1/loops/news/bundle").json()["hash"]
    assert replied.status == 200
    assert replied.headers["content-type"] == "application/json"
    assert replied.json() == {
        "decision": "0.0.order-17",
        "action": "b",
        "propensity": 1.0,
        "bundle": bundle,
        "reason": "DEFAULT",
        "experiment": None,
        "variant": None,
        "probability": None,
    }
    record = _events(asked.log, "news")[-1]
    assert record["id"] == "0.0.order-17"
    assert (record["unit"], record["context"], record["available"]) == ("u1", {"device": "phone"}, ["b"])


def test_the_same_id_is_answered_alike_and_counts_once(served: Running) -> None:
    """A retry meets the same bundle's draw; the fold counts one decision and one reward."""
    ask = {"unit": "u1", "decision": "d1"}
    answers = [served.client.post("/v1/loops/news/decisions", json=ask).json() for _ in range(3)]
    told = {"decision": "d1", "unit": "u1", "value": 1, "reward_id": "r1"}
    rewards = [served.client.post("/v1/loops/news/rewards", json=told).json() for _ in range(3)]
    assert {answer["decision"] for answer in answers} == {"0.0.d1"}
    assert rewards == [{"reward_id": "r1"}] * 3
    counts = served.counts("news", duplicate_decisions=2, duplicate_rewards=2)
    assert (counts["decisions"], counts["rewards"], counts["reward_sum"]) == (1, 1, 1.0)


def test_rewards_find_their_decision_by_each_way(served: Running) -> None:
    """By the id answered, by the caller's own with the unit, and by the unit alone."""
    post = served.client.post
    made = post("/v1/loops/news/decisions", json={"unit": "u1"}).json()
    post("/v1/loops/news/decisions", json={"unit": "u2", "decision": "own"})
    post("/v1/loops/news/decisions", json={"unit": "u3"})
    for told in ({"decision": made["decision"]}, {"decision": "own", "unit": "u2"}, {"unit": "u3"}):
        answered = post("/v1/loops/news/rewards", json={**told, "value": 1, "occurred": 5})
        assert answered.status_code == 200
        assert len(answered.json()["reward_id"]) == 32
    counts = served.counts("news", rewards=3)
    assert (counts["reward_sum"], counts["unmatched"]) == (3.0, 0)


def test_activations_make_decisions_count() -> None:
    """Where a loop asks for them, only what was shown is learnt."""
    shown = LoopSettings(actions=("a", "b"), activation=True)
    with running(loops={"news": shown}) as served:
        post = served.client.post
        made = [post("/v1/loops/news/decisions", json={"unit": f"u{i}"}).json() for i in range(4)]
        one = post("/v1/loops/news/activations", json={"decision": made[0]["decision"]})
        many = post("/v1/loops/news/activations", json=[{"decision": m["decision"]} for m in made[1:3]])
        assert (one.json(), many.json()) == ({}, [{}, {}])
        post("/v1/loops/news/rewards", json=[{"decision": m["decision"], "value": 1} for m in made])
        counts = served.counts("news", learnt=3)
        assert (counts["decisions"], counts["learnt"]) == (4, 3)


def test_outcomes_bring_decision_and_reward(served: Running) -> None:
    """One made with a bundle of ours, one made elsewhere; both are learnt at once."""
    bundle = served.client.get("/v1/loops/news/bundle").json()["hash"]
    ours = {"unit": "u1", "action": "b", "propensity": 0.95, "reward": 1, "decision": "v1", "bundle": bundle}
    theirs = {"unit": "u2", "action": "a", "propensity": 0.5, "reward": 0.5, "available": ["a"]}
    one = served.client.post("/v1/loops/news/outcomes", json=ours).json()
    many = served.client.post("/v1/loops/news/outcomes", json=[theirs]).json()
    assert one == {"decision": "0.0.v1"}
    counts = served.counts("news", learnt=2)
    assert (counts["outcomes"], counts["reward_sum"]) == (2, 1.5)
    records = {record["id"]: record for record in _events(served.log, "news")}
    assert records["0.0.v1"]["bundle"] == bundle
    assert records[many[0]["decision"]]["bundle"] == "external"


def test_an_array_is_one_commit_and_a_bad_item_leaves_the_others(asked: Direct) -> None:
    """The answer says, in its place, which item was wrong and in what."""
    before, commits = asked.log.offsets("news.events", 0)[1], asked.service.appender.counts.commits
    items = [
        {"unit": "u1"},
        {"unit": ""},
        {"unit": 7},
        {"nonsense": 1},
        [],
        {"unit": "u2", "available": []},
        {"unit": "u3", "available": ["zzz"]},
        {"unit": "u4"},
    ]
    answers = asked.ask("POST", "/v1/loops/news/decisions", items).json()
    assert [answer.get("error", {}).get("field") for answer in answers] == [
        None,
        "unit",
        "unit",
        "nonsense",
        None,
        "available",
        "available",
        None,
    ]
    assert [answer.get("error", {}).get("code") for answer in answers][4:7] == [
        "input.invalid",
        "input.no_action",
        "input.unknown_action",
    ]
    assert {"action" in answers[0], "action" in answers[7]} == {True}
    assert asked.log.offsets("news.events", 0)[1] - before == 2
    assert asked.service.appender.counts.commits - commits == 1


def test_an_empty_array_is_answered_with_one(asked: Direct) -> None:
    """Nothing is written."""
    assert _grown(asked, lambda: asked.ask("POST", "/v1/loops/news/rewards", b" [ ] ")) == 0
    assert asked.ask("POST", "/v1/loops/news/rewards", b" [ ] ").json() == []


def test_an_array_of_nothing_usable_is_answered_item_by_item(asked: Direct) -> None:
    """Errors only, status 200, nothing written."""
    replied = asked.ask("POST", "/v1/loops/news/rewards", [{}, 1, "x", None])
    assert replied.status == 200
    assert [answer["error"]["code"] for answer in replied.json()] == ["input.invalid"] * 4


def test_many_items_but_not_too_many(asked: Direct) -> None:
    """A thousand are taken, one more is not, and then none."""
    rewards = [{"unit": f"u{i}", "value": 1} for i in range(1_001)]
    assert _grown(asked, lambda: asked.ask("POST", "/v1/loops/news/rewards", rewards[:1_000])) == 1_000
    before = asked.log.offsets("news.events", 0)[1]
    replied = asked.ask("POST", "/v1/loops/news/rewards", rewards)
    assert (replied.status, replied.error["code"], replied.error["value"]) == (413, "http.too_large", 1_001)
    assert asked.log.offsets("news.events", 0)[1] == before


def test_units_go_to_their_partitions() -> None:
    """Decision and reward of a unit stand on one partition; several together in one commit."""
    with direct({"news": LoopSettings(actions=("a",), partitions=4)}) as asked:
        made = asked.ask("POST", "/v1/loops/news/decisions", [{"unit": f"u{i}"} for i in range(40)]).json()
        rewards = [{"decision": m["decision"], "value": 1} for m in made]
        told = asked.ask("POST", "/v1/loops/news/rewards", rewards).json()
        assert all("reward_id" in answer for answer in told)
        used = {int(m["decision"].split(".")[1]) for m in made}
        assert used == {0, 1, 2, 3}
        asked.host.round()
        counts = asked.ask("GET", "/v1/loops/news").json()["counts"]
        assert (counts["rewards"], counts["unmatched"], counts["dead"]) == (40, 0, 0)


def test_fast_is_answered_before_the_disk() -> None:
    """By request or by configuration; the record follows. What is durable waits."""
    log = GatedLog()
    with running(log, loops={"news": NEWS}) as served:
        log.gate.clear()
        fast = served.client.post("/v1/loops/news/decisions?durability=fast", json={"unit": "u1"})
        assert fast.status_code == 200
        assert _events(log, "news") == []
        assert served.service.appender.waiting == 1
        log.gate.set()
        served.client.post("/v1/loops/news/decisions?durability=durable", json={"unit": "u2"})
        assert [record["unit"] for record in _events(log, "news")] == ["u1", "u2"]
        assert served.service.appender.waiting == 0
    log = GatedLog()
    with running(log, loops={"news": NEWS}, settings=ServiceSettings(port=0, durability="fast")) as served:
        log.gate.clear()
        assert served.client.post("/v1/loops/news/decisions", json={"unit": "u1"}).status_code == 200
        log.gate.set()
    assert [record["unit"] for record in _events(log, "news")] == ["u1"]


def test_what_a_record_could_not_hold_is_refused_before_it_is_accepted(asked: Direct) -> None:
    """Names, ids and values that the fold would dead-letter never get a 200."""
    long, longer = "n" * 256, "n" * 257
    asks: list[tuple[str, Any, int, str | None]] = [
        ("rewards", {"unit": "u", "value": 1, "name": long}, 200, None),
        ("rewards", {"unit": "u", "value": 7, "name": "other"}, 200, None),
        ("rewards", {"unit": "u", "value": 1, "name": longer}, 400, "name"),
        ("rewards", {"unit": "u", "value": 1.5}, 400, "value"),
        ("rewards", {"unit": "u", "value": 1, "reward_id": "r" * 401}, 400, "reward_id"),
        ("rewards", {"unit": "u", "value": 1, "reward_id": ""}, 400, "reward_id"),
        ("rewards", {"value": 1}, 400, "decision"),
        ("rewards", {"value": 1, "decision": "nonsense"}, 400, "decision"),
        ("rewards", {"value": 1, "decision": "0.7.x"}, 400, "decision"),
        ("rewards", {"value": 1, "decision": "0.0." + "d" * 400, "unit": "u"}, 200, None),
        ("decisions", {"unit": "u" * 400}, 200, None),
        ("decisions", {"unit": "u" * 401}, 400, "unit"),
        ("decisions", {"unit": "a\nb"}, 400, "unit"),
        ("decisions", {"unit": "u", "decision": "d" * 400}, 200, None),
        ("decisions", {"unit": "u", "decision": "0.0.d"}, 400, "decision"),
        ("activations", {"decision": "own", "unit": "u"}, 200, None),
        ("activations", {"decision": "own"}, 400, "decision"),
        ("outcomes", {"unit": "u", "action": "zzz", "propensity": 1, "reward": 1}, 400, "action"),
        ("outcomes", {"unit": "u", "action": "a", "propensity": 0, "reward": 1}, 400, "propensity"),
        ("outcomes", {"unit": "u", "action": "a", "propensity": 1, "reward": 2}, 400, "reward"),
        ("outcomes", {"unit": "u", "action": "a", "propensity": 1, "reward": 1, "available": []}, 400, "available"),
        ("outcomes", {"unit": "u", "action": "a", "propensity": 1, "reward": 1, "available": ["b"]}, 400, "available"),
    ]  # fmt: skip
    answered = [asked.ask("POST", f"/v1/loops/news/{verb}", body) for verb, body, _, _ in asks]
    assert [reply.status for reply in answered] == [status for _, _, status, _ in asks]
    assert [r.error["field"] if r.status == 400 else None for r in answered] == [f for *_, f in asks]
    asked.host.round()
    assert asked.ask("GET", "/v1/loops/news").json()["counts"]["dead"] == 0


def test_complete_loops_take_outcomes_only() -> None:
    """Decisions, rewards and activations on their own are refused."""
    complete = LoopSettings(actions=("a",), policy={"kind": "constant_step"}, complete=True)
    with direct({"news": complete}) as asked:
        for verb, body in (
            ("decisions", {"unit": "u"}),
            ("rewards", {"unit": "u", "value": 1}),
            ("activations", {"unit": "u", "decision": "d"}),
        ):
            assert asked.ask("POST", f"/v1/loops/news/{verb}", body).error["code"] == "input.invalid"
        whole = {"unit": "u", "action": "a", "propensity": 1, "reward": 1}
        assert asked.ask("POST", "/v1/loops/news/outcomes", whole).status == 200


@pytest.mark.parametrize("verb", ["decisions", "rewards", "activations", "outcomes", "events"])
def test_an_unknown_loop_is_named(asked: Direct, verb: str) -> None:
    """404, whatever the body."""
    replied = asked.ask("POST", f"/v1/loops/other/{verb}", {})
    assert (replied.status, replied.error["code"]) == (404, "input.unknown_loop")
    assert "'other'" in replied.error["message"]


def test_before_the_first_bundle_only_decisions_are_refused() -> None:
    """503 with Retry-After, for one and for an array; rewards are taken."""
    with running(loops={"news": NEWS}, learn=False) as served:
        for body in ({"unit": "u"}, [{"unit": "u"}]):
            refused = served.client.post("/v1/loops/news/decisions", json=body)
            assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
            assert refused.json()["error"]["code"] == "fold.no_bundle"
        assert served.client.post("/v1/loops/news/rewards", json={"unit": "u", "value": 1}).is_success


def test_bad_durability_is_named(asked: Direct) -> None:
    """The field, the value and what was expected."""
    error = asked.ask("POST", "/v1/loops/news/decisions?durability=maybe", {"unit": "u"}).error
    assert (error["field"], error["value"], error["expected"]) == ("durability", "maybe", "durable or fast")


def test_a_clock_that_is_wrong(caplog: pytest.LogCaptureFixture) -> None:
    """An hour ahead the log refuses, 503, nothing written; an hour back it goes on, and what is told is learnt."""
    with direct({"news": NEWS}) as asked:
        right = asked.service.clock
        before = asked.log.offsets("news.events", 0)[1]
        asked.service.clock = lambda: right() + 3_600_000
        refused = asked.ask("POST", "/v1/loops/news/decisions", {"unit": "u"})
        assert (refused.status, refused.error["code"]) == (503, "log.time_ahead")
        assert asked.log.offsets("news.events", 0)[1] == before
        asked.service.clock = lambda: right() - 3_600_000
        assert asked.ask("POST", "/v1/loops/news/decisions", {"unit": "u"}).status == 200
        assert asked.ask("POST", "/v1/loops/news/rewards", {"unit": "u", "value": 1}).status == 200
        asked.host.round()
        counts = asked.ask("GET", "/v1/loops/news").json()["counts"]
        assert (counts["learnt"], counts["reward_sum"], counts["dead"]) == (1, 1.0, 0)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
