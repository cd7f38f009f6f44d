"""What does an edge client's decision cost, what does keeping it cost, and how old is the policy it decides with?

Question: how long does it take to draw a decision in the app and encode the event that tells of it; what does the
    outbox add; and how long after a reward stands on the log does the edge decide with a bundle that covers it?
Workload: decisions: `Drawing.decide` with an id and the clock of the edge client, 20,000 units of 11 characters, 20
    actions, one partition and eight, without context; the outbox left out. Outbox: the same events appended one by
    one, each durable (and with durability="fast"). Policy age: `foldline up` in a process of its own on an SQLite log,
    an edge client that follows it by HTTP on loopback and decides every millisecond; requests of 10 outcomes, 20 a
    second at random moments. The age counts from before the request that brings the outcomes is sent to the first
    decision by a bundle whose cut covers them.
Peer: for the outbox, a bare SQLite insert of the same bytes, one a commit, with the same settings. Alternating rounds.
Ratio: our speed over the peer's, median of rounds; the bars of the others are absolute: 2 us, 400 ms.
Command: `python benchmarks/edge.py [--rounds 11] [--seconds 20] [--json]`
"""

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import apsw

from foldline.client.drawing import Drawing, local_ids
from foldline.client.edge import Edge
from foldline.client.http import Client
from foldline.client.outbox import Outbox
from foldline.client.outbox_file import Durability
from foldline.client.transport import wall_clock
from foldline.log.open import open_log
from foldline.loops.bundle import Bundle
from foldline.loops.edge_bundle import EdgeBundle
from foldline.policies.thompson import Thompson
from foldline.records.types import Decision

BAR_US: Final = 2.0
BAR_MS: Final = 400.0
ACTIONS: Final = tuple(f"article-{i}" for i in range(20))
UNITS: Final = [f"user-{i:06d}" for i in range(20_000)]

SETTINGS: Final[tuple[tuple[str, Durability, str, int], ...]] = (
    ("durable", "durable", "FULL", 100),
    ("fast", "fast", "NORMAL", 2_000),
)
"""Name, durability, SQLite's `synchronous`, appends a round."""


def drawing(partitions: int) -> Drawing:
    """An epsilon-greedy bundle that has learnt a little."""
    bundle = Bundle(
        loop="news",
        hash="0123456789abcdef",
        time=0,
        cut=(0,) * partitions,
        definition=1,
        stream_time=0,
        generation=0,
        salt="0123456789abcdef",
        kind="epsilon_greedy",
        actions=ACTIONS,
        parameters={
            "epsilon": 0.1,
            "ties": "random",
            "values": [0.01 + 0.002 * i for i in range(len(ACTIONS))],
        },
    )
    return Drawing(EdgeBundle(hash=bundle.hash, bundle=bundle))


def measure_decisions(rounds: int) -> dict[str, float]:
    """CPU time of one decision drawn and encoded."""
    times: dict[int, list[float]] = {1: [], 8: []}
    made = {partitions: drawing(partitions).decide for partitions in times}
    ids = local_ids()
    for _ in range(rounds + 1):
        for partitions, decide in made.items():
            start = time.process_time_ns()
            for unit in UNITS:
                decide(unit, ids(), wall_clock())
            times[partitions].append((time.process_time_ns() - start) / len(UNITS) / 1e3)
    one, eight = times[1][1:], times[8][1:]
    return {
        "decide_us": statistics.median(one),
        "decide_us_least": min(one),
        "decide_us_greatest": max(one),
        "decide_eight_partitions_us": statistics.median(eight),
        "decide_bar_us": BAR_US,
    }


def bare(path: Path, synchronous: str) -> Callable[[bytes], object]:
    """A function that inserts bytes into an SQLite table, a commit each."""
    connection = apsw.Connection(str(path))
    connection.pragma("journal_mode", "wal")
    connection.pragma("synchronous", synchronous)
    connection.execute("CREATE TABLE events (position INTEGER PRIMARY KEY, line BLOB NOT NULL) STRICT")

    def insert(line: bytes) -> None:
        connection.execute("INSERT INTO events (line) VALUES (?)", (line,))

    return insert


def measure_outbox(rounds: int, folder: Path) -> dict[str, float]:
    """Clock time of one append, against a bare insert of the same bytes."""
    found = {}
    ids = local_ids()
    decide = drawing(1).decide
    lines = [decide(unit, ids(), wall_clock())[1] for unit in UNITS]
    for name, durability, synchronous, count in SETTINGS:
        outbox = Outbox(str(folder / f"{name}.db"), "news", durability=durability)
        peer = bare(folder / f"{name}-peer.db", synchronous)
        ours, theirs = [], []
        for _ in range(rounds + 1):
            ours.append(microseconds(outbox.append, lines[:count]))
            theirs.append(microseconds(peer, lines[:count]))
        outbox.close()
        ours, theirs = ours[1:], theirs[1:]
        found[f"append_{name}_us"] = statistics.median(ours)
        found[f"insert_{name}_us"] = statistics.median(theirs)
        found[f"append_{name}_ratio"] = statistics.median(t / o for o, t in zip(ours, theirs, strict=True))
    return found


