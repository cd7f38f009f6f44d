"""How many decisions a second does an audit verify, and what does it cost over folding the same log?

Question: what CPU time does `audit` take for a log's every bundle and decision, against a plain replay of that log?
Workload: an SQLite log of 4 partitions, 20 actions, decisions and their rewards in turn in rows of 250 records, no
    wait. After every so many decisions the partitions are folded and a bundle is compiled and published, with which
    the next ones are decided. Cases: few bundles; many; a fifth of the decisions with a mask of 10 actions drawn from
    8 masks; Thompson sampling. Every audit must agree.
Peer: `replay`, which folds the log once from offset 0 to its end; no root stands on it to compare with.
Ratio: our CPU time over the peer's, median of alternating rounds; no bar. The audit folds the log too, stopping at
    every cut to merge and compile, and reads it once more to verify.
Command: `python benchmarks/audit.py [--rounds 7] [--decisions 100000] [--json]`
"""

import argparse
import json
import random
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from foldline.engine.audit import Audit, audit
from foldline.engine.defining import create_catalogue, define
from foldline.engine.replay import replay
from foldline.fold.rule import RewardRule
from foldline.log.protocol import Batch, Log
from foldline.log.sqlite.log import SqliteLog
from foldline.loops.bundle import compile_bundle, encode_bundle, header_of
from foldline.loops.catalogue import Catalogue
from foldline.loops.deciding import Decider
from foldline.loops.definition import LoopDefinition
from foldline.loops.topics import topics_of
from foldline.policies.fold import PolicyFold, PolicyState
from foldline.records.codec import decode, encode_lines
from foldline.records.hashing import partition_of
from foldline.records.types import Record, Reward

START: Final = 1_700_000_000_000
ACTIONS: Final = tuple(f"article-{i}" for i in range(20))
PARTITIONS: Final = 4
ROW: Final = 250


@dataclass(frozen=True, slots=True)
class Case:
    """What is decided, and how often a bundle is published."""

    name: str
    policy: dict[str, Any]
    per_bundle: int
    masked: float = 0.0


CASES: Final = (
    Case("500 decisions a bundle", {"kind": "epsilon_greedy"}, 500),
    Case("50 decisions a bundle", {"kind": "epsilon_greedy"}, 50),
    Case("500 a bundle, a fifth masked", {"kind": "epsilon_greedy"}, 500, 0.2),
    Case("500 a bundle, Thompson", {"kind": "thompson"}, 500),
)


class Writer:
    """Writes an honest log: decides, learns and publishes without roots or threads."""

    def __init__(self, log: Log, case: Case) -> None:
        self.loop = LoopDefinition(
            name="news", version=1, time=START, actions=ACTIONS, policy=case.policy,
            reward=RewardRule(correction_ms=100_000), partitions=PARTITIONS, salt="salt",
        )  # fmt: skip
        self._log, self._case = log, case
        self._rng = random.Random(1)
        self._masks = [self._rng.sample(ACTIONS, 10) for _ in range(8)]
        self._time = START
        create_catalogue(log)
        define(log, Catalogue(), "news", lambda _: self.loop, holder="benchmark", now=START)
        self._fold: PolicyFold = self.loop.fold()
        self._states: list[PolicyState] = [self._fold.empty() for _ in range(PARTITIONS)]
        self._cut = [0] * PARTITIONS
        for partition in range(PARTITIONS):
            self._learn(partition, encode_lines([self.loop.marker(START)]), 1)

    def write(self, decisions: int) -> None:
        """Append that many decisions with their rewards."""
        for start in range(0, decisions, self._case.per_bundle):
            decider = self._publish()
            parts: list[list[Record]] = [[] for _ in range(PARTITIONS)]
            for i in range(start, min(decisions, start + self._case.per_bundle)):
                self._decide(decider, i, parts)
            self._append(parts)

    def _decide(self, decider: Decider, i: int, parts: list[list[Record]]) -> None:
        rng, unit = self._rng, f"user-{self._rng.randrange(50_000)}"
        mask = rng.choice(self._masks) if rng.random() < self._case.masked else None
        self._time += 1
        decision = decider.decide(unit, rng.randbytes(16).hex(), self._time, available=mask)
        reward = Reward(time=self._time, id=f"r{i}", decision=decision.id, value=float(rng.random() < 0.03))
        parts[partition_of(unit, PARTITIONS)] += [decision, reward]

    def _append(self, parts: list[list[Record]]) -> None:
        batches = []
        for partition, records in enumerate(parts):
            for low in range(0, len(records), ROW):
                some = records[low : low + ROW]
                payload = encode_lines(some)
                batches.append(
                    Batch(topics_of(self.loop).events, partition, payload, len(some), self._time, self._time)
                )
                self._learn(partition, payload, len(some))
        self._log.append(batches)

    def _learn(self, partition: int, payload: bytes, count: int) -> None:
        self._fold.apply(self._states[partition], decode(payload))
        self._cut[partition] += count

    def _publish(self) -> Decider:
        bundle = compile_bundle(
            self.loop, self._cut, [state.known for state in self._states], time=self._time
        )
        line = encode_bundle(header_of(bundle))
        self._log.append([Batch(topics_of(self.loop).bundles, 0, line, 1, self._time, self._time)])
        return Decider(bundle)


def measure(case: Case, folder: Path, decisions: int, rounds: int) -> dict[str, Any]:
    """Medians of alternating rounds."""
    with SqliteLog(folder / "audit.db") as log:
        writer = Writer(log, case)
        writer.write(decisions)
        ours, peer = [], []
        for _ in range(rounds + 1):
            begun = time.process_time()
            replay(log, writer.loop)
            between = time.process_time()
            result = audit(log, Catalogue(), "news")
            ours.append(time.process_time() - between)
            peer.append(between - begun)
            check(result, decisions)
    ratios = [mine / theirs for mine, theirs in zip(ours[1:], peer[1:], strict=True)]
    return {
        "case": case.name,
        "decisions": decisions,
        "bundles": result.bundles,
        "decisions_per_second": round(decisions / statistics.median(ours[1:])),
        "replayed_per_second": round(decisions / statistics.median(peer[1:])),
        "ratio": round(statistics.median(ratios), 2),
        "ratio_least": round(min(ratios), 2),
        "ratio_greatest": round(max(ratios), 2),
    }


def check(result: Audit, decisions: int) -> None:
    """Everything was audited, and agrees."""
    assert result.agree, msgspec.to_builtins(result.findings)
    assert result.decisions == decisions
    assert result.bundles == result.bundles_agree > 0


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7, help="alternating rounds, after one to warm up")
    parser.add_argument("--decisions", type=int, default=100_000, help="decisions on the log")
    parser.add_argument("--json", action="store_true", help="print one JSON object a case")
    given = parser.parse_args()
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            result = measure(case, Path(folder), given.decisions, given.rounds)
        if given.json:
            print(json.dumps(result), flush=True)
            continue
        print(
            f"{case.name}, {result['bundles']} bundles: {result['decisions_per_second']:,} decisions a CPU second, "
            f"{result['ratio']:.2f} of a replay (rounds {result['ratio_least']:.2f} to "
            f"{result['ratio_greatest']:.2f}), which folds {result['replayed_per_second']:,}",
            flush=True,
        )


if __name__ == "__main__":
    main()
