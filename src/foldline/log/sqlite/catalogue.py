"""The topics of a file: creating, listing, finding."""

import secrets
from dataclasses import dataclass

import apsw

from foldline.errors import LogError
from foldline.log.protocol import Topic
from foldline.log.sqlite.fetch import fetch
from foldline.log.sqlite.schema import MAX_PARTITION, OFFSET_BITS
from foldline.log.validation import check_partition, check_same, topic_missing

_TOPIC = "SELECT name, partitions, cleanup, retention_ms, making FROM topics"

_PLACE = f"""
    SELECT t.partitions, t.cleanup, p.id << {OFFSET_BITS}, p.floor
    FROM topics t LEFT JOIN partitions p ON p.topic = t.id AND p.number = ?
    WHERE t.name = ?
"""  # noqa: S608 - only constants are put in


@dataclass(frozen=True, slots=True)
class Place:
    """Where a partition stands in the file.

    Attributes:
        base: position of offset 0.
        floor: least end offset, whatever rows are left.
        cleanup: the topic's.
    """

    base: int
    floor: int
    cleanup: str

    @property
    def last(self) -> int:
        """The greatest position that belongs to the partition."""
        return self.base + (1 << OFFSET_BITS) - 1


def payload_bytes(connection: apsw.Connection, place: Place) -> int:
    """Bytes of the payloads that stand on a partition."""
    statement = "SELECT coalesce(sum(length(payload)), 0) FROM batches WHERE position BETWEEN ? AND ?"
    found: int = fetch(connection, statement, (place.base, place.last))[0][0]
    return found


def find_topic(connection: apsw.Connection, name: str) -> Topic | None:
    """The topic of that name, or None."""
    found = fetch(connection, f"{_TOPIC} WHERE name = ?", (name,))
    return Topic(*found[0]) if found else None


def list_topics(connection: apsw.Connection) -> list[Topic]:
    """Every topic, by name."""
    return [Topic(*row) for row in fetch(connection, f"{_TOPIC} ORDER BY name")]


def create_topic(connection: apsw.Connection, topic: Topic) -> Topic:
    """Create the topic, or return the one that stands; inside the caller's transaction.

    Raises:
        LogError: `log.topic_conflict`, `log.full` when the file has no partition ids left.
    """
    standing = find_topic(connection, topic.name)
    if standing is not None:
        check_same(standing, topic)
        return standing
    making = secrets.token_hex(16)
    connection.execute(
        "INSERT INTO topics (name, partitions, cleanup, retention_ms, making) VALUES (?, ?, ?, ?, ?)",
        (topic.name, topic.partitions, topic.cleanup, topic.retention_ms, making),
    )
    made = connection.last_insert_rowid()
    connection.executemany(
        "INSERT INTO partitions (topic, number) VALUES (?, ?)", ((made, n) for n in range(topic.partitions))
    )
    if connection.last_insert_rowid() > MAX_PARTITION:
        raise LogError(
            "log.full", f"topic {topic.name!r}: the file has given out all {MAX_PARTITION} partitions"
        )
    return Topic(topic.name, topic.partitions, topic.cleanup, topic.retention_ms, making)


def delete_topic(connection: apsw.Connection, name: str) -> None:
    """Take the topic out of the catalogue and leave its rows to be swept; inside the caller's transaction.

    Raises:
        LogError: `log.topic_missing`.
    """
    found = fetch(connection, "SELECT id FROM topics WHERE name = ?", (name,))
    if not found:
        raise topic_missing(name)
    connection.execute("INSERT INTO doomed SELECT id FROM partitions WHERE topic = ?", found[0])
    connection.execute("DELETE FROM partitions WHERE topic = ?", found[0])
    connection.execute("DELETE FROM topics WHERE id = ?", found[0])


def find_place(connection: apsw.Connection, topic: str, partition: int) -> Place:
    """Where a partition stands.

    Raises:
        LogError: `log.topic_missing`.
        InputError: the topic has no such partition.
    """
    found = fetch(connection, _PLACE, (partition, topic))
    if not found:
        raise topic_missing(topic)
    partitions, cleanup, base, floor = found[0]
    check_partition(topic, partition, partitions)
    return Place(base, floor, cleanup)