def microseconds(work: Callable[[bytes], object], lines: list[bytes]) -> float:
    """Clock time of one call."""
    start = time.perf_counter()
    for line in lines:
        work(line)
    return (time.perf_counter() - start) / len(lines) * 1e6


def measure_age(seconds: float, folder: Path) -> dict[str, float]:
    """Milliseconds from sending outcomes to the first decision by a bundle that covers them."""
    url = f"sqlite:///{folder / 'service.db'}"
    program = "from foldline.cli import main; main()"
    command = [sys.executable, "-c", program, "up", "--log", url, "--port", "0", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as service:
        try:
            assert service.stdout is not None
            ages = _ages(json.loads(service.stdout.readline())["url"], url, seconds)
        finally:
            service.terminate()
    ages.sort()
    return {
        "age_p50_ms": statistics.median(ages),
        "age_p99_ms": ages[int(len(ages) * 0.99)],
        "age_most_ms": ages[-1],
        "age_bar_ms": BAR_MS,
        "age_samples": float(len(ages)),
    }


def _ages(service: str, log_url: str, seconds: float) -> list[float]:
    sent: list[tuple[float, int]] = []
    seen: list[tuple[float, int]] = []
    done = threading.Event()
    rng = random.Random(1)  # apart from the publisher's own pace

    def watch(edge: Edge) -> None:
        cuts: dict[str, int] = {}
        while not done.is_set():
            made = edge.decide("u1", log=False)
            if made.bundle not in cuts:
                cuts[made.bundle] = edge.bundle.cut[0]
                seen.append((time.perf_counter(), cuts[made.bundle]))
            time.sleep(0.001)

    with Client(service) as client, open_log(log_url) as log:
        news = client.loop("news")
        news.define(ACTIONS, policy=Thompson())
        with Edge(service, loop="news") as edge:
            news.outcome_many(_outcomes(edge, 0))
            edge.await_bundle(60, other_than=edge.bundle.hash)  # the kernels are compiled now
            watching = threading.Thread(target=watch, args=(edge,))
            watching.start()
            until = time.perf_counter() + seconds
            while (started := time.perf_counter()) < until:
                news.outcome_many(_outcomes(edge, len(sent) + 1))
                sent.append((started, log.offsets("news.events", 0)[1]))
                time.sleep(max(0.0, started + rng.uniform(0.01, 0.09) - time.perf_counter()))
            deadline = time.perf_counter() + 10
            while seen[-1][1] < sent[-1][1] and time.perf_counter() < deadline:
                time.sleep(0.01)
            done.set()
            watching.join()
    return [
        1e3 * next(at - started for at, cut in seen if cut >= end and at >= started) for started, end in sent
    ]


def _outcomes(edge: Edge, request: int) -> list[tuple[Decision, float]]:
    made = [edge.decide(f"user-{request}-{i}", log=False) for i in range(10)]
    return [(each, float((request + i) % 30 == 0)) for i, each in enumerate(made)]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=11, help="rounds, at least 7")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long to measure the policy's age")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        result = measure_decisions(given.rounds)
        result |= measure_outbox(given.rounds, Path(name))
        result |= measure_age(given.seconds, Path(name))
    if given.json:
        print(json.dumps({name: round(value, 3) for name, value in result.items()}))
        return
    print(
        f"an edge decision drawn and encoded: {result['decide_us']:.2f} us, bar {BAR_US:g} "
        f"(rounds {result['decide_us_least']:.2f} to {result['decide_us_greatest']:.2f}); "
        f"on eight partitions {result['decide_eight_partitions_us']:.2f} us"
    )
    for name in ("durable", "fast"):
        print(
            f"outbox, {name}: {result[f'append_{name}_us']:.1f} us an append, a bare insert "
            f"{result[f'insert_{name}_us']:.1f}; {result[f'append_{name}_ratio']:.2f} of its speed"
        )
    print(
        f"policy age at the edge: p50 {result['age_p50_ms']:.0f} ms, p99 {result['age_p99_ms']:.0f} ms, "
        f"bar {BAR_MS:g}, most {result['age_most_ms']:.0f} ms of {result['age_samples']:.0f}"
    )


if __name__ == "__main__":
    main()
