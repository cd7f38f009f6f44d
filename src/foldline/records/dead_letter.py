"""A record that could not be used, as it stands on a dead-letter topic."""

import msgspec


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="type", tag="dead"):
    """One unusable record with its error.

    Attributes:
        time: when it was dead-lettered, milliseconds since 1970-01-01 UTC.
        fold: the fold that met it.
        topic: topic it stands on.
        partition: partition it stands on.
        offset: its offset.
        index: which of the records at that offset, where a log has several at one. Fold, topic, partition, offset
            and index identify the letter, so readers drop repeats.
        code: error code, such as `record.undecodable`.
        error: what was given and what was expected.
        payload: the record's raw bytes (base64 in JSON).
        headers: names and values that stood beside it, as a message of Kafka has them.
        key: the key of its message, where another program wrote it.
    """

    time: int
    fold: str
    topic: str
    partition: int
    offset: int
    code: str
    error: str
    payload: bytes
    index: int = 0
    headers: tuple[tuple[str, bytes], ...] = ()
    key: bytes | None = None
