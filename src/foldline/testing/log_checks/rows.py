"""Appending, reading and splitting rows."""

import random

from foldline.log.block import block_of, read_block
from foldline.log.protocol import AHEAD_MS, Batch, Log, Row, Topic
from foldline.testing.log_checks.subject import (
    NOW,
    Ledger,
    LogSubject,
    SetClock,
    appended,
    batch_of,
    equal,
    expect,
    lines_of,
    numbered,
    open_new,
    read_all,
    refused,
)


def offsets_rise(subject: LogSubject) -> None:
    """Batches get rising offsets in each partition, consecutive where they count records; rows come back in order."""
    with open_new(subject) as log:
        log.create(Topic("t", 2))
        ledger, number = Ledger(log), 0
        for count in (1, 3, 1, 100, 2):
            lines = numbered(number, count)
            ledger.note(log.append([batch_of("t", lines)])[0], lines)
            number += count
        ledger.expect_end(log, "t")
        equal(log.offsets("t", 1), (0, 0), "offsets of the other partition")
        rows = read_all(log, "t")
        equal([row.offset for row in rows], [offset for offset, _ in ledger.rows], "offsets of the rows")
        equal([row.count for row in rows], [1, 3, 1, 100, 2], "records of the rows")
        equal(rows[-1].end, ledger.end, "end of the last row")
        equal(lines_of(rows), numbered(0, number), "records")


def records_have_places(subject: LogSubject) -> None:
    """A row tells where each of its records stands: no two at one place, all from its offset to before its end."""
    with open_new(subject) as log:
        log.create(Topic("t"))
        log.append([batch_of("t", numbered(0, count)) for count in (1, 3, 2)])
        rows = read_all(log, "t")
        places = [row.place(record) for row in rows for record in range(row.count)]
        equal(places, sorted(set(places)), "places of the records")
        for row in rows:
            equal(row.place(0), (row.offset, 0), "place of a row's first record")
            expect(row.place(row.count - 1)[0] < row.end, f"a record of {row!r} stands at its end")
            expect(not row.packed or (log.counts == "messages" and row.count > 1), f"{row!r} is packed")


def blocks_say_what_rows_say(subject: LogSubject) -> None:
    """A log with a way of its own to read blocks gives the rows that it reads, their records and places."""
    with open_new(subject) as log:
        log.create(Topic("t"))
        for number, count in enumerate((1, 3, 1, 1, 2)):
            log.append([batch_of("t", numbered(10 * number, count))])
        _compare_blocks(log)
        log.append([Batch("t", 0, b"a\nb", 1, NOW, NOW)])
        _compare_blocks(log)


def _compare_blocks(log: Log) -> None:
    offset, end = log.offsets("t", 0)
    while offset < end:
        for most in (1, 2, 4, 1000):
            rows = log.read("t", 0, offset, max_records=most)
            block, wanted = read_block(log, "t", 0, offset, max_records=most), block_of(rows)
            if block is None:
                raise AssertionError(f"no block at offset {offset}, where rows stand")
            where = f"of a block at offset {offset} of at most {most} records"
            equal(block.rows, rows, f"rows {where}")
            equal((block.end, block.size), (wanted.end, wanted.size), f"end and size {where}")
            for name, found, expected in zip(
                ("offsets", "counts"), block.places(), wanted.places(), strict=False
            ):
                equal(found.tolist(), expected.tolist(), f"{name} {where}")
            if block.lines is not None:
                text = b"\n".join([row.payload for row in rows])
                equal(block.lines.text.joined(), text, f"records {where}")
                equal(block.lines.greatest.tolist(), [row.greatest for row in rows], f"times {where}")
        offset = rows[0].end
    equal(read_block(log, "t", 0, end, max_records=1), None, "the block at the end")


def sizes_are_told(subject: LogSubject) -> None:
    """The bytes of a topic's payloads, or nothing where the log cannot know; of a topic that is not there an error."""
    with open_new(subject) as log:
        log.create(Topic("t", 2))
        for partition, count in ((0, 3), (1, 5)):
            log.append([batch_of("t", numbered(0, count), partition=partition)])
        wanted = sum(len(batch_of("t", numbered(0, count)).payload) for count in (3, 5))
        expect(log.size("t") in (wanted, None), f"size of the topic is {log.size('t')!r}, expected {wanted}")
        refused("log.topic_missing", lambda: log.size("other"), "the size of a topic that is not there")


def any_bytes_survive(subject: LogSubject) -> None:
    """A payload of one record may hold any bytes; key and times come back as given."""
    payloads = [bytes(range(256)), b"", b"\n", b"a\nb", b"\x00" * 9]
    with open_new(subject) as log:
        log.create(Topic("t"))
        offsets = [
            log.append([Batch("t", 0, payload, 1, number, NOW, b"k\x00")])[0]
            for number, payload in enumerate(payloads)
        ]
        expected = [Row(offsets[n], 1, payload, n, NOW, b"k\x00") for n, payload in enumerate(payloads)]
        equal(log.read("t", 0, 0), expected, "rows")
        for n, (least, greatest, key) in enumerate(((0, 0, None), (5, 5, b""), (0, NOW - 1, None))):
            [offset] = log.append([Batch("t", 0, b"a\nb", 2, least, greatest, key)])
            [row] = log.read("t", 0, offset)
            equal(
                (row.least, row.greatest, row.key, row.count),
                (least, greatest, key, 2),
                f"row {n} of two records",
            )


