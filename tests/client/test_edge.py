"""The edge client against the real service: offline, cut off, killed, restarted."""

import contextlib
import json
import logging
import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

import foldline as fl
from foldline.client.edge import Edge
from foldline.client.http import Client
from foldline.errors import FoldError, FoldlineError, InputError, RequestError
from foldline.loops.bundle import Bundle, encode_bundle
from foldline.loops.deciding import Decider
from foldline.records.types import Activation, Decision, Outcome, Reward
from tests.client.conftest import APP, Service, decisions, define, running, until
from tests.client.proxy import Proxy
from tests.client.scripted import Scripted, ScriptedServer, bundle_of, streaming


def test_decides_as_the_service_does(service: Service, loop: str, tmp_path: Path) -> None:
    """The same unit, id and bundle: the same action, propensity and full id, here and there."""
    with Client(service.url) as client, Edge(service.url, loop=loop, outbox=tmp_path / "app.db") as edge:
        remote = client.loop(loop)
        for i in range(20):
            here = edge.decide(f"u{i}", id=f"d{i}", log=False)
            there = remote.decide(f"u{i}", id=f"d{i}")
            if here.bundle == there.bundle:
                assert (here.id, here.action, here.propensity) == (there.id, there.action, there.propensity)
        masked = edge.decide("u", available=["b"], context={"x": 1}, log=False)
        assert (masked.action, masked.propensity, masked.available) == ("b", 1.0, ["b"])


def test_everything_reported_arrives_once(service: Service, tmp_path: Path) -> None:
    """Decisions, rewards, outcomes and activations stand on the log as they were made."""
    loop = define(service, partitions=4)
    clock = iter(range(1_700_000_000_000, 1_800_000_000_000))
    with Edge(service.url, loop=loop, outbox=tmp_path / "app.db", clock=lambda: next(clock)) as edge:
        made = [edge.decide(f"u{i}", context={"i": i}, available=["a"] if i % 2 else None) for i in range(40)]
        for each in made:
            edge.reward(each, 1, id=f"r-{each.id}")
        edge.reward("own", 0.5, unit="u1", name="click", id="named")
        edge.reward(None, 0, unit="u1", id="last")
        apart = edge.decide("u9", log=False)
        edge.outcome(apart, 1)
        edge.activate(made[0])
        assert edge.flush(20)
        stats = edge.stats()
    assert (stats.waiting, stats.delivered, stats.refused, stats.renamed) == (0, 84, 0, 0)
    assert stats.online
    records = service.records(loop)
    assert sorted(decisions(records), key=by_id) == [
        msgspec.structs.replace(d, time=found.time)
        for d, found in zip(sorted(made, key=by_id), sorted(decisions(records), key=by_id), strict=True)
    ]
    rewards = {r.id: r for r in records if isinstance(r, Reward)}
    assert len(rewards) == 42
    assert all(rewards[f"r-{d.id}"].decision == d.id for d in made)
    assert rewards["last"].unit == "u1"
    (outcome,) = [r for r in records if isinstance(r, Outcome)]
    assert (outcome.id, outcome.action, outcome.propensity) == (apart.id, apart.action, apart.propensity)
    assert [r.decision for r in records if isinstance(r, Activation)] == [made[0].id]


def by_id(decision: Decision) -> str:
    """For sorting."""
    return decision.id


def test_offline_from_the_start(proxy: Proxy, service: Service, loop: str, tmp_path: Path) -> None:
    """The fallback decides and is logged as such; with the network everything is delivered, once."""
    proxy.cut()
    with Edge(proxy.url, loop=loop, outbox=tmp_path / "app.db", fallback="a") as edge:
        early = [edge.decide(f"u{i}") for i in range(5)]
        assert {(d.action, d.propensity, d.bundle, d.definition) for d in early} == {
            ("a", 1.0, "fallback", 0)
        }
        edge.reward(early[0], 1, id="early")
        with pytest.raises(FoldError):
            edge.decide("u", available=["b"])
        until(lambda: edge.stats().error is not None)
        assert not edge.stats().online
        proxy.mend()
        bundles = [edge.await_bundle()]
        late = []
        for i in range(5):
            late.append(edge.decide(f"u{i}"))
            bundles.append(edge.bundle)  # what was delivered is learnt meanwhile
        assert edge.flush(20)
    records = service.records(loop)
    found = {d.id: d for d in decisions(records)}
    assert len(decisions(records)) == len(found) == 10
    assert [found[f"0.0.{d.id}"].bundle for d in early] == ["fallback"] * 5
    deciders = {bundle.hash: Decider(bundle) for bundle in bundles}
    for made in late:
        local = made.id.removeprefix("0.0.")
        again = deciders[made.bundle].decide(made.unit, local, found[made.id].time, occurred=made.occurred)
        assert found[made.id] == again
    assert [r.decision for r in records if isinstance(r, Reward)] == [f"0.0.{early[0].id}"]
    with Client(service.url) as client:
        until(lambda: client.loop(loop).show().counts["rewards"] == 1)
        assert client.loop(loop).show().counts["unmatched"] == 0


