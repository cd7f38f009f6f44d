"""The tally fold: equal to a plain count, for any batch, restart and order of partitions."""

import msgspec
import numpy as np
import pytest

from foldline.experiments.tally import PhaseSeen, Tally, late_minutes, merge
from foldline.experiments.tally_fold import TallyFold
from foldline.experiments.tally_layout import Count, Counter
from foldline.records.codec import decode, encode_lines
from foldline.records.columns import Columns
from foldline.records.types import Decision, Observation, Phase, Reward, Tick
from foldline.stats.exact_moments import wide_integers
from foldline.testing.check_fold import check_fold
from tests.experiments.tallies import MINUTE, PAIRS, START, PlainTally, definition, log

FOLD = TallyFold(definition())
KEYS = FOLD.variants


def _columns(count: int, seed: int) -> Columns:
    return decode(encode_lines(log(count, seed)))


def _known(columns: Columns, fold: TallyFold = FOLD) -> Tally:
    state = fold.empty()
    fold.apply(state, columns)
    return state.known


@pytest.mark.parametrize("seed", range(3))
def test_equals_a_plain_count(seed: int) -> None:
    """Every minute's units, sums and sums of products, integer by integer."""
    records = log(1500, seed)
    plain = PlainTally(definition())
    for record in records:
        plain.add(record)
    known = _known(decode(encode_lines(records)))
    for i, minute in enumerate(known.minutes.tolist()):
        for k, key in enumerate(KEYS):
            at = (minute, key)
            assert known.counts[i, k].tolist() == [plain.enrolled[at], plain.matured[at], plain.mixed[at]], at
            assert known.sums[i, k].tolist() == plain.sums[at], at
            assert wide_integers(known.low[i, k], known.high[i, k]) == plain.products[at], at
    minutes = {
        at[0] for table in (plain.enrolled, plain.matured, plain.mixed) for at, n in table.items() if n
    }
    assert minutes <= set(known.minutes.tolist())
    own, came = late_minutes(known.late.minutes)
    for i, (at_own, at_came) in enumerate(zip(own.tolist(), came.tolist(), strict=True)):
        for k, key in enumerate(KEYS):
            late, products = (
                plain.late[at_own, at_came, key],
                wide_integers(known.late.low[i, k], known.late.high[i, k]),
            )
            found = [*known.late.counts[i, k].tolist(), *known.late.sums[i, k].tolist(), *products]
            assert found == late, (at_own, at_came, key)
    assert {at[:2] for at, change in plain.late.items() if any(change)} <= set(
        zip(own.tolist(), came.tolist(), strict=True)
    )
    assert len(own)
    assert len(PAIRS) == len(FOLD.kept.pairs)
    assert known.counters[Counter.REVISIONS] > 0
    assert known.counters[Counter.DUPLICATES] > 0
    assert known.counters[Counter.FORCED] > 0
    assert sum(plain.mixed.values()) > 0


def test_passes_the_conformance_suite() -> None:
    """Batches, resumption and a lagging pending half give the same bytes."""
    assert "lagging_pending" in check_fold(FOLD, _columns(1200, 9))


def test_conformance_with_short_memory_and_no_wait() -> None:
    """Units that mature within their own record, ids that are soon forgotten and come again."""
    fold = TallyFold(definition(window_ms=0, maturity_ms=0, late_ms=20_000))
    check_fold(fold, _columns(900, 3))


def test_a_phase_counts_from_its_marker_on() -> None:
    """As if nothing had been before, for any batches and restarts; it is another fold than the one before."""
    before, after = log(500, 4), log(700, 5)
    marker = msgspec.structs.replace(before[-1], version=4, state="running")
    fold = TallyFold(definition(phase=4))
    columns = decode(encode_lines([*before, marker, *after[1:]]))
    check_fold(fold, columns)
    assert fold.dump_known(_known(columns, fold)) == FOLD.dump_known(
        _known(decode(encode_lines([marker, *after[1:]])))
    )
    assert fold.parameters() != FOLD.parameters()


def test_merge_is_exact_associative_and_has_an_identity() -> None:
    """Partitions merge to the same bytes in any grouping; the empty tally changes nothing."""
    a, b, c = (_known(_columns(500, seed)) for seed in (1, 2, 3))
    left, right = merge(merge(a, b), c), merge(a, merge(b, c))
    assert FOLD.dump_known(left) == FOLD.dump_known(right) == FOLD.dump_known(merge(merge(c, b), a))
    assert FOLD.dump_known(merge(a, FOLD.nothing())) == FOLD.dump_known(a)
    assert FOLD.dump_known(FOLD.load_known(FOLD.dump_known(left))) == FOLD.dump_known(left)


