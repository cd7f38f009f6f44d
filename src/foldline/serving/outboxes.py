"""What was received from each edge client's outbox: the number of the next event expected, on the log.

The number is written in the same commit as the events, so an event sent again, however much later, is recognised.
Two processes that receive the same events in the same instant may both take them; their ids then keep them from
counting twice.
"""

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from foldline.engine.restore import rows_from
from foldline.log.protocol import Batch, Log, Topic

OUTBOXES = "foldline.outboxes"
"""The next event number of each outbox, by its name; compacted."""


class OutboxMark(msgspec.Struct, frozen=True, tag_field="type", tag="outbox"):
    """How far an outbox was received."""

    loop: str
    outbox: str
    next: int


class Outboxes:
    """The marks of all outboxes, as of the last `read`. Reading and noting are thread-safe."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._offset = 0
        self._changing = threading.Lock()
        self._next: dict[str, int] = {}
        self._busy: dict[str, tuple[asyncio.Lock, int]] = {}
        log.create(Topic(OUTBOXES, 1, "compact"))
        self.read()

    def read(self) -> None:
        """Read what is new on the log; blocks."""
        with self._changing:
            for row in rows_from(self._log, OUTBOXES, 0, self._offset):
                mark = msgspec.json.decode(row.payload, type=OutboxMark)
                self._raise(_key(mark.loop, mark.outbox), mark.next)
                self._offset = row.end

    def expected(self, loop: str, outbox: str) -> int:
        """The number of the next event of an outbox."""
        return self._next.get(_key(loop, outbox), 0)

    def mark(self, loop: str, outbox: str, next_event: int, *, now: int) -> Batch:
        """The row that says an outbox was received up to an event, to be committed with the events."""
        payload = msgspec.json.encode(OutboxMark(loop, outbox, next_event))
        return Batch(OUTBOXES, 0, payload, 1, now, now, _key(loop, outbox).encode())

    def note(self, loop: str, outbox: str, next_event: int) -> None:
        """The row is on the log."""
        with self._changing:
            self._raise(_key(loop, outbox), next_event)

    def _raise(self, key: str, next_event: int) -> None:
        self._next[key] = max(next_event, self._next.get(key, 0))

    @asynccontextmanager
    async def turn(self, loop: str, outbox: str) -> AsyncIterator[None]:
        """One request of an outbox at a time, so that the second sees what the first has brought."""
        key = _key(loop, outbox)
        lock, users = self._busy.get(key, (asyncio.Lock(), 0))
        self._busy[key] = lock, users + 1
        try:
            async with lock:
                yield
        finally:
            lock, users = self._busy.pop(key)
            if users > 1:
                self._busy[key] = lock, users - 1


def _key(loop: str, outbox: str) -> str:
    return f"{loop}/{outbox}"
