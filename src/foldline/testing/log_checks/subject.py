"""The log under test, and what the checks say with."""

from collections.abc import Callable
from dataclasses import dataclass

from foldline.errors import FoldlineError
from foldline.log.clock import Clock
from foldline.log.protocol import Batch, Lease, Log, Row

NOW = 1_700_000_000_000
"""Where the checks' clocks start, milliseconds."""

WAKE_S = 30.0
"""How long a check waits for what must happen, before it fails."""


@dataclass(frozen=True, slots=True)
class LogSubject:
    """The log under test.

    Attributes:
        make: called as `make(clock=...)`; a new, empty, open log each time.
        reopen: called as `reopen(log, clock=...)` with a closed log of `make`'s; the same log, open again. None
            where nothing survives a close.
        cleans: whether `Log.clean` applies retention and compaction at once, by the log's clock. Where others do
            in their own time, what may be gone is only checked for not being wrong.
    """

    make: Callable[..., Log]
    reopen: Callable[..., Log] | None = None
    cleans: bool = True


class SetClock:
    """A clock that stands where it is put."""

    def __init__(self, now: int = NOW) -> None:
        self.now = now

    def __call__(self) -> int:
        """Milliseconds."""
        return self.now


def expect(held: bool, message: str) -> None:
    """Fail with `message` unless it held."""
    # Raised by hand: an assert statement is gone under python -O.
    if not held:
        raise AssertionError(message)


def equal(found: object, expected: object, what: str) -> None:
    """Fail unless both are equal."""
    expect(found == expected, f"{what}: expected {expected!r}, found {found!r}")


def refused(code: str, call: Callable[[], object], what: str) -> None:
    """Fail unless the call raises the error with that code."""
    try:
        given = call()
    except FoldlineError as error:
        equal(error.code, code, f"error code of {what}")
        return
    raise AssertionError(f"{what}: expected the error {code}, it returned {given!r}")


def open_new(subject: LogSubject, clock: Clock | None = None) -> Log:
    """A new, empty log."""
    return subject.make(clock=clock or SetClock())


def batch_of(
    topic: str, lines: list[bytes], *, partition: int = 0, time: int = NOW, key: bytes | None = None
) -> Batch:
    """A batch of lines that all have one time."""
    return Batch(topic, partition, b"\n".join(lines), len(lines), time, time, key)


def lines_of(rows: list[Row]) -> list[bytes]:
    """The records of rows."""
    return [line for row in rows for line in row.payload.split(b"\n")]


class Ledger:
    """What was appended to one partition of a log, and where it stands."""

    def __init__(self, log: Log) -> None:
        self._packed = log.counts == "messages"
        self.rows: list[tuple[int, list[bytes]]] = []
        self.end = 0

    def note(self, offset: int, lines: list[bytes]) -> None:
        """A batch was appended at an offset: right after the last one where offsets count records, else beyond."""
        if self._packed:
            expect(offset >= self.end, f"offset returned: expected {self.end} or more, found {offset}")
        else:
            equal(offset, self.end, "offset returned")
        self.rows.append((offset, lines))
        self.end = offset + (1 if self._packed else len(lines))

    def expect_end(self, log: Log, topic: str, partition: int = 0) -> None:
        """The log's offsets end here; where they count messages, perhaps beyond, with nothing between."""
        first, end = log.offsets(topic, partition)
        equal(first, 0, f"first offset of {topic}[{partition}]")
        if self._packed:
            expect(end >= self.end, f"end of {topic}[{partition}]: expected {self.end} or more, found {end}")
        else:
            equal(end, self.end, f"end of {topic}[{partition}]")
        equal(log.read(topic, partition, self.end), [], "rows at the end")

    def between(self, start: int, stop: int) -> list[bytes]:
        """The records that a read from one offset to another gives."""
        if self._packed:
            return [line for offset, lines in self.rows if start <= offset < stop for line in lines]
        return [line for _, lines in self.rows for line in lines][start:stop]


def appended(log: Log, batches: list[Batch], lease: Lease | list[Lease] | None = None) -> list[int]:
    """The offsets of batches appended; each is then read from its offset."""
    offsets = log.append(batches, lease=lease)
    equal(len(offsets), len(batches), "number of offsets returned")
    for batch, offset in zip(batches, offsets, strict=True):
        found = log.read(batch.topic, batch.partition, offset, max_records=1)
        equal(found[0].offset if found else None, offset, "offset of the row at the offset returned")
        equal(found[0].payload, batch.payload, "payload of the row at the offset returned")
    return offsets


def read_all(log: Log, topic: str, partition: int = 0, max_records: int = 7) -> list[Row]:
    """Every row kept, read in small polls."""
    offset, end = log.offsets(topic, partition)
    rows: list[Row] = []
    while offset < end and (more := log.read(topic, partition, offset, max_records=max_records)):
        rows += more
        offset = more[-1].end
    return rows


def numbered(first: int, count: int) -> list[bytes]:
    """`count` lines that tell their number."""
    return [b"line %d" % n for n in range(first, first + count)]


def taken(log: Log, name: str, holder: str) -> Lease:
    """The lease, which must be free."""
    lease = log.acquire(name, holder, 10.0)
    if lease is None:
        raise AssertionError(f"the free lease {name!r} was refused to {holder!r}")
    return lease
