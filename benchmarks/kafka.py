"""What does a learner on Kafka cost an event?

Question: how much more than consuming and decoding does a fold with attribution, duplicates and roots cost on Kafka?
Workload: outcomes of about 190 bytes on 4 partitions, produced once, one a message and packed 200 a message; a
    learner with its usual pace folds them from the first to the last, its roots and leases included. Beside it the
    time of one append: of one batch, of one under a lease (a transaction), and of batches to 4 partitions under one.
Peer: a bare confluent-kafka loop over the same messages, with the same client settings, poll then consume, each
    message decoded by msgspec into a struct of the fields needed; for packed ones line by line.
Ratio: our CPU an event over the peer's, of the whole process, medians of alternating rounds; each contender runs in
    a process of its own, its start left out.
Command: `python -m benchmarks.kafka [--events 200000] [--rounds 3] [--servers HOST:PORT] [--json]`; starts a broker
    of its own where no servers are given (Java and Maven).
"""

import argparse
import json
import multiprocessing
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from confluent_kafka import Consumer, TopicPartition

from foldline.engine.defining import create_catalogue, define
from foldline.engine.learner import Learner
from foldline.engine.warming import warm_up
from foldline.log.kafka.clients import Clients
from foldline.log.kafka.log import KafkaLog
from foldline.log.protocol import Batch, Topic
from foldline.loops.catalogue import Catalogue
from foldline.loops.definition import LoopDefinition
from tools.kafka.sharing import shared_cluster

PARTITIONS = 4
PACKED = 200
APPENDS = 200
START = 1_700_000_000_000


class Needed(msgspec.Struct, tag_field="type", tag="outcome"):
    """What a loop without attribution needs of an outcome."""

    time: int
    action: str
    reward: float


def definition() -> LoopDefinition:
    """A loop of 20 actions that learns outcomes at once."""
    actions = tuple(f"article-{n:02d}" for n in range(20))
    policy = {"kind": "epsilon_greedy"}
    return LoopDefinition(
        name="news", version=1, time=START, actions=actions, policy=policy, partitions=PARTITIONS, salt="s"
    )


def line(n: int) -> bytes:
    """One outcome, as the log has it: its fields in the order in which the codec writes them."""
    return (
        f'{{"type":"outcome","time":{START + n},"id":"0.{n % PARTITIONS}.{n:032x}","unit":"user-{n % 9973}",'
        f'"action":"article-{n % 20:02d}","propensity":0.05,"reward":{1.0 if n % 33 == 0 else 0.0},'
        '"bundle":"091f50af201e7bac","definition":1}'
    ).encode()


def batch(partition: int, lines: list[bytes]) -> Batch:
    """Lines with their times, as who appends them knows them."""
    least, greatest = (int(text[25:38]) for text in (lines[0], lines[-1]))
    return Batch("news.events", partition, b"\n".join(lines), len(lines), least, greatest)


def produce(url: str, events: int, packed: int) -> None:
    """A loop with its events."""
    with KafkaLog(url) as log:
        create_catalogue(log)
        define(log, Catalogue(), "news", lambda _: definition(), holder="bench", now=START)
        for low in range(0, events, 20_000):
            for partition in range(PARTITIONS):
                lines = [
                    line(n) for n in range(low, min(events, low + 20_000)) if n % PARTITIONS == partition
                ]
                parts = [lines[i : i + packed] for i in range(0, len(lines), packed)]
                log.append([batch(partition, part) for part in parts])