def test_no_fallback_is_an_error(proxy: Proxy, loop: str) -> None:
    """Without bundle and fallback deciding is refused, and says why; the first bundle is waited for a while."""
    proxy.cut()
    with Edge(proxy.url, loop=loop, wait_s=0.05) as edge:
        with pytest.raises(FoldError) as raised:
            edge.decide("u1")
        assert raised.value.code == "fold.no_bundle"
        with pytest.raises(FoldError):
            _ = edge.bundle
        with pytest.raises(FoldError):
            edge.await_bundle(0.01)
        proxy.mend()
        edge.await_bundle()
        assert edge.decide("u1").action in "ab"
        assert edge.flush(20)


def test_a_wrong_loop_is_not_waited_for(service: Service) -> None:
    """Where the service says that there is no such loop, the first bundle is not waited for."""
    with Edge(service.url, loop="nowhere", wait_s=60) as edge:
        assert "no loop 'nowhere'" in (edge.stats().error or "")
        with pytest.raises(FoldError):
            edge.decide("u1")


def test_a_cut_in_the_middle(proxy: Proxy, service: Service, loop: str, tmp_path: Path) -> None:
    """Answers are lost and connections cut while events flow: all arrive once, in order."""
    with Edge(proxy.url, loop=loop, outbox=tmp_path / "app.db") as edge:
        made = []
        for i in range(60):
            if i % 10 == 3:
                proxy.lose_answer(b"POST")
            if i % 20 == 9:
                proxy.cut()
            if i % 20 == 15:
                proxy.mend()
            made.append(edge.decide(f"u{i}"))
            edge.reward(made[-1], 1, id=f"r{i}")
        assert edge.flush(20)
        assert edge.stats().renamed == 0
    assert proxy.lost >= 2
    records = service.records(loop)
    assert [d.id for d in decisions(records)] == [d.id for d in made]
    assert [r.id for r in records if isinstance(r, Reward)] == [f"r{i}" for i in range(60)]


def test_a_restart_without_network(proxy: Proxy, service: Service, loop: str, tmp_path: Path) -> None:
    """The last bundle and the events are in the file: the next process decides with it and delivers them."""
    with Edge(proxy.url, loop=loop, outbox=tmp_path / "app.db") as edge:
        proxy.cut()
        until(lambda: not edge.stats().online)
        bundle = edge.bundle
        first = edge.decide("u1")
    with Edge(proxy.url, loop=loop, outbox=tmp_path / "app.db", fallback="a") as edge:
        assert edge.bundle == bundle
        assert edge.stats().waiting == 1
        assert edge.stats().age_s is not None
        second = edge.decide("u2")
        assert second.bundle == bundle.hash
        edge.reward(first, 1)
        proxy.mend()
        assert edge.flush(20)
    assert [d.id for d in decisions(service.records(loop))] == [first.id, second.id]


