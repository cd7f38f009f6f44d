"""The HTTP clients against the real service; every test runs with the sync and with the async one."""

import random
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import foldline as fl
from foldline.client.http import Client
from foldline.client.retrying import Backoff, Tries
from foldline.errors import DefinitionError, FoldError, FoldlineError, InputError, MissingExtra, RequestError
from foldline.log.open import open_log
from foldline.records.types import Activation, Decision, Outcome, Reward
from foldline.serving.keys import Keyring
from tests.client.conftest import Service, define, running, until
from tests.client.proxy import Proxy
from tests.client.scripted import Scripted, ScriptedServer

Connect = Callable[..., Client]


def test_decide_and_reward(connect: Connect, service: Service, loop: str) -> None:
    """A decision comes back as a record, and stands on the log with its reward."""
    news = connect(service.url).loop(loop)
    made = news.decide("u1", context={"device": "phone", "age": 3.5}, available=["b"], id="order-17")
    assert (made.id, made.unit, made.action, made.propensity) == ("0.0.order-17", "u1", "b", 1.0)
    assert made.context == {"device": "phone", "age": 3.5}
    assert made.available == ["b"]
    assert news.reward(made, 1, id="click-1") == "click-1"
    assert news.reward("order-17", 0.5, unit="u1", name="click", id="click-2") == "click-2"
    assert news.reward(None, 0, unit="u1", id="click-3") == "click-3"
    decision, first, second, third = service.records(loop)[1:]
    assert isinstance(decision, Decision)
    assert (decision.id, decision.action, decision.bundle) == (made.id, "b", made.bundle)
    assert isinstance(first, Reward)
    assert isinstance(second, Reward)
    assert isinstance(third, Reward)
    assert (first.id, first.decision, first.value) == ("click-1", made.id, 1.0)
    assert (second.id, second.decision, second.name) == ("click-2", made.id, "click")
    assert (third.decision, third.unit) == (None, "u1")


def test_many_in_one_request(connect: Connect, service: Service, loop: str) -> None:
    """Arrays are answered in order; what cannot be used is an error in its place."""
    news = connect(service.url).loop(loop)
    made = news.decide_many(["u1", "u2", "u3"], contexts=[None, {"x": 1}, None], ids=["d1", "0.0.d2", "d3"])
    assert isinstance(made[1], InputError)
    assert made[1].field == "decision"
    first, third = made[0], made[2]
    assert isinstance(first, Decision)
    assert isinstance(third, Decision)
    assert [first.id, third.id] == ["0.0.d1", "0.0.d3"]
    answers = news.reward_many([(first, 1), (third, 9), (third.id, 0)], ids=["r1", "r2", "r3"])
    assert answers[0] == "r1"
    assert isinstance(answers[1], InputError)
    assert answers[1].code == "input.out_of_range"
    assert answers[2] == "r3"
    kinds = [type(record).__name__ for record in service.records(loop)]
    assert kinds == ["Definition", "Decision", "Decision", "Reward", "Reward"]


def test_outcomes_and_activations(connect: Connect, service: Service) -> None:
    """Outcomes of decisions made elsewhere and activations stand on the log."""
    loop = define(service, activation=True)
    news = connect(service.url).loop(loop, durability="fast")
    made = news.decide("u1")
    news.activate(made)
    news.activate(made.id, unit="u1")
    elsewhere = Decision(
        time=1, id="visit-3", unit="u2", action="a", propensity=0.25, bundle="external", definition=1
    )
    assert news.outcome(elsewhere, 1) == "0.0.visit-3"
    assert news.outcome_many([(elsewhere, 1)]) == ["0.0.visit-3"]
    until(lambda: len(service.records(loop)) == 6)
    records = service.records(loop)
    assert [type(r) for r in records[2:]] == [Activation, Activation, Outcome, Outcome]
    outcome = records[4]
    assert isinstance(outcome, Outcome)
    assert (outcome.propensity, outcome.reward, outcome.bundle) == (0.25, 1.0, "external")


def test_define_and_look(connect: Connect, service: Service) -> None:
    """A loop is defined, redefined, shown, listed, and its bundle is what decides."""
    client = connect(service.url)
    name = define(service)
    news = client.loop(name)
    shown = news.define(["a", "b", "c"], policy=fl.EpsilonGreedy(0.3), reward_wait_s=2)
    assert (shown.name, shown.definition.version, shown.definition.actions) == (name, 2, ("a", "b", "c"))
    assert shown.definition.policy["epsilon"] == 0.3
    assert shown.definition.reward.wait_ms == 2000
    assert shown.bundle is not None
    assert [e.action for e in shown.estimates] == ["a", "b", "c"]
    assert name in client.loops()
    assert news.show().definition == shown.definition
    assert news.bundle().actions == ("a", "b", "c")
    before, made, after = news.bundle().hash, news.decide("u1").bundle, news.bundle().hash
    assert made in {before, after}  # the decision itself may bring a new one