def ours(url: str, events: int) -> tuple[float, float]:
    """CPU and clock seconds of a learner from the first event to its last root."""
    warm_up([definition()])
    with KafkaLog(url) as log:
        cpu, clock = time.process_time(), time.perf_counter()
        learner = Learner(log, definition(), uuid.uuid4().hex)
        folded = 0
        while folded < events:
            folded += learner.step(now=time.time_ns() // 1_000_000)
        learner.close(now=time.time_ns() // 1_000_000)
        return time.process_time() - cpu, time.perf_counter() - clock


def bare(url: str, events: int) -> tuple[float, float]:
    """CPU and clock seconds of consuming and decoding all events."""
    with KafkaLog(url) as log:
        consumer: Consumer = Clients(log._address).consumer()  # noqa: SLF001 - the same settings as ours
        topic = log._address.on_cluster("news.events")  # noqa: SLF001 - the same topic as ours
        decode = msgspec.json.Decoder(Needed).decode
        cpu, clock = time.process_time(), time.perf_counter()
        consumer.assign([TopicPartition(topic, p, 0) for p in range(PARTITIONS)])
        seen, total = 0, 0.0
        while seen < events:
            first = consumer.poll(0.1)
            for message in [] if first is None else [first, *consumer.consume(1999, 0)]:
                if message.error() is not None:
                    continue
                for text in (message.value() or b"").split(b"\n"):
                    if text.startswith(b'{"type":"outcome"'):
                        total += decode(text).reward
                        seen += 1
        used = time.process_time() - cpu, time.perf_counter() - clock
        consumer.close()
        return used


def apart(run: Callable[[str, int], tuple[float, float]], url: str, events: int) -> tuple[float, float]:
    """In a process of its own."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(run, (url, events))


def appends(url: str) -> dict[str, float]:
    """Milliseconds of one append of 200 bytes, medians and the worst of a hundred."""
    with KafkaLog(url + "-appends") as log:
        log.create(Topic("t", PARTITIONS))
        lease = log.acquire("role", "bench", 1000.0)
        batches = [Batch("t", p, b"x" * 200, 1, START, START) for p in range(PARTITIONS)]
        ways: dict[str, Callable[[], object]] = {
            "append_one": lambda: log.append(batches[:1]),
            "append_leased": lambda: log.append(batches[:1], lease=lease),
            "append_leased_4_partitions": lambda: log.append(batches, lease=lease),
        }
        result: dict[str, float] = {}
        for name, way in ways.items():
            times = []
            for _ in range(APPENDS):
                started = time.perf_counter()
                way()
                times.append(1e3 * (time.perf_counter() - started))
            result |= {f"{name}_ms_p50": statistics.median(times), f"{name}_ms_p99": sorted(times)[-3]}
        return result


def measure(servers: str, events: int, rounds: int) -> dict[str, Any]:
    """Both forms against the peer, then appends."""
    result: dict[str, Any] = {"events": events, "rounds": rounds}
    for form, packed in (("plain", 1), ("packed", PACKED)):
        cpu: dict[str, list[float]] = {"ours": [], "bare": []}
        clock: dict[str, list[float]] = {"ours": [], "bare": []}
        for _ in range(rounds):
            url = f"kafka://{servers}/bench-{uuid.uuid4().hex[:8]}"
            produce(url, events, packed)
            for name, run in (("bare", bare), ("ours", ours)):
                used, took = apart(run, url, events)
                cpu[name].append(1e6 * used / events)
                clock[name].append(events / took)
        ratios = [a / b for a, b in zip(cpu["ours"], cpu["bare"], strict=True)]
        result |= {
            f"{form}_ratio": statistics.median(ratios),
            f"{form}_ratio_least": min(ratios),
            f"{form}_ratio_greatest": max(ratios),
            f"{form}_us": statistics.median(cpu["ours"]),
            f"{form}_bare_us": statistics.median(cpu["bare"]),
            f"{form}_events_per_s": statistics.median(clock["ours"]),
        }
    return result | appends(f"kafka://{servers}/bench-{uuid.uuid4().hex[:8]}")


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--events", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--servers", help="a cluster that runs; one is started by default")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    if given.servers:
        result = measure(given.servers, given.events, given.rounds)
    else:
        with tempfile.TemporaryDirectory() as folder, shared_cluster(Path(folder)) as cluster:
            result = measure(cluster.bootstrap, given.events, given.rounds)
    if given.json:
        print(json.dumps(result))
        return
    for form in ("plain", "packed"):
        print(
            f"{form}: {result[form + '_us']:.2f} us CPU an event, bare {result[form + '_bare_us']:.2f}: ratio "
            f"{result[form + '_ratio']:.2f} ({result[form + '_ratio_least']:.2f} to "
            f"{result[form + '_ratio_greatest']:.2f}); {result[form + '_events_per_s']:,.0f} events/s"
        )
    for name in ("append_one", "append_leased", "append_leased_4_partitions"):
        print(f"{name}: {result[name + '_ms_p50']:.2f} ms, p99 {result[name + '_ms_p99']:.2f}")


if __name__ == "__main__":
    main()
