"""A tally's rows: room for more of them, and their dump in pages of which few change.

Page 0 holds the marks and how many pages of each kind follow. Units stand in pages by the first bits of their hash,
sorted; decisions and counted ids in pages by time, sorted. So the pages are a function of what is live, whatever
order or batch it came in.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from foldline.errors import FoldError
from foldline.experiments.tally_kernel import index_rows
from foldline.experiments.tally_layout import Flag, Held, Int64s, Mark, Rows, Seen, Unit
from foldline.fold.arrays import dump_arrays, load_arrays

PAGE_ROWS: Final = 4096
"""About how many units a page holds."""

_LEAST: Final = 64
_PAGES_OF_TIME: Final = 64
_NONE: Final = np.zeros((0, 3), np.int64)


def empty(values: int) -> Rows:
    """The rows of the empty prefix, with that many values a unit."""
    return Rows(
        np.zeros(Mark.SIZE, np.int64),
        np.zeros((_LEAST, Unit.VALUES + values), np.int64),
        np.zeros(4 * _LEAST, np.int64),
        np.zeros(_LEAST, np.int64),
        np.zeros((_LEAST, Held.WIDTH), np.int64),
        np.zeros(4 * _LEAST, np.int64),
        np.zeros((_LEAST, Seen.WIDTH), np.int64),
        np.zeros(4 * _LEAST, np.int64),
    )


def with_room(rows: Rows, more: int, span: int) -> Rows:
    """The rows with room for so many more of each kind; what has expired is thrown out where room is short.

    Args:
        rows: taken over.
        more: records to come.
        span: after a unit's exposure, milliseconds, nothing of it counts any more.
    """
    marks = rows.marks
    if marks[Mark.UNITS] + more > len(rows.units):
        units = _longer(rows.units, int(marks[Mark.UNITS]) + more)
        rows = rows._replace(units=units, by_unit=_indexed(units, int(marks[Mark.UNITS])))
    if marks[Mark.TAIL] + more > len(rows.queue):
        waiting = rows.queue[marks[Mark.HEAD] : marks[Mark.TAIL]]
        queue = np.zeros(_capacity(len(waiting) + more), np.int64)
        queue[: len(waiting)] = waiting
        marks[Mark.HEAD], marks[Mark.TAIL] = 0, len(waiting)
        rows = rows._replace(queue=queue)
    if marks[Mark.HELD] + more > len(rows.held):
        live = _live_held(rows, span)
        marks[Mark.HELD], held = len(live), _longer(live, len(live) + more)
        rows = rows._replace(held=held, by_held=_indexed(held, int(marks[Mark.HELD])))
    if marks[Mark.SEEN] + more > len(rows.seen):
        live = _live_seen(rows, span)
        marks[Mark.SEEN], seen = len(live), _longer(live, len(live) + more)
        rows = rows._replace(seen=seen, by_seen=_indexed(seen, int(marks[Mark.SEEN])))
    return rows


def dump_pages(rows: Rows, span: int) -> list[bytes]:
    """The rows as pages. O(live rows · log)."""
    marks = rows.marks
    units = rows.units[: marks[Mark.UNITS]]
    held, seen = _live_held(rows, span), _live_seen(rows, span)
    of_unit = units[held[:, Held.UNIT]]
    joined = np.column_stack([held[:, :2], of_unit[:, : Unit.HASH + 2]])
    unit_pages = list(_by_hash(units))
    held_pages = list(_by_time(joined, of_unit[:, Unit.TIME], span))
    seen_pages = list(_by_time(seen, seen[:, Seen.TIME], span))
    sizes = np.array([len(unit_pages), len(held_pages), len(seen_pages)], np.int64)
    head = dump_arrays({"kept": marks[[Mark.TIME, Mark.RUNNING]], "pages": sizes})
    return [head, *(dump_arrays({"rows": page}) for page in (*unit_pages, *held_pages, *seen_pages))]


def load_pages(pages: Sequence[bytes], values: int, wait: int) -> Rows:
    """The rows dumped.

    Args:
        pages: of a dump.
        values: a unit has.
        wait: from exposure to maturity, milliseconds.

    Raises:
        FoldError: `fold.damaged_page` where the pages are not a dump.
    """
    head = load_arrays(pages[0])
    if set(head) != {"kept", "pages"} or int(head["pages"].sum()) != len(pages) - 1:
        raise FoldError("fold.damaged_page", f"loading a tally of {len(pages)} pages: page 0 names others")
    rest = iter(pages[1:])
    parts = [
        [load_arrays(next(rest)).get("rows", _NONE) for _ in range(size)] for size in head["pages"].tolist()
    ]
    rows = empty(values)
    units = np.concatenate([np.zeros((0, Unit.VALUES + values), np.int64), *parts[0]])
    joined = np.concatenate([np.zeros((0, 4), np.int64), *parts[1]])
    seen = np.concatenate([_NONE, *parts[2]])
    marks = rows.marks
    marks[[Mark.TIME, Mark.RUNNING]] = head["kept"]
    marks[Mark.UNITS], marks[Mark.SEEN], marks[Mark.HELD] = len(units), len(seen), len(joined)
    units = _longer(units, len(units))
    by_unit = _indexed(units, int(marks[Mark.UNITS]))
    held = np.column_stack([joined[:, :2], _rows_of(units[: marks[Mark.UNITS]], joined[:, 2:4])])
    held, seen = _longer(held, len(held)), _longer(seen, len(seen))
    waiting = _waiting(units[: marks[Mark.UNITS]], int(marks[Mark.TIME]), wait)
    queue = np.zeros(_capacity(len(waiting)), np.int64)
    queue[: len(waiting)] = waiting
    marks[Mark.TAIL] = len(waiting)
    return Rows(
        marks,
        units,
        by_unit,
        queue,
        held,
        _indexed(held, int(marks[Mark.HELD])),
        seen,
        _indexed(seen, int(marks[Mark.SEEN])),
    )


def _waiting(units: Int64s, now: int, wait: int) -> Int64s:
    """Rows of the units that have not matured, in order of their exposure."""
    exposed = units[:, Unit.VARIANT] >= 0
    # A mixed unit passes its deadline without maturing, so the flag alone does not tell.
    open_ = exposed & (units[:, Unit.TIME] + wait > now) & (units[:, Unit.FLAGS] & Flag.MATURED == 0)
    rows = np.flatnonzero(open_)
    waiting: Int64s = rows[np.argsort(units[rows, Unit.TIME], kind="stable")]
    return waiting


def _live_held(rows: Rows, span: int) -> Int64s:
    held = rows.held[: rows.marks[Mark.HELD]]
    live: Int64s = held[rows.units[held[:, Held.UNIT], Unit.TIME] + span >= rows.marks[Mark.TIME]]
    return live


def _live_seen(rows: Rows, span: int) -> Int64s:
    seen = rows.seen[: rows.marks[Mark.SEEN]]
    live: Int64s = seen[seen[:, Seen.TIME] + span >= rows.marks[Mark.TIME]]
    return live


def _by_hash(units: Int64s) -> Iterator[Int64s]:
    """Pages by the first bits of the hash; as many bits as keep them near `PAGE_ROWS`."""
    hashes = np.ascontiguousarray(units[:, :2]).view(np.uint64)
    ordered = units[np.lexsort((hashes[:, 1], hashes[:, 0]))]
    bits = (len(units) // PAGE_ROWS).bit_length()
    if not bits:
        yield ordered
        return
    first = np.ascontiguousarray(ordered[:, 0]).view(np.uint64) >> np.uint64(64 - bits)
    edges = np.searchsorted(first, np.arange(1, 1 << bits, dtype=np.uint64))
    yield from np.split(ordered, edges)


def _by_time(rows: Int64s, times: Int64s, span: int) -> Iterator[Int64s]:
    """Pages of a fixed width in time, at most some 64 of them live, none empty."""
    order = np.lexsort((rows[:, 1], rows[:, 0], times))
    page = times[order] // max(1, span // _PAGES_OF_TIME)
    if len(page):
        yield from np.split(rows[order], np.flatnonzero(np.diff(page)) + 1)


def _rows_of(units: Int64s, hashes: Int64s) -> Int64s:
    """The row of each hash among units that are sorted by it."""
    dtype = np.dtype([("first", np.uint64), ("second", np.uint64)])
    known = np.ascontiguousarray(units[:, :2]).view(np.uint64).copy().view(dtype).reshape(-1)
    asked = np.ascontiguousarray(hashes).view(np.uint64).copy().view(dtype).reshape(-1)
    return np.searchsorted(known, asked).astype(np.int64)


def _capacity(least: int) -> int:
    return max(_LEAST, 1 << (2 * least - 1).bit_length()) if least else _LEAST


def _longer(rows: Int64s, least: int) -> Int64s:
    """The rows in an array about twice as long as needed."""
    longer = np.zeros((_capacity(least), rows.shape[1]), np.int64)
    longer[: len(rows)] = rows
    return longer


def _indexed(rows: Int64s, count: int) -> Int64s:
    table = np.zeros(4 * len(rows), np.int64)
    index_rows(table, rows, count)
    return table
