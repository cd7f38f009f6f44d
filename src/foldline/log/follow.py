"""Following a topic: what stands on it, then what comes."""

from collections.abc import Iterator, Mapping

from foldline.log.protocol import Log, Row


def follow(
    log: Log, topic: str, starts: Mapping[int, int], *, wait_s: float | None = None
) -> Iterator[tuple[int, Row]]:
    """Rows of a topic's partitions with the partition they stand in; those of a partition in order.

    Args:
        log: the log.
        topic: its name.
        starts: offset to start from, by partition.
        wait_s: how long one wait for new rows lasts, seconds; between waits Ctrl-C is noticed. Without it, the
            rows there are now are all.

    Raises:
        LogError: as `Log.read`.

    Example:
        >>> from foldline.log.memory import MemoryLog
        >>> from foldline.log.protocol import Batch, Topic
        >>> log = MemoryLog()
        >>> topic = log.create(Topic("t"))
        >>> offsets = log.append([Batch("t", 0, b"{}", 1, 0, 0)] * 2)
        >>> [(partition, row.offset) for partition, row in follow(log, "t", {0: 0})]
        [(0, 0), (0, 1)]
    """
    positions = dict(starts)
    while True:
        for partition, offset in tuple(positions.items()):
            reached = offset
            while rows := log.read(topic, partition, reached):
                for row in rows:
                    yield partition, row
                reached = rows[-1].end
            positions[partition] = reached
        if wait_s is None:
            return
        log.wait({(topic, partition): offset for partition, offset in positions.items()}, wait_s)
