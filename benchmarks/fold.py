"""How much does learning from the log cost over decoding what stands on it?

Question: what CPU time does a record take from the log to the root, against msgspec decoding the same bytes?
Workload: a `Worker` over one partition of an SQLite log, epsilon-greedy with 20 actions. Outcomes, of which 1 % are
    duplicates, or decisions and rewards in turn, each reward for the decision made fifty before, with a reward wait
    of 0 and of 100 s. One record a millisecond (a pair a millisecond), a correction window of 100 s, and 200,000
    records folded before any is timed, so that windows are full. Each step reads a batch (one row of 1,000 or 10,000
    records, or 1,000 rows of one record), decodes it, folds it, and where a root is due dumps the state, encodes the
    root and appends it, pending pages at their own pace. Everything is in the figure; `append_ns` is the part of it
    that the log takes to append. A root is written at a learner's pace (`Pace`: at most one in 20 ms) and at the end
    of each round; `ratio_each` is with a root after every batch, whatever the clock says.
Peer: `msgspec.json.Decoder.decode_lines` into structs that name only the fields needed, of the same bytes, already
    in memory, in the same batches (1,000 lines joined where each stands in its own row).
Ratio: our CPU time over the peer's, median of alternating rounds. Bars: outcomes 1.7, pairs in batches of 1,000
    3, one record a row 7. They are held against `ratio`.
Command: `python benchmarks/fold.py [--rounds 9] [--dir DIR] [--json]`
"""

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from foldline.engine.defining import create_catalogue, define
from foldline.engine.identity import identity_of
from foldline.engine.learner import Pace
from foldline.engine.worker import Worker, WorkerTopics
from foldline.fold.counters import Counter
from foldline.fold.rule import RewardRule
from foldline.log.clock import now_ms
from foldline.log.protocol import Batch, Lease, Log
from foldline.log.sqlite.log import SqliteLog
from foldline.loops.catalogue import Catalogue
from foldline.loops.definition import LoopDefinition
from foldline.loops.topics import topics_of
from foldline.records.codec import encode_lines
from foldline.records.types import Decision, Outcome, Record, Reward

START: Final = 1_700_000_000_000
ACTIONS: Final = tuple(f"article-{i}" for i in range(20))
WARM: Final = 200_000
BEFORE: Final = 50
"""A reward comes this many pairs after its decision."""

Make = Callable[[int], list[Record]]


class _Lean(msgspec.Struct, tag_field="type", tag=str.lower, gc=False):
    time: int


class _Decision(_Lean, tag="decision", gc=False):
    id: str
    unit: str
    action: str


class _Reward(_Lean, tag="reward", gc=False):
    id: str
    value: float
    decision: str | None = None
    unit: str | None = None
    name: str = "reward"


class _Outcome(_Lean, tag="outcome", gc=False):
    id: str
    unit: str
    action: str
    reward: float


class _Definition(_Lean, tag="definition", gc=False):
    actions: list[str]


LEAN: Final = msgspec.json.Decoder(_Decision | _Reward | _Outcome | _Definition)


def outcomes(count: int) -> list[Record]:
    """Complete outcomes, of which 1 % repeat an earlier one; one a millisecond."""
    rng = random.Random(1)
    made: list[Record] = []
    for i in range(count):
        if made and rng.random() < 0.01:
            earlier = made[rng.randrange(max(0, i - 50_000), i)]
            made.append(msgspec.structs.replace(earlier, time=START + i))
            continue
        made.append(
            Outcome(
                time=START + i,
                id=f"0.0.{rng.randbytes(16).hex()}",
                unit=f"user-{rng.randrange(50_000)}",
                action=rng.choice(ACTIONS),
                propensity=0.05,
                reward=float(rng.random() < 0.03),
                bundle="0123456789abcdef",
                definition=1,
            )
        )
    return made