def test_killed_apps_lose_nothing_and_repeat_nothing(service: Service, loop: str, tmp_path: Path) -> None:
    """SIGKILL at twelve random moments: what an app was told is kept stands on the log exactly once."""
    rng = random.Random(7)
    said: list[list[str]] = []
    outbox = str(tmp_path / "app.db")
    for _ in range(12):
        with subprocess.Popen(
            [sys.executable, str(APP), service.url, loop, outbox], stdout=subprocess.PIPE, text=True
        ) as app:
            assert app.stdout is not None
            said += [app.stdout.readline().split() for _ in range(rng.randrange(1, 60))]
            app.kill()
            said += [line.split() for line in app.stdout.read().split("\n")[:-1]]
    with Edge(service.url, loop=loop, outbox=outbox) as edge:
        assert edge.flush(30)
        stats = edge.stats()
    assert (stats.waiting, stats.refused, stats.renamed) == (0, 0, 0)
    records = service.records(loop)
    found = {d.id: d for d in decisions(records)}
    counts = Counter(r.id for r in records if isinstance(r, Decision | Reward))
    assert set(counts.values()) == {1}
    assert counts.total() == stats.delivered
    for kind, id, *rest in said:
        assert counts[id] == 1
        if kind == "decision":
            made = found[id]
            assert [made.action, str(made.propensity), made.bundle] == rest


def test_the_service_is_killed_and_restarted(own_service: Service, tmp_path: Path) -> None:
    """The edge goes on deciding, finds the service again, and delivers to the same log once."""
    loop = define(own_service)
    with Edge(own_service.url, loop=loop, outbox=tmp_path / "app.db") as edge:
        made = [edge.decide(f"u{i}") for i in range(10)]
        own_service.kill()
        made += [edge.decide(f"u{i}") for i in range(10, 20)]
        until(lambda: not edge.stats().online)
        own_service.start()
        assert edge.flush(30)
        until(lambda: edge.stats().online)
        assert edge.stats().renamed == 0
    assert [d.id for d in decisions(own_service.records(loop))] == [d.id for d in made]


