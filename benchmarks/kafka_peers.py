"""What does an event on Kafka cost here, and what elsewhere?

Question: how much less CPU than stream processors in Python does a learner take for counts and sums by key, although
    it also joins, drops duplicates and writes state with its offset? How does it scale with partitions and learners,
    what does it hold in memory, and how old is what it publishes?
Workload: 1,000,000 JSON events of 150 bytes, outcomes with one of 20 keys, on 4 partitions of one node, produced once
    one a message (with the key), once packed 200 a message, compressed as the log appends them by default. Ours is a
    learner at its usual pace, from the read that gives its first event to its last root: attribution, duplicate filter,
    renewing leases and roots included, with the filter's last dump. Latency: 1,000 events a second are
    produced (`linger.ms` as the client has it) to a learner of its own process; an event is published once a bundle
    whose cut covers it was read. A minute goes by before it counts, since a broker just started compiles itself.
Peer: Quix Streams exactly-once with tuned client settings, Bytewax without recovery, a loop on aiokafka that keeps
    nothing, Faust with a table (40,000 events), each reading the same messages, in a process of its own, CPU from its
    first event to its end, Quix's last checkpoint included. What is fetched before the first event counts for nobody.
    They are installed into `.tools/kafka-peers`, never a part of the project.
Ratio: the peer's CPU an event over ours, whole processes, medians of alternating rounds. Bars: 15 against Quix for one
    event a message, 50 packed; latency p50 40 ms, p99 150 ms.
Command: `python -m benchmarks.kafka_peers [--events 1000000] [--rounds 3] [--servers HOST:PORT] [--only peers|scaling|
    latency] [--json]`; starts a broker of its own where no servers are given (Java and Maven).
"""

import argparse
import json
import multiprocessing
import statistics
import tempfile
import threading
import time
import uuid
from collections import deque
from collections.abc import Mapping
from multiprocessing.synchronize import Barrier, Event
from pathlib import Path
from typing import Any, Final

from confluent_kafka import Producer

from benchmarks.peers.memory import peak_mb
from benchmarks.peers.running import peer, python_of_peers
from foldline.app.foldline import wall_clock
from foldline.engine.defining import create_catalogue, define
from foldline.engine.host import Host
from foldline.engine.known import KnownStates
from foldline.engine.learner import Learner
from foldline.engine.reading import Reading, read_batch
from foldline.engine.replica import Replica
from foldline.engine.warming import warm_up
from foldline.log.kafka.log import KafkaLog
from foldline.log.protocol import Batch
from foldline.loops.catalogue import Catalogue
from foldline.loops.definition import LoopDefinition
from foldline.loops.topics import topics_of
from tools.kafka.sharing import shared_cluster

PARTITIONS: Final = 4
PACKED: Final = 200
FEWER: Final = {"faust": 40_000}
START: Final = 1_700_000_000_000
RATE: Final = 1_000
WARM_S: Final = 60.0
MEASURED_S: Final = 20.0


def definition(partitions: int) -> LoopDefinition:
    """A loop of 20 actions that learns outcomes at once."""
    actions = tuple(f"a{n:02d}" for n in range(20))
    policy = {"kind": "epsilon_greedy"}
    return LoopDefinition(
        name="news", version=1, time=START, actions=actions, policy=policy, partitions=partitions, salt="s"
    )


def line(n: int, partition: int, time_ms: int) -> bytes:
    """One outcome of 150 bytes, as the log has it."""
    return (
        b'{"type":"outcome","time":%d,"id":"0.%d.%06x","unit":"u%02d","action":"a%02d","propensity":0.5,'
        b'"reward":%b,"bundle":"external","definition":1}'
        % (time_ms, partition, n, n % 97, n % 20, b"1.0" if n % 33 == 0 else b"0.0")
    )


