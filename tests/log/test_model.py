"""Both logs agree with lists of lists under whatever hypothesis does to them."""

import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from foldline.errors import LogError
from foldline.log.memory import MemoryLog
from foldline.log.protocol import Batch, Log, Topic
from foldline.log.sqlite.log import SqliteLog
from foldline.testing.log_checks.subject import NOW, SetClock, read_all

STEPS = settings(max_examples=25, stateful_step_count=30, deadline=None, derandomize=True)
RETENTION_MS = 1_000


@dataclass
class Stored:
    """One appended batch as the oracle keeps it."""

    offset: int
    lines: list[bytes]
    time: int
    key: bytes | None

    @property
    def end(self) -> int:
        """The offset after it."""
        return self.offset + len(self.lines)


@dataclass
class Oracle:
    """One partition."""

    compact: bool
    kept: list[Stored] = field(default_factory=list)
    end: int = 0

    def append(self, lines: list[bytes], time: int, key: bytes | None) -> int:
        """The offset given."""
        self.kept.append(Stored(self.end, lines, time, key))
        self.end += len(lines)
        return self.kept[-1].offset

    def clean(self, now: int) -> None:
        """As the protocol words it."""
        if not self.compact:
            while self.kept and self.kept[0].time < now - RETENTION_MS:
                self.kept.pop(0)
            return
        older = {
            id(row): any(o.key == row.key and o.offset < row.offset for o in self.kept) for row in self.kept
        }
        newer = {
            id(row): any(o.key == row.key and o.offset > row.offset for o in self.kept) for row in self.kept
        }
        self.kept = [
            row for row in self.kept if not newer[id(row)] and (row.lines != [b""] or older[id(row)])
        ]

    def records(self, start: int, stop: int) -> list[tuple[int, bytes]]:
        """Offset and line of each record kept between two offsets."""
        found = [(row.offset + n, line) for row in self.kept for n, line in enumerate(row.lines)]
        return [record for record in found if start <= record[0] < stop]


class LogMachine(RuleBasedStateMachine):
    """Appends, reads, cleans and recreates topics."""

    topics = Bundle("topics")

    def __init__(self) -> None:
        super().__init__()
        self.clock = SetClock()
        self.log = self.make()
        self.oracles: dict[str, list[Oracle]] = {}
        self.ids: set[str] = set()

    def make(self) -> Log:
        """The log under test."""
        return MemoryLog(clock=self.clock)

    @rule(target=topics, name=st.sampled_from(["a", "b"]), compact=st.booleans())
    def create(self, name: str, compact: bool) -> object:
        """A topic, or the refusal to change one."""
        topic = Topic(name, 2, "compact") if compact else Topic(name, 2, "delete", RETENTION_MS)
        standing = self.oracles.get(name)
        if standing is not None and standing[0].compact != compact:
            with pytest.raises(LogError, match=r"log\.topic_conflict"):
                self.log.create(topic)
            return multiple()
        made = self.log.create(topic)
        if standing is None:
            assert made.id not in self.ids
            self.oracles[name] = [Oracle(compact), Oracle(compact)]
        self.ids.add(made.id)
        return name

    @rule(
        name=topics,
        counts=st.lists(st.tuples(st.integers(0, 1), st.integers(1, 4)), min_size=1, max_size=3),
        age=st.integers(0, 3_000),
        key=st.sampled_from([b"x", b"y"]),
        tombstone=st.booleans(),
    )
    def append(self, name: str, counts: list[tuple[int, int]], age: int, key: bytes, tombstone: bool) -> None:
        """Several batches at once."""
        if name not in self.oracles:
            return
        time = self.clock.now - age
        batches, expected = [], []
        for partition, count in counts:
            oracle = self.oracles[name][partition]
            lines = [b"%d" % (oracle.end + n) for n in range(1 if oracle.compact else count)]
            if oracle.compact and tombstone:
                lines = [b""]
            own = key if oracle.compact else None
            expected.append(oracle.append(lines, time, own))
            batches.append(Batch(name, partition, b"\n".join(lines), len(lines), time, time, own))
        assert self.log.append(batches) == expected

    @rule(name=topics, partition=st.integers(0, 1), ends=st.tuples(st.integers(0, 30), st.integers(0, 30)))
    def read(self, name: str, partition: int, ends: tuple[int, int]) -> None:
        """From any offset to any other."""
        if name not in self.oracles:
            return
        oracle = self.oracles[name][partition]
        start, stop = ends
        first = 0 if oracle.compact else (oracle.kept[0].offset if oracle.kept else oracle.end)
        if not first <= start <= oracle.end:
            with pytest.raises(LogError, match=r"log\.offset_out_of_range"):
                self.log.read(name, partition, start, end=stop)
            return
        found = [
            (row.offset + n, line)
            for row in self.log.read(name, partition, start, end=stop)
            for n, line in enumerate(row.payload.split(b"\n"))
        ]
        assert found == oracle.records(start, stop)

    @rule(ms=st.integers(0, 2_000))
    def clean(self, ms: int) -> None:
        """After some time."""
        self.clock.now += ms
        assert self.log.clean() >= 0
        for oracles in self.oracles.values():
            for oracle in oracles:
                oracle.clean(self.clock.now)

    @rule(name=topics)
    def delete(self, name: str) -> None:
        """A topic that stands, or the refusal."""
        if name not in self.oracles:
            with pytest.raises(LogError, match=r"log\.topic_missing"):
                self.log.delete(name)
            return
        self.log.delete(name)
        del self.oracles[name]

    @invariant()
    def agrees(self) -> None:
        """Topics, offsets and rows are the oracle's."""
        assert [topic.name for topic in self.log.topics()] == sorted(self.oracles)
        for name, oracles in self.oracles.items():
            for partition, oracle in enumerate(oracles):
                first = oracle.kept[0].offset if oracle.kept else oracle.end
                assert self.log.offsets(name, partition) == (first, oracle.end)
                rows = read_all(self.log, name, partition)
                kept = [Stored(row.offset, row.payload.split(b"\n"), row.greatest, row.key) for row in rows]
                assert kept == oracle.kept

    def teardown(self) -> None:
        """Let go of the log."""
        self.log.close()


class SqliteMachine(LogMachine):
    """The same on a file."""

    def make(self) -> Log:
        """A new file."""
        self.folder = Path(tempfile.mkdtemp())
        return SqliteLog(self.folder / "log.db", clock=self.clock)

    @rule()
    def reopen(self) -> None:
        """Close and open again."""
        self.log.close()
        self.log = SqliteLog(self.folder / "log.db", clock=self.clock)

    def teardown(self) -> None:
        """Let go of the file."""
        super().teardown()
        shutil.rmtree(self.folder)


TestMemoryModel = LogMachine.TestCase
TestMemoryModel.settings = STEPS
TestSqliteModel = SqliteMachine.TestCase
TestSqliteModel.settings = STEPS


def test_clock_of_the_checks_stands_still() -> None:
    """The oracle and the log read the same time."""
    assert SetClock()() == NOW
