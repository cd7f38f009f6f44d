"""Where the records of rows stand: from their order to offsets and back, whatever offsets count."""

from collections.abc import Sequence

from foldline.log.protocol import Log, Row


def place_of(rows: Sequence[Row], record: int) -> tuple[Row, int, int]:
    """The row of one record of consecutive rows, counted over all of them, and its `Row.place`. O(rows).

    >>> place_of([Row(3, 2, b"a\\nb", 0, 0, packed=True), Row(5, 1, b"c", 0, 0)], 2)[1:]
    (5, 0)
    """
    for row in rows:
        if record < row.count:
            return row, *row.place(record)
        record -= row.count
    raise IndexError(f"record {record} beyond the last of these rows")


def offsets_of(rows: Sequence[Row]) -> list[int]:
    """The offset of each record of some rows, in order. O(records).

    >>> offsets_of([Row(3, 2, b"a\\nb", 0, 0, packed=True), Row(5, 2, b"c\\nd", 0, 0)])
    [3, 3, 5, 6]
    """
    return [row.place(record)[0] for row in rows for record in range(row.count)]


def records_before(rows: Sequence[Row], offset: int) -> int:
    """How many records of some rows stand before an offset. O(rows).

    >>> records_before([Row(3, 2, b"a\\nb", 0, 0, packed=True), Row(5, 2, b"c\\nd", 0, 0)], 6)
    3
    """
    whole = sum(row.count for row in rows if row.end <= offset)
    return whole + sum(offset - row.offset for row in rows if row.offset < offset < row.end)


def appended_places(log: Log, offset: int, count: int) -> list[tuple[int, int]]:
    """Where the records of a batch stand, given the offset that appending it answered."""
    row = Row(offset, count, b"", 0, 0, packed=log.counts == "messages")
    return [row.place(record) for record in range(count)]