def loop_on(url: str, partitions: int) -> str:
    """Define the loop; the cluster's name of its event topic."""
    with KafkaLog(url) as log:
        create_catalogue(log)
        define(log, Catalogue(), "news", lambda _: definition(partitions), holder="bench", now=START)
    return f"{url.rpartition('/')[2]}.news.events"


def produce_plain(servers: str, topic: str, events: int, partitions: int) -> None:
    """One event a message, as any client writes it: the key of its action, no header."""
    producer = Producer(
        {"bootstrap.servers": servers, "linger.ms": 20, "queue.buffering.max.messages": 1_000_000}
    )
    for n in range(events):
        partition = n // 50 % partitions
        text = line(n, partition, START + n)
        producer.produce(topic, text, key=b"a%02d" % (n % 20), partition=partition, timestamp=START + n)
        if n % 10_000 == 0:
            producer.poll(0)
    assert producer.flush(60) == 0


def produce_packed(url: str, events: int, partitions: int) -> None:
    """Messages of 200 events."""
    with KafkaLog(url) as log:
        batches = []
        for low in range(0, events, PACKED):
            partition = low // PACKED % partitions
            lines = [line(n, partition, START + n) for n in range(low, min(events, low + PACKED))]
            last = START + low + len(lines) - 1
            batches.append(Batch("news.events", partition, b"\n".join(lines), len(lines), START + low, last))
            if len(batches) == 100 or low + PACKED >= events:
                log.append(batches)
                batches = []


class Fixed:
    """A share that never changes."""

    def __init__(self, partitions: frozenset[int] | None) -> None:
        self._partitions = partitions

    def partitions(self) -> frozenset[int] | None:
        """See `Share.partitions`."""
        return self._partitions

    def reached(self, offsets: Mapping[int, int]) -> None:
        """See `Share.reached`."""

    def close(self) -> None:
        """See `Share.close`."""


def learn(
    url: str, partitions: int, mine: frozenset[int] | None, events: int, go: Barrier | None
) -> dict[str, float]:
    """A learner from its first event to its last root, over so many events."""
    loop = definition(partitions)
    warm_up([loop])
    with KafkaLog(url) as log:
        if go is not None:
            go.wait()
        began: list[float] = []

        def read(*asked: Any) -> Reading | None:
            at = time.process_time(), time.perf_counter()
            found = read_batch(*asked)
            if found is not None and not began:
                began.extend(at)
            return found

        learner = Learner(log, loop, uuid.uuid4().hex, share=Fixed(mine), read=read)
        folded = 0
        while folded < events:
            folded += learner.step(now=wall_clock())
        learner.close(now=wall_clock())
        used = {"cpu_s": time.process_time() - began[0], "clock_s": time.perf_counter() - began[1]}
    return used | {"rss_mb": peak_mb(), "events": folded}


