"""The timeline fold: conformance, and a merge that cannot be told from folding it all at once."""

import random
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foldline.errors import FoldError
from foldline.fold.counters import Counter
from foldline.fold.rule import RewardRule
from foldline.fold.vocabulary import Vocabulary
from foldline.loops.timeline import (
    FEWEST,
    MOST_BUCKETS,
    MOST_CELLS,
    Event,
    Timeline,
    merge,
    nothing,
    reaching,
    widened,
)
from foldline.loops.timeline_fold import TimelineFold
from foldline.policies.fold import PolicyFold
from foldline.policies.registry import parse_policy
from foldline.records.codec import decode, encode, encode_lines
from foldline.records.columns import Columns
from foldline.records.types import Decision, Definition, Outcome, Record, Reward
from foldline.testing.check_fold import FOLD_CHECKS, check_fold
from tests.engine.traffic import START, records

RULE = RewardRule(wait_ms=5_000, correction_ms=30_000)


def _columns(made: Sequence[Record]) -> Columns:
    """The records with markers that add an action and widen the range, and a line that is none."""
    first = Definition(time=START, loop="news", version=1, actions=["a", "b"])
    second = Definition(time=START, loop="news", version=2, actions=["c", "b"], low=-1.0, high=2.0)
    third = len(made) // 3
    parts = [encode(first), encode_lines(made[:third]), encode(second), b"{no", encode_lines(made[third:])]
    return decode(b"\n".join(part for part in parts if part))


@pytest.mark.parametrize("wait_ms", [0, 5_000])
@pytest.mark.parametrize("activation", [False, True])
def test_conformance(wait_ms: int, activation: bool) -> None:
    """Batches of 1, 7 and 1000, restarts and a lagging pending half change no byte."""
    fold = TimelineFold(RewardRule(wait_ms=wait_ms, correction_ms=30_000, activation=activation))
    assert check_fold(fold, _columns(records(3, 500, 0))) == list(FOLD_CHECKS)


def test_long_logs_conform_too() -> None:
    """So they do when buckets have doubled many times."""
    made = [_moved(record, 7_000 * n) for n, record in enumerate(records(4, 700, 0))]
    check_fold(TimelineFold(RULE), _columns(made))
    check_fold(TimelineFold(RULE, complete=True), _columns(made))


@pytest.mark.parametrize("wait_ms", [0, 5_000])
def test_its_sums_are_the_policy_folds(wait_ms: int) -> None:
    """Over all buckets, decisions learnt, rewards and counts are those that the policy fold knows."""
    rule = RewardRule(wait_ms=wait_ms, correction_ms=30_000)
    columns = _columns([_moved(record, 900 * n) for n, record in enumerate(records(5, 2_000, 0))])
    timelines, policies = TimelineFold(rule), PolicyFold(parse_policy("epsilon_greedy"), rule)
    timeline, policy = timelines.empty(), policies.empty()
    timelines.apply(timeline, columns)
    policies.apply(policy, columns)
    known, counts = timeline.known, policy.known.counts
    assert known.doublings > 2
    assert known.count.sum(axis=0).tolist() == policy.known.arrays["count"].tolist()
    assert known.sum.sum(axis=0).tolist() == policy.known.arrays["sum"].tolist()
    assert known.decided.sum() == counts[Counter.DECISIONS] + counts[Counter.OUTCOMES]
    for event in (Event.REWARDS, Event.LATE, Event.UNMATCHED, Event.DEAD):
        assert known.events[:, event].sum() == counts[Counter[event.name]]
    assert known.events[:, Event.RECORDS].sum() == len(columns)
    assert known.vocabulary == policy.known.vocabulary
    assert known.stream_time == policy.known.stream_time


