"""A timeline: what happened in a loop, by action and bucket of stream time, exact for a log of any length.

Buckets are aligned at absolute multiples of their width, which is a second times a power of two: the least at
which no more buckets are held than there is room for. Only buckets in which a record stands are held, so that one
record of a wrong year costs no resolution. As widths nest, what is held is a function of which records were
folded, not of their grouping: merging is exact, associative and commutative.
"""

from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from foldline.fold.vocabulary import Vocabulary, joined
from foldline.stats.exact_sums import add_squares, add_sums

Int64s = npt.NDArray[np.int64]
UInt64s = npt.NDArray[np.uint64]

BASE_MS = 1000
"""Width of the narrowest bucket."""

MOST_BUCKETS = 256
"""Buckets held, at most."""

MOST_CELLS = 16_384
"""Buckets times actions held, at most, as long as there are no fewer buckets than `FEWEST`."""

FEWEST = 32


class Event(IntEnum):
    """Columns of what is counted by bucket, whatever the action."""

    RECORDS = 0
    """Records of any kind."""
    REWARDS = 1
    """Rewards accepted."""
    LATE = 2
    """Accepted rewards that found their decision mature."""
    UNMATCHED = 3
    """Accepted rewards given up, as no decision came for them."""
    DEAD = 4
    """Records that could not be used."""


@dataclass(slots=True)
class Timeline:
    """What was folded, in b buckets, for a actions. The half of the fold's state that merges.

    Decisions and what was learnt of them stand in the bucket of the decision's stream time, however late the
    reward came; events stand in the bucket of the stream time at their record.

    Attributes:
        doublings: buckets are 2^doublings seconds wide.
        buckets: (b,) int64, time over width of each bucket, rising.
        decided: (b, a) int64, decisions.
        count: (b, a) int64, decisions learnt.
        sum: (b, a) int64, their rewards in reward units.
        low: (b, a) uint64, lower 64 bits of the sum of the squares of their rewards, in squared reward units.
        high: (b, a) uint64, upper 64 bits of it.
        events: (b, len(Event)) int64.
        vocabulary: actions and range.
        stream_time: running maximum of record times, milliseconds; 0 before the first record.
    """

    doublings: int
    buckets: Int64s
    decided: Int64s
    count: Int64s
    sum: Int64s
    low: UInt64s
    high: UInt64s
    events: Int64s
    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    stream_time: int = 0

    @property
    def width_ms(self) -> int:
        """Width of a bucket, milliseconds."""
        return BASE_MS << self.doublings


COUNTED = ("decided", "count", "sum", "events")
SQUARES = ("low", "high")


def nothing() -> Timeline:
    """The identity of `merge`."""
    return _blank(0, np.zeros(0, np.int64), Vocabulary())


def merge(left: Timeline, right: Timeline) -> Timeline:
    """One timeline of all that both have folded; neither changes.

    Raises:
        FoldError: `fold.overflow`, `fold.not_mergeable`.
    """
    vocabulary = joined(left.vocabulary, right.vocabulary)
    doublings = max(left.doublings, right.doublings)
    left, right = (coarsened(widened(part, vocabulary), doublings) for part in (left, right))
    buckets = np.union1d(left.buckets, right.buckets)
    left, right = laid_out(left, buckets), laid_out(right, buckets)
    return fitted(replace(_added(left, right), stream_time=max(left.stream_time, right.stream_time)))


def widened(timeline: Timeline, vocabulary: Vocabulary) -> Timeline:
    """The timeline with that vocabulary, of which its own actions are the beginning; wider buckets if need be."""
    wide = _blank(timeline.doublings, timeline.buckets, vocabulary, timeline.stream_time)
    for name in (*COUNTED, *SQUARES):
        array = getattr(timeline, name)
        getattr(wide, name)[:, : array.shape[1]] = array
    return fitted(wide)


def reaching(timeline: Timeline, seconds: Int64s) -> Timeline:
    """The timeline with a bucket for each of these times, in seconds; wider buckets if need be."""
    wanted = seconds >> timeline.doublings
    if len(timeline.buckets) and (wanted == timeline.buckets[-1]).all():
        return timeline
    buckets = np.union1d(timeline.buckets, wanted)
    if len(buckets) == len(timeline.buckets):
        return timeline
    doublings = timeline.doublings
    while len(buckets) > most_buckets(timeline):
        doublings += 1
        buckets = np.unique(buckets >> 1)
    return laid_out(coarsened(timeline, doublings), buckets)


def fitted(timeline: Timeline) -> Timeline:
    """The timeline in the narrowest buckets, no narrower than now, of which there is room for all."""
    while len(timeline.buckets) > most_buckets(timeline):
        timeline = coarsened(timeline, timeline.doublings + 1)
    return timeline


def most_buckets(timeline: Timeline) -> int:
    """How many buckets there is room for: fewer where there are very many actions."""
    actions = len(timeline.vocabulary.actions)
    return min(MOST_BUCKETS, max(FEWEST, MOST_CELLS // max(actions, 1)))


def coarsened(timeline: Timeline, doublings: int) -> Timeline:
    """The timeline in buckets of 2^doublings seconds, at least as wide as now; pairs of buckets become one.

    Raises:
        FoldError: `fold.overflow`.
    """
    while timeline.doublings < doublings:
        halves = timeline.buckets & 1
        parts = [_selected(timeline, halves == half, timeline.doublings + 1) for half in (0, 1)]
        buckets = np.unique(timeline.buckets >> 1)
        timeline = _added(*(laid_out(part, buckets) for part in parts))
    return timeline


def laid_out(timeline: Timeline, buckets: Int64s) -> Timeline:
    """The timeline over these buckets, which hold all of its own."""
    places = np.searchsorted(buckets, timeline.buckets)
    wide = _blank(timeline.doublings, buckets, timeline.vocabulary, timeline.stream_time)
    for name in (*COUNTED, *SQUARES):
        getattr(wide, name)[places] = getattr(timeline, name)
    return wide


def _selected(timeline: Timeline, chosen: npt.NDArray[np.bool_], doublings: int) -> Timeline:
    """Some of the buckets, as buckets of that width."""
    arrays: dict[str, Any] = {name: getattr(timeline, name)[chosen] for name in (*COUNTED, *SQUARES)}
    shift = doublings - timeline.doublings
    return replace(timeline, doublings=doublings, buckets=timeline.buckets[chosen] >> shift, **arrays)


def _added(left: Timeline, right: Timeline) -> Timeline:
    """The sum of two timelines over the same buckets and actions."""
    sums: dict[str, Any] = {name: add_sums(getattr(left, name), getattr(right, name)) for name in COUNTED}
    low, high = add_squares((left.low, left.high), (right.low, right.high))
    return replace(left, **sums, low=low, high=high)


def _blank(doublings: int, buckets: Int64s, vocabulary: Vocabulary, stream_time: int = 0) -> Timeline:
    shape = (len(buckets), len(vocabulary.actions))
    zeros: dict[str, Any] = {name: np.zeros(shape, np.int64) for name in ("decided", "count", "sum")}
    zeros |= {name: np.zeros(shape, np.uint64) for name in SQUARES}
    zeros["events"] = np.zeros((len(buckets), len(Event)), np.int64)
    return Timeline(doublings, buckets, **zeros, vocabulary=vocabulary, stream_time=stream_time)
