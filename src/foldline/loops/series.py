"""Series to plot, from a timeline: pure arithmetic, so that a plot can be recomputed from its cut."""

import math

import msgspec
import numpy as np
import numpy.typing as npt

from foldline.loops.timeline import Event, Int64s, Timeline, laid_out
from foldline.stats.mean_interval import mean_interval
from foldline.stats.wilson import wilson_interval

Float64s = npt.NDArray[np.float64]
Points = list[float | None]
"""One number for each bucket, None where there is none."""

HIGHLIGHTED = 7
"""Actions with every series, the most often decided first."""

WINDOW = 16
"""Buckets of which what is recent is the average."""

DRAWN = 40
"""Actions with a series of estimates at least."""


class ActionSeries(msgspec.Struct, frozen=True, kw_only=True):
    """One action.

    Attributes:
        action: its name.
        active: whether the newest definition allows it.
        decisions: how often it was decided.
        pulls: how many of its decisions were learnt.
        mean: its average reward, None where nothing was learnt.
        low: lower limit of the 95 % interval of `mean`, None where there is none.
        high: upper limit.
        means: average reward up to each bucket's end; empty where not drawn.
        lows: lower limits; empty where not highlighted, like the two that follow.
        highs: upper limits.
        shares: share of the bucket's decisions, 0 to 1.
    """

    action: str
    active: bool
    decisions: int
    pulls: int
    mean: float | None
    low: float | None
    high: float | None
    means: Points = []
    lows: Points = []
    highs: Points = []
    shares: Points = []


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """A loop over time; every list has one entry a bucket.

    Where nothing happened for longer than a bucket, an empty one stands at either end of the gap.

    Attributes:
        width_ms: width of a bucket.
        stream_time: of the newest record, milliseconds; 0 before the first.
        times: start of each bucket, milliseconds since 1970-01-01 UTC.
        average: average reward of all decisions learnt up to the bucket's end.
        recent: average reward of the decisions of the bucket and of the `WINDOW` - 1 before it.
        baseline: mean over the actions of their averages: what deciding every action equally often would earn.
        rate: records a second of stream time; None in the newest bucket before its first half, or second, is over.
        rewards: rewards accepted.
        late: of them, those that found their decision mature.
        unmatched: rewards given up.
        dead: records that could not be used.
        zero_one: whether every reward learnt is 0 or 1, and so intervals are Wilson's; else of the normal kind.
        actions: by decisions, the most first.
    """

    width_ms: int
    stream_time: int
    times: list[int]
    average: Points
    recent: Points
    baseline: Points
    rate: Points
    rewards: list[int]
    late: list[int]
    unmatched: list[int]
    dead: list[int]
    zero_one: bool
    actions: list[ActionSeries]


def series_of(
    timeline: Timeline, unit_bits: int, *, highlighted: int = HIGHLIGHTED, drawn: int = DRAWN
) -> Series:
    """The series of a timeline, at most three times as many points as it has buckets.

    Args:
        timeline: merged over the partitions.
        unit_bits: rewards in it are in units of 2^-unit_bits.
        highlighted: actions with every series.
        drawn: actions with a series of estimates at least.
    """
    timeline = _with_gaps(timeline)
    decisions = timeline.decided.sum(axis=0)
    zero_one = _zero_one(timeline, unit_bits)
    shares = _quotient(timeline.decided, timeline.decided.sum(axis=1, keepdims=True))
    estimates = _Estimates(timeline, unit_bits, zero_one)
    ranked = sorted(range(len(decisions)), key=lambda i: -int(decisions[i]))
    active = set(timeline.vocabulary.active)
    actions = []
    for rank, i in enumerate(ranked):
        low, high = estimates.limits(i, len(timeline.buckets) - 1) if len(timeline.buckets) else (None, None)
        means = estimates.means[:, i]
        action = ActionSeries(
            action=timeline.vocabulary.actions[i],
            active=timeline.vocabulary.actions[i] in active,
            decisions=int(decisions[i]),
            pulls=int(timeline.count[:, i].sum()),
            mean=_points(means[-1:])[0] if len(means) else None,
            low=low,
            high=high,
            means=_points(means) if rank < drawn else [],
        )
        if rank < highlighted:
            limits = [estimates.limits(i, at) for at in range(len(means))]
            action = msgspec.structs.replace(
                action,
                lows=[low for low, _ in limits],
                highs=[high for _, high in limits],
                shares=_points(shares[:, i]),
            )
        actions.append(action)
    events = {event: timeline.events[:, event].tolist() for event in Event}
    return Series(
        width_ms=timeline.width_ms,
        stream_time=timeline.stream_time,
        times=(timeline.buckets * timeline.width_ms).tolist(),
        average=_points(estimates.average()),
        recent=_points(estimates.recent()),
        baseline=_points(estimates.baseline()),
        rate=_rate(timeline),
        rewards=events[Event.REWARDS],
        late=events[Event.LATE],
        unmatched=events[Event.UNMATCHED],
        dead=events[Event.DEAD],
        zero_one=zero_one,
        actions=actions,
    )


