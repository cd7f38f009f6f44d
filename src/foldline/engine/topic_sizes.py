"""About how much stands on a topic, on a log that cannot tell."""

from typing import Final

from foldline.log.protocol import Log, Topic

SAMPLE: Final = 200
"""Offsets looked at, the newest of the partition that spans most."""


def estimated_bytes(log: Log, topic: Topic, offsets: list[tuple[int, int]]) -> int | None:
    """The bytes of payloads in a sample for each offset of it, times the offsets that the topic spans.

    Right as far as the sample is like the rest. None for a compacted topic, of whose offsets nobody knows how many
    still hold a row.

    Args:
        log: the log.
        topic: on it.
        offsets: first and end of each partition.
    """
    if topic.cleanup == "compact":
        return None
    span = sum(end - first for first, end in offsets)
    if not span:
        return 0
    partition = max(range(len(offsets)), key=lambda p: offsets[p][1] - offsets[p][0])
    first, end = offsets[partition]
    start = max(first, end - SAMPLE)
    rows = log.read(topic.name, partition, start, max_records=SAMPLE, end=end)
    if not rows:
        return 0
    # What a transaction's mark takes up at the end belongs to the sample.
    stop = end if sum(row.count for row in rows) < SAMPLE else rows[-1].end
    return round(sum(len(row.payload) for row in rows) / (stop - start) * span)