def ours(url: str, partitions: int, events: int) -> dict[str, float]:
    """In a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(learn, (url, partitions, None, events, None))


def check(url: str, partitions: int, events: int) -> None:
    """What was learnt is what was produced: every event once."""
    with KafkaLog(url) as log:
        states = KnownStates(log, definition(partitions))
        states.read()
        pulls = states.merged().arrays["count"].sum()
        assert pulls == events, f"{pulls} of {events} events learnt"


def against_peers(servers: str, events: int, rounds: int) -> dict[str, Any]:
    """Microseconds of CPU an event: peers, ours one a message, ours packed."""
    python = python_of_peers()
    plain, packed = (f"kafka://{servers}/peers-{uuid.uuid4().hex[:8]}" for _ in range(2))
    topic = loop_on(plain, PARTITIONS)
    produce_plain(servers, topic, events, PARTITIONS)
    runs: dict[str, list[dict[str, float]]] = {}
    for number in range(rounds):
        for name in ("quix", "bytewax", "aiokafka", "faust"):
            used = peer(python, name, servers, topic, min(events, FEWER.get(name, events)), PARTITIONS)
            if used is not None:
                runs.setdefault(name, []).append(used)
        for name, url in (("ours plain", plain), ("ours packed", packed)):
            fresh = f"{url}-{number}"
            name_there = loop_on(fresh, PARTITIONS)
            if name == "ours plain":
                produce_plain(servers, name_there, events, PARTITIONS)
            else:
                produce_packed(fresh, events, PARTITIONS)
            runs.setdefault(name, []).append(ours(fresh, PARTITIONS, events))
            check(fresh, PARTITIONS, events)
    result: dict[str, Any] = {}
    for name, each in runs.items():
        result[name] = {
            "us": statistics.median(1e6 * one["cpu_s"] / one["events"] for one in each),
            "events_per_s": statistics.median(one["events"] / one["clock_s"] for one in each),
            "rss_mb": max(one["rss_mb"] for one in each),
        }
    for name in set(runs) - {"ours plain", "ours packed"}:
        for form in ("plain", "packed"):
            own = runs[f"ours {form}"]
            ratios = [
                a["cpu_s"] / a["events"] / (b["cpu_s"] / b["events"])
                for a, b in zip(runs[name], own, strict=False)
            ]
            result[name][f"ratio_{form}"] = [statistics.median(ratios), min(ratios), max(ratios)]
    return result


def _learn_together(
    url: str, partitions: int, mine: frozenset[int], events: int, go: Barrier, out: Any
) -> None:
    out.put(learn(url, partitions, mine, events, go))


def scaling(servers: str, events: int) -> list[dict[str, float]]:
    """1, 2, 4 and 8 partitions, folded by 1 and 2 learners, each with half of them."""
    rows = []
    context = multiprocessing.get_context("spawn")
    for partitions in (1, 2, 4, 8):
        for learners in (1, 2) if partitions > 1 else (1,):
            url = f"kafka://{servers}/scale-{uuid.uuid4().hex[:8]}"
            produce_plain(servers, loop_on(url, partitions), events, partitions)
            go, out = context.Barrier(learners), context.Queue()
            # A learner stops at its last event; its share of the events, and of the markers, is known beforehand.
            shares = [frozenset(range(first, partitions, learners)) for first in range(learners)]
            counts = [
                sum(1 for n in range(0, events, 50) if n // 50 % partitions in share) * 50 + len(share)
                for share in shares
            ]
            processes = [
                context.Process(target=_learn_together, args=(url, partitions, share, count, go, out))
                for share, count in zip(shares, counts, strict=True)
            ]
            for process in processes:
                process.start()
            used = [out.get(timeout=600) for _ in processes]
            for process in processes:
                process.join()
            check(url, partitions, events)
            rows.append(
                {
                    "partitions": partitions,
                    "learners": learners,
                    "events_per_s": events / max(one["clock_s"] for one in used),
                    "us": 1e6 * sum(one["cpu_s"] for one in used) / events,
                    "rss_mb": max(one["rss_mb"] for one in used),
                }
            )
    return rows


def _host(url: str, ready: Event, stop: Event) -> None:
    with KafkaLog(url) as log:
        warm_up([definition(PARTITIONS)])
        host = Host(log, holder="bench", learn=True, clock=wall_clock, every_loop=True)
        host.round()
        host.start()
        ready.set()
        stop.wait()
        host.close()


def latency(servers: str) -> dict[str, float]:
    """Milliseconds from producing an event to reading a bundle that covers it, at 1,000 events a second."""
    url = f"kafka://{servers}/latency-{uuid.uuid4().hex[:8]}"
    topic = loop_on(url, PARTITIONS)
    context = multiprocessing.get_context("spawn")
    ready, stop = context.Event(), context.Event()
    process = context.Process(target=_host, args=(url, ready, stop))
    process.start()
    ready.wait(120)
    sent: list[deque[tuple[int, float]]] = [deque() for _ in range(PARTITIONS)]
    producing = threading.Thread(target=_produce_steadily, args=(servers, topic, sent))
    taken: list[float] = []
    with KafkaLog(url) as log:
        policy = topics_of(definition(PARTITIONS)).policy
        replica = Replica(log, policy)
        replica.step()
        producing.start()
        began = time.perf_counter()
        while producing.is_alive() or any(sent):
            log.wait({(policy, 0): replica.offset}, 0.1)
            if replica.step() and replica.decider is not None:
                now = time.perf_counter()
                for events, end in zip(sent, replica.decider.bundle.cut, strict=True):
                    while events and events[0][0] < end:
                        produced = events.popleft()[1]
                        if produced - began > WARM_S:
                            taken.append(1e3 * (now - produced))
            if time.perf_counter() - began > WARM_S + MEASURED_S + 30:
                break
    stop.set()
    process.join()
    taken.sort()
    left = sum(map(len, sent))
    assert not left, f"{left} events were never published"
    return {
        "events": len(taken),
        "p50_ms": taken[len(taken) // 2],
        "p99_ms": taken[len(taken) * 99 // 100],
        "worst_ms": taken[-1],
    }


def _produce_steadily(servers: str, topic: str, sent: list[deque[tuple[int, float]]]) -> None:
    """Noted when acknowledged, with the moment they were produced."""
    producer = Producer({"bootstrap.servers": servers})
    began = time.perf_counter()
    for n in range(round(RATE * (WARM_S + MEASURED_S))):
        due = began + n / RATE
        # The client's own wait counts in whole milliseconds and would spin, on a processor that others need.
        time.sleep(max(0.0, due - time.perf_counter()))
        producer.poll(0)
        partition, now = n % PARTITIONS, time.perf_counter()

        def note(_error: Any, message: Any, partition: int = partition, now: float = now) -> None:
            sent[partition].append((message.offset(), now))

        stamp = wall_clock()
        producer.produce(
            topic, line(n, partition, stamp), partition=partition, timestamp=stamp, on_delivery=note
        )
    producer.flush(30)


def measure(servers: str, events: int, rounds: int, only: str | None) -> dict[str, Any]:
    """All three parts, or one."""
    result: dict[str, Any] = {"events": events, "rounds": rounds}
    if only in (None, "peers"):
        result["peers"] = against_peers(servers, events, rounds)
    if only in (None, "scaling"):
        result["scaling"] = scaling(servers, events)
    if only in (None, "latency"):
        result["latency"] = latency(servers)
    return result


def show(result: dict[str, Any]) -> None:
    """As text."""
    for name, found in result.get("peers", {}).items():
        text = (
            f"{name:12} {found['us']:7.2f} us CPU an event  {found['events_per_s']:>10,.0f} events/s  "
            f"{found['rss_mb']:4.0f} MB"
        )
        for form in ("plain", "packed"):
            if f"ratio_{form}" in found:
                middle, least, greatest = found[f"ratio_{form}"]
                text += f"  {middle:.1f} times ours {form} ({least:.1f} to {greatest:.1f})"
        print(text)
    for row in result.get("scaling", []):
        print(
            f"{row['partitions']} partitions, {row['learners']} learners: {row['events_per_s']:,.0f} events/s, "
            f"{row['us']:.2f} us CPU an event, {row['rss_mb']:.0f} MB a learner at most"
        )
    if "latency" in result:
        found = result["latency"]
        print(
            f"produce to published state at {RATE} events/s: p50 {found['p50_ms']:.1f} ms, p99 {found['p99_ms']:.1f}, "
            f"worst {found['worst_ms']:.1f}"
        )


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--servers", help="a cluster that runs; one is started by default")
    parser.add_argument("--only", choices=("peers", "scaling", "latency"), help="one part")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    if given.servers:
        result = measure(given.servers, given.events, given.rounds, given.only)
    else:
        with tempfile.TemporaryDirectory() as folder, shared_cluster(Path(folder)) as cluster:
            result = measure(cluster.bootstrap, given.events, given.rounds, given.only)
    if given.json:
        print(json.dumps(result))
    else:
        show(result)


if __name__ == "__main__":
    main()
