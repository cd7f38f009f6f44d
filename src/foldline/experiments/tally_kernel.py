"""The tally's loop over records. What it does with one record is stated in `foldline.experiments.tally_fold`."""

from typing import Any

import numpy as np

from foldline.experiments.tally_layout import (
    MINUTE_MS,
    Batch,
    Count,
    Counter,
    Deltas,
    Flag,
    Held,
    Int64s,
    Mark,
    Rows,
    Seen,
    Source,
    Terms,
    Unit,
)
from foldline.kernels import inlined, kernel
from foldline.records.columns import Kind

_ROOM = 2.0**62


@inlined
def _find(table: Int64s, rows: Int64s, first: int, second: int) -> tuple[int, int]:
    """Slot and row of an id that stands in a row's first two columns, or the slot it may take and -1."""
    slots = table.shape[0] - 1
    slot = first & slots
    while table[slot] != 0:
        row = table[slot] - 1
        if rows[row, 0] == first and rows[row, 1] == second:
            return slot, row
        slot = (slot + 1) & slots
    return slot, -1


@kernel
def index_rows(table: Int64s, rows: Int64s, count: int) -> None:
    """Enter the first rows of an array into an empty table."""
    for row in range(count):
        slot, _ = _find(table, rows, rows[row, 0], rows[row, 1])
        table[slot] = row + 1


@inlined
def _emit(rows: Rows, terms: Terms, deltas: Deltas, unit: int, minute: int, count: int, sign: int) -> None:
    at = rows.marks[Mark.DELTAS]
    rows.marks[Mark.DELTAS] = at + 1
    deltas.head[0, at] = minute
    deltas.head[1, at] = rows.units[unit, Unit.VARIANT]
    deltas.head[2, at] = count
    deltas.head[3, at] = sign
    exposed = rows.units[unit, Unit.TIME]
    own = (exposed + terms.wait) // MINUTE_MS
    deltas.head[4, at] = own if own < minute and rows.marks[Mark.TIME] <= exposed + terms.span else minute
    if count == Count.MATURED:
        for v in range(terms.low.shape[0]):
            value = rows.units[unit, Unit.VALUES + v]
            if terms.indicator[v] != 0:
                value = np.int64(1) if value > 0 else np.int64(0)
            deltas.values[at, v] = min(max(value, terms.low[v]), terms.high[v])


