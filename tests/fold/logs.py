"""Logs made by hand, as columns, and random ones for property tests."""

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from foldline.fold.rule import AGGREGATIONS, RewardRule
from foldline.records.columns import Columns, Kind
from tests.fold.oracle import Event

ACTIONS = ["a", "b", "c"]
KINDS = {
    "dead": Kind.DEAD,
    "decision": Kind.DECISION,
    "reward": Kind.REWARD,
    "outcome": Kind.OUTCOME,
    "activation": Kind.ACTIVATION,
    "tick": Kind.TICK,
    "definition": Kind.DEFINITION,
    "observation": Kind.OBSERVATION,
}


def hashed(number: int | None, salt: int) -> tuple[int, int]:
    """128 bits for a small number, as splitmix64 (Steele et al. 2014) mixes it; zeros for None."""
    if number is None:
        return 0, 0
    return _mix(number * 2 + salt), _mix(number * 2 + salt + (1 << 40))


def columns(events: Sequence[Event]) -> Columns:
    """The events as a decoder would give them."""
    actions, names = (
        list(dict.fromkeys(e.action for e in events)),
        list(dict.fromkeys(e.name for e in events)),
    )
    return Columns(
        kind=np.array([KINDS[e.kind] for e in events], np.int8),
        time=np.array([e.time for e in events], np.int64),
        id=np.array([hashed(e.id, 1) for e in events], np.uint64).reshape(-1, 2),
        unit=np.array([hashed(e.unit, 1 << 20) for e in events], np.uint64).reshape(-1, 2),
        reward_id=np.array([hashed(e.reward_id, 1) for e in events], np.uint64).reshape(-1, 2),
        action=np.array([actions.index(e.action) for e in events], np.int32),
        name=np.array([names.index(e.name) for e in events], np.int32),
        value=np.array([e.value for e in events], np.float64),
        propensity=np.full(len(events), 0.5),
        experiment=np.zeros((len(events), 2), np.uint64),
        variant=np.zeros((len(events), 2), np.uint64),
        probability=np.full(len(events), np.nan),
        actions=actions,
        names=names,
    )


def remap(batch: Columns) -> np.ndarray:
    """From the batch's actions to `ACTIONS`."""
    return np.array([ACTIONS.index(a) if a in ACTIONS else -1 for a in batch.actions], np.int32)


@st.composite
def rules(draw: st.DrawFn) -> RewardRule:
    """Rules of every sort, with short windows."""
    wait = draw(st.sampled_from([0, 0, 1, 7, 20]))
    return RewardRule(
        wait_ms=wait,
        correction_ms=draw(st.sampled_from([1, 5, 30] if wait == 0 else [0, 1, 5, 30])),
        default=draw(st.sampled_from([0.0, 0.1, -1.0])),
        aggregation=draw(st.sampled_from(AGGREGATIONS)),
        activation=draw(st.booleans()),
        unit_bits=draw(st.sampled_from([0, 3, 32])),
    )


def random_log(seed: int, size: int, *, step: int = 3, ids: int = 12) -> list[Event]:
    """A log with retries, conflicts, duplicates, times that run back, and gaps, from a seed."""
    rng = np.random.default_rng(seed)
    kinds = rng.choice(list(KINDS), size, p=[0.02, 0.3, 0.36, 0.1, 0.12, 0.04, 0.02, 0.04])
    time = 100
    events: list[Event] = []
    for kind in kinds:
        time += int(rng.choice([0, 0, 1, step, 40], p=[0.3, 0.2, 0.3, 0.18, 0.02]))
        base = len(events) // 40 * 4
        number = base + int(rng.integers(ids))
        by_unit = kind == "reward" and rng.random() < 0.3
        events.append(
            Event(
                kind=str(kind),
                time=0 if kind == "dead" else time - int(rng.choice([0, 0, 5])),
                id=None if by_unit else number,
                unit=number % 5 if kind != "decision" or rng.random() < 0.9 else 9,
                reward_id=int(rng.integers(base, base + 40)) if kind == "reward" else None,
                action=str(rng.choice(["a", "b", "c", "x"], p=[0.4, 0.3, 0.27, 0.03])),
                name=str(rng.choice(["reward", "click"], p=[0.95, 0.05])),
                value=float(rng.choice([0.0, 1.0, 0.1, 1 / 3, -1.0, 2.0, np.nan])),
            )
        )
    return events


def _mix(number: int) -> int:
    full = (1 << 64) - 1
    number = (number + 1) * 0x9E3779B97F4A7C15 & full
    number = (number ^ number >> 30) * 0xBF58476D1CE4E5B9 & full
    number = (number ^ number >> 27) * 0x94D049BB133111EB & full
    return number ^ number >> 31
