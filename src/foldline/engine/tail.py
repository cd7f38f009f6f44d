"""The newest rows of a topic."""

from foldline.log.protocol import Log, Row


def newest_rows(log: Log, topic: str, partition: int, count: int) -> list[Row]:
    """The last `count` records of a partition, or as many as there are, oldest first; the first row is cut.

    On a compacted topic there may be fewer, since offsets of dropped rows are skipped.
    """
    first, end = log.offsets(topic, partition)
    start, rows = max(first, end - count), list[Row]()
    while start < end and (more := log.read(topic, partition, start, max_records=count, end=end)):
        rows += more
        start = more[-1].end
    return rows
