"""The attributes of CloudEvents (CNCF, version 1.0, Kafka protocol binding, binary mode) beside one record.

They say again what the record says, for tools that route or show events by them; reading them back is left out.
"""

from datetime import UTC, datetime
from typing import Final

import msgspec

SPEC: Final = b"1.0"

ATTRIBUTES: Final = frozenset({"ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time", "content-type"})
"""Headers written here."""


_TYPE: Final = b"foldline."


class _Named(msgspec.Struct):
    type: str
    time: int
    id: str = ""
    decision: str = ""


_DECODER: Final = msgspec.json.Decoder(_Named)


def attributes_of(record: bytes, source: str) -> list[tuple[str, bytes]]:
    """The headers of a record; none for what is no record.

    The id is the record's own; of an activation its decision's, of a tick or a marker type and time.

    Args:
        record: a line of JSON.
        source: the topic it stands on.

    >>> dict(attributes_of(b'{"type":"reward","time":1790000000000,"id":"r1","value":1.0}', "news.events"))["ce_type"]
    b'foldline.reward'
    """
    try:
        named = _DECODER.decode(record)
        when = datetime.fromtimestamp(named.time / 1000, UTC)
    except (msgspec.MsgspecError, ValueError, OverflowError, OSError):
        return []
    id = named.id or named.decision or f"{named.type}.{named.time}"
    return [
        ("ce_specversion", SPEC),
        ("ce_id", id.encode(errors="replace")),
        ("ce_type", _TYPE + named.type.encode(errors="replace")),
        ("ce_source", b"/topics/" + source.encode()),
        ("ce_time", when.isoformat(timespec="milliseconds").replace("+00:00", "Z").encode()),
        ("content-type", b"application/json"),
    ]


def without_own(headers: tuple[tuple[str, bytes], ...]) -> tuple[tuple[str, bytes], ...]:
    """Headers as their writer gave them: without these, where they are ours."""
    if not any(name == "ce_type" and value.startswith(_TYPE) for name, value in headers):
        return headers
    return tuple(pair for pair in headers if pair[0] not in ATTRIBUTES)
