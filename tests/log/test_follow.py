"""Following a topic sees what stands and what comes, each row once."""

import threading

from foldline.log.follow import follow
from foldline.log.memory import MemoryLog
from foldline.log.protocol import Batch, Topic


def test_rows_that_come_later_are_seen_in_order() -> None:
    """A follower that has reached the end goes on with what another thread appends."""
    with MemoryLog() as log:
        log.create(Topic("t", 2))
        log.append([Batch("t", 0, b"0", 1, 0, 0), Batch("t", 1, b"1", 1, 0, 0)])
        rows = follow(log, "t", {0: 0, 1: 0}, wait_s=30.0)
        assert [next(rows)[1].payload for _ in range(2)] == [b"0", b"1"]
        later = threading.Timer(0.01, log.append, [[Batch("t", 1, b"2", 1, 0, 0)]])
        later.start()
        partition, row = next(rows)
        later.join()
        assert (partition, row.offset, row.payload) == (1, 1, b"2")


def test_without_waiting_it_ends() -> None:
    """What stands now, from the offsets asked for."""
    with MemoryLog() as log:
        log.create(Topic("t"))
        log.append([Batch("t", 0, b"%d" % i, 1, 0, 0) for i in range(5)])
        assert [row.payload for _, row in follow(log, "t", {0: 3})] == [b"3", b"4"]