def test_a_correction_stands_where_its_decision_stood() -> None:
    """A late reward moves the sum of the bucket of the decision's time, and is counted where it came."""
    made: list[Record] = [
        Definition(time=START, loop="news", version=1, actions=["a", "b"]),
        _decision(START + 1_500),
        Reward(time=START + 20_000, id="r", decision="0.0.0", value=1.0),
    ]
    fold = TimelineFold(RewardRule(wait_ms=5_000))
    known = _folded(fold, made)
    seconds = (known.buckets - START // 1000).tolist()
    assert (known.doublings, seconds) == (0, [0, 1, 20])
    assert known.decided[:, 0].tolist() == [0, 1, 0]
    assert known.count[:, 0].tolist() == [0, 1, 0]
    assert known.sum[:, 0].tolist() == [0, 1 << 32, 0]
    assert known.high[:, 0].tolist() == [0, 1, 0]
    assert known.events[:, Event.LATE].tolist() == [0, 0, 1]
    assert known.events[:, Event.RECORDS].tolist() == [1, 1, 1]


def test_a_record_of_a_wrong_year_costs_no_resolution() -> None:
    """Only buckets in which records stand are held: 1970 takes one of them, not all."""
    made: list[Record] = [Definition(time=5, loop="news", version=1, actions=["a"])]
    made += [_decision(START + 1_000 * n, n) for n in range(200)]
    known = _folded(TimelineFold(RULE), made)
    assert (known.doublings, len(known.buckets)) == (0, 201)


def test_there_are_never_more_buckets_than_there_is_room_for() -> None:
    """At most 256 buckets; fewer where there are many actions."""
    made: list[Record] = [Definition(time=START, loop="news", version=1, actions=["a"])]
    made += [_decision(START + 60_000 * n, n) for n in range(5_000)]
    known = _folded(TimelineFold(RULE), made)
    assert MOST_BUCKETS // 2 < len(known.buckets) <= MOST_BUCKETS
    wide = widened(known, Vocabulary(2, tuple("a" if i == 0 else f"x{i}" for i in range(1_000))))
    assert FEWEST // 2 <= len(wide.buckets) <= FEWEST
    assert wide.count.sum() == known.count.sum()
    assert len(widened(known, Vocabulary(2, ("a", *map(str, range(127))))).buckets) <= MOST_CELLS // 128


def test_overflow_is_refused() -> None:
    """Two sums that do not fit into 64 bits together are refused, whether merged or made one bucket."""
    full = reaching(widened(nothing(), Vocabulary(1, ("a",))), np.array([2]))
    full.sum[0, 0] = (1 << 63) - 1
    with pytest.raises(FoldError, match=r"64 bits.*fold\.overflow"):
        merge(full, full)
    far = reaching(full, np.arange(2, 4))
    far.sum[1, 0] = 1
    with pytest.raises(FoldError, match=r"64 bits.*fold\.overflow"):
        reaching(far, np.arange(4, 400))


Cells = list[tuple[int, int, int]]
"""Second, action, reward units of some outcomes."""

cells = st.lists(
    st.tuples(
        st.one_of(st.integers(0, 3_000), st.integers(0, 1 << 33)), st.integers(0, 2), st.integers(-5, 1 << 33)
    ),
    max_size=40,
)


@given(st.lists(cells, min_size=3, max_size=3), st.permutations([1, 2, 3]))
def test_merge_is_exact_associative_and_commutative(parts: list[Cells], actions: list[int]) -> None:
    """In any grouping and order, merging parts equals folding all of it; the empty one changes nothing."""
    parts = [[(s, a % n, u) for s, a, u in part] for part, n in zip(parts, actions, strict=True)]
    a, b, c = (_made(part, n) for part, n in zip(parts, actions, strict=True))
    together = _made([cell for part in parts for cell in part], 3)
    whole = _bytes(together)
    assert _bytes(merge(merge(a, b), c)) == _bytes(merge(a, merge(b, c)))
    assert _bytes(merge(a, b)) == _bytes(merge(b, a))
    assert _bytes(merge(merge(c, a), b)) == whole
    assert _bytes(merge(together, nothing())) == _bytes(merge(nothing(), together)) == whole


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("partitions", [1, 3, 4])
def test_merging_partitions_equals_learning_their_interleaving(seed: int, partitions: int) -> None:
    """However outcomes are dealt out to partitions, the merged timeline is the same, byte for byte."""
    rng = random.Random(seed)
    marker = Definition(time=START, loop="news", version=1, actions=["a", "b", "c"])
    time, outcomes = START, list[Outcome]()
    for n in range(1_500):
        time += rng.randrange(0, 4_000)
        value = rng.choice([0.0, 0.1, 1 / 3, 1.0])
        outcomes.append(
            Outcome(
                time=time, id=f"0.0.{n}", unit=f"u{n}", action=rng.choice("abc"), propensity=0.5,
                reward=value, bundle="b", definition=1,
            )
        )  # fmt: skip
    fold = TimelineFold(RULE)
    dealt: list[list[Record]] = [[marker] for _ in range(partitions)]
    for outcome in outcomes:
        rng.choice(dealt).append(outcome)
    merged = fold.merge_all([_folded(fold, part) for part in dealt])
    merged.events[0, Event.RECORDS] -= partitions - 1  # each partition has its marker
    assert _bytes(merged) == _bytes(_folded(fold, [marker, *outcomes]))


def _made(part: Cells, actions: int) -> Timeline:
    """The timeline of these outcomes."""
    made = widened(nothing(), Vocabulary(actions, tuple("abc"[:actions])))
    for second, action, units in part:
        one = reaching(widened(nothing(), made.vocabulary), np.array([second]))
        one.count[0, action] = one.decided[0, action] = 1
        one.sum[0, action] = units
        one.low[0, action] = units * units & (1 << 64) - 1
        one.high[0, action] = units * units >> 64
        one.events[0, Event.RECORDS] = 1
        made = merge(made, one)
    return made


def _bytes(timeline: Timeline) -> bytes:
    return TimelineFold(RULE).dump_known(timeline)


def _folded(fold: TimelineFold, made: Sequence[Record]) -> Timeline:
    state = fold.empty()
    fold.apply(state, decode(encode_lines(made)))
    return state.known


def _decision(time: int, n: int = 0) -> Decision:
    return Decision(
        time=time, id=f"0.0.{n}", unit=f"u{n}", action="a", propensity=0.5, bundle="b", definition=1
    )


def _moved(record: Record, by: int) -> Record:
    return msgspec.structs.replace(record, time=record.time + by)
