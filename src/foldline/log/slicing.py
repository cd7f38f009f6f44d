"""Parts of a stored batch: a row cut at record boundaries."""

from foldline.log.protocol import Row


def part(row: Row, start: int, stop: int) -> Row:
    """The records of `row` with offsets from `start` to before `stop`. O(bytes) when anything is cut.

    Args:
        row: a stored batch, or a part of one.
        start: first offset wanted; below the row means its first.
        stop: offset after the last wanted; beyond the row means its end. Must leave at least one record.

    Returns:
        The row itself where nothing is cut. Least and greatest time stay those of the whole batch.

    >>> part(Row(10, 3, b"a\\nb\\nc", 0, 0), 11, 12).payload
    b'b'
    """
    skip = max(start - row.offset, 0)
    count = min(stop, row.end) - row.offset - skip
    if count == row.count:
        return row
    payload = row.payload
    if skip:
        payload = payload.split(b"\n", skip)[skip]
    if skip + count < row.count:
        payload = b"\n".join(payload.split(b"\n", count)[:count])
    return Row(row.offset + skip, count, payload, row.least, row.greatest, row.key, headers=row.headers)
