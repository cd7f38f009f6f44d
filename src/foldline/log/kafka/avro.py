"""Records in Confluent's wire format with Avro: a zero byte, the schema's id in four bytes, the value.

JSON begins with no zero byte, so both may stand on one topic. Newer clients write the schema's id, or its GUID after a
byte 1, into a header instead, with the bare value as the message; that is read too. A record is read as the line of
JSON that it says, so folds, ids and states are the same in either form. Schemas stand in a registry under
`TOPIC-foldline.Reward` and the like: topic and name together, since a topic holds records of several types.
"""

import io
import struct
import uuid
from typing import Any, Final

import msgspec

from foldline.errors import InputError, LogError, MissingExtra
from foldline.log.protocol import Row
from foldline.records.avro import NAMESPACE, avro_schema, from_avro, to_avro

MAGIC: Final = b"\x00"

HEAD: Final = struct.Struct(">BI")
"""The zero byte and the id of the writer's schema, big-endian."""

BY_GUID: Final = b"\x01"
"""Before a schema's GUID of 16 bytes, where that stands in place of an id."""

HEADER: Final = "__value_schema_id"
"""The header with a schema's id or GUID, where the value is bare."""

STATES: Final = ".roots"
"""Topics of states end so. What stands there may be any bytes, and is never Avro."""

CONTENT_TYPE: Final = b"application/avro"


class AvroForm:
    """Turns messages in the wire format into rows of JSON, and records into such messages. Thread-safe.

    Args:
        registry: URL of the schema registry; `mock://…` is one within this process.
        user: `name:password` for it, or empty.

    Raises:
        MissingExtra: the extra `avro` is not installed.
    """

    def __init__(self, registry: str, user: str = "") -> None:
        try:
            import fastavro
            from confluent_kafka.schema_registry import Schema, SchemaRegistryClient, SchemaRegistryError
        except ImportError as error:
            raise MissingExtra("avro", "reading and writing Avro") from error
        self._avro: Any = fastavro
        self._schema: Any = Schema
        self._refusal: Any = SchemaRegistryError
        settings = {"url": registry} | ({"basic.auth.user.info": user} if user else {})
        self._client: Any = SchemaRegistryClient.new_client(settings)
        self._readers: dict[int | str, Any] = {}
        self._writers: dict[tuple[str, str], tuple[int, Any]] = {}
        self._url = registry

    def read(self, rows: list[Row]) -> list[Row]:
        """The rows, those in the wire format as JSON; what cannot be read so stays as it is, for others to refuse.

        Raises:
            LogError: `log.unavailable`: the registry does not answer.
        """
        if not any(map(_is_avro, rows)):
            return rows
        return [self._row(row) if _is_avro(row) else row for row in rows]

    def write(self, line: bytes, topic: str) -> bytes | None:
        """The message of a record that stands on a topic, as the cluster calls it; None for what is no record.

        Raises:
            LogError: `log.unavailable`: the registry does not answer, or refuses the schema.
        """
        told = to_avro(line)
        if told is None:
            return None
        kind, value = told
        number, schema = self._writer(topic, kind)
        out = io.BytesIO()
        out.write(HEAD.pack(0, number))
        self._avro.schemaless_writer(out, schema, value)
        return out.getvalue()

    def _row(self, row: Row) -> Row:
        try:
            line = self._line(row)
        except InputError:
            return row
        # A header that names the schema of bytes which stand here no more would have the line read as such.
        headers = tuple(pair for pair in row.headers if pair[0] != HEADER)
        return msgspec.structs.replace(row, payload=line, headers=headers)

    def _line(self, row: Row) -> bytes:
        """The record as JSON.

        Raises:
            InputError: it cannot be read.
            LogError: `log.unavailable`.
        """
        said = _header(row)
        number, rest = _schema_of(row.payload if said is None else said)
        schema = self._reader(number)
        body = io.BytesIO(rest if said is None else row.payload)
        try:
            value = self._avro.schemaless_reader(body, schema, None)
        except (
            Exception
        ) as error:  # whatever a reader of foreign bytes raises says that they are no such value
            raise InputError(
                "input.unreadable", f"the message is no value of schema {number}: {error}"
            ) from error
        if body.read(1):
            raise InputError("input.unreadable", f"the message is longer than a value of schema {number}")
        return from_avro(schema.get("name", "") if isinstance(schema, dict) else "", value)

    def _reader(self, number: int | str) -> Any:
        """The schema of an id or a GUID, parsed."""
        if number not in self._readers:
            by_id = isinstance(number, int)
            ask = self._client.get_schema if by_id else self._client.get_schema_by_guid
            found = self._asked(lambda: ask(number), f"schema {number}")
            self._readers[number] = self._parsed(found, {})
        return self._readers[number]

    def _parsed(self, schema: Any, named: dict[str, Any]) -> Any:
        """A schema parsed, after those that it refers to."""
        for each in schema.references or ():
            what = f"version {each.version} of {each.subject!r}"
            found = self._asked(lambda each=each: self._client.get_version(each.subject, each.version), what)
            self._parsed(found.schema, named)
        try:
            return self._avro.parse_schema(msgspec.json.decode(schema.schema_str), named_schemas=named)
        except Exception as error:  # a schema of another kind, or none at all
            raise InputError(
                "input.unreadable", f"the registry's schema is no Avro schema: {error}"
            ) from error

    def _writer(self, topic: str, kind: str) -> tuple[int, Any]:
        if (topic, kind) not in self._writers:
            schema = avro_schema(kind)
            text = msgspec.json.encode(schema).decode()
            subject = f"{topic}-{NAMESPACE}.{schema['name']}"
            number = self._asked(
                lambda: self._client.register_schema(subject, self._schema(text, "AVRO")),
                f"subject {subject!r}",
            )
            self._writers[topic, kind] = number, self._avro.parse_schema(schema)
        return self._writers[topic, kind]

    def _asked(self, ask: Any, what: str) -> Any:
        try:
            return ask()
        except self._refusal as error:
            if error.http_status_code == 404:
                raise InputError("input.unreadable", f"the schema registry has no {what}") from error
            raise self._unavailable(what, error) from error
        except Exception as error:  # the client's HTTP library raises errors of its own
            raise self._unavailable(what, error) from error

    def _unavailable(self, what: str, error: Exception) -> LogError:
        return LogError("log.unavailable", f"asking the schema registry {self._url} for {what}: {error}")


def _is_avro(row: Row) -> bool:
    """Whether it may be; a packed message never is, or the number of its records would be another."""
    marked = row.payload[:1] in (MAGIC, BY_GUID) or (bool(row.headers) and _header(row) is not None)
    return marked and row.count == 1


def _header(row: Row) -> bytes | None:
    return next((data for name, data in row.headers if name == HEADER), None)


def _schema_of(data: bytes) -> tuple[int | str, bytes]:
    """The id or GUID of a schema at the beginning, and what follows."""
    if data[:1] == BY_GUID and len(data) >= 17:
        return str(uuid.UUID(bytes=data[1:17])), data[17:]
    if data[:1] == MAGIC and len(data) >= HEAD.size:
        return HEAD.unpack_from(data)[1], data[HEAD.size :]
    raise InputError("input.unreadable", f"{data[:17]!r} is no id of a schema")