def test_a_retry_counts_once(connect: Connect, service: Service, loop: str) -> None:
    """The same ids again give the same answer, and the learner counts one."""
    news = connect(service.url).loop(loop)
    first = news.decide("u1", id="once")
    assert news.decide("u1", id="once").action == first.action
    for _ in range(3):
        news.reward(first, 1, id="r")
    until(lambda: news.show().counts["duplicates"] == 3)
    counts = news.show().counts
    assert (counts["decisions"], counts["rewards"], counts["reward_sum"]) == (1, 1, 1.0)


def test_a_lost_answer_is_asked_again(connect: Connect, proxy: Proxy, service: Service, loop: str) -> None:
    """The service did it, the answer was lost, the client sent it again: it is counted once."""
    news = connect(proxy.url).loop(loop)
    proxy.lose_answer(b"POST", b"POST")
    made = news.decide("u1")
    proxy.lose_answer(b"POST")
    news.reward(made, 1)
    assert proxy.lost == 3
    records = service.records(loop)
    assert [r.id for r in records if isinstance(r, Decision)] == [made.id] * 3
    assert len({r.id for r in records if isinstance(r, Reward)}) == 1
    until(lambda: news.show().counts["rewards"] == 1)
    assert news.show().counts["decisions"] == 1


def test_a_cut_network_is_waited_for(connect: Connect, proxy: Proxy, loop: str) -> None:
    """Nothing comes through until the deadline: `http.unavailable`; mended, the next call works."""
    news = connect(proxy.url, deadline_s=0.3).loop(loop)
    proxy.cut()
    with pytest.raises(RequestError) as raised:
        news.decide("u1")
    assert raised.value.code == "http.unavailable"
    assert raised.value.__cause__ is not None
    proxy.mend()
    assert news.decide("u1").action in "ab"


def test_refusals_have_their_class(connect: Connect, service: Service, loop: str) -> None:
    """An error of the service comes back as its class, with field, value and what was expected."""
    client = connect(service.url)
    news = client.loop(loop)
    with pytest.raises(InputError) as out:
        news.reward(news.decide("u1"), 7)
    assert (out.value.code, out.value.field, out.value.value) == ("input.out_of_range", "value", 7)
    assert out.value.expected == "0 to 1"
    with pytest.raises(InputError) as unknown:
        client.loop("nowhere").decide("u1")
    assert unknown.value.code == "input.unknown_loop"
    with pytest.raises(DefinitionError) as fixed:
        news.define(partitions=4)
    assert fixed.value.code == "definition.conflict"
    with pytest.raises(InputError) as action:
        news.decide("u1", available=["z"])
    assert action.value.code == "input.unknown_action"


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda news: news.decide(""), "input.invalid"),
        (lambda news: news.decide("u\n"), "input.invalid"),
        (lambda news: news.decide("u", context={"x": float("nan")}), "input.not_finite"),
        (lambda news: news.decide("u", context={"x": object()}), "input.invalid"),
        (lambda news: news.decide("u", context="phone"), "input.invalid"),
        (lambda news: news.decide("u", context={"x": "y" * 600_000}), "edge.too_large"),
        (lambda news: news.reward("d", float("inf"), unit="u"), "input.not_finite"),
        (lambda news: news.decide_many(["u1", "u2"], ids=["only one"]), "input.invalid"),
    ],
)
def test_refused_before_it_is_sent(connect: Connect, call: Callable[[Any], object], code: str) -> None:
    """What can be seen to be wrong here is refused here: nobody listens at this address."""
    with pytest.raises(FoldlineError) as raised:
        call(connect("http://127.0.0.1:9", deadline_s=0).loop("news"))
    assert raised.value.code == code


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, dict[str, str]]]:
    """A service that wants keys, and one of each role."""
    folder: Path = tmp_path_factory.mktemp("keyed")
    with open_log(f"sqlite:///{folder / 'service.db'}") as log:
        ring = Keyring(log)
        tokens = {role: ring.add(role, (role,), now=1)[1] for role in ("decide", "reward", "admin")}
        tokens["slow"] = ring.add("slow", ("admin",), now=1, rate=5.0)[1]
    with running(folder) as started:
        with Client(started.url, key=tokens["admin"]) as client:
            client.loop("news").define(["a", "b"])
        yield started, tokens


def test_keys_and_roles(connect: Connect, keyed: tuple[Service, dict[str, str]]) -> None:
    """Without key 401, with another role 403; each role may do its own."""
    service, tokens = keyed
    with pytest.raises(RequestError) as missing:
        connect(service.url).loop("news").decide("u1")
    assert missing.value.code == "http.unauthorized"
    decides = connect(service.url, key=tokens["decide"]).loop("news")
    rewards = connect(service.url, key=tokens["reward"]).loop("news")
    made = decides.decide("u1")
    rewards.reward(made, 1)
    with pytest.raises(RequestError) as role:
        decides.reward(made, 1)
    assert (role.value.code, role.value.expected) == ("http.forbidden", "reward")
    assert decides.show().name == "news"
    with pytest.raises(RequestError):
        rewards.define(low=-1)


