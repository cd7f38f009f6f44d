"""Reading rows and offsets. Every statement is drained or closed before its function returns."""

import apsw

from foldline.log.protocol import Row
from foldline.log.slicing import part
from foldline.log.sqlite.catalogue import Place, find_place
from foldline.log.sqlite.fetch import fetch
from foldline.log.sqlite.packing import unpacked
from foldline.log.validation import out_of_range

_FIRST = "SELECT position FROM batches WHERE position BETWEEN ? AND ? ORDER BY position LIMIT 1"

_LAST = "SELECT position + count FROM batches WHERE position BETWEEN ? AND ? ORDER BY position DESC LIMIT 1"

_BEFORE = "SELECT position, count FROM batches WHERE position BETWEEN ? AND ? ORDER BY position DESC LIMIT 1"

_SINCE = (
    "SELECT position FROM batches WHERE position BETWEEN ? AND ? AND greatest >= ? ORDER BY position LIMIT 1"
)

_ROWS = (
    "SELECT position, count, payload, least, greatest, key FROM batches "
    "WHERE position BETWEEN ? AND ? ORDER BY position"
)


def end_offset(connection: apsw.Connection, place: Place) -> int:
    """The offset that the next record will get."""
    last = fetch(connection, _LAST, (place.base, place.last))
    return max(place.floor, last[0][0] - place.base) if last else place.floor


def first_offset(connection: apsw.Connection, place: Place) -> int:
    """The offset of the first record kept, the end where none is."""
    first = fetch(connection, _FIRST, (place.base, place.last))
    return int(first[0][0]) - place.base if first else end_offset(connection, place)


def offset_since(connection: apsw.Connection, place: Place, time: int) -> int:
    """The first offset of the first row that bears a time or a later one, the end where none does.

    Looks at every row before it, but at none's payload.
    """
    found = fetch(connection, _SINCE, (place.base, place.last, time))
    return int(found[0][0]) - place.base if found else end_offset(connection, place)


def read_rows(
    connection: apsw.Connection, topic: str, partition: int, offset: int, max_records: int, end: int | None
) -> list[Row]:
    """See `Log.read`; inside one snapshot.

    Raises:
        LogError: `log.topic_missing`, `log.offset_out_of_range`.
    """
    place = find_place(connection, topic, partition)
    stop = end_offset(connection, place)
    start = _covering(connection, place, offset) if 0 <= offset < stop else offset
    if offset < 0 or offset > stop or (place.cleanup != "compact" and start is None):
        raise out_of_range(topic, partition, offset, first_offset(connection, place), stop)
    if end is not None:
        stop = min(stop, end)
    return _collect(connection, place, offset if start is None else start, offset, stop, max_records)


def _covering(connection: apsw.Connection, place: Place, offset: int) -> int | None:
    """First offset of the row that holds `offset`, None where it is no longer kept."""
    found = fetch(connection, _BEFORE, (place.base, place.base + offset))
    if not found or found[0][0] + found[0][1] <= place.base + offset:
        return None
    return int(found[0][0]) - place.base


def _collect(
    connection: apsw.Connection, place: Place, start: int, offset: int, stop: int, max_records: int
) -> list[Row]:
    if stop <= offset:
        return []
    cursor = connection.execute(_ROWS, (place.base + start, place.base + stop - 1))
    found: list[Row] = []
    base, left = place.base, max_records + max(0, offset - start)
    for position, count, payload, least, greatest, key in cursor:
        found.append(Row(position - base, count, unpacked(payload), least, greatest, key))
        left -= count
        if left <= 0:
            break
    cursor.close(True)
    if found:
        found[0], found[-1] = part(found[0], offset, stop), part(found[-1], offset, stop)
    return found