class _Estimates:
    """Averages and intervals up to each bucket's end. Sums are Python integers: their running totals are exact."""

    def __init__(self, timeline: Timeline, unit_bits: int, zero_one: bool) -> None:
        self._unit_bits = unit_bits
        self._zero_one = zero_one
        self.count = timeline.count.cumsum(axis=0)
        self.sum = timeline.sum.astype(object).cumsum(axis=0)
        squares = (timeline.high.astype(object) << 64) + timeline.low.astype(object)
        self.squares = squares.cumsum(axis=0)
        self.means = _means(self.sum, self.count, unit_bits)

    def average(self) -> Float64s:
        """Of all actions together."""
        return _means(self.sum.sum(axis=1), self.count.sum(axis=1), self._unit_bits)

    def recent(self) -> Float64s:
        """Of all actions together, in a window that ends with each bucket."""
        total, count = self.sum.sum(axis=1), self.count.sum(axis=1)
        earlier_total, earlier_count = np.zeros_like(total), np.zeros_like(count)
        earlier_total[WINDOW:], earlier_count[WINDOW:] = total[:-WINDOW], count[:-WINDOW]
        return _means(total - earlier_total, count - earlier_count, self._unit_bits)

    def baseline(self) -> Float64s:
        """The mean of the actions' averages, over those of which something was learnt."""
        known = ~np.isnan(self.means)
        return _quotient(np.where(known, self.means, 0.0).sum(axis=1), known.sum(axis=1))

    def limits(self, action: int, at: int) -> tuple[float | None, float | None]:
        """The 95 % interval of an action's average up to the end of bucket `at`."""
        n, mean = int(self.count[at, action]), float(self.means[at, action])
        if n == 0:
            return None, None
        if self._zero_one:
            interval = wilson_interval(int(self.sum[at, action]) >> self._unit_bits, n)
        else:
            interval = mean_interval(n, mean, self._variance(action, at, n))
        return (interval.low, interval.high) if interval else (None, None)

    def _variance(self, action: int, at: int, n: int) -> float:
        if n < 2:
            return 0.0
        total, squares = int(self.sum[at, action]), int(self.squares[at, action])
        return (n * squares - total * total) / (n * (n - 1)) / 4.0**self._unit_bits


def _with_gaps(timeline: Timeline) -> Timeline:
    """The timeline with an empty bucket at either end of every gap."""
    buckets = timeline.buckets
    before = np.flatnonzero(np.diff(buckets) > 1)
    if not len(before):
        return timeline
    return laid_out(
        timeline, np.unique(np.concatenate((buckets, buckets[before] + 1, buckets[before + 1] - 1)))
    )


def _zero_one(timeline: Timeline, unit_bits: int) -> bool:
    """Whether the squares of the rewards add up to the rewards themselves, as those of 0 and 1 alone do."""
    if (timeline.sum < 0).any():
        return False
    units = timeline.sum.astype(np.uint64)
    carried = units >> np.uint64(64 - unit_bits) if unit_bits else np.zeros_like(units)
    return bool((timeline.low == units << np.uint64(unit_bits)).all() and (timeline.high == carried).all())


def _rate(timeline: Timeline) -> Points:
    records, width_s = timeline.events[:, Event.RECORDS].tolist(), timeline.width_ms / 1000
    rate: Points = [count / width_s for count in records]
    if rate:
        elapsed_s = (timeline.stream_time - int(timeline.buckets[-1]) * timeline.width_ms) / 1000
        rate[-1] = records[-1] / elapsed_s if elapsed_s >= max(1.0, width_s / 2) else None
    return rate


def _means(total: npt.NDArray[np.generic], count: Int64s, unit_bits: int) -> Float64s:
    return _quotient(total.astype(np.float64), count) / 2.0**unit_bits


def _quotient(above: Float64s | Int64s, below: Int64s) -> Float64s:
    """above / below, NaN where below is not positive."""
    with np.errstate(divide="ignore", invalid="ignore"):
        quotient: Float64s = np.where(below > 0, above / below, math.nan)
    return quotient


def _points(values: Float64s) -> Points:
    return [None if value != value else value for value in values.tolist()]
