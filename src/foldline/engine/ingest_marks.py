"""How far each source topic was copied, written in the commit of the copies."""

import msgspec

from foldline.engine.restore import rows_from
from foldline.log.protocol import Batch, Log, Topic

INGESTS = "foldline.ingests"
"""The next offset of every partition of every ingest's source; compacted."""


class IngestMark(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="ingest"):
    """How far one partition of a source was copied.

    Attributes:
        time: of the commit, milliseconds since 1970-01-01 UTC.
        ingest: its name.
        loop: that takes the copies.
        topic: of the source.
        topic_id: unique to that making of the topic.
        partition: of the source.
        next: the offset to read next.
        copied: records copied so far.
        passed: records the condition passed over so far, and messages without a value.
        dead: records that could not be used so far, on the loop's dead-letter topic.
    """

    time: int
    ingest: str
    loop: str
    topic: str
    topic_id: str
    partition: int
    next: int
    copied: int = 0
    passed: int = 0
    dead: int = 0

    def batch(self) -> Batch:
        """The row to be committed with the copies."""
        key = f"{self.ingest}/{self.partition}".encode()
        return Batch(INGESTS, 0, msgspec.json.encode(self), 1, self.time, self.time, key)


class IngestMarks:
    """The marks of all ingests, as of the last `read`. Not thread-safe."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._offset = 0
        self._marks: dict[tuple[str, int], IngestMark] = {}
        log.create(Topic(INGESTS, 1, "compact"))

    def read(self) -> None:
        """Read what is new on the log; asks for its end."""
        for row in rows_from(self._log, INGESTS, 0, self._offset):
            self._offset = row.end
            if row.payload:
                mark = msgspec.json.decode(row.payload, type=IngestMark)
                place = mark.ingest, mark.partition
                known = self._marks.get(place)
                # Compaction may leave rows in any order; of one making of a topic the furthest stands.
                if known is None or mark.topic_id != known.topic_id or mark.next >= known.next:
                    self._marks[place] = mark

    def get(self, ingest: str, partition: int) -> IngestMark | None:
        """How far a partition was copied; None where not at all."""
        return self._marks.get((ingest, partition))

    def all(self) -> list[IngestMark]:
        """Every mark, by ingest and partition."""
        return [mark for _, mark in sorted(self._marks.items())]


def marks_on(log: Log) -> list[IngestMark]:
    """How far every ingest has come, by name and partition; none where there never was one."""
    if INGESTS not in {topic.name for topic in log.topics()}:
        return []
    marks = IngestMarks(log)
    marks.read()
    return marks.all()
