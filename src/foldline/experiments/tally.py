"""A tally: what an experiment has counted, by variant and by minute of stream time.

Everything is an integer, so a tally is the same for any order and grouping, and merging partitions is exact. What a
minute holds never changes once stream time has left it: late records change the minute in which they come. So the
sums up to a minute that every partition has left are the same for everyone, for ever.
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


class PhaseSeen(msgspec.Struct, frozen=True, array_like=True):
    """A marker of the experiment that was folded: its version, the state it sets, its time in milliseconds."""

    version: int
    state: str
    time: int


@dataclass(slots=True)
class Tally:
    """The half of a tally's state that merges.

    Attributes:
        minutes: (m,) minutes since 1970 in which something was counted, rising.
        counts: (m, k, len(Count)) units, by minute and variant.
        sums: (m, k, v) sums of the matured units' values.
        low: (m, k, p) lower limbs of their sums of products, one for each pair of values.
        high: (m, k, p) upper limbs.
        exposures: (k,) decisions by variant.
        counters: (len(Counter),) what became of records.
        phases: the markers folded, by version.
        stream_time: running maximum of record times, milliseconds; 0 before the first record.
    """

    minutes: Int64s
    counts: Int64s
    sums: Int64s
    low: UInt64s
    high: UInt64s
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
        return Totals(
            self.counts[:stop].sum(axis=0),
            self.sums[:stop].sum(axis=0),
            _wide_total(self.low[:stop], self.high[:stop]),
        )


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

    def plus(self, tally: Tally, begin: int, end: int) -> "Totals":
        """With some more minutes of a tally: those from one place up to another."""
        more = _wide_total(tally.low[begin:end], tally.high[begin:end])
        products = [
            [a + b for a, b in zip(*rows, strict=True)] for rows in zip(self.products, more, strict=True)
        ]
        return Totals(
            self.counts + tally.counts[begin:end].sum(axis=0),
            self.sums + tally.sums[begin:end].sum(axis=0),
            products,
        )

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


def nothing(variants: int, values: int, pairs: int) -> Tally:
    """The tally of the empty prefix, the identity of `merge`."""
    return Tally(
        np.zeros(0, np.int64),
        np.zeros((0, variants, len(Count)), np.int64),
        np.zeros((0, variants, values), np.int64),
        np.zeros((0, variants, pairs), np.uint64),
        np.zeros((0, variants, pairs), np.uint64),
        np.zeros(variants, np.int64),
        np.zeros(len(Counter), np.int64),
    )


def with_minutes(tally: Tally, minutes: Int64s) -> None:
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
    minutes = np.union1d(left.minutes, right.minutes)
    merged = nothing(left.counts.shape[1], left.sums.shape[2], left.low.shape[2])
    with_minutes(merged, minutes)
    for part in (left, right):
        at = np.searchsorted(minutes, part.minutes)
        merged.counts[at] += part.counts
        check_room(merged.sums[at], part.sums)
        merged.sums[at] += part.sums
        low = merged.low[at] + part.low
        merged.high[at] += part.high + (low < part.low).astype(np.uint64)
        merged.low[at] = low
    merged.exposures = left.exposures + right.exposures
    merged.counters = left.counters + right.counters
    latest_first = sorted(
        {*left.phases, *right.phases}, key=lambda p: (p.version, p.time, p.state), reverse=True
    )
    merged.phases = tuple({phase.version: phase for phase in latest_first}.values())[::-1]
    merged.stream_time = max(left.stream_time, right.stream_time)
    return merged


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
    arrays: Arrays = {
        name: narrowed(getattr(tally, name))
        for name in ("minutes", "counts", "sums", "exposures", "counters")
    }
    arrays["low"], arrays["high"] = tally.low, narrowed(tally.high.view(np.int64))
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
        wide: dict[str, Any] = {name: arrays.pop(name).astype(np.int64).view(np.uint64) for name in ("high",)}
        wide["low"] = arrays.pop("low").astype(np.uint64)
        plain: dict[str, Any] = {name: array.astype(np.int64) for name, array in arrays.items()}
        return Tally(**plain, **wide, phases=phases, stream_time=stream_time)
    except (KeyError, TypeError, msgspec.MsgspecError) as error:
        raise FoldError("fold.damaged_root", f"loading a tally: {error}") from error


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
