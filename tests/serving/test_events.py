"""Events of edge clients: taken once, whatever is sent again, by whom and when."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from foldline.app.define_loop import define_loop
from foldline.app.foldline import wall_clock
from foldline.log.memory import MemoryLog
from foldline.loops.settings import LoopSettings
from foldline.serving.outboxes import OUTBOXES, Outboxes
from tests.serving.conftest import NEWS
from tests.serving.direct import Direct
from tests.serving.running import GatedLog, Running, running


def _decision(n: int) -> dict[str, Any]:
    return {
        "type": "decision",
        "decision": f"d{n}",
        "unit": f"u{n}",
        "action": "a",
        "propensity": 0.5,
        "bundle": "fallback",
        "definition": 0,
        "occurred": 5,
    }


def _reward(n: int) -> dict[str, Any]:
    return {"type": "reward", "decision": f"d{n}", "unit": f"u{n}", "value": 1, "reward_id": f"r{n}"}


def _send(client: Any, outbox: str, first: int, events: list[Any]) -> Any:
    return client.post("/v1/loops/news/events", json={"outbox": outbox, "first": first, "events": events})


def test_every_kind_of_event_is_taken_and_learnt(served: Running) -> None:
    """A decision, its reward, an outcome, an activation; the client's clock is kept as data."""
    outcome = _decision(2) | {"type": "outcome", "reward": 0.5, "available": ["a"], "context": {"x": 1}}
    activation = {"type": "activation", "decision": "d1", "unit": "u1", "occurred": 6}
    answered = _send(served.client, "box", 0, [_decision(1), _reward(1), outcome, activation])
    assert answered.status_code == 200
    assert answered.json() == {"accepted": 4, "repeated": 0, "next": 4, "errors": []}
    counts = served.counts("news", learnt=2)
    assert (counts["decisions"], counts["rewards"], counts["reward_sum"]) == (2, 2, 1.5)
    assert (counts["dead"], counts["unmatched"]) == (0, 0)


def test_sent_again_they_are_counted_and_not_appended(asked: Direct) -> None:
    """Whole, in part, and from before; the next number says where to go on."""

    def send(first: int, numbers: range) -> Any:
        events = [_decision(n) for n in numbers]
        return asked.ask(
            "POST", "/v1/loops/news/events", {"outbox": "again", "first": first, "events": events}
        ).json()

    before = asked.log.offsets("news.events", 0)[1]
    assert send(0, range(3)) == {"accepted": 3, "repeated": 0, "next": 3, "errors": []}
    assert send(0, range(3)) == {"accepted": 0, "repeated": 3, "next": 3, "errors": []}
    assert send(1, range(1, 5)) == {"accepted": 2, "repeated": 2, "next": 5, "errors": []}
    assert send(0, range(1)) == {"accepted": 0, "repeated": 1, "next": 5, "errors": []}
    assert send(5, range(0)) == {"accepted": 0, "repeated": 0, "next": 5, "errors": []}
    assert asked.log.offsets("news.events", 0)[1] - before == 5


def test_a_gap_is_refused_and_names_the_number_expected(asked: Direct) -> None:
    """409, nothing written, also for an outbox never heard of."""
    before = asked.log.offsets("news.events", 0)[1]
    replied = asked.ask(
        "POST", "/v1/loops/news/events", {"outbox": "gap", "first": 3, "events": [_decision(3)]}
    )
    assert replied.status == 409
    fault = replied.error
    assert (fault["code"], fault["field"], fault["value"], fault["expected"]) == ("http.gap", "first", 3, "0")
    assert asked.log.offsets("news.events", 0)[1] == before


def test_bad_events_are_named_and_not_sent_again(asked: Direct) -> None:
    """The others stand; a bad one counts as delivered."""
    wrong_type, unknown = _decision(1) | {"unit": 7}, _decision(2) | {"action": "zzz"}
    events = [
        _decision(0),
        wrong_type,
        unknown,
        {"type": "nonsense"},
        5,
        _reward(0) | {"value": 9},
        _reward(0),
    ]
    answered = asked.ask(
        "POST", "/v1/loops/news/events", {"outbox": "bad", "first": 0, "events": events}
    ).json()
    assert (answered["accepted"], answered["repeated"], answered["next"]) == (2, 0, 7)
    assert [(e["index"], e["error"]["field"]) for e in answered["errors"]] == [
        (1, "unit"),
        (2, "action"),
        (3, "type"),
        (4, None),
        (5, "value"),
    ]
    again = asked.ask("POST", "/v1/loops/news/events", {"outbox": "bad", "first": 0, "events": events}).json()
    assert (again["accepted"], again["repeated"], again["errors"]) == (0, 7, [])


