"""The mirror: what was read of a few topics, to be read again while the cluster is away.

Rows keep the offsets they have on the cluster, so who follows a topic goes on from where it is, whichever of the two
it reads from.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from foldline.log.protocol import Batch, Log, Row, Topic

MIRROR: Final = "mirror"
"""Topics and rows as they were read; compacted."""

Place = tuple[str, int]

_ENCODE = msgspec.msgpack.Encoder().encode
_ROW = msgspec.msgpack.Decoder(tuple[str, int, Row])
_TOPIC = msgspec.msgpack.Decoder(Topic)


class Mirror:
    """Rows of the topics mirrored, in memory and on an embedded log. Thread-safe.

    Args:
        local: keeps it.
        wanted: whether a topic is mirrored, by its name.
    """

    def __init__(self, local: Log, wanted: Callable[[str], bool]) -> None:
        self._local = local
        self._wanted = wanted
        self._changing = threading.Lock()
        self._topics: dict[str, Topic] = {}
        self._rows: dict[Place, dict[bytes, Row]] = {}
        self._highs: dict[Place, int] = {}
        self._changed: dict[bytes, bytes] = {}
        local.create(Topic(MIRROR, 1, "compact"))
        self._load()

    def topic(self, name: str) -> Topic | None:
        """A topic as it was last seen."""
        return self._topics.get(name)

    def note_topic(self, topic: Topic) -> None:
        """A topic was seen. Every one is kept: they are few."""
        with self._changing:
            if self._topics.get(topic.name) != topic:
                self._topics[topic.name] = topic
                self._changed[b"topic " + topic.name.encode()] = _ENCODE(topic)

    def note(self, place: Place, offset: int, rows: Sequence[Row]) -> None:
        """These rows were read from an offset on; taken in where nothing before them is missing."""
        if not rows or not self._wanted(place[0]):
            return
        with self._changing:
            if offset > self._highs.get(place, 0) or rows[-1].end <= self._highs.get(place, 0):
                return
            for row in rows:
                name = row.key if row.key is not None else b"%d" % row.offset
                self._keep(place, name, row)
                self._changed[b"%b %d %b" % (place[0].encode(), place[1], name)] = _ENCODE((*place, row))

    def knows(self, suffix: str) -> bool:
        """Whether rows are mirrored of a topic whose name ends so."""
        return any(place[0].endswith(suffix) and rows for place, rows in self._rows.items())

    def covers(self, topic: str) -> bool:
        """Whether a topic is one to be read here; one that was never read is empty."""
        return self._wanted(topic)

    def read(self, place: Place, offset: int, max_records: int, end: int | None) -> list[Row]:
        """Rows as `Log.read` gives them."""
        with self._changing:
            rows = sorted(self._rows.get(place, {}).values(), key=lambda row: row.offset)
        found: list[Row] = []
        left = max_records
        for row in rows:
            if row.offset >= offset and (end is None or row.offset < end) and left > 0:
                found.append(row)
                left -= row.count
        return found

    def end(self, place: Place) -> int:
        """The offset after the last row read."""
        return self._highs.get(place, 0)

    def overlay(self, batch: Batch) -> None:
        """Show the row of a compacted topic that waits to be appended in place of the one it will replace."""
        if batch.key is None or not self._wanted(batch.topic):
            return
        place = (batch.topic, batch.partition)
        with self._changing:
            there = self._rows.setdefault(place, {}).get(batch.key)
            row = there if there is not None else Row(0, 1, b"", batch.least, batch.greatest, batch.key)
            self._rows[place][batch.key] = msgspec.structs.replace(row, payload=batch.payload)

    def flush(self, *, now: int) -> None:
        """Put on the disk what has changed; does nothing where nothing has."""
        with self._changing:
            changed, self._changed = self._changed, {}
        if not changed:
            return
        try:
            self._local.append(
                [Batch(MIRROR, 0, payload, 1, now, now, key) for key, payload in changed.items()]
            )
        except BaseException:
            with self._changing:
                self._changed = changed | self._changed
            raise

    def reset(self) -> None:
        """Forget everything, as another cluster's."""
        with self._changing:
            self._topics, self._rows, self._highs, self._changed = {}, {}, {}, {}
        self._local.delete(MIRROR)
        self._local.create(Topic(MIRROR, 1, "compact"))

    def _load(self) -> None:
        offset = 0
        while rows := self._local.read(MIRROR, 0, offset):
            for stored in rows:
                if (stored.key or b"").startswith(b"topic "):
                    topic = _TOPIC.decode(stored.payload)
                    self._topics[topic.name] = topic
                else:
                    name, partition, row = _ROW.decode(stored.payload)
                    key = row.key if row.key is not None else b"%d" % row.offset
                    self._keep((name, partition), key, row)
            offset = rows[-1].end

    def _keep(self, place: Place, name: bytes, row: Row) -> None:
        self._rows.setdefault(place, {})[name] = row
        self._highs[place] = max(row.end, self._highs.get(place, 0))
