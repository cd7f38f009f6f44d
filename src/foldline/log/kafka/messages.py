"""Batches as messages, messages as rows.

A message's timestamp is its batch's greatest time, so that a plain record needs no header. What that cannot say
stands in one header, `foldline`: the number of newline-joined records, and where they are not the timestamp, the
least and greatest time. A message without it, as any client writes one, holds one record.

One record carries the attributes of CloudEvents beside it (`cloud_events`); a dead letter is written as Kafka
Connect writes one (`connect`). Neither changes what is read back.
"""

from typing import Any, Final

from confluent_kafka import Message

from foldline.log.kafka.avro import CONTENT_TYPE
from foldline.log.kafka.cloud_events import ATTRIBUTES, attributes_of, without_own
from foldline.log.kafka.connect import from_connect, is_letter, to_connect
from foldline.log.protocol import AHEAD_MS, Batch, Row

HEADER: Final = "foldline"
"""`records` or `records least greatest`, in decimal digits."""


def to_message(batch: Batch, *, compact: bool, now: int, source: str | None = None) -> dict[str, Any]:
    """What to produce for a batch, as arguments of `Producer.produce`.

    Args:
        batch: checked already.
        compact: whether its topic is compacted, where no payload means a tombstone.
        now: this machine's clock, milliseconds: the brokers refuse timestamps ahead of theirs.
        source: the topic as CloudEvents are to name it; None for no such headers.
    """
    stamp = batch.greatest if 0 < batch.greatest <= now else 0
    value: bytes | None = batch.payload
    key = batch.key
    # What our own header says of another message is not said of this one.
    headers = [pair for pair in batch.headers if pair[0] != HEADER]
    described = not ATTRIBUTES.isdisjoint(name for name, _ in headers)
    if not stamp or batch.least != stamp:
        headers.append((HEADER, b"%d %d %d" % (batch.count, batch.least, batch.greatest)))
    elif batch.count != 1:
        headers.append((HEADER, b"%d" % batch.count))
    if compact:
        value = batch.payload or None
    elif batch.count == 1 and is_letter(batch):
        key, value, more = to_connect(batch.payload)
        headers += more
    elif batch.count == 1 and source is not None and not described:
        headers += attributes_of(batch.payload, source)
    message: dict[str, Any] = {
        "value": value,
        "key": key,
        "partition": batch.partition,
        "timestamp": stamp,
    }
    if headers:
        message["headers"] = headers
    return message


def in_avro(message: dict[str, Any], value: bytes) -> dict[str, Any]:
    """A message of one record with its value in that form, and its attributes saying so."""
    headers = [
        (name, CONTENT_TYPE if name == "content-type" else data) for name, data in message.get("headers", ())
    ]
    return message | {"value": value} | ({"headers": headers} if headers else {})


def to_row(message: Message) -> Row:
    """The row that a message is."""
    # An offset stands on every message read.
    return row_of(message.offset(), message.value(), message.key(), message.timestamp()[1], message.headers())  # type: ignore[arg-type]  # as said


def sent_row(offset: int, message: dict[str, Any]) -> Row | None:
    """The row that a message is which was sent and stands at an offset; None where only the client knows its time."""
    if not message["timestamp"]:
        return None
    return row_of(offset, message["value"], message["key"], message["timestamp"], message.get("headers"))


def row_of(offset: int, value: bytes | None, key: bytes | None, time: int, headers: Any) -> Row:
    """The row that a message of these parts is.

    Args:
        offset: of the message.
        value: None for a tombstone.
        key: its key.
        time: its timestamp, milliseconds; negative for none, as a producer of the oldest format writes it.
        headers: names and values as the client gives them, None for none.
    """
    value, time = value or b"", max(time, 0)
    if headers is None:
        return Row(offset, 1, value, time, time, key)
    told, others = _parted(headers)
    records, least, greatest = _told(told, time)
    letter = from_connect(value, others, key)
    if letter is not None:
        return Row(offset, 1, letter, least, greatest)
    # Counted, not believed: who reads rows relies on the number, and anyone may write headers.
    count = value.count(b"\n") + 1 if records > 1 else 1
    return Row(offset, count, value, least, greatest, key, count > 1, without_own(others))


def _parted(headers: Any) -> tuple[bytes | None, tuple[tuple[str, bytes], ...]]:
    """Our own header, and the others."""
    told, others = None, []
    for name, value in headers.items() if isinstance(headers, dict) else headers:
        data = value.encode() if isinstance(value, str) else value
        if name == HEADER:
            told = data if told is None else told
        else:
            others.append((name, data or b""))
    return told, tuple(others)


def _told(header: bytes | None, time: int) -> tuple[int, int, int]:
    """Records, least and greatest time, as the header has them; anything else there is taken for no header.

    No time is later than those who append may write at the message's own, which the brokers have judged.
    """
    words = (header or b"").split(b" ")
    if all(word.isdigit() and len(word) < 19 for word in words):
        if len(words) == 1:
            return int(words[0]), time, time
        if len(words) == 3:
            greatest = min(int(words[2]), time + AHEAD_MS)
            return int(words[0]), min(int(words[1]), greatest), greatest
    return 1, time, time
