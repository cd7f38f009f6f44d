"""A tally: what an experiment has counted, by variant and by minute of stream time.

Everything is an integer, so a tally is the same for any order and grouping, and merging partitions is exact. What a
minute holds never changes once stream time has left it: late records change the minute in which they come. So the
sums up to a minute that every partition has left are the same for everyone, for ever.

Beside them stands which of those changes belong to an earlier minute: `Tally.late` holds each change of a unit that
had matured before under both minutes, its own and that in which it came. So what an earlier minute would hold, had
everything come in time, is known too, as of any later minute: a revision (`Tally.moved`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from foldline.errors import FoldError
from foldline.experiments.tally_layout import MINUTE_MS, Count, Counter
from foldline.fold.arrays import Arrays, dump_arrays, load_arrays, narrowed
from foldline.stats.exact_moments import ExactMoments

Int64s = npt.NDArray[np.int64]
UInt64s = npt.NDArray[np.uint64]

_WIDE = ("low", "high")
_ROOM = 2.0**63
_HALF_LIMB = np.uint64(0xFFFFFFFF)
_HALF_BITS = np.uint64(32)
_KEY_BITS = 31
_KEY_MASK = (1 << _KEY_BITS) - 1
_LATE = "late_"


class PhaseSeen(msgspec.Struct, frozen=True, array_like=True):
    """A marker of the experiment that was folded: version, the state it sets, stream time there, what ended it."""

    version: int
    state: str
    time: int
    by: str | None = None


@dataclass(slots=True)
class Changes:
    """What was counted, by minute and variant.

    Attributes:
        minutes: (m,) minutes since 1970 in which something was counted, rising; of late changes, `late_keys`.
        counts: (m, k, len(Count)) units.
        sums: (m, k, v) sums of the matured units' values.
        low: (m, k, p) lower limbs of their sums of products, one for each pair of values.
        high: (m, k, p) upper limbs.
    """

    minutes: Int64s
    counts: Int64s
    sums: Int64s
    low: UInt64s
    high: UInt64s


@dataclass(slots=True)
class Tally(Changes):
    """The half of a tally's state that merges.

    Attributes:
        late: of these changes, those of units that had matured in an earlier minute: by that and by when they came.
        exposures: (k,) decisions by variant.
        counters: (len(Counter),) what became of records.
        phases: the markers folded, by version.
        stream_time: running maximum of record times, milliseconds; 0 before the first record.
    """

    late: Changes
    exposures: Int64s
    counters: Int64s
    phases: tuple[PhaseSeen, ...] = ()
    stream_time: int = 0

    @property
    def final_minute(self) -> int:
        """The first minute that may still change."""
        return self.stream_time // MINUTE_MS

    def upto(self, minute: int | None = None) -> "Totals":
        """The totals of all minutes before one, or of all."""
        stop = len(self.minutes) if minute is None else int(np.searchsorted(self.minutes, minute))
        return _totals(self, slice(stop))

    def moved(self, upto: int, came: tuple[int, int]) -> list[tuple[int, "Totals"]]:
        """What came later and belongs to the minutes before one, by the minute in which it came, rising.

        Args:
            upto: minutes before this one are revised.
            came: the first minute in which it may have come, at least `upto`, and the first in which not.
        """
        own, minute = late_minutes(self.late.minutes)
        chosen = (own < upto) & (minute >= came[0]) & (minute < came[1])
        return [
            (each, _totals(self.late, chosen & (minute == each)))
            for each in np.unique(minute[chosen]).tolist()
        ]


@dataclass(frozen=True, slots=True)
class Totals:
    """What all minutes up to one add up to.

    Attributes:
        counts: (k, len(Count)) units.
        sums: (k, v).
        products: k lists of p sums of products.
    """

    counts: Int64s
    sums: Int64s
    products: list[list[int]]

    def plus(self, tally: Changes, begin: int, end: int) -> "Totals":
        """With some more minutes of a tally: those from one place up to another."""
        return self.add(_totals(tally, slice(begin, end)))

    def add(self, more: "Totals") -> "Totals":
        """Both together."""
        products = [
            [a + b for a, b in zip(*rows, strict=True)]
            for rows in zip(self.products, more.products, strict=True)
        ]
        return Totals(self.counts + more.counts, self.sums + more.sums, products)

    def of(self, variant: int, count: Count) -> int:
        """Units of a variant."""
        return int(self.counts[variant, count])

    def moments(self, variant: int, values: Sequence[int], pairs: Sequence[tuple[int, int]]) -> ExactMoments:
        """Of some of a variant's values.

        Args:
            variant: which.
            values: which values, at most two.
            pairs: the pairs that products are kept of, in their order.
        """
        products = dict(zip(pairs, self.products[variant], strict=True))
        return ExactMoments(
            self.of(variant, Count.MATURED),
            tuple(int(self.sums[variant, v]) for v in values),
            tuple(tuple(products[min(a, b), max(a, b)] for b in values) for a in values),
        )


def late_keys(own: Int64s, came: Int64s) -> Int64s:
    """(m,) under which a late change stands: the minute that it belongs to, then that in which it came."""
    keys: Int64s = own << _KEY_BITS | came
    return keys


def late_minutes(keys: Int64s) -> tuple[Int64s, Int64s]:
    """The two minutes of each key.

    Example:
        >>> [minutes.tolist() for minutes in late_minutes(late_keys(np.array([7]), np.array([9])))]
        [[7], [9]]
    """
    return keys >> _KEY_BITS, keys & _KEY_MASK


def nothing(variants: int, values: int, pairs: int) -> Tally:
    """The tally of the empty prefix, the identity of `merge`."""

    def changes() -> tuple[Int64s, Int64s, Int64s, UInt64s, UInt64s]:
        return (
            np.zeros(0, np.int64),
            np.zeros((0, variants, len(Count)), np.int64),
            np.zeros((0, variants, values), np.int64),
            np.zeros((0, variants, pairs), np.uint64),
            np.zeros((0, variants, pairs), np.uint64),
        )

    return Tally(
        *changes(), Changes(*changes()), np.zeros(variants, np.int64), np.zeros(len(Counter), np.int64)
    )


def with_minutes(tally: Changes, minutes: Int64s) -> None:
    """Make room for minutes, rising and each once; those there already stay as they are."""
    missing = np.setdiff1d(minutes, tally.minutes, assume_unique=True)
    if not len(missing):
        return
    at = np.searchsorted(tally.minutes, missing)
    tally.minutes = np.insert(tally.minutes, at, missing)
    for name in ("counts", "sums", *_WIDE):
        array = getattr(tally, name)
        setattr(tally, name, np.insert(array, at, np.zeros((), array.dtype), axis=0))


def merge(left: Tally, right: Tally) -> Tally:
    """What both have counted; associative and commutative, exactly.

    Raises:
        FoldError: `fold.overflow`.
    """
    merged = nothing(left.counts.shape[1], left.sums.shape[2], left.low.shape[2])
    _merge(merged, left, right)
    _merge(merged.late, left.late, right.late)
    merged.exposures = left.exposures + right.exposures
    merged.counters = left.counters + right.counters
    latest_first = sorted(
        {*left.phases, *right.phases}, key=lambda p: (p.version, p.time, p.state, p.by or ""), reverse=True
    )
    merged.phases = tuple({phase.version: phase for phase in latest_first}.values())[::-1]
    merged.stream_time = max(left.stream_time, right.stream_time)
    return merged


def _merge(merged: Changes, left: Changes, right: Changes) -> None:
    """Into what is still empty."""
    minutes = np.union1d(left.minutes, right.minutes)
    with_minutes(merged, minutes)
    for part in (left, right):
        at = np.searchsorted(minutes, part.minutes)
        merged.counts[at] += part.counts
        check_room(merged.sums[at], part.sums)
        merged.sums[at] += part.sums
        low = merged.low[at] + part.low
        merged.high[at] += part.high + (low < part.low).astype(np.uint64)
        merged.low[at] = low


def check_room(totals: Int64s, added: Int64s) -> None:
    """Refuse sums that would leave 64 bits.

    Raises:
        FoldError: `fold.overflow`.
    """
    if (
        added.size
        and float(np.abs(totals.astype(np.float64)).max()) + float(np.abs(added.astype(np.float64)).max())
        >= _ROOM
    ):
        raise FoldError(
            "fold.overflow", "a tally's sum would leave 64 bits; declare fewer unit_bits in a new experiment"
        )


def dump(tally: Tally) -> bytes:
    """The tally as bytes, each array in the narrowest type that holds it."""
    head = msgspec.json.encode((tally.phases, tally.stream_time))
    arrays: Arrays = {"exposures": narrowed(tally.exposures), "counters": narrowed(tally.counters)}
    for prefix, part in (("", tally), (_LATE, tally.late)):
        for name in ("minutes", "counts", "sums"):
            arrays[prefix + name] = narrowed(getattr(part, name))
        arrays[prefix + "low"], arrays[prefix + "high"] = part.low, narrowed(part.high.view(np.int64))
    arrays["head"] = np.frombuffer(head, np.uint8)
    return dump_arrays(arrays)


def load(data: bytes) -> Tally:
    """The tally dumped.

    Raises:
        FoldError: `fold.damaged_root`.
    """
    arrays = load_arrays(data)
    try:
        head = arrays.pop("head").tobytes()
        phases, stream_time = msgspec.json.decode(head, type=tuple[tuple[PhaseSeen, ...], int])
        exposures, counters = (arrays[name].astype(np.int64) for name in ("exposures", "counters"))
        late = Changes(**_loaded(arrays, _LATE))
        return Tally(
            **_loaded(arrays, ""),
            late=late,
            exposures=exposures,
            counters=counters,
            phases=phases,
            stream_time=stream_time,
        )
    except (KeyError, TypeError, msgspec.MsgspecError) as error:
        raise FoldError("fold.damaged_root", f"loading a tally: {error}") from error


def _loaded(arrays: Arrays, prefix: str) -> dict[str, Any]:
    found: dict[str, Any] = {
        name: arrays[prefix + name].astype(np.int64) for name in ("minutes", "counts", "sums", "high")
    }
    found["high"] = found["high"].view(np.uint64)
    found["low"] = arrays[prefix + "low"].astype(np.uint64)
    return found


def _totals(changes: Changes, chosen: "slice | npt.NDArray[np.bool_]") -> Totals:
    return Totals(
        changes.counts[chosen].sum(axis=0),
        changes.sums[chosen].sum(axis=0),
        _wide_total(changes.low[chosen], changes.high[chosen]),
    )


def _wide_total(low: UInt64s, high: UInt64s) -> list[list[int]]:
    """Sums over the first axis, as integers: of each half limb, which 64 bits hold, then together."""
    signed = high.view(np.int64)
    halves = [
        (part.sum(axis=0).tolist(), shift)
        for part, shift in (
            (low & _HALF_LIMB, 0),
            (low >> _HALF_BITS, 32),
            (high & _HALF_LIMB, 64),
            (signed >> 32, 96),
        )
    ]
    variants, pairs = low.shape[1:]
    return [
        [sum(int(part[k][p]) << shift for part, shift in halves) for p in range(pairs)]
        for k in range(variants)
    ]