@inlined
def _mature(rows: Rows, terms: Terms, deltas: Deltas) -> None:
    """Count the units whose deadline stream time has reached, in the minute of the deadline."""
    marks, units = rows.marks, rows.units
    while marks[Mark.HEAD] < marks[Mark.TAIL]:
        unit = rows.queue[marks[Mark.HEAD]]
        deadline = units[unit, Unit.TIME] + terms.wait
        if deadline > marks[Mark.TIME]:
            break
        marks[Mark.HEAD] += 1
        if units[unit, Unit.FLAGS] & Flag.MIXED == 0:
            units[unit, Unit.FLAGS] |= Flag.MATURED
            _emit(rows, terms, deltas, unit, deadline // MINUTE_MS, Count.MATURED, 1)


@inlined
def _unit_row(rows: Rows, first: int, second: int) -> int:
    """The unit's row, a new one where it has none."""
    slot, unit = _find(rows.by_unit, rows.units, first, second)
    if unit < 0:
        unit = rows.marks[Mark.UNITS]
        rows.marks[Mark.UNITS] = unit + 1
        rows.by_unit[slot] = unit + 1
        rows.units[unit, :] = 0
        rows.units[unit, Unit.HASH] = first
        rows.units[unit, Unit.HASH + 1] = second
        rows.units[unit, Unit.VARIANT] = -1
    return unit


@inlined
def _variant_of(terms: Terms, first: int, second: int) -> int:
    for variant in range(terms.variants.shape[0]):
        if terms.variants[variant, 0] == first and terms.variants[variant, 1] == second:
            return variant
    return -1


@inlined
def _expose(
    batch: Batch, rows: Rows, terms: Terms, deltas: Deltas, exposures: Int64s, counts: Int64s, row: int
) -> None:
    if batch.experiment[row, 0] != terms.experiment[0] or batch.experiment[row, 1] != terms.experiment[1]:
        return
    variant = _variant_of(terms, batch.variant[row, 0], batch.variant[row, 1])
    if variant < 0:
        counts[Counter.UNKNOWN_VARIANT] += 1
        return
    if np.isnan(batch.probability[row]):
        counts[Counter.FORCED] += 1
        return
    exposures[variant] += 1
    marks, units = rows.marks, rows.units
    now = marks[Mark.TIME]
    unit = _unit_row(rows, batch.unit[row, 0], batch.unit[row, 1])
    before = units[unit, Unit.VARIANT]
    if before < 0:
        units[unit, Unit.VARIANT] = variant
        units[unit, Unit.TIME] = now
        rows.queue[marks[Mark.TAIL]] = unit
        marks[Mark.TAIL] += 1
        _emit(rows, terms, deltas, unit, now // MINUTE_MS, Count.ENROLLED, 1)
    elif before != variant and units[unit, Unit.FLAGS] & Flag.MIXED == 0:
        _emit(rows, terms, deltas, unit, now // MINUTE_MS, Count.MIXED, 1)
        if units[unit, Unit.FLAGS] & Flag.MATURED != 0:
            _emit(rows, terms, deltas, unit, now // MINUTE_MS, Count.MATURED, -1)
        units[unit, Unit.FLAGS] |= Flag.MIXED
    if now > units[unit, Unit.TIME] + terms.span:
        return
    first, second = batch.id[row, 0], batch.id[row, 1]
    slot, held = _find(rows.by_held, rows.held, first, second)
    if held < 0:
        held = marks[Mark.HELD]
        marks[Mark.HELD] = held + 1
        rows.by_held[slot] = held + 1
        rows.held[held, Held.ID] = first
        rows.held[held, Held.ID + 1] = second
        rows.held[held, Held.UNIT] = unit
    elif rows.units[rows.held[held, Held.UNIT], Unit.TIME] + terms.span < now:
        rows.held[held, Held.UNIT] = unit


@inlined
def _is_wanted(batch: Batch, terms: Terms, row: int, source: int) -> bool:
    name = batch.name[row]
    wanted = False
    for v in range(terms.sources.shape[0]):
        wanted |= terms.sources[v] == source and batch.wanted[name, v] != 0
    return wanted


@inlined
def _credited(batch: Batch, rows: Rows, terms: Terms, row: int) -> int:
    """The unit a reward or observation is of: its row, a new one for what comes before exposure, or -1."""
    if batch.unit[row, 0] == 0 and batch.unit[row, 1] == 0:
        _, held = _find(rows.by_held, rows.held, batch.id[row, 0], batch.id[row, 1])
        if held < 0:
            return -1
        unit = rows.held[held, Held.UNIT]
        return -1 if rows.units[unit, Unit.TIME] + terms.span < rows.marks[Mark.TIME] else unit
    _, unit = _find(rows.by_unit, rows.units, batch.unit[row, 0], batch.unit[row, 1])
    if unit < 0 and _is_wanted(batch, terms, row, Source.BEFORE):
        unit = _unit_row(rows, batch.unit[row, 0], batch.unit[row, 1])
    return unit


@inlined
def _is_new(rows: Rows, terms: Terms, first: int, second: int) -> bool:
    """Enter an id among those counted; False where it stands there and has not expired."""
    marks = rows.marks
    slot, seen = _find(rows.by_seen, rows.seen, first, second)
    if seen < 0:
        seen = marks[Mark.SEEN]
        marks[Mark.SEEN] = seen + 1
        rows.by_seen[slot] = seen + 1
        rows.seen[seen, Seen.ID] = first
        rows.seen[seen, Seen.ID + 1] = second
    elif rows.seen[seen, Seen.TIME] + terms.span >= marks[Mark.TIME]:
        return False
    rows.seen[seen, Seen.TIME] = marks[Mark.TIME]
    return True


@inlined
def _fits(batch: Batch, rows: Rows, terms: Terms, unit: int, row: int, units: int) -> bool:
    """Whether a value leaves every sum it is added to within its room."""
    for v in range(terms.sources.shape[0]):
        if batch.wanted[batch.name[row], v] != 0:
            total = float(rows.units[unit, Unit.VALUES + v]) + float(units)
            if not abs(total) < _ROOM:
                return False
    return True


@inlined
def _credit(batch: Batch, rows: Rows, terms: Terms, deltas: Deltas, counts: Int64s, row: int) -> None:
    if batch.name[row] < 0 or not (
        _is_wanted(batch, terms, row, Source.AFTER) or _is_wanted(batch, terms, row, Source.BEFORE)
    ):
        return
    unit = _credited(batch, rows, terms, row)
    if unit < 0:
        counts[Counter.FOREIGN] += 1
        return
    exposed = rows.units[unit, Unit.VARIANT] >= 0
    source = Source.AFTER if exposed else Source.BEFORE
    if not _is_wanted(batch, terms, row, source):
        counts[Counter.OUTSIDE] += 1
        return
    now, exposure = rows.marks[Mark.TIME], rows.units[unit, Unit.TIME]
    if exposed and batch.time[row] > exposure + terms.window:
        counts[Counter.OUTSIDE] += 1
        return
    if exposed and now > exposure + terms.span:
        counts[Counter.LATE] += 1
        return
    own_first, own_second = batch.reward_id[row, 0], batch.reward_id[row, 1] | 1
    if batch.kind[row] == Kind.OBSERVATION:
        own_first, own_second = batch.id[row, 0], batch.id[row, 1] & -2
    if not _is_new(rows, terms, own_first, own_second):
        counts[Counter.DUPLICATES] += 1
        return
    scaled = batch.value[row] * terms.scale
    if not abs(scaled) < _ROOM:
        counts[Counter.REFUSED] += 1
        return
    units = int(np.rint(scaled))
    if not _fits(batch, rows, terms, unit, row, units):
        counts[Counter.REFUSED] += 1
        return
    counts[Counter.COUNTED] += 1
    flags = rows.units[unit, Unit.FLAGS]
    counted = flags & Flag.MATURED != 0 and flags & Flag.MIXED == 0
    if counted:
        counts[Counter.REVISIONS] += 1
        _emit(rows, terms, deltas, unit, now // MINUTE_MS, Count.MATURED, -1)
    for v in range(terms.sources.shape[0]):
        if terms.sources[v] == source and batch.wanted[batch.name[row], v] != 0:
            rows.units[unit, Unit.VALUES + v] += units
    if counted:
        _emit(rows, terms, deltas, unit, now // MINUTE_MS, Count.MATURED, 1)


@kernel
def tally_rows(
    batch: Batch, rows: Rows, terms: Terms, deltas: Deltas, exposures: Int64s, counts: Int64s
) -> None:
    """Fold a batch in. There is room for it: a row more of each kind for each record, two changes, the due.

    Args:
        batch: n records.
        rows: changed in place.
        terms: the definition.
        deltas: written from 0; `Mark.DELTAS` says how many.
        exposures: (k,) added to.
        counts: (len(Counter),) added to.
    """
    marks = rows.marks
    marks[Mark.DELTAS] = 0
    for row in range(batch.kind.shape[0]):
        kind = batch.kind[row]
        if kind == Kind.DEAD:
            continue
        marks[Mark.TIME] = max(marks[Mark.TIME], batch.time[row])
        _mature(rows, terms, deltas)
        if kind == Kind.DECISION:
            _expose(batch, rows, terms, deltas, exposures, counts, row)
            if terms.wait == 0:
                _mature(rows, terms, deltas)
        elif kind == Kind.REWARD or kind == Kind.OBSERVATION:
            _credit(batch, rows, terms, deltas, counts, row)


def as_signed(hashes: Any) -> Any:
    """(n, 2) uint64 hashes as int64, without a copy where they are contiguous."""
    return np.ascontiguousarray(hashes).view(np.int64)
