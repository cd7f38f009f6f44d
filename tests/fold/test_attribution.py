"""Attribution, one rule of its semantics at a time."""

import numpy as np
import pytest

from foldline.errors import FoldError
from foldline.fold.attribution import Attribution
from foldline.fold.counters import Counter
from foldline.fold.emits import Emit
from foldline.fold.pages import SEEN_BLOCK
from foldline.fold.rule import RewardRule
from tests.fold.logs import columns, remap
from tests.fold.oracle import Event

ONE = 1 << 32
Happened = list[tuple[Emit, int, int, int, int]]


class Bench:
    """An attribution with what it has said so far."""

    def __init__(self, low: float = 0.0, high: float = 1.0, **rule: object) -> None:
        self.attribution = Attribution(RewardRule(**rule))  # type: ignore[arg-type]  # fields by name
        self.low, self.high = low, high
        self.counts = np.zeros(len(Counter), np.int64)
        self.dead: list[str] = []

    def say(self, *events: Event) -> Happened:
        """Fold the events; what was emitted as (kind, action, old, new, time)."""
        batch = columns(events)
        emits, counts, dead = self.attribution.apply(batch, 0, len(batch), remap(batch), self.low, self.high)
        self.counts += counts
        self.dead += [d.message for d in dead]
        kinds = [Emit(kind) for kind in emits.kind.tolist()]
        columns_ = (emits.action, emits.old, emits.new, emits.time)
        return list(zip(kinds, *(c.tolist() for c in columns_), strict=True))


def decision(time: int, id_: int = 1, unit: int = 1, action: str = "a") -> Event:
    """A decision."""
    return Event("decision", time, id=id_, unit=unit, action=action)


def reward(
    time: int, reward_id: int, decision_id: int | None = 1, value: float = 1.0, **more: object
) -> Event:
    """A reward by decision."""
    return Event("reward", time, id=decision_id, reward_id=reward_id, value=value, **more)  # type: ignore[arg-type]  # fields by name


def tick(time: int) -> Event:
    """A tick."""
    return Event("tick", time)


