"""Appending, reading and splitting rows."""

import random

from foldline.log.protocol import AHEAD_MS, Batch, Row, Topic
from foldline.testing.log_checks.subject import (
    NOW,
    LogSubject,
    SetClock,
    batch_of,
    equal,
    lines_of,
    numbered,
    open_new,
    read_all,
    refused,
)


def offsets_are_contiguous(subject: LogSubject) -> None:
    """Batches get consecutive offsets in each partition, and are read back in order, unchanged."""
    with open_new(subject) as log:
        log.create(Topic("t", 2))
        end = 0
        for count in (1, 3, 1, 100, 2):
            equal(log.append([batch_of("t", numbered(end, count))]), [end], "offset returned")
            end += count
        equal(log.offsets("t", 0), (0, end), "offsets of the partition")
        equal(log.offsets("t", 1), (0, 0), "offsets of the other partition")
        rows = read_all(log, "t")
        equal([row.offset for row in rows], [0, 1, 4, 5, 105], "offsets of the rows")
        equal(lines_of(rows), numbered(0, end), "records")
        equal(log.read("t", 0, end), [], "rows at the end")


def any_bytes_survive(subject: LogSubject) -> None:
    """A payload of one record may hold any bytes; key and times come back as given."""
    payloads = [bytes(range(256)), b"", b"\n", b"a\nb", b"\x00" * 9]
    with open_new(subject) as log:
        log.create(Topic("t"))
        for number, payload in enumerate(payloads):
            log.append([Batch("t", 0, payload, 1, number, NOW, b"k\x00")])
        expected = [Row(n, 1, payload, n, NOW, b"k\x00") for n, payload in enumerate(payloads)]
        equal(log.read("t", 0, 0), expected, "rows")


def append_is_atomic(subject: LogSubject) -> None:
    """Of an append that is refused for one batch, nothing is visible."""
    with open_new(subject) as log:
        log.create(Topic("t", 2))
        log.create(Topic("c", cleanup="compact"))
        good = batch_of("t", [b"a"])
        equal(
            log.append([good, batch_of("t", [b"x", b"y"], partition=1), batch_of("t", [b"b", b"c"])]),
            [0, 0, 1],
            "offsets of three batches",
        )
        bad = {
            "log.topic_missing": batch_of("none", [b"b"]),
            "log.time_ahead": batch_of("t", [b"b"], time=NOW + AHEAD_MS + 1),
        }
        for code, batch in bad.items():
            refused(code, lambda batch=batch: log.append([good, batch]), "an append of two")  # type: ignore[misc]  # bound per turn
        for batch in (
            batch_of("t", [b"b"], partition=2),
            batch_of("t", [b"b"], partition=-1),
            batch_of("c", [b"b"]),
            Batch("c", 0, b"a\nb", 2, NOW, NOW, b"k"),
            Batch("t", 0, b"a\nb", 3, NOW, NOW),
            Batch("t", 0, b"", 0, NOW, NOW),
            Batch("t", 0, b"a", 1, NOW, NOW - 1),
        ):
            refused("input.invalid", lambda batch=batch: log.append([good, batch]), repr(batch))  # type: ignore[misc]  # bound per turn
        equal(log.offsets("t", 0), (0, 3), "offsets after refusals")
        equal(log.append([]), [], "offsets of no batches")


def reading_splits_rows(subject: LogSubject) -> None:
    """A read may start and stop inside a row; every part is what the lines say."""
    lines = numbered(0, 9)
    with open_new(subject) as log:
        log.create(Topic("t"))
        log.append([batch_of("t", lines[:4]), batch_of("t", lines[4:5]), batch_of("t", lines[5:])])
        for start in range(10):
            for stop in range(10):
                rows = log.read("t", 0, start, end=stop)
                equal(lines_of(rows), lines[start:stop], f"records {start} to {stop}")
                for row in rows:
                    equal(row.payload.split(b"\n"), lines[row.offset : row.end], "a row's offset and count")
        equal(lines_of(log.read("t", 0, 7, end=99)), lines[7:], "records up to an end beyond the log's")


def max_records_keeps_rows_whole(subject: LogSubject) -> None:
    """A read stops at the first row that reaches `max_records`, and never cuts it."""
    with open_new(subject) as log:
        log.create(Topic("t"))
        log.append([batch_of("t", numbered(0, 4)) for _ in range(5)])
        for most, rows in ((1, 1), (4, 1), (5, 2), (8, 2), (19, 5), (1000, 5)):
            equal(len(log.read("t", 0, 0, max_records=most)), rows, f"rows for max_records {most}")
        found = log.read("t", 0, 2, max_records=3)
        equal([(row.offset, row.count) for row in found], [(2, 2), (4, 4)], "rows from inside one")
        refused("input.invalid", lambda: log.read("t", 0, 0, max_records=0), "max_records 0")


def reading_outside_is_refused(subject: LogSubject) -> None:
    """Offsets beyond the end or below 0, and partitions that are not there, are refused."""
    with open_new(subject) as log:
        log.create(Topic("t"))
        log.append([batch_of("t", [b"a"])])
        refused("log.offset_out_of_range", lambda: log.read("t", 0, 2), "reading beyond the end")
        refused("log.offset_out_of_range", lambda: log.read("t", 0, -1), "reading below 0")
        refused("input.invalid", lambda: log.read("t", 1, 0), "reading partition 1 of 1")
        refused("input.invalid", lambda: log.offsets("t", -1), "offsets of partition -1")


def time_ahead_is_refused(subject: LogSubject) -> None:
    """A time up to `AHEAD_MS` ahead of the log's clock is accepted, one more is not."""
    clock = SetClock()
    with open_new(subject, clock) as log:
        log.create(Topic("t"))
        equal(log.append([batch_of("t", [b"a"], time=NOW + AHEAD_MS)]), [0], "append exactly AHEAD_MS ahead")
        late = batch_of("t", [b"b"], time=NOW + AHEAD_MS + 1)
        refused("log.time_ahead", lambda: log.append([late]), "append beyond AHEAD_MS")
        clock.now += 1
        equal(log.append([late]), [1], "append once the clock has moved")
        clock.now -= 3_600_000
        refused("log.time_ahead", lambda: log.append([late]), "append after the clock went back")
        equal(log.append([batch_of("t", [b"c"], time=0)]), [2], "append of an old time")


def random_walk_agrees_with_lists(subject: LogSubject) -> None:
    """Appends, reads and splits at random say what plain lists say."""
    draw = random.Random(20)
    lines: list[list[bytes]] = [[], [], []]
    with open_new(subject) as log:
        log.create(Topic("t", len(lines)))
        for step in range(150):
            targets = [draw.randrange(len(lines)) for _ in range(draw.randint(1, 3))]
            batches, expected = [], []
            for partition in targets:
                fresh = [b"%d.%d" % (step, n) for n in range(draw.randint(1, 5))]
                expected.append(len(lines[partition]))
                lines[partition] += fresh
                batches.append(batch_of("t", fresh, partition=partition))
            equal(log.append(batches), expected, f"offsets of append {step}")
            partition = draw.choice(targets)
            start = draw.randint(0, len(lines[partition]))
            stop = draw.randint(0, len(lines[partition]))
            found = lines_of(log.read("t", partition, start, end=stop))
            equal(found, lines[partition][start:stop], f"records {start} to {stop}")
        for partition, expected_lines in enumerate(lines):
            equal(
                lines_of(read_all(log, "t", partition)), expected_lines, f"records of partition {partition}"
            )
