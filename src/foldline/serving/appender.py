"""Group commit for requests: what comes while one commit is under way goes into the next.

All records that wait when a commit begins are one append, so a request costs a share of a wait for the disk. The
event loop never waits: a thread appends, and each request awaits the group it is in.

Clients that ask again as soon as they are answered would fall into two halves, one waiting while the other is
committed, and pay for twice as many commits. So after a large commit the next one waits a little for those just
answered.
"""

import asyncio
import logging
import queue
import threading
import time as clock
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from foldline.errors import FoldlineError, LogError, RequestError
from foldline.log.protocol import Batch, Log

_logger = logging.getLogger("foldline.serving")

_ALONE = frozenset({"log.topic_missing", "input.invalid"})
"""Errors of one topic's records; its neighbours must not go down with them."""


LINGER_FROM = 16
"""Records committed and waiting together from which the next commit waits for company."""

LINGER_S = 0.003
"""Longest wait for company: answering a large group and reading what its clients ask next takes some 2 ms."""


class _Landed(asyncio.Future[None]):
    """Awaited by many: one that is cancelled must not cancel it for the others."""

    def cancel(self, msg: object = None) -> bool:
        return False


@dataclass(slots=True, eq=False)
class Group:
    """Records of one topic that are committed together.

    Attributes:
        topic: where they go.
        landed: done when they are on the log, or failed with the reason they are not.
        owed: called then, before anybody who awaits it goes on, with that reason or None.
    """

    topic: str
    landed: "asyncio.Future[None]"
    lines: dict[int, list[bytes]] = field(default_factory=dict)
    times: dict[int, list[int]] = field(default_factory=dict)
    keyed: list[Batch] = field(default_factory=list)
    owed: list[Callable[[FoldlineError | None], None]] = field(default_factory=list)
    count: int = 0
    size: int = 0

    def batches(self) -> list[Batch]:
        """One batch a partition, and those with a key of their own."""
        rows = []
        for partition, lines in self.lines.items():
            times = self.times[partition]
            rows.append(Batch(self.topic, partition, b"\n".join(lines), len(lines), min(times), max(times)))
        return rows + self.keyed


@dataclass(slots=True)
class AppenderCounts:
    """What was appended so far.

    Attributes:
        commits: appends made.
        records: records in them.
        failed: records refused by the log.
        seconds: time spent in commits.
    """

    commits: int = 0
    records: int = 0
    failed: int = 0
    seconds: float = 0.0


