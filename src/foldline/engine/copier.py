"""The copier: reads one partition of a source topic and appends what its records become, with how far it came.

Copies, dead letters and the mark are one append under a lease, so each record of the source is copied once, whatever
dies when. The order in which copies are appended is the truth from then on.
"""

from collections import defaultdict

import msgspec

from foldline.engine.copies import RECORD_BYTES, copies_of, fold_of, line_of, stem_of
from foldline.engine.ingest_marks import IngestMark, IngestMarks
from foldline.errors import FoldError, FoldlineError, LogError
from foldline.log.protocol import Batch, Lease, Log, Row, Topic
from foldline.loops.mapping import Message, RecordMapping
from foldline.loops.reports import Reports
from foldline.loops.topics import topics_of
from foldline.records.dead_letter import DeadLetter


class Copier:
    """Copies one partition. Not thread-safe.

    Args:
        log: that takes the copies.
        source: that has the topic.
        topic: the source topic as it stands.
        name: the ingest's.
        mapping: what records become.
        partition: of the source topic.
        lease: on the ingest's partition.
        marks: of the log; read here.

    Raises:
        FoldError: `fold.topic_replaced`, where the topic is not the one that was copied before.
    """

    def __init__(
        self,
        log: Log,
        source: Log,
        topic: Topic,
        name: str,
        mapping: RecordMapping,
        partition: int,
        lease: Lease,
        marks: IngestMarks,
    ) -> None:
        self.lease = lease
        self.partition = partition
        self._log = log
        self._source = source
        self._topic = topic
        self._name = name
        self._mapping = mapping
        self._marks = marks
        self._in_doubt = False
        self._stem = stem_of(topic.name, topic.id, partition)
        stood = self._stood()
        self._begun = stood is not None
        self.mark = self._first() if stood is None else stood

    def step(self, reports: Reports, *, now: int, max_records: int) -> int:
        """Copy what is there, up to `max_records`; how many records of the source were read.

        Args:
            reports: of the loop as it is defined now.
            now: milliseconds, the time of the copies.
            max_records: rows stay whole.

        Raises:
            LeaseLost: another owns the partition; drop this one.
            FoldError: `fold.retention_overtook`, `fold.topic_replaced`.
            LogError: a log does not answer; call it again.
        """
        if self._in_doubt:
            self._settle()
        rows = self._read(max_records)
        if not rows and self._begun:
            return 0
        check_same_topic(self._source, self._topic, self._name)
        batches, mark = self._copies(rows, reports, now)
        self._in_doubt = True
        self._log.append([*batches, mark.batch()], lease=self.lease)
        self._in_doubt = False
        # Where it begins is written too, before anything came: a restart must not begin elsewhere.
        self.mark, self._begun = mark, True
        return sum(row.count for row in rows)

    def close(self) -> None:
        """Give the lease up."""
        if not self._in_doubt:
            self._log.release(self.lease)

    def _stood(self) -> IngestMark | None:
        """The mark as it stands on the log; None where nothing was ever committed."""
        self._marks.read()
        mark = self._marks.get(self._name, self.partition)
        loop = self._mapping.settings.loop
        if mark is None:
            return None
        if (mark.topic, mark.topic_id, mark.loop) != (self._topic.name, self._topic.id, loop):
            raise FoldError(
                "fold.topic_replaced",
                f"ingest {self._name!r} has copied topic {mark.topic!r} (id {mark.topic_id}) to loop {mark.loop!r}, "
                f"and is now to copy {self._topic.name!r} (id {self._topic.id}) to {loop!r}: give it another name",
            )
        return mark

    def _first(self) -> IngestMark:
        ends = self._source.offsets(self._topic.name, self.partition)
        settings = self._mapping.settings
        return IngestMark(
            time=0,
            ingest=self._name,
            loop=settings.loop,
            topic=self._topic.name,
            topic_id=self._topic.id,
            partition=self.partition,
            next=ends[settings.start == "latest"],
        )

    def _settle(self) -> None:
        """Find out whether the append in doubt was made: the mark says so."""
        self._log.append([], lease=self.lease)  # decides what becomes of an append that is under way
        stood = self._stood()
        if stood is not None:
            self.mark, self._begun = stood, True
        self._in_doubt = False

    def _read(self, max_records: int) -> list[Row]:
        try:
            return self._source.read(
                self._topic.name, self.partition, self.mark.next, max_records=max_records
            )
        except LogError as error:
            if error.code != "log.offset_out_of_range":
                raise
            check_same_topic(self._source, self._topic, self._name)
            raise FoldError(
                "fold.retention_overtook",
                f"ingest {self._name!r} stands at offset {self.mark.next} of {self._topic.name}[{self.partition}], "
                f"which the source no longer holds ({error.args[0]}): copy what is left under another name",
            ) from error

    def _copies(self, rows: list[Row], reports: Reports, now: int) -> tuple[list[Batch], IngestMark]:
        lines: defaultdict[int, list[bytes]] = defaultdict(list)
        letters: list[Batch] = []
        passed = 0
        topics = topics_of(reports.definition)
        for row in rows:
            for index, value in enumerate([row.payload] if row.count == 1 else row.payload.split(b"\n")):
                offset, inner = row.place(index)
                if not value:
                    passed += 1
                    continue
                message = Message(value, row.key, row.headers, row.greatest, f"{self._stem}{offset}.{inner}")
                try:
                    placed = self._mapping.place(message, reports, now=now)
                    if placed is None:
                        passed += 1
                    else:
                        lines[placed.partition].append(line_of(placed.record))
                except FoldlineError as error:
                    letter = self._letter(error, value, row, offset, inner, now)
                    target = self.partition % reports.definition.partitions
                    letters.append(Batch(topics.dead, target, msgspec.json.encode(letter), 1, now, now))
        batches = copies_of(lines, topics.events, now)
        mark = msgspec.structs.replace(
            self.mark,
            time=now,
            next=rows[-1].end if rows else self.mark.next,
            copied=self.mark.copied + sum(batch.count for batch in batches),
            passed=self.mark.passed + passed,
            dead=self.mark.dead + len(letters),
        )
        return batches + letters, mark

    def _letter(
        self, error: FoldlineError, value: bytes, row: Row, offset: int, index: int, now: int
    ) -> DeadLetter:
        text = str(error.args[0])
        if len(value) > RECORD_BYTES:
            text += f"; of its {len(value)} bytes the first {RECORD_BYTES} are kept here"
        return DeadLetter(
            time=now,
            fold=fold_of(self._name),
            topic=self._topic.name,
            partition=self.partition,
            offset=offset,
            index=index,
            code=error.code,
            error=text,
            payload=value[:RECORD_BYTES],
            headers=row.headers,
            key=row.key,
        )


def check_same_topic(source: Log, topic: Topic, name: str) -> None:
    """Refuse to go on where the topic was deleted and made again.

    Raises:
        FoldError: `fold.topic_replaced`.
        LogError: `log.topic_missing`.
    """
    if source.topic(topic.name).id != topic.id:
        raise FoldError(
            "fold.topic_replaced",
            f"topic {topic.name!r}, which ingest {name!r} copies, was deleted and made again: "
            "copy the new one under another name",
        )
