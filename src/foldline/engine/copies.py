"""What an ingest's copies have in common, whoever makes them: ids, sizes, batches."""

from collections.abc import Iterator, Mapping
from typing import Final

from foldline.errors import InputError
from foldline.log.protocol import Batch
from foldline.records.codec import encode
from foldline.records.types import Record

INGEST: Final = "ingest/"
"""Dead letters of ingests name a fold that begins so."""

ID_DIGITS: Final = 8
"""Of a topic's id in a copy's id: what stood on a topic of the same name before is something else."""

BATCH_BYTES: Final = 1 << 20
"""Copies for one partition are appended in batches of about this size: a log takes no batch of any size."""

RECORD_BYTES: Final = 4 << 20
"""Larger records are not copied: Kafka takes messages of 8 MB here, and a dead letter is a third larger."""


def fold_of(ingest: str) -> str:
    """What the dead letters of an ingest name as their fold."""
    return f"{INGEST}{ingest}"


def stem_of(topic: str, topic_id: str, partition: int) -> str:
    """What the ids of copies begin with, before the offset."""
    return f"{topic}@{topic_id[:ID_DIGITS]}/{partition}/"


def line_of(record: Record) -> bytes:
    """A copy as it is appended.

    Raises:
        InputError: it cannot be written as JSON, or is too large.
    """
    line = encode(record)
    if len(line) > RECORD_BYTES:
        raise InputError(
            "input.invalid",
            f"the record has {len(line)} bytes, at most {RECORD_BYTES} are taken: log less context",
        )
    return line


def copies_of(lines: Mapping[int, list[bytes]], topic: str, now: int) -> list[Batch]:
    """The batches of copies, given as lines by partition."""
    return [
        Batch(topic, partition, b"\n".join(part), len(part), now, now)
        for partition, some in sorted(lines.items())
        for part in _parts(some)
    ]


def _parts(lines: list[bytes]) -> Iterator[list[bytes]]:
    """The lines in order, at most `BATCH_BYTES` together where they are more than one."""
    start = size = 0
    for place, line in enumerate(lines):
        if place > start and size + len(line) > BATCH_BYTES:
            yield lines[start:place]
            start, size = place, 0
        size += len(line) + 1
    yield lines[start:]
