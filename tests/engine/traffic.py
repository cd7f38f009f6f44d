"""Traffic for engine tests: decisions with waits, retries, duplicates, late and dangling rewards, disorder."""

import random

from foldline.fold.rule import RewardRule
from foldline.log.protocol import Batch, Log
from foldline.loops.definition import LoopDefinition
from foldline.loops.topics import topics_of
from foldline.records.codec import encode_lines
from foldline.records.types import Decision, Outcome, Record, Reward

START = 1_700_000_000_000


def definition(
    partitions: int = 2, *, wait_ms: int = 5_000, policy: str = "epsilon_greedy"
) -> LoopDefinition:
    """A loop that waits for its rewards."""
    return LoopDefinition(
        name="news",
        version=1,
        time=START,
        actions=("a", "b", "c"),
        policy={"kind": policy},
        reward=RewardRule(wait_ms=wait_ms, correction_ms=30_000),
        partitions=partitions,
        salt="salt",
    )


def records(seed: int, count: int, partition: int) -> list[Record]:
    """`count` records of one partition; rewards are tenths and thirds, so that float sums would differ."""
    rng = random.Random(seed * 1000 + partition)
    made: list[Record] = []
    recent: list[Decision] = []
    time = START
    while len(made) < count:
        time += rng.randrange(0, 400)
        stamped = max(START, time - (rng.randrange(0, 3_000) if rng.random() < 0.1 else 0))
        kind = rng.random()
        n = len(made)
        if kind < 0.45 or not recent:
            made.append(_decision(f"0.{partition}.{n}", f"u{rng.randrange(50)}", rng.choice("abc"), stamped))
            recent = [*recent[-200:], made[-1]]  # type: ignore[list-item]  # just appended as a Decision
        elif kind < 0.50:
            again = rng.choice(recent)
            made.append(_decision(again.id, again.unit, rng.choice("abc"), stamped))
        elif kind < 0.60:
            made.append(
                Outcome(
                    time=stamped,
                    id=f"0.{partition}.o{rng.randrange(n + 1)}",
                    unit=f"u{n}",
                    action=rng.choice("abc"),
                    propensity=0.5,
                    reward=rng.choice([0.1, 1 / 3, 1.0]),
                    bundle="b",
                    definition=1,
                )
            )
        else:
            made.append(_reward(rng, recent, partition, n, stamped))
    return made


def _decision(id: str, unit: str, action: str, time: int) -> Decision:
    return Decision(time=time, id=id, unit=unit, action=action, propensity=0.5, bundle="b", definition=1)


def _reward(rng: random.Random, recent: list[Decision], partition: int, n: int, time: int) -> Reward:
    value = rng.choice([0.1, 1 / 3, 0.0, 1.0])
    name = f"r{rng.randrange(n) if rng.random() < 0.1 else n}"
    if rng.random() < 0.2:
        return Reward(time=time, id=name, unit=f"u{rng.randrange(60)}", value=value)
    target = f"0.{partition}.{n + 3}" if rng.random() < 0.1 else rng.choice(recent).id
    return Reward(time=time, id=name, decision=target, value=value)


def append(log: Log, loop: LoopDefinition, seed: int, count: int, *, rows: int = 20) -> None:
    """Append `count` records to every partition of the loop's event topic, `rows` to a batch."""
    append_records(log, loop, [records(seed, count, p) for p in range(loop.partitions)], rows=rows)


def append_records(
    log: Log, loop: LoopDefinition, made_by_partition: list[list[Record]], *, rows: int
) -> None:
    """Append records to each partition, `rows` to a batch, all batches of a partition together."""
    topic = topics_of(loop).events
    for partition, made in enumerate(made_by_partition):
        count = len(made)
        batches = []
        for i in range(0, count, rows):
            part = made[i : i + rows]
            times = [record.time for record in part]
            batches.append(Batch(topic, partition, encode_lines(part), len(part), min(times), max(times)))
        log.append(batches)