class Appender:
    """Appends for an event loop. All methods but `close` are called from that loop.

    Args:
        log: where to.
        max_waiting: records that may wait, those of the commit under way included.
        max_waiting_bytes: bytes they may have. One request is taken whatever its size where nothing waits.
    """

    def __init__(self, log: Log, *, max_waiting: int = 10_000, max_waiting_bytes: int = 64_000_000) -> None:
        self._log = log
        self._max_waiting = max_waiting
        self._max_waiting_bytes = max_waiting_bytes
        self._failing = False
        self._loop = asyncio.get_running_loop()
        self._open: dict[str, Group] = {}
        self._flight: list[Group] = []
        self._flying = False
        self._lingering: asyncio.TimerHandle | None = None
        self._company = 0
        self._flights: queue.SimpleQueue[list[Group] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._fly, name="foldline-appender", daemon=True)
        self._thread.start()
        self.waiting = 0
        self.waiting_bytes = 0
        self.counts = AppenderCounts()

    def put(self, topic: str, partition: int, time: int, line: bytes) -> Group:
        """Queue a record; await `landed` of the group returned for it to be durable.

        Raises:
            RequestError: `http.overloaded` where too many records wait.
        """
        group = self._group(topic, 1, len(line))
        lines = group.lines.get(partition)
        if lines is None:
            group.lines[partition] = [line]
            group.times[partition] = [time]
        else:
            lines.append(line)
            group.times[partition].append(time)
        return group

    def put_all(
        self, topic: str, records: Sequence[tuple[int, int, bytes]], keyed: Sequence[Batch] = ()
    ) -> Group:
        """Queue records (partition, time, line) of one request, and rows of compacted topics, in one commit."""
        group = self._group(topic, len(records), sum(len(line) for _, _, line in records))
        for partition, time, line in records:
            group.lines.setdefault(partition, []).append(line)
            group.times.setdefault(partition, []).append(time)
        group.keyed += keyed
        return group

    async def close(self) -> None:
        """Commit what waits, then stop the thread."""
        while self._open or self.waiting:
            groups = list(self._open.values()) or self._flight
            await asyncio.wait([group.landed for group in groups])
        self._flights.put(None)
        await self._loop.run_in_executor(None, self._thread.join)

    def _group(self, topic: str, count: int, size: int) -> Group:
        if self.waiting and (
            self.waiting + count > self._max_waiting or self.waiting_bytes + size > self._max_waiting_bytes
        ):
            raise RequestError(
                "http.overloaded",
                f"{self.waiting} records of {self.waiting_bytes} bytes wait for the log, at most {self._max_waiting} "
                f"of {self._max_waiting_bytes} may; try again shortly",
            )
        group = self._open.get(topic)
        if group is None:
            group = self._open[topic] = Group(topic, _Landed(loop=self._loop))
        group.count += count
        group.size += size
        self.waiting += count
        self.waiting_bytes += size
        if not self._flying:
            # After this turn of the loop, so that all requests read in it are in one commit.
            self._flying = True
            self._loop.call_soon(self._launch)
        elif self._lingering is not None and self.waiting >= self._company:
            self._lingering.cancel()
            self._lingering = None
            self._loop.call_soon(self._launch)
        return group

    def _launch(self) -> None:
        self._lingering = None
        self._flight, self._open = list(self._open.values()), {}
        self._flying = bool(self._flight)
        if self._flying:
            self._flights.put(self._flight)

    def _fly(self) -> None:
        while (groups := self._flights.get()) is not None:
            started = clock.perf_counter()
            results = self._append(groups)
            taken = clock.perf_counter() - started
            self._loop.call_soon_threadsafe(self._land, groups, results, taken)

    def _append(self, groups: list[Group]) -> list[FoldlineError | None]:
        try:
            self._log.append([batch for group in groups for batch in group.batches()])
        except FoldlineError as error:
            if len(groups) > 1 and error.code in _ALONE:
                return [self._append([group])[0] for group in groups]
            return [error] * len(groups)
        except Exception as error:  # noqa: BLE001 - whatever it was, those who wait must hear of it
            return [LogError("log.unavailable", f"appending failed: {error!r}")] * len(groups)
        return [None] * len(groups)

    def _land(self, groups: list[Group], results: list[FoldlineError | None], seconds: float) -> None:
        self.counts.commits += 1
        self.counts.seconds += seconds
        self._tell(next((error for error in results if error is not None), None))
        together = self.waiting
        for group, error in zip(groups, results, strict=True):
            self.waiting -= group.count
            self.waiting_bytes -= group.size
            if error is None:
                self.counts.records += group.count
                group.landed.set_result(None)
            else:
                self.counts.failed += group.count
                group.landed.set_exception(error)
                group.landed.exception()  # seen here: with the fast mode nobody may be waiting for it
            for settle in group.owed:
                settle(error)
        if together < LINGER_FROM:
            self._launch()
        else:
            self._company = together * 9 // 10
            self._lingering = self._loop.call_later(LINGER_S, self._launch)

    def _tell(self, error: FoldlineError | None) -> None:
        """Say once that appends fail, and once that they succeed again."""
        if error is not None and not self._failing:
            _logger.error("the log refuses what is sent, answering 503 until it takes it: %s", error)
        elif error is None and self._failing:
            _logger.info("the log takes what is sent again")
        self._failing = error is not None