def pairs(count: int) -> list[Record]:
    """Decisions and rewards in turn; a pair a millisecond."""
    rng = random.Random(2)
    decided: list[str] = []
    made: list[Record] = []
    for i in range(count // 2):
        decided.append(f"0.0.{rng.randbytes(16).hex()}")
        made.append(
            Decision(
                time=START + i,
                id=decided[-1],
                unit=f"user-{rng.randrange(50_000)}",
                action=rng.choice(ACTIONS),
                propensity=0.05,
                bundle="0123456789abcdef",
                definition=1,
            )
        )
        value = float(rng.random() < 0.03)
        made.append(
            Reward(
                time=START + i,
                id=rng.randbytes(16).hex(),
                decision=decided[max(0, i - BEFORE)],
                value=value,
            )
        )
    return made


@dataclass(frozen=True, slots=True)
class Case:
    """What is folded, and how it stands on the log.

    Attributes:
        name: printed.
        make: the records.
        wait_ms: the reward wait.
        row: records in a row of the log.
        batch: records a step.
        timed: records a round.
        bar: the ratio not to exceed, None where none is set.
    """

    name: str
    make: Make
    wait_ms: int
    row: int
    batch: int
    timed: int
    bar: float | None


CASES: Final = (
    Case("outcomes", outcomes, 0, 10_000, 10_000, 100_000, 1.7),
    Case("outcomes", outcomes, 0, 1_000, 1_000, 50_000, 1.7),
    Case("pairs", pairs, 0, 1_000, 1_000, 50_000, 3.0),
    Case("pairs", pairs, 100_000, 1_000, 1_000, 50_000, 3.0),
    Case("pairs", pairs, 0, 10_000, 10_000, 100_000, None),
    Case("outcomes, one record a row", outcomes, 0, 1, 1_000, 20_000, 7.0),
    Case("pairs, one record a row", pairs, 0, 1, 1_000, 20_000, 7.0),
)


class Timed:
    """The log, with the CPU time of its appends noted.

    Everything else goes to the log itself.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self.spent = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._log, name)

    def append(self, batches: Sequence[Batch], *, lease: Lease | Sequence[Lease] | None = None) -> list[int]:
        """As the log's."""
        start = time.process_time_ns()
        try:
            return self._log.append(batches, lease=lease)
        finally:
            self.spent += time.process_time_ns() - start


def loop(case: Case) -> LoopDefinition:
    """The loop that is learnt."""
    return LoopDefinition(
        name="news",
        version=1,
        time=START,
        actions=ACTIONS,
        policy={"kind": "epsilon_greedy"},
        reward=RewardRule(wait_ms=case.wait_ms, correction_ms=100_000),
        salt="salt",
    )


def rows(records: list[Record], size: int) -> Iterator[tuple[bytes, list[Record]]]:
    """Payload and records of each row."""
    for at in range(0, len(records), size):
        part = records[at : at + size]
        yield encode_lines(part), part


def fill(log: Log, case: Case, records: list[Record]) -> None:
    """Put the records on the log, a hundred thousand an append."""
    topic = topics_of(loop(case)).events
    batches = [
        Batch(topic, 0, line, len(part), part[0].time, part[-1].time)
        for line, part in rows(records, case.row)
    ]
    step = max(1, 100_000 // case.row)
    for at in range(0, len(batches), step):
        log.append(batches[at : at + step])


def worker(log: Log, case: Case) -> Worker:
    """A worker of the loop's only partition, which nobody else wants."""
    definition, fold = loop(case), loop(case).fold()
    topics = topics_of(definition)
    lease = log.acquire("fold", "benchmark", 3_600.0)
    assert lease is not None
    identity = identity_of(fold, log.topic(topics.events), 0)
    return Worker(log, fold, identity, WorkerTopics(topics.roots, topics.dead), lease, now=START)


def decoded(records: list[Record], batch: int) -> float:
    """CPU nanoseconds a record of the peer."""
    payloads = [payload for payload, _ in rows(records, batch)]
    start = time.process_time_ns()
    for payload in payloads:
        LEAN.decode_lines(payload)
    return (time.process_time_ns() - start) / len(records)


def learnt(subject: Worker, case: Case, count: int, root_every_ms: int = 0) -> float:
    """CPU nanoseconds of ours over the next `count` records; the root covers them all."""
    start, end = time.process_time_ns(), subject.n + count
    while subject.n < end:
        size = min(case.batch, end - subject.n)
        subject.step(now=now_ms(), max_records=size, root_every_ms=root_every_ms)
    if subject.behind:
        subject.write_root(now=now_ms())
    return time.process_time_ns() - start


def measure(case: Case, folder: Path, rounds: int) -> dict[str, float | str | None]:
    """Medians in nanoseconds a record, and the ratio to decoding."""
    records = case.make(WARM + 2 * rounds * case.timed)
    definition = loop(case)
    with SqliteLog(folder / f"{time.monotonic_ns()}.db") as log:
        create_catalogue(log)
        define(log, Catalogue(), "news", lambda _: definition, holder="benchmark", now=START)
        fill(log, case, records)
        timed = Timed(log)
        subject = worker(timed, case)  # type: ignore[arg-type]  # the rest of the protocol is passed on
        learnt(subject, case, 1 + WARM)
        peer, ours, appends, each = [], [], [], []
        for at in range(WARM, len(records), 2 * case.timed):
            first, second = (records[k : k + case.timed] for k in (at, at + case.timed))
            peer.append(decoded(first, case.batch))
            timed.spent = 0
            ours.append(learnt(subject, case, case.timed, Pace().root_every_ms) / case.timed)
            appends.append(timed.spent / case.timed)
            each.append(learnt(subject, case, case.timed) / case.timed / decoded(second, case.batch))
        check(subject, records)
    ratios = [mine / theirs for mine, theirs in zip(ours, peer, strict=True)]
    return {
        "case": case.name,
        "wait_ms": case.wait_ms,
        "batch": case.batch,
        "ratio": round(statistics.median(ratios), 2),
        "bar": case.bar,
        "ratio_least": round(min(ratios), 2),
        "ratio_greatest": round(max(ratios), 2),
        "decode_ns": round(statistics.median(peer), 1),
        "log_to_root_ns": round(statistics.median(ours), 1),
        "append_ns": round(statistics.median(appends), 1),
        "ratio_each": round(statistics.median(each), 2),
    }


def check(subject: Worker, records: list[Record]) -> None:
    """Every record was folded, and counted for what it is."""
    counts = subject.state.known.counts.tolist()
    of = {kind: sum(isinstance(record, kind) for record in records) for kind in (Outcome, Decision, Reward)}
    assert counts[Counter.DEAD] == 0
    assert counts[Counter.OUTCOMES] + counts[Counter.DUPLICATE_OUTCOMES] == of[Outcome]
    assert counts[Counter.DECISIONS] == of[Decision]
    assert counts[Counter.REWARDS] == of[Reward]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=9, help="alternating rounds, at least 7")
    parser.add_argument("--dir", type=Path, help="folder for the logs")
    parser.add_argument("--json", action="store_true", help="print one JSON object a case")
    given = parser.parse_args()
    for case in CASES:
        with tempfile.TemporaryDirectory(dir=given.dir) as folder:
            result = measure(case, Path(folder), given.rounds)
        if given.json:
            print(json.dumps(result), flush=True)
            continue
        bar = f"bar {case.bar:g}" if case.bar is not None else "no bar"
        print(
            f"{case.name}, wait {case.wait_ms // 1000} s, batches of {case.batch}: {result['ratio']:.2f} of decoding, "
            f"{bar} (rounds {result['ratio_least']:.2f} to {result['ratio_greatest']:.2f}); "
            f"{result['log_to_root_ns']:.0f} ns a record, of which appending {result['append_ns']:.0f}; "
            f"decoding {result['decode_ns']:.0f}; {result['ratio_each']:.2f} with a root after every batch",
            flush=True,
        )


if __name__ == "__main__":
    main()
