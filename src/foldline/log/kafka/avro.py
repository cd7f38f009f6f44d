"""Records in Confluent's wire format with Avro: a zero byte, the schema's id in four bytes, the value.

JSON begins with no zero byte, so both may stand on one topic. A record is read as the line of JSON that it says, so
folds, ids and states are the same in either form. Schemas stand in a registry under `TOPIC-foldline.Reward` and the
like: topic and name together, since a topic holds records of several types.
"""

import io
import struct
from typing import Any, Final

import msgspec

from foldline.errors import FoldlineError, InputError, LogError, MissingExtra
from foldline.log.protocol import Row
from foldline.records.avro import NAMESPACE, avro_schema, from_avro, to_avro

MAGIC: Final = b"\x00"

HEAD: Final = struct.Struct(">BI")
"""The zero byte and the id of the writer's schema, big-endian."""

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
        self._readers: dict[int, Any] = {}
        self._writers: dict[tuple[str, str], tuple[int, Any]] = {}
        self._url = registry

    def read(self, rows: list[Row]) -> list[Row]:
        """The rows, those in the wire format as JSON; what cannot be read so stays as it is, for others to refuse.

        Raises:
            LogError: `log.unavailable`: the registry does not answer.
        """
        if not any(row.payload.startswith(MAGIC) for row in rows):
            return rows
        return [self._row(row) if row.payload.startswith(MAGIC) else row for row in rows]

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
            line = self._line(row.payload)
        except (InputError, ValueError, TypeError, IndexError, EOFError, struct.error, KeyError):
            return row
        return msgspec.structs.replace(row, payload=line)

    def _line(self, message: bytes) -> bytes:
        _, number = HEAD.unpack_from(message)
        schema = self._reader(number)
        body = io.BytesIO(message[HEAD.size :])
        value = self._avro.schemaless_reader(body, schema, None)
        if body.read(1):
            raise ValueError("more bytes than the value has")
        return from_avro(schema.get("name", "") if isinstance(schema, dict) else "", value)

    def _reader(self, number: int) -> Any:
        if number not in self._readers:
            found = self._asked(lambda: self._client.get_schema(number), f"schema {number}")
            self._readers[number] = self._avro.parse_schema(msgspec.json.decode(found.schema_str))
        return self._readers[number]

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
                raise KeyError(what) from error
            raise self._unavailable(what, error) from error
        except FoldlineError:
            raise
        except Exception as error:  # the client's HTTP library raises errors of its own
            raise self._unavailable(what, error) from error

    def _unavailable(self, what: str, error: Exception) -> LogError:
        return LogError("log.unavailable", f"asking the schema registry {self._url} for {what}: {error}")
