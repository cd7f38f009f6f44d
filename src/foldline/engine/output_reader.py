"""Following a topic of outputs without repeats: a high-water mark for each fold that wrote there."""

from collections.abc import Mapping
from dataclasses import dataclass

from foldline.engine.outputs import Source, source_of
from foldline.log.protocol import Log


@dataclass(frozen=True, slots=True)
class Output:
    """An output record.

    Attributes:
        line: the record, JSON, with its `time` and `source`.
        source: where it comes from; None for a record that another program put there.
    """

    line: bytes
    source: Source | None


class OutputReader:
    """Reads the outputs of a topic, each once, those of a partition in order.

    To go on later, keep `offsets` and `marks` together, in one commit with what was made of the outputs.

    Args:
        log: only read.
        topic: of outputs.
        offsets: where to read on, by partition; by default every partition from its first offset kept.
        marks: what was read, as `marks` said.

    Attributes:
        offsets: what is read next, by partition.
        marks: the last offset and index read of each source, by its key.
        repeats: records dropped because they had been read.
    """

    def __init__(
        self,
        log: Log,
        topic: str,
        *,
        offsets: Mapping[int, int] | None = None,
        marks: Mapping[str, tuple[int, int]] | None = None,
    ) -> None:
        self._log = log
        self._topic = topic
        if offsets is None:
            offsets = {p: log.offsets(topic, p)[0] for p in range(log.topic(topic).partitions)}
        self.offsets = dict(offsets)
        self.marks = dict(marks or {})
        self.repeats = 0

    def read(self, max_records: int = 10_000) -> list[Output]:
        """What is new, of each partition at most so many records, rows whole; nothing only where no more has come.

        Raises:
            LogError: as `Log.read`.
        """
        return [output for p in self.offsets for output in self._read_partition(p, max_records)]

    def _read_partition(self, partition: int, max_records: int) -> list[Output]:
        """Reads on where all that came were repeats: who gets nothing takes it for the end."""
        found: list[Output] = []
        while not found:
            rows = self._log.read(self._topic, partition, self.offsets[partition], max_records=max_records)
            if not rows:
                break
            for row in rows:
                lines = row.payload.split(b"\n") if row.count > 1 else [row.payload]
                found += [output for line in lines if (output := self._fresh(line)) is not None]
                self.offsets[partition] = row.end
        return found

    def wait(self, timeout_s: float) -> bool:
        """Block until there is more to read, or the timeout; whether there is."""
        return self._log.wait({(self._topic, p): offset for p, offset in self.offsets.items()}, timeout_s)

    def _fresh(self, line: bytes) -> Output | None:
        """The output of a line, None where it was read before."""
        source = source_of(line)
        if source is not None:
            place = source.offset, source.index
            if place <= self.marks.get(source.key, (-1, -1)):
                self.repeats += 1
                return None
            self.marks[source.key] = place
        return Output(line, source)
