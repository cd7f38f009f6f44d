"""Dead letters as Kafka Connect writes them: the raw record, its key and headers, and headers that say what was wrong.

So tools that know Connect's dead-letter topics (KIP-298) show and re-send ours. Read back, a letter is the one
record that it is on every log.
"""

from typing import Final

import msgspec

from foldline.log.protocol import Batch
from foldline.records.dead_letter import DeadLetter

SUFFIX: Final = ".dlq"
"""Topics of dead letters end so."""

PREFIX: Final = "__connect.errors."

_DECODER: Final = msgspec.json.Decoder(DeadLetter)
_BEGIN: Final = b'{"type":"dead",'


def is_letter(batch: Batch) -> bool:
    """Whether a batch is one dead letter."""
    return batch.topic.endswith(SUFFIX) and batch.payload.startswith(_BEGIN)


def to_connect(payload: bytes) -> tuple[bytes | None, bytes, list[tuple[str, bytes]]]:
    """Key, value and headers of a letter's message."""
    letter = _DECODER.decode(payload)
    said = {
        "topic": letter.topic,
        "partition": str(letter.partition),
        "offset": str(letter.offset),
        "stage": "FOLD",
        "class.name": letter.fold,
        "exception.class.name": letter.code,
        "exception.message": letter.error,
        "index": str(letter.index),
        "timestamp": str(letter.time),
    }
    own = [(PREFIX + name, text.encode(errors="replace")) for name, text in said.items()]
    return letter.key, letter.payload, [*letter.headers, *own]


def from_connect(
    value: bytes, headers: tuple[tuple[str, bytes], ...], key: bytes | None = None
) -> bytes | None:
    """The letter of a message as a record; None where its headers are not those of one."""
    said = {
        name[len(PREFIX) :]: data.decode(errors="replace")
        for name, data in headers
        if name.startswith(PREFIX)
    }
    try:
        letter = DeadLetter(
            time=int(said["timestamp"]),
            fold=said["class.name"],
            topic=said["topic"],
            partition=int(said["partition"]),
            offset=int(said["offset"]),
            index=int(said["index"]),
            code=said["exception.class.name"],
            error=said["exception.message"],
            payload=value,
            headers=tuple(pair for pair in headers if not pair[0].startswith(PREFIX)),
            key=key,
        )
    except (KeyError, ValueError):
        return None
    return msgspec.json.encode(letter)