def test_the_services_log_is_replaced(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A new log under the same address: what still waits goes there, under a new outbox name, with a warning."""
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    with contextlib.ExitStack() as stack:
        old = stack.enter_context(running(tmp_path / "old"))
        loop = define(old)
        edge = stack.enter_context(Edge(old.url, loop=loop, outbox=tmp_path / "app.db"))
        edge.decide("u1")
        assert edge.flush(20)
        before = edge.bundle.hash
        old.kill()
        kept = [edge.decide("u2"), edge.decide("u3")]
        new = Service(tmp_path / "new")
        new.port = old.port
        new.start()
        stack.callback(new.kill)
        with Client(new.url) as client, caplog.at_level(logging.WARNING, "foldline.client"):
            client.loop(loop).define(["a", "b"], policy=fl.Random())
            assert edge.flush(30)
        assert edge.stats().renamed == 1
        assert "under a new name" in caplog.text
        assert [d.id for d in decisions(new.records(loop))] == [d.id for d in kept]
        assert edge.await_bundle(other_than=before).hash != before


def test_bundles_swap_whole_under_threads(service: Service, loop: str) -> None:
    """While bundles change, every decision agrees in all its parts with the one bundle it names."""
    seen: dict[str, Bundle] = {}
    made: list[list[Decision]] = [[] for _ in range(4)]
    done = threading.Event()
    with Client(service.url) as client, Edge(service.url, loop=loop) as edge:
        seen[edge.bundle.hash] = edge.bundle

        def work(own: list[Decision]) -> None:
            while not done.is_set():
                own.append(edge.decide("u1", log=False))

        threads = [threading.Thread(target=work, args=(own,)) for own in made]
        for thread in threads:
            thread.start()
        for n in range(1, 5):
            before = edge.bundle.hash
            client.loop(loop).define([f"a{n}", f"b{n}", "c"][: 2 + n % 2], policy=fl.Random())
            bundle = edge.await_bundle(other_than=before)
            seen[bundle.hash] = bundle
        done.set()
        for thread in threads:
            thread.join()
    deciders = {name: Decider(bundle) for name, bundle in seen.items()}
    used = Counter(d.bundle for own in made for d in own)
    assert len(used) >= 3
    for own in made:
        for one in own[:: max(1, len(own) // 500)]:
            again = deciders[one.bundle].decide(
                "u1", one.id.removeprefix("0.0."), one.time, occurred=one.occurred
            )
            assert one == again


def test_refused_events_can_be_read(service: Service, loop: str, caplog: pytest.LogCaptureFixture) -> None:
    """What the service finds unusable is counted, logged and kept, and does not hold up the rest."""
    with Edge(service.url, loop=loop) as edge, caplog.at_level(logging.WARNING, "foldline.client"):
        made = edge.decide("u1")
        edge.reward(made, 7)
        edge.reward(made, 1)
        assert edge.flush(20)
        (refusal,) = edge.refused()
        assert (refusal.code, json.loads(refusal.event)["value"]) == ("input.out_of_range", 7.0)
        assert edge.stats()[:3] == (0, 2, 1)
    assert "refused an event" in caplog.text


def test_too_large_for_the_service(tmp_path: Path) -> None:
    """Batches shrink until they fit; an event that fits nowhere is given up with its reason, the rest goes on."""
    taken: list[dict[str, object]] = []
    limit = 400

    def script(method: str, path: str, headers: dict[str, str]) -> Scripted:
        if path.endswith("/edge"):
            return streaming(encode_bundle(bundle_of()))
        size = int(headers["content-length"])
        if size > limit:
            return Scripted(413, b'{"error":{"code":"http.too_large","message":"too much"}}')
        number = len(taken)
        taken.append({"size": size})
        return Scripted(200, b'{"accepted":1,"repeated":0,"next":%d,"errors":[]}' % (number + 1))

    with ScriptedServer(script) as server, Edge(server.url, loop="news", outbox=tmp_path / "app.db") as edge:
        until(lambda: edge.stats().bundle is not None)
        edge.decide("u1")
        edge.decide("u2", context={"x": "y" * 500})
        edge.decide("u3")
        assert edge.flush(20)
        assert [refusal.code for refusal in edge.refused()] == ["http.too_large"]
        assert edge.stats().renamed == 0
    assert len(taken) == 3


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda edge: edge.decide(""), "input.invalid"),
        (lambda edge: edge.decide("u", id="0.0.mine"), "input.invalid"),
        (lambda edge: edge.decide("u", context={"x": float("inf")}), "input.not_finite"),
        (lambda edge: edge.decide("u", available=["z"]), "input.unknown_action"),
        (lambda edge: edge.decide("u", available=[]), "input.no_action"),
        (lambda edge: edge.reward("0.0.d", 1), "input.invalid"),
        (lambda edge: edge.reward("0.0.d", "1", unit="u"), "input.not_finite"),
        (lambda edge: edge.activate("0.0.d"), "input.invalid"),
    ],
)
def test_refused_at_once(service: Service, loop: str, call: Callable[[Edge], object], code: str) -> None:
    """What can be seen to be wrong here never enters the outbox."""
    with Edge(service.url, loop=loop) as edge:
        with pytest.raises(InputError) as raised:
            call(edge)
        assert raised.value.code == code
        assert edge.stats()[:3] == (0, 0, 0)


def test_a_fallbacks_own_id_is_no_full_id(tmp_path: Path) -> None:
    """Before the partition is known, an own id in the form of a full one could not be told from it."""
    with Edge("http://127.0.0.1:9", loop="news", fallback="a", outbox=tmp_path / "app.db") as edge:
        assert edge.decide("u", id="order.17").id == "order.17"
        with pytest.raises(InputError):
            edge.decide("u", id="0.3.mine")


def test_full_and_closed(tmp_path: Path) -> None:
    """A full outbox and a closed client refuse; nothing is dropped."""
    edge = Edge("http://127.0.0.1:9", loop="news", outbox=tmp_path / "app.db", fallback="a", max_events=2)
    edge.decide("u1")
    edge.decide("u2")
    with pytest.raises(RequestError) as full:
        edge.decide("u3")
    assert full.value.code == "edge.full"
    edge.close()
    edge.close()
    for call in (lambda: edge.decide("u"), lambda: edge.reward(None, 1, unit="u")):
        with pytest.raises(FoldlineError) as raised:
            call()
        assert raised.value.code == "edge.closed"


def test_in_memory_says_what_is_lost(caplog: pytest.LogCaptureFixture) -> None:
    """Without a file, what was not delivered at the end is lost, and a warning counts it."""
    edge = Edge("http://127.0.0.1:9", loop="news", fallback="a")
    edge.decide("u1")
    edge.close()
    assert "1 events of loop 'news' were kept in memory only and are lost" in caplog.text
