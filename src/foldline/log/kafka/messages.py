"""Batches as messages, messages as rows.

A message's timestamp is its batch's greatest time, so that a plain record needs no header. What that cannot say
stands in one header, `foldline`: the number of newline-joined records, and where they are not the timestamp, the
least and greatest time. A message without it, as any client writes one, holds one record.
"""

from typing import Any, Final

from confluent_kafka import Message

from foldline.log.protocol import Batch, Row

HEADER: Final = "foldline"
"""`records` or `records least greatest`, in decimal digits."""


def to_message(batch: Batch, *, compact: bool, now: int) -> dict[str, Any]:
    """What to produce for a batch, as arguments of `Producer.produce`.

    Args:
        batch: checked already.
        compact: whether its topic is compacted, where no payload means a tombstone.
        now: this machine's clock, milliseconds: the brokers refuse timestamps ahead of theirs.
    """
    stamp = batch.greatest if 0 < batch.greatest <= now else 0
    message: dict[str, Any] = {
        "value": None if compact and not batch.payload else batch.payload,
        "key": batch.key,
        "partition": batch.partition,
        "timestamp": stamp,
    }
    if not stamp or batch.least != stamp:
        message["headers"] = [(HEADER, b"%d %d %d" % (batch.count, batch.least, batch.greatest))]
    elif batch.count != 1:
        message["headers"] = [(HEADER, b"%d" % batch.count)]
    return message


def to_row(message: Message) -> Row:
    """The row that a message is."""
    headers = message.headers()
    offset, value, key, time = message.offset(), message.value() or b"", message.key(), message.timestamp()[1]
    if time < 0:  # a producer of the oldest format
        time = 0
    if headers is None:
        return Row(offset, 1, value, time, time, key)  # type: ignore[arg-type]  # an offset stands on every message read
    records, least, greatest = _told(headers, time)
    # Counted, not believed: who reads rows relies on the number, and anyone may write headers.
    count = value.count(b"\n") + 1 if records > 1 else 1
    return Row(offset, count, value, least, greatest, key, count > 1)  # type: ignore[arg-type]  # as above


def _told(headers: Any, time: int) -> tuple[int, int, int]:
    """Records, least and greatest time, as the header has them; anything else there is taken for no header."""
    for name, value in headers.items() if isinstance(headers, dict) else headers:
        if name != HEADER or value is None:
            continue
        data = value.encode() if isinstance(value, str) else value
        words = data.split(b" ")
        if not all(word.isdigit() and len(word) < 19 for word in words):
            break
        if len(words) == 1:
            return int(words[0]), time, time
        if len(words) == 3:
            return int(words[0]), int(words[1]), int(words[2])
    return 1, time, time