def test_events_of_nothing_usable_move_the_number(asked: Direct) -> None:
    """Or the outbox would send them for ever."""
    answered = asked.ask(
        "POST", "/v1/loops/news/events", {"outbox": "useless", "first": 0, "events": [1, 2]}
    ).json()
    assert (answered["accepted"], answered["next"], len(answered["errors"])) == (0, 2, 2)


def test_too_many_events_are_refused(asked: Direct) -> None:
    """The limit of arrays holds for them too."""
    replied = asked.ask(
        "POST", "/v1/loops/news/events", {"outbox": "many", "first": 0, "events": [1] * 1_001}
    )
    assert (replied.status, replied.error["field"], replied.error["value"]) == (413, "events", 1_001)


def test_a_loop_and_an_outbox_make_a_number(asked: Direct) -> None:
    """The same outbox on another loop begins at 0."""
    define_loop(asked.log, "posts", LoopSettings(actions=("a",)), holder="test", now=wall_clock())
    asked.host.round()
    for loop in ("news", "posts"):
        answered = asked.ask(
            "POST", f"/v1/loops/{loop}/events", {"outbox": "both", "first": 0, "events": [_decision(0)]}
        )
        assert answered.json()["accepted"] == 1


def test_concurrent_senders_of_one_outbox_append_once() -> None:
    """Twenty requests with overlapping events, while the disk is slow: each event stands once, in order."""
    log = GatedLog()
    with running(log, loops={"news": NEWS}) as served:
        log.reached.clear()
        log.gate.clear()
        with ThreadPoolExecutor(20) as pool:
            sent = [
                pool.submit(_send, served.client, "busy", 0, [_decision(n) for n in range(5 + i % 4)])
                for i in range(20)
            ]
            assert log.reached.wait(30)
            log.gate.set()
            answers = [each.result().json() for each in sent]
        assert sum(answer["accepted"] for answer in answers) == 8
        assert max(answer["next"] for answer in answers) == 8
        counts = served.counts("news", decisions=8)
        assert (counts["decisions"], counts["duplicate_decisions"]) == (8, 0)
        assert not served.service.outboxes._busy


def test_two_services_share_the_numbers(served: Running) -> None:
    """What one process received the other counts as repeated."""
    with running(served.log, learn=False) as other:
        events = [_decision(n) for n in range(3)]
        assert _send(served.client, "shared", 0, events).json()["accepted"] == 3
        assert _send(other.client, "shared", 0, events).json()["repeated"] == 3
        assert _send(other.client, "shared", 3, [_decision(3)]).json()["accepted"] == 1
        assert _send(served.client, "shared", 3, [_decision(3)]).json()["repeated"] == 1


def test_the_number_is_on_the_log_with_the_events() -> None:
    """A service started later goes on where the last one was; while the disk is slow nothing is answered."""
    log = GatedLog()
    with running(log, loops={"news": NEWS}) as served:
        assert _send(served.client, "kept", 0, [_decision(0)]).json()["next"] == 1
        log.reached.clear()
        log.gate.clear()
        answers: list[Any] = []
        sender = threading.Thread(
            target=lambda: answers.append(_send(served.client, "kept", 1, [_decision(1)]).json())
        )
        sender.start()
        assert log.reached.wait(30)
        assert (answers, Outboxes(log).expected("news", "kept")) == ([], 1)
        log.gate.set()
        sender.join()
        assert (answers[0]["next"], Outboxes(log).expected("news", "kept")) == (2, 2)
    with running(log) as served:
        assert _send(served.client, "kept", 0, [_decision(0), _decision(1)]).json()["repeated"] == 2


def test_marks_read_by_many_threads_never_fall() -> None:
    """Whoever reads last, the greatest number stands."""
    log = MemoryLog()
    outboxes = Outboxes(log)
    for number in range(1, 200):
        log.append([outboxes.mark("news", "box", number, now=wall_clock())])
    reader = Outboxes(log)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: reader.read(), range(64)))
    reader.note("news", "box", 5)
    assert reader.expected("news", "box") == 199
    assert log.topic(OUTBOXES).cleanup == "compact"