def test_a_rate_is_waited_for(connect: Connect, keyed: tuple[Service, dict[str, str]]) -> None:
    """A key that asks too often is told to wait, and the client does."""
    service, tokens = keyed
    news = connect(service.url, key=tokens["slow"]).loop("news")
    assert len([news.decide("u1") for _ in range(8)]) == 8
    hasty = connect(service.url, key=tokens["slow"], deadline_s=0.05).loop("news")

    def ask_often() -> None:
        for _ in range(8):
            hasty.decide("u1")

    with pytest.raises(RequestError) as raised:
        ask_often()
    assert raised.value.code == "http.rate"
    assert raised.value.retry_after_s == 1


ANSWER = Scripted(
    200, b'{"decision":"0.0.d","action":"a","propensity":1.0,"bundle":"x","reason":"SPLIT","new":1}'
)


def test_sent_again_after_503_and_429(connect: Connect) -> None:
    """Overload and rate are waited for; a field this version does not know is passed over."""
    answers = [
        Scripted(503, b'{"error":{"code":"http.overloaded","message":"full"}}', (("retry-after", "0"),)),
        Scripted(429, b"slow down"),
        Scripted(502, b"<html>bad gateway</html>"),
        ANSWER,
    ]
    with ScriptedServer(lambda *_: answers.pop(0)) as server:
        assert connect(server.url).loop("news").decide("u1").id == "0.0.d"
        assert len(server.asked) == 4


@pytest.mark.parametrize(
    ("answer", "code", "kind"),
    [
        (Scripted(400, b'{"error":{"code":"input.invalid","message":"no"}}'), "input.invalid", InputError),
        (Scripted(500, b'{"error":{"code":"http.failed","message":"oh"}}'), "http.failed", RequestError),
        (Scripted(404, b"<html>nothing here</html>"), "http.not_found", RequestError),
        (Scripted(418, b'{"error":{"code":"later.version","message":"?"}}'), "http.failed", RequestError),
        (Scripted(200, b"<html>log in first</html>"), "http.failed", RequestError),
    ],
)
def test_not_sent_again(connect: Connect, answer: Scripted, code: str, kind: type[FoldlineError]) -> None:
    """What would not go better the second time is raised at once."""
    with ScriptedServer(lambda *_: answer) as server:
        with pytest.raises(kind) as raised:
            connect(server.url).loop("news").decide("u1")
        assert raised.value.code == code
        assert len(server.asked) == 1


def test_retry_after_beyond_the_deadline_is_raised(connect: Connect) -> None:
    """Where the service asks for more patience than there is, its error comes at once."""
    full = Scripted(503, b'{"error":{"code":"fold.no_bundle","message":"none"}}', (("retry-after", "60"),))
    with ScriptedServer(lambda *_: full) as server:
        with pytest.raises(FoldError) as raised:
            connect(server.url, deadline_s=2.0).loop("news").decide("u1")
        assert raised.value.code == "fold.no_bundle"
        assert len(server.asked) == 1


def test_a_key_that_is_none() -> None:
    """A key that cannot stand in a header is refused, and not repeated in the message."""
    with pytest.raises(InputError) as raised:
        Client("http://127.0.0.1:9", key="secret\n")
    assert "secret\n" not in str(raised.value)


@pytest.mark.parametrize("url", ["", "host:8080", "ftp://host", "http://", "http://host:port"])
def test_an_address_that_is_none(connect: Connect, url: str) -> None:
    """An address without scheme or host is refused when the client is made, not when it is used."""
    with pytest.raises(InputError) as raised:
        connect(url)
    assert raised.value.field == "url"


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where httpx is not installed, the error names the extra to install."""
    monkeypatch.setitem(sys.modules, "httpx", None)
    for make in (
        lambda: fl.Client("http://h"),
        lambda: fl.AsyncClient("http://h"),
        lambda: fl.Edge("http://h", loop="news"),
    ):
        with pytest.raises(MissingExtra) as raised:
            make()
        assert "foldline[client]" in str(raised.value)


def test_pauses_grow_with_full_jitter_within_the_deadline() -> None:
    """Pauses lie between nothing and a bound that doubles; none leads past the deadline."""
    tries = Tries(Backoff(0.1, 1.0), until=1000.0, rng=random.Random(1))
    pauses = [tries.pause_s(0.0, None) for _ in range(200)]
    for failures, pause in enumerate(pauses):
        assert pause is not None
        assert 0 <= pause <= min(1.0, 0.1 * 2**failures)
    late = [pause for pause in pauses[10:] if pause is not None]
    assert min(late) < 0.1
    assert max(late) > 0.9
    asked = tries.pause_s(0.0, 7)
    assert asked is not None
    assert 7 <= asked <= 8
    assert tries.pause_s(998.0, 7) is None