def test_what_a_minute_holds_stays_once_stream_time_has_left_it() -> None:
    """A prefix's final minutes are those of the whole log."""
    columns = _columns(1500, 5)
    whole = _known(columns)
    for stop in (300, 700, 1100):
        part = _known(columns.slice(0, stop))
        mine, all_ = part.upto(part.final_minute), whole.upto(part.final_minute)
        assert np.array_equal(mine.counts, all_.counts)
        assert mine.products == all_.products


def _decided(i: int, unit: str, time: int, variant: str = "b") -> Decision:
    return Decision(
        time=time, id=f"0.0.{i}", unit=unit, action="a", propensity=1.0, bundle="b", definition=1, experiment="ctr",
        variant=variant, probability=0.5,
    )  # fmt: skip


def test_a_covariate_counts_before_exposure_only() -> None:
    """An observation a moment after the first decision is no covariate any more."""
    records = [
        Observation(time=START, id="1", unit="u", name="before", value=2.0),
        _decided(1, "u", START),
        Observation(time=START, id="2", unit="u", name="before", value=5.0),
        Tick(time=START + 5 * MINUTE),
    ]
    known = _known(decode(encode_lines(records)))
    assert known.sums.sum(axis=0)[1].tolist() == [0, 0, 2 << 32, 0, 0]
    assert known.counters[Counter.OUTSIDE] == 1


def test_values_without_room_are_refused_and_counted() -> None:
    """A value beyond its units changes nothing but the counter."""
    records = [_decided(1, "u", START), Reward(time=START, id="r", unit="u", name="revenue", value=1e300)]
    known = _known(decode(encode_lines([*records, Tick(time=START + 5 * MINUTE)])))
    assert known.counters[Counter.REFUSED] == 1
    assert known.counts[:, 1, Count.MATURED].sum() == 1
    assert not known.sums.any()


def test_few_pages_change_between_dumps() -> None:
    """Units stand in pages by their hash: what one unit does changes its page, the head and the newest of time."""
    records = [_decided(i, f"u{i}", START + i // 50) for i in range(40_000)]
    state = FOLD.empty()
    FOLD.apply(state, decode(encode_lines(records)))
    before = FOLD.dump(state)
    FOLD.apply(
        state, decode(encode_lines([Reward(time=START + 900, id="r", unit="u7", name="click", value=1.0)]))
    )
    after = FOLD.dump(state)
    changed = [page for page in after.pending if page not in set(before.pending)]
    assert len(before.pending) > 16
    assert len(changed) <= 3


def test_a_marker_counts_from_its_place() -> None:
    """At the stream time there, whatever its own clock said; of several partitions the first place counts."""
    known = []
    for time in (5 * MINUTE, 7 * MINUTE):
        records = [Tick(time=time), Phase(time=2 * MINUTE, experiment="ctr", version=3, state="ended")]
        known.append(_known(decode(encode_lines([*records, Tick(time=9 * MINUTE)]))))
        assert known[-1].phases == (PhaseSeen(3, "ended", time),)
    assert merge(*known).phases == merge(*known[::-1]).phases == known[0].phases


def test_a_running_experiment_asks_for_ticks_until_its_last_unit_has_matured() -> None:
    """The end of the minute while it runs, or while a unit waits; nothing afterwards."""
    records = log(100, 1)
    state = FOLD.empty()
    FOLD.apply(state, decode(encode_lines(records[:50])))
    assert FOLD.due(state) == (state.known.stream_time // MINUTE + 1) * MINUTE
    FOLD.apply(state, decode(encode_lines(records[50:])))
    assert FOLD.due(state) is not None
    FOLD.apply(state, decode(encode_lines([Tick(time=records[-1].time + 10 * MINUTE)])))
    assert FOLD.due(state) is None


def test_what_came_late_asks_for_the_end_of_its_minute() -> None:
    """Long after the last unit has matured: else a revision would wait for the loop's next record."""
    late = Reward(time=START, id="r", unit="u", name="click", value=1.0)
    records = [_decided(1, "u", START), Tick(time=START + 6 * MINUTE)]
    state = FOLD.empty()
    FOLD.apply(state, decode(encode_lines(records)))
    assert FOLD.due(state) is None
    FOLD.apply(state, decode(encode_lines([late])))
    assert FOLD.due(state) == (START // MINUTE + 7) * MINUTE
    FOLD.apply(state, decode(encode_lines([Tick(time=START + 7 * MINUTE)])))
    assert FOLD.due(state) is None
