"""How much does attribution cost over decoding?

Question: what do attribution alone, and decoding with attribution, cost a record?
Workload: outcomes, and decision-reward pairs, in batches of 1,000 and 10,000, with a wait of 0 and of 100 s; the
    windows are full before time is taken.
Peer: msgspec decoding the same bytes into lean structs, in alternating rounds of one process; CPU time, since
    machines are shared.
Ratio: decoding with attribution over the peer, median of rounds; without the policy and the root, which
    `benchmarks/fold.py` includes.
Command: `python benchmarks/attribution.py`
"""

import json
import statistics
import time
from collections.abc import Callable
from functools import partial

import msgspec
import numpy as np

from foldline.fold.attribution import Attribution
from foldline.fold.rule import RewardRule
from foldline.records.codec import decode, encode_lines
from foldline.records.columns import Columns
from foldline.records.types import Decision, Outcome, Record, Reward

ACTIONS = [f"article-{i}" for i in range(20)]
REMAP = {name: i for i, name in enumerate(ACTIONS)}
WARM, TIMED, ROUNDS = 100_000, 100_000, 9
START = 1_700_000_000_000


class _Lean(msgspec.Struct, tag_field="type", tag=str.lower, gc=False):
    time: int


class _Decision(_Lean, tag="decision", gc=False):
    id: str
    unit: str
    action: str
    propensity: float


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
    propensity: float
    reward: float


LEAN = msgspec.json.Decoder(_Decision | _Reward | _Outcome)


def outcomes(n: int) -> list[Record]:
    """Complete outcomes, one a millisecond."""
    rng = np.random.default_rng(1)
    return [
        Outcome(
            time=START + i,
            id=f"0.0.{rng.bytes(16).hex()}",
            unit=f"user-{rng.integers(50_000)}",
            action=ACTIONS[rng.integers(20)],
            propensity=0.05,
            reward=float(rng.random() < 0.03),
            bundle="0123456789abcdef",
            definition=1,
        )
        for i in range(n)
    ]


def pairs(n: int) -> list[Record]:
    """Decisions, and between them the rewards of those made fifty before."""
    decided: list[Decision] = []
    records: list[Record] = []
    for made in outcomes(n // 2):
        assert isinstance(made, Outcome)
        decided.append(
            Decision(
                time=made.time,
                id=made.id,
                unit=made.unit,
                action=made.action,
                propensity=made.propensity,
                bundle=made.bundle,
                definition=1,
            )
        )
        earlier = decided[max(0, len(decided) - 50)].id
        records += [
            decided[-1],
            Reward(time=made.time, id=f"r-{len(records)}", decision=earlier, value=made.reward),
        ]
    return records


def apply(attribution: Attribution, columns: Columns) -> None:
    """What the policy fold does with a batch, but for learning."""
    remap = np.array([REMAP[name] for name in columns.actions], np.int32)
    attribution.apply(columns, 0, len(columns), remap, 0.0, 1.0)


def alone(attribution: Attribution, columns: list[Columns]) -> None:
    """Attribution of what is decoded already."""
    for part in columns:
        apply(attribution, part)


def decoded(attribution: Attribution, payloads: list[bytes]) -> None:
    """From bytes to emits."""
    for payload in payloads:
        apply(attribution, decode(payload))


def cpu(function: Callable[[], object]) -> float:
    """CPU nanoseconds a record."""
    start = time.process_time_ns()
    function()
    return (time.process_time_ns() - start) / TIMED


def measure(records: list[Record], rule: RewardRule, batch: int) -> dict[str, float]:
    """Medians in nanoseconds a record, and the ratio to decoding."""
    payloads = [encode_lines(records[at : at + batch]) for at in range(0, len(records), batch)]
    columns = [decode(payload) for payload in payloads]
    warm = Attribution(rule)
    for part in columns[: WARM // batch]:
        apply(warm, part)
    pages, later = warm.dump(), slice(WARM // batch, None)
    times: dict[str, list[float]] = {"decode": [], "attribution": [], "both": []}
    for _ in range(ROUNDS):
        times["decode"].append(cpu(lambda: [LEAN.decode_lines(payload) for payload in payloads[later]]))
        state = Attribution.load(rule, pages)
        times["attribution"].append(cpu(partial(alone, state, columns[later])))
        state = Attribution.load(rule, pages)
        times["both"].append(cpu(partial(decoded, state, payloads[later])))
    ratio = statistics.median(b / d for b, d in zip(times["both"], times["decode"], strict=True))
    medians = {f"{name}_ns": round(statistics.median(taken), 1) for name, taken in times.items()}
    return {**medians, "ratio": round(ratio, 3)}


def main() -> None:
    """One line of JSON a case."""
    for name, make in (("outcomes", outcomes), ("pairs", pairs)):
        records = make(WARM + TIMED)
        for wait in (0, 100_000):
            rule = RewardRule(wait_ms=wait, correction_ms=100_000)
            for batch in (1_000, 10_000):
                print(
                    json.dumps(
                        {"case": name, "wait_ms": wait, "batch": batch, **measure(records, rule, batch)}
                    )
                )


if __name__ == "__main__":
    main()
