"""What every log refuses, whatever stores its rows: one place, so that all refuse alike."""

from collections.abc import Sequence

from foldline.errors import InputError, LogError
from foldline.log.protocol import AHEAD_MS, Batch, Lease, Topic
from foldline.records.newlines import count_newlines

MAX_NAME = 249
"""Longest topic name: Kafka's limit, so that a name that works here works there."""

_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


def check_topic(topic: Topic) -> None:
    """Refuse a topic that cannot be created.

    Raises:
        InputError: `input.invalid`, naming the field.
    """
    name = topic.name
    check_topic_name(name)
    if topic.partitions < 1:
        raise InputError(
            "input.invalid",
            f"topic {name!r}: {topic.partitions!r} partitions, expected at least 1",
            field="partitions",
        )
    if topic.cleanup not in ("delete", "compact"):
        raise InputError(
            "input.invalid",
            f"topic {name!r}: cleanup {topic.cleanup!r}, expected 'delete' or 'compact'",
            field="cleanup",
        )
    _check_retention(topic)


def check_topic_name(name: str) -> None:
    """Refuse a name that Kafka would not take.

    Raises:
        InputError: `input.invalid`.
    """
    if not 0 < len(name) <= MAX_NAME or not _NAME.issuperset(name) or name in {".", ".."}:
        raise InputError(
            "input.invalid",
            f"topic name {name!r}: give 1 to {MAX_NAME} letters, digits, dots, underscores or hyphens",
            field="name",
        )


def _check_retention(topic: Topic) -> None:
    if topic.retention_ms is None:
        return
    if topic.cleanup == "compact":
        raise InputError(
            "input.invalid",
            f"topic {topic.name!r}: retention_ms {topic.retention_ms!r} on a compacted topic, which keeps the newest "
            "row of every key; leave it out, or use cleanup 'delete'",
            field="retention_ms",
        )
    if topic.retention_ms < 0:
        raise InputError(
            "input.invalid",
            f"topic {topic.name!r}: retention_ms {topic.retention_ms!r}, expected 0 or more, or None to keep all",
            field="retention_ms",
        )


def check_same(standing: Topic, asked: Topic) -> None:
    """Refuse to create a topic that stands with other settings.

    Raises:
        LogError: `log.topic_conflict`.
    """
    if (standing.partitions, standing.cleanup) != (asked.partitions, asked.cleanup):
        raise LogError(
            "log.topic_conflict",
            f"topic {asked.name!r} stands with {standing.partitions} partitions and cleanup {standing.cleanup!r}; "
            f"asked for {asked.partitions} and {asked.cleanup!r}. Use those, or another name",
        )
    if asked.lasting and standing.retention_ms is not None:
        raise LogError(
            "log.topic_conflict",
            f"topic {asked.name!r} stands with a retention of {standing.retention_ms} ms; asked for one that keeps "
            "all, since what stands there stands nowhere else. Use another log",
        )


def check_batches(batches: Sequence[Batch], now: int) -> None:
    """Refuse batches that no topic could take. O(bytes): the newlines are counted.

    Args:
        batches: what is to be appended.
        now: the log's clock, milliseconds.

    Raises:
        InputError: `input.invalid` for a payload that does not hold `count` records, or times out of order.
        LogError: `log.time_ahead`.
    """
    for batch in batches:
        _check_records(batch)
        if not 0 <= batch.least <= batch.greatest < 1 << 63:
            raise InputError(
                "input.invalid",
                f"batch for {batch.topic!r}: least time {batch.least!r} and greatest {batch.greatest!r}, "
                "expected 0 <= least <= greatest",
                field="least",
            )
        if batch.greatest > now + AHEAD_MS:
            raise LogError(
                "log.time_ahead",
                f"batch for {batch.topic!r}: time {batch.greatest} is {batch.greatest - now} ms ahead of this "
                f"machine's clock ({now}), at most {AHEAD_MS} ms are accepted; set the clocks",
            )


def _check_records(batch: Batch) -> None:
    if not isinstance(batch.payload, bytes):
        raise InputError(
            "input.invalid",
            f"batch for {batch.topic!r}: payload of type {type(batch.payload).__name__}, expected bytes",
            field="payload",
        )
    found = 1 if batch.count == 1 else count_newlines(batch.payload) + 1
    if batch.count < 1 or found != batch.count:
        raise InputError(
            "input.invalid",
            f"batch for {batch.topic!r}: count {batch.count!r}, but the payload holds {found} newline-joined records",
            field="count",
        )


def check_fits(batch: Batch, partitions: int, cleanup: str) -> None:
    """Refuse a batch that its topic cannot take.

    Raises:
        InputError: `input.invalid` for a partition the topic does not have, or a key or count that a compacted
            topic cannot hold.
    """
    check_partition(batch.topic, batch.partition, partitions)
    if cleanup == "compact" and (batch.key is None or batch.count != 1):
        raise InputError(
            "input.invalid",
            f"batch for compacted topic {batch.topic!r}: key {batch.key!r} and count {batch.count}, expected a key "
            "and one record",
            field="key",
        )


def check_partition(topic: str, partition: int, partitions: int) -> None:
    """Refuse a partition the topic does not have.

    Raises:
        InputError: `input.invalid`.
    """
    if not 0 <= partition < partitions:
        raise InputError(
            "input.invalid",
            f"partition {partition!r} of topic {topic!r}, expected 0 to {partitions - 1}",
            field="partition",
        )


def check_read(max_records: int) -> None:
    """Refuse to read fewer than one record.

    Raises:
        InputError: `input.invalid`.
    """
    if max_records < 1:
        raise InputError(
            "input.invalid", f"max_records {max_records!r}, expected at least 1", field="max_records"
        )


def check_lease_request(name: str, holder: str, ttl_s: float) -> None:
    """Refuse a lease without a name, a holder or a finite positive duration.

    Raises:
        InputError: `input.invalid`.
    """
    if not name or not holder:
        raise InputError(
            "input.invalid", f"lease {name!r} for holder {holder!r}: neither may be empty", field="holder"
        )
    if not 0.0 < ttl_s <= 1e9:
        raise InputError(
            "input.invalid",
            f"lease {name!r}: ttl_s {ttl_s!r}, expected seconds above 0, at most 1e9",
            field="ttl_s",
        )


def topic_missing(name: str) -> LogError:
    """The error of a topic that is not there."""
    return LogError("log.topic_missing", f"topic {name!r} does not exist; create it, or check the name")


def out_of_range(topic: str, partition: int, offset: int, first: int, end: int) -> LogError:
    """The error of an offset that is not kept, or not there yet."""
    return LogError(
        "log.offset_out_of_range",
        f"offset {offset!r} of {topic!r} partition {partition}, which holds {first} to {end}; read from within",
    )


def lease_lost(lease: Lease, newest: int, holder: str) -> str:
    """The message of an append whose lease is no longer the newest."""
    owner = f"held by {holder!r}" if holder else "held by nobody"
    return (
        f"lease {lease.name!r} of {lease.holder!r} has epoch {lease.epoch}, the newest is {newest}, {owner}; "
        "nothing was written"
    )
