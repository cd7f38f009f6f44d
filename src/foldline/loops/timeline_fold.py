"""The timeline fold: the same joins as the policy fold's, kept by time instead of learnt."""

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from foldline.errors import FoldError
from foldline.fold.arrays import Arrays, dump_arrays, load_arrays, narrowed
from foldline.fold.counters import Counter
from foldline.fold.event_fold import EventFold, Told
from foldline.fold.vocabulary import Vocabulary
from foldline.loops.timeline import (
    BASE_MS,
    COUNTED,
    SQUARES,
    Event,
    Timeline,
    merge,
    nothing,
    reaching,
    widened,
)
from foldline.stats.exact_sums import add_sums, count_pulls, learn_squares, learn_sums

_EVENTS = {
    Event.REWARDS: Counter.REWARDS,
    Event.LATE: Counter.LATE,
    Event.UNMATCHED: Counter.UNMATCHED,
    Event.DEAD: Counter.DEAD,
}


class TimelineFold(EventFold[Timeline]):
    """Folds an event topic's partition into a `Timeline`. It is the same whatever the policy."""

    name = "timeline"
    version = 3

    def nothing(self) -> Timeline:
        """See `EventFold.nothing`."""
        return nothing()

    def stops(self, known: Timeline, times: npt.NDArray[np.int64], clock: int) -> list[int]:
        """See `EventFold.stops`: cuts where a bucket ends, so that what is counted has one bucket."""
        seconds = np.maximum.accumulate(np.maximum(times, clock)) // BASE_MS
        _become(known, reaching(known, seconds))
        return (np.flatnonzero(np.diff(seconds >> known.doublings)) + 1).tolist()

    def learn(self, known: Timeline, told: Told) -> bool:
        """See `EventFold.learn`."""
        at = int(np.searchsorted(known.buckets, (told.time // BASE_MS) >> known.doublings))
        added = np.zeros(len(Event), np.int64)
        added[Event.RECORDS] = told.rows
        for event, counter in _EVENTS.items():
            added[event] = told.counts[counter]
        known.events[at] = add_sums(known.events[at], added)
        if len(told.emits):
            self._learn(known, told)
        return True

    def adopt(self, known: Timeline, vocabulary: Vocabulary) -> None:
        """See `EventFold.adopt`."""
        _become(known, widened(known, vocabulary))

    def merge(self, left: Timeline, right: Timeline) -> Timeline:
        """See `EventFold.merge`."""
        return merge(left, right)

    def dump_known(self, known: Timeline) -> bytes:
        """See `EventFold.dump_known`. Each array is dumped in the narrowest type that holds it."""
        head = msgspec.json.encode((known.vocabulary, known.stream_time, known.doublings))
        arrays: Arrays = {name: narrowed(getattr(known, name)) for name in (*COUNTED, *SQUARES)}
        arrays["buckets"] = known.buckets
        arrays["head"] = np.frombuffer(head, np.uint8)
        return dump_arrays(arrays)

    def load_known(self, data: bytes) -> Timeline:
        """See `EventFold.load_known`."""
        arrays = load_arrays(data)
        try:
            head = arrays.pop("head").tobytes()
            vocabulary, stream_time, doublings = msgspec.json.decode(head, type=tuple[Vocabulary, int, int])
            counted: dict[str, Any] = {name: arrays[name].astype(np.int64) for name in ("buckets", *COUNTED)}
            squares: dict[str, Any] = {name: arrays[name].astype(np.uint64) for name in SQUARES}
        except (KeyError, msgspec.DecodeError) as error:
            raise FoldError("fold.damaged_root", f"loading a timeline's known half: {error}") from error
        return Timeline(doublings, **counted, **squares, vocabulary=vocabulary, stream_time=stream_time)

    def _learn(self, known: Timeline, told: Told) -> None:
        """Cells of the arrays, one for a bucket and an action, are what the exact sums call actions."""
        emits = told.emits
        rows = np.searchsorted(known.buckets, (emits.time // BASE_MS) >> known.doublings)
        cell = (rows * known.count.shape[1] + emits.action).astype(np.int32)
        count_pulls(known.decided.reshape(-1), emits.kind, cell)
        learn_sums(known.count.reshape(-1), known.sum.reshape(-1), emits.kind, cell, emits.old, emits.new)
        learn_squares(known.low.reshape(-1), known.high.reshape(-1), emits.kind, cell, emits.old, emits.new)


def _become(known: Timeline, other: Timeline) -> None:
    if other is not known:
        for name in Timeline.__slots__:
            setattr(known, name, getattr(other, name))