def test_wait_zero_learns_at_once_and_corrects() -> None:
    """Without wait the default is learnt in the decision's own record, then corrected."""
    bench = Bench()
    assert bench.say(decision(10)) == [(Emit.DECIDED, 0, 0, 0, 10), (Emit.LEARNT, 0, 0, 0, 10)]
    assert bench.attribution.due() is None
    assert bench.say(reward(20, 1, value=0.5)) == [(Emit.CORRECTED, 0, 0, ONE // 2, 10)]
    assert bench.say(reward(20, 2, value=0.0)) == [(Emit.CORRECTED, 0, ONE // 2, ONE // 2, 10)]
    assert bench.counts[Counter.LATE] == 2


def test_reward_at_the_deadline_is_late_and_before_it_is_not() -> None:
    """The deadline belongs to the correction window."""
    bench = Bench(wait_ms=100)
    bench.say(decision(0), decision(0, 2, 2))
    assert bench.attribution.waiting == 2
    assert bench.attribution.due() == 100
    assert bench.say(reward(99, 1)) == []
    happened = bench.say(reward(100, 2, 2))
    assert happened == [
        (Emit.LEARNT, 0, 0, ONE, 0),
        (Emit.LEARNT, 0, 0, 0, 0),
        (Emit.CORRECTED, 0, 0, ONE, 0),
    ]
    assert bench.counts[Counter.LATE] == 1
    assert bench.attribution.waiting == 0


def test_reward_at_expiry_is_unmatched() -> None:
    """The expiry ends the correction window: one millisecond before it corrects, at it nothing is found."""
    bench = Bench(correction_ms=50)
    bench.say(decision(0))
    assert len(bench.say(reward(49, 1))) == 1
    assert bench.say(reward(50, 2)) == []
    assert bench.counts[Counter.UNMATCHED] == 1


def test_stream_time_never_runs_back_and_dead_rows_do_not_move_it() -> None:
    """A record older than the last is taken at stream time; dead rows have no time."""
    bench = Bench(wait_ms=10)
    bench.say(tick(500), Event("dead"), decision(100))
    assert bench.attribution.stream_time == 500
    assert bench.attribution.due() == 510
    assert bench.say(Event("observation", 510, id=5, unit=5)) == [(Emit.LEARNT, 0, 0, 0, 500)]


def test_retry_before_maturity_replaces_the_action_in_the_first_place() -> None:
    """The last one before maturity counts, with the first one's deadline; after it retries change nothing."""
    bench = Bench(wait_ms=100)
    bench.say(decision(0))
    assert bench.say(decision(60, action="b")) == [
        (Emit.UNDECIDED, 0, 0, 0, 0),
        (Emit.DECIDED, 1, 0, 0, 0),
    ]
    assert bench.say(decision(70, action="b")) == []
    assert bench.say(decision(100, action="c")) == [(Emit.LEARNT, 1, 0, 0, 0)]
    assert bench.counts[Counter.DECISIONS] == 1
    assert bench.counts[Counter.DUPLICATE_DECISIONS] == 3


def test_same_id_with_another_unit_is_a_conflict() -> None:
    """It is counted and ignored; time still moves."""
    bench = Bench()
    bench.say(decision(0))
    assert bench.say(decision(30, unit=2, action="b")) == []
    assert bench.counts[Counter.CONFLICTS] == 1
    assert bench.attribution.stream_time == 30


def test_rewards_before_their_decision_wait_for_it_in_order() -> None:
    """A dangling reward is held for the wait, then unmatched; matched ones aggregate in order of arrival."""
    bench = Bench(wait_ms=100, aggregation="first")
    bench.say(reward(0, 1, value=0.25), reward(40, 2, value=0.5), reward(50, 3, value=0.75))
    assert bench.say(decision(100)) == [(Emit.DECIDED, 0, 0, 0, 100)]
    assert bench.counts[Counter.UNMATCHED] == 1
    assert bench.say(tick(200)) == [(Emit.LEARNT, 0, 0, ONE // 2, 100)]
    assert bench.counts[Counter.UNMATCHED] == 1
    assert bench.counts[Counter.REWARDS] == 3


def test_consumed_rewards_stay_consumed_after_loading() -> None:
    """Tables rebuilt on load do not resurrect rewards that a decision has taken."""
    bench = Bench(wait_ms=100, correction_ms=0)
    bench.say(reward(50, 1), decision(60))
    bench.attribution = Attribution.load(bench.attribution.rule, bench.attribution.dump())
    assert bench.say(decision(60, 2, 2), tick(149)) == [(Emit.DECIDED, 0, 0, 0, 60)]
    assert bench.say(tick(160)) == [(Emit.LEARNT, 0, 0, ONE, 60), (Emit.LEARNT, 0, 0, 0, 60)]
    assert bench.counts[Counter.UNMATCHED] == 0


def test_rewards_by_unit_credit_its_last_decision() -> None:
    """The unit's last decision on the log counts; without any the reward is unmatched at once."""
    bench = Bench(wait_ms=100)
    bench.say(decision(0, 1, 7, "a"), decision(1, 2, 7, "b"), decision(2, 3, 8, "c"))
    bench.say(reward(3, 1, None, unit=7), reward(3, 2, None, unit=9))
    assert bench.counts[Counter.UNMATCHED] == 1
    assert [e[3] for e in bench.say(tick(200))] == [0, ONE, 0]


def test_activation_lets_decisions_count() -> None:
    """Activated before the deadline: learnt there. After it: learnt then. Never: undecided at expiry."""
    bench = Bench(wait_ms=10, correction_ms=10, activation=True)
    bench.say(decision(0, 1, 1, "a"), decision(0, 2, 2, "b"), decision(0, 3, 3, "c"))
    bench.say(Event("activation", 5, id=1), reward(6, 1, 2))
    assert bench.say(tick(10)) == [(Emit.LEARNT, 0, 0, 0, 0)]
    assert bench.say(reward(12, 2, 2, value=0.5)) == []
    assert bench.say(Event("activation", 15, id=2)) == [(Emit.LEARNT, 1, 0, ONE + ONE // 2, 0)]
    assert bench.say(reward(16, 3, 2)) == [(Emit.CORRECTED, 1, ONE + ONE // 2, 2 * ONE + ONE // 2, 0)]
    assert bench.say(tick(20)) == [(Emit.UNDECIDED, 2, 0, 0, 0)]
    bench.say(Event("activation", 20, id=3))
    assert bench.counts[Counter.UNMATCHED_ACTIVATIONS] == 1
    assert bench.counts[Counter.UNACTIVATED] == 1


@pytest.mark.parametrize(
    ("aggregation", "units"), [("sum", 6), ("first", 1), ("last", 3), ("max", 3), ("mean", 2)]
)
def test_aggregations_count_in_whole_units(aggregation: str, units: int) -> None:
    """Several rewards of one decision come down to one integer."""
    bench = Bench(high=9.0, wait_ms=10, aggregation=aggregation, unit_bits=0)
    bench.say(decision(0), reward(1, 1, value=1.0), reward(1, 2, value=2.0), reward(1, 3, value=3.0))
    assert bench.say(tick(10))[0][3] == units


def test_mean_rounds_down() -> None:
    """Floor of the quotient, also below zero."""
    bench = Bench(low=-9.0, wait_ms=10, aggregation="mean", unit_bits=0)
    bench.say(decision(0), reward(1, 1, value=-1.0), reward(1, 2, value=-2.0))
    assert bench.say(tick(10))[0][3] == -2


def test_default_counts_only_without_rewards() -> None:
    """A decision without reward is worth the default, one with rewards only those."""
    bench = Bench(wait_ms=10, default=0.5)
    bench.say(decision(0), decision(0, 2, 2), reward(1, 1))
    assert [e[3] for e in bench.say(tick(10))] == [ONE, ONE // 2]


def test_outcomes_are_learnt_at_once_and_once() -> None:
    """Duplicates within wait + correction are dropped; reward ids do not collide with outcome ids."""
    bench = Bench(correction_ms=100)
    outcome = Event("outcome", 10, id=4, unit=1, action="b", value=1 / 3)
    units = round(ONE / 3)
    assert bench.say(outcome) == [(Emit.DECIDED, 1, 0, 0, 10), (Emit.LEARNT, 1, 0, units, 10)]
    bench.say(outcome, reward(109, 4))
    assert bench.counts[Counter.DUPLICATE_OUTCOMES] == 1
    assert bench.counts[Counter.REWARDS] == 1
    bench.say(tick(110), outcome)
    assert bench.counts[Counter.OUTCOMES] == 2
    assert bench.counts[Counter.REWARD_UNITS] == 2 * units + ONE


def test_rows_it_cannot_use_are_named() -> None:
    """Unknown actions and values out of range or not a number go to the dead letters, with what was given."""
    bench = Bench()
    bench.say(
        decision(1, action="nobody"),
        Event("outcome", 2, id=2, unit=2, action="a", value=1.5),
        reward(3, 1, value=float("nan")),
        reward(4, 2, value=float("inf")),
    )
    assert ["nobody" in m or "1.5" in m or "nan" in m or "inf" in m for m in bench.dead] == [True] * 4
    assert bench.counts[Counter.DEAD] == 4
    assert bench.counts.sum() == 4
    assert bench.attribution.stream_time == 4


def test_rewards_of_other_names_are_left_alone() -> None:
    """They are counted, and their ids are not remembered."""
    bench = Bench(name="click")
    bench.say(decision(0), reward(1, 1), reward(1, 1, name="click"))
    assert bench.counts[Counter.OTHER_REWARDS] == 1
    assert bench.counts[Counter.REWARDS] == 1


def test_overflow_is_refused_by_the_same_record_for_any_batch() -> None:
    """A sum beyond 64 bits raises, wherever batches are cut."""
    events = [decision(0), *(reward(1, i, value=2.0**30) for i in range(2))]
    whole, single = Bench(high=2.0**31, wait_ms=10), Bench(high=2.0**31, wait_ms=10)
    with pytest.raises(FoldError, match=r"row 2: .* 64 bits") as caught:
        whole.say(*events)
    assert caught.value.code == "fold.overflow"
    single.say(events[0])
    single.say(events[1])
    with pytest.raises(FoldError, match=r"row 0: .* 64 bits"):
        single.say(events[2])


def test_markers_inside_move_time_only_and_rows_are_the_batch_s() -> None:
    """A range of rows is folded; emits name rows of the batch."""
    bench = Bench(wait_ms=10)
    batch = columns([decision(0), decision(1, 2), Event("definition", 11), decision(12, 3)])
    emits, counts, _ = bench.attribution.apply(batch, 1, 3, remap(batch), 0.0, 1.0)
    assert emits.row.tolist() == [1, 2]
    assert counts[Counter.DECISIONS] == 1
    assert bench.attribution.stream_time == 11


def test_memory_follows_what_is_live() -> None:
    """After a hundred windows of records, dump and arrays are as large as one window."""
    bench = Bench(correction_ms=10)
    for start in range(0, 1000, 10):
        bench.say(*(Event("outcome", start + i, id=start * 9 + i, unit=1, action="a") for i in range(10)))
        bench.say(*(decision(start + 9, start * 9 + i) for i in range(9)))
    state = bench.attribution._state
    assert max(len(state.decisions), len(state.by_id), len(state.seen), len(state.by_seen)) <= 64
    assert sum(map(len, bench.attribution.dump())) < 5000


def test_blocks_keep_their_bytes_while_the_ends_move() -> None:
    """Pages of a long queue stay equal, except the first and last of each ring and page 0."""
    bench = Bench(correction_ms=80_000)
    outcomes = [Event("outcome", i, id=i, unit=1, action="a") for i in range(92_000)]
    bench.say(*outcomes[:80_000])
    before = bench.attribution.dump()
    bench.say(*outcomes[80_000:])
    after = bench.attribution.dump()
    assert len(set(before) & set(after)) >= 80_000 // SEEN_BLOCK - 2


@pytest.mark.parametrize("harm", ["none", "short", "extra", "swapped", "cut", "garbage", "rule"])
def test_damaged_pages_are_refused(harm: str) -> None:
    """What is not a dump of this rule is an error with a stable code, never a state."""
    bench = Bench(wait_ms=10)
    bench.say(decision(0), reward(1, 1), reward(1, 2, 99))
    pages = bench.attribution.dump()
    rule = bench.attribution.rule
    harmed = {
        "none": [],
        "short": pages[:-1],
        "extra": [*pages, pages[-1]],
        "swapped": [pages[0], *pages[:0:-1]],
        "cut": [pages[0], pages[1][:-8], *pages[2:]],
        "garbage": [b"nothing", *pages[1:]],
        "rule": pages,
    }[harm]
    with pytest.raises(FoldError) as caught:
        Attribution.load(RewardRule(wait_ms=11) if harm == "rule" else rule, harmed)
    assert caught.value.code in {"fold.damaged_page", "fold.damaged_root"}
