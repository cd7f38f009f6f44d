"""Attribution against brute force, on random logs, for any batch size and any cut."""

from dataclasses import dataclass

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from foldline.fold.attribution import Attribution
from foldline.fold.counters import Counter
from foldline.fold.rule import RewardRule
from tests.fold.logs import ACTIONS, columns, random_log, remap, rules
from tests.fold.oracle import Event, Oracle, Told, run

LOW, HIGH = -1.0, 1.0
modest = settings(max_examples=60, deadline=None, derandomize=True)


@dataclass
class Folded:
    """What came out of a whole log."""

    told: list[Told]
    counts: list[int]
    dead: list[tuple[int, str]]
    dues: list[int | None]
    pages: list[bytes]


def fold(attribution: Attribution, events: list[Event], size: int, *, first: int = 0) -> Folded:
    """Fold the events in batches; rows are counted from the start of the log."""
    out = Folded([], [0] * len(Counter), [], [], [])
    for start in range(first, len(events), size):
        batch = columns(events[start : start + size])
        emits, counts, dead = attribution.apply(batch, 0, len(batch), remap(batch), LOW, HIGH)
        rows = (emits.kind, emits.action, emits.old, emits.new, emits.time, emits.row + start)
        out.told += list(zip(*(column.tolist() for column in rows), strict=True))
        out.counts = [a + b for a, b in zip(out.counts, counts.tolist(), strict=True)]
        out.dead += [(d.row + start, d.code) for d in dead]
        out.dues.append(attribution.due())
    out.pages = attribution.dump()
    return out


def expected(rule: RewardRule, events: list[Event]) -> tuple[Oracle, list[int | None]]:
    """The log through the oracle."""
    oracle = Oracle(rule, ACTIONS, LOW, HIGH)
    return oracle, list(run(oracle, events))


@modest
@given(rules(), st.integers(0, 10**6), st.integers(1, 400), st.sampled_from([3, 12, 60]))
def test_equals_brute_force_for_any_batch_size(rule: RewardRule, seed: int, size: int, ids: int) -> None:
    """Emits, counters, dead rows, dues and dumps are those of the oracle, whatever the batches."""
    events = random_log(seed, size, ids=ids)
    oracle, dues = expected(rule, events)
    single = fold(Attribution(rule), events, 1)
    assert single.told == oracle.told
    assert single.counts == oracle.counts
    assert single.dead == oracle.dead
    assert single.dues == dues
    counted = [e for e in events if e.kind in {"decision", "outcome", "reward", "activation"}]
    assert sum(single.counts[: Counter.DEAD + 1]) == len(counted)
    for batch in (7, 1000):
        other = fold(Attribution(rule), events, batch)
        assert (other.told, other.counts, other.dead) == (single.told, single.counts, single.dead)
        assert other.pages == single.pages


@modest
@given(st.integers(0, 10**6), st.integers(1, 400), st.sampled_from([1, 20, 500]), st.sampled_from([0, 9]))
def test_outcomes_next_to_each_other_equal_brute_force(seed: int, size: int, span: int, wait: int) -> None:
    """Runs of outcomes, among them duplicates and bad ones, with what else happens now and then between."""
    rule = RewardRule(wait_ms=wait, correction_ms=span)
    others = [e for e in random_log(seed, size // 20) if e.kind != "outcome"]
    runs = [e for e in random_log(seed + 1, 5 * size, step=1) if e.kind == "outcome"]
    events = sorted(runs + others, key=lambda event: event.time)
    oracle, _ = expected(rule, events)
    for batch in (1, 7, 1000):
        folded = fold(Attribution(rule), events, batch)
        assert (folded.told, folded.counts, folded.dead) == (oracle.told, oracle.counts, oracle.dead)


@modest
@given(rules(), st.integers(0, 10**6), st.integers(1, 400), st.data())
def test_goes_on_after_loading_at_any_cut(
    rule: RewardRule, seed: int, size: int, data: st.DataObject
) -> None:
    """Dumping and loading anywhere changes nothing of what follows, bit for bit."""
    events = random_log(seed, size)
    whole = fold(Attribution(rule), events, 1000)
    cut = data.draw(st.integers(0, size))
    before = fold(Attribution(rule), events[:cut], 5)
    loaded = Attribution.load(rule, before.pages)
    assert loaded.dump() == before.pages
    after = fold(loaded, events, 5, first=cut)
    assert before.told + after.told == whole.told
    assert [a + b for a, b in zip(before.counts, after.counts, strict=True)] == whole.counts
    assert after.pages == whole.pages


def test_every_cut_of_one_log_goes_on() -> None:
    """A log with waits and dangling rewards, dumped and loaded after every single record."""
    rule = RewardRule(wait_ms=7, correction_ms=5, activation=True, aggregation="last")
    events = random_log(7, 300)
    whole = fold(Attribution(rule), events, 1000)
    told: list[Told] = []
    attribution = Attribution(rule)
    for row in range(len(events)):
        told += fold(attribution, events[: row + 1], 1, first=row).told
        attribution = Attribution.load(rule, attribution.dump())
    assert told == whole.told
    assert attribution.dump() == whole.pages


def test_long_log_through_growth_and_shrinkage() -> None:
    """Thousands of live decisions grow rings and tables; after a gap they shrink, and nothing else changes."""
    rule = RewardRule(wait_ms=3_000, correction_ms=2_000)
    events = [
        Event("decision" if i % 3 else "outcome", 1000 + i // 2, id=i, unit=i % 700, action="a", value=0.5)
        for i in range(12_000)
    ]
    events += [Event("reward", 7000, id=i, reward_id=i, value=1 / 3) for i in range(0, 12_000, 7)]
    events += [Event("tick", 20000), *random_log(3, 500)]
    results = [fold(Attribution(rule), events, size) for size in (1, 700, 20_000)]
    for other in results[1:]:
        assert other.told == results[0].told
        assert other.counts == results[0].counts
        assert other.pages == results[0].pages
    assert results[0].counts[Counter.LEARNT] >= 12_000
    assert len(results[0].pages) == 4


def test_all_columns_are_left_as_they_were() -> None:
    """Columns passed in may be read-only and strided, and never change."""
    batch = columns(random_log(5, 50))
    kept = columns(random_log(5, 50))
    batch.time.flags.writeable = False
    batch.id = np.repeat(batch.id, 2, axis=0)[::2]
    plain = Attribution(RewardRule()).apply(kept, 0, 50, remap(kept), LOW, HIGH)
    other = Attribution(RewardRule()).apply(batch, 0, 50, remap(batch), LOW, HIGH)
    assert other[0].kind.tolist() == plain[0].kind.tolist()
    assert other[1].tolist() == plain[1].tolist()
    assert batch.id.tolist() == kept.id.tolist()