def times_are_found(subject: LogSubject) -> None:
    """From where `since` says on stands all that bears a time or a later one; what is much older is left out."""
    hour, ago = 3_600_000, (9, 5, 7, 2, 2, 4)
    with open_new(subject) as log:
        log.create(Topic("t", 2))
        equal(log.since("t", 1, 0), 0, "where an empty partition begins")
        rows = [(NOW - hours * hour, NOW - hours * hour + 20_000) for hours in ago]
        offsets = [log.append([Batch("t", 0, b"a\nb", 2, least, most)])[0] for least, most in rows]
        end = log.offsets("t", 0)[1]
        for hours, first in ((10, 0), (9, 0), (8, 1), (6, 1), (5, 1), (3, 3), (2, 3), (1, None)):
            expected = end if first is None else offsets[first]
            equal(log.since("t", 0, NOW - hours * hour), expected, f"offset of {hours} hours ago")
        found = log.since("t", 0, NOW - 2 * hour + 20_000)
        expect(offsets[2] < found <= offsets[3], f"offset of the greatest time is {found}")
        equal(log.since("t", 1, 0), 0, "the other partition's")
        refused("log.topic_missing", lambda: log.since("none", 0, 0), "a missing topic")


def headers_come_back_or_not_at_all(subject: LogSubject) -> None:
    """What stands beside a batch is kept whole, in its order, or the log has no room for it."""
    given = (("trace", b"\xfe\x00"), ("a", b"1"), ("content-type", b"text/plain"), ("a", b""))
    with open_new(subject) as log:
        log.create(Topic("t"))
        log.append(
            [Batch("t", 0, b"one", 1, 5, 5, b"k", given), Batch("t", 0, b"two\nthree", 2, 5, 9, None, given)]
        )
        one, *others = read_all(log, "t")
        expect(one.headers in ((), given), f"headers are {one.headers!r}, expected {given!r} or none")
        equal((one.payload, one.key, one.least, one.greatest), (b"one", b"k", 5, 5), "the row beside them")
        equal(lines_of(others), [b"two", b"three"], "the records of the other")
        expect(all(row.headers == one.headers for row in others), "of two rows one has lost its headers")


def append_is_atomic(subject: LogSubject) -> None:
    """Of an append that is refused for one batch, nothing is visible."""
    with open_new(subject) as log:
        log.create(Topic("t", 2))
        log.create(Topic("c", cleanup="compact"))
        good = batch_of("t", [b"a"])
        ledger = Ledger(log)
        first, other, second = appended(
            log, [good, batch_of("t", [b"x", b"y"], partition=1), batch_of("t", [b"b", b"c"])]
        )
        ledger.note(first, [b"a"])
        ledger.note(second, [b"b", b"c"])
        equal(other, 0, "offset on the other partition")
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
        ledger.expect_end(log, "t")
        equal(lines_of(read_all(log, "t")), [b"a", b"b", b"c"], "records after refusals")
        equal(log.append([]), [], "offsets of no batches")


def reading_splits_rows(subject: LogSubject) -> None:
    """A read may start and stop at any offset; what it gives is what stands there, in rows cut where they must be."""
    lines = numbered(0, 9)
    parts = [lines[:4], lines[4:5], lines[5:]]
    with open_new(subject) as log:
        log.create(Topic("t"))
        ledger = Ledger(log)
        for offset, part in zip(log.append([batch_of("t", part) for part in parts]), parts, strict=True):
            ledger.note(offset, part)
        for start in range(ledger.end + 1):
            for stop in range(ledger.end + 1):
                rows = log.read("t", 0, start, end=stop)
                equal(lines_of(rows), ledger.between(start, stop), f"records {start} to {stop}")
                for row in rows:
                    equal(
                        row.payload.split(b"\n"),
                        ledger.between(row.offset, row.end),
                        "a row's offset and count",
                    )
        found = lines_of(log.read("t", 0, ledger.end - 1, end=99))
        equal(found, ledger.between(ledger.end - 1, 99), "records up to an end beyond the log's")


def max_records_keeps_rows_whole(subject: LogSubject) -> None:
    """A read stops at the first row that reaches `max_records`, and never cuts it."""
    with open_new(subject) as log:
        log.create(Topic("t"))
        log.append([batch_of("t", numbered(0, 4)) for _ in range(5)])
        for most, rows in ((1, 1), (4, 1), (5, 2), (8, 2), (19, 5), (1000, 5)):
            equal(len(log.read("t", 0, 0, max_records=most)), rows, f"rows for max_records {most}")
        if log.counts == "records":
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
    with open_new(subject) as log:
        ledgers = [Ledger(log), Ledger(log), Ledger(log)]
        log.create(Topic("t", len(ledgers)))
        for step in range(150):
            targets = [draw.randrange(len(ledgers)) for _ in range(draw.randint(1, 3))]
            fresh = [[b"%d.%d" % (step, n) for n in range(draw.randint(1, 5))] for _ in targets]
            offsets = log.append(
                [batch_of("t", lines, partition=p) for p, lines in zip(targets, fresh, strict=True)]
            )
            for partition, offset, lines in zip(targets, offsets, fresh, strict=True):
                ledgers[partition].note(offset, lines)
            partition = draw.choice(targets)
            ledger = ledgers[partition]
            start, stop = draw.randint(0, ledger.end), draw.randint(0, ledger.end)
            found = lines_of(log.read("t", partition, start, end=stop))
            equal(found, ledger.between(start, stop), f"records {start} to {stop}")
        for partition, ledger in enumerate(ledgers):
            records = lines_of(read_all(log, "t", partition))
            equal(records, ledger.between(0, ledger.end), f"records of partition {partition}")
