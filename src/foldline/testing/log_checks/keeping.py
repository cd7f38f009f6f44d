"""Topics, compaction, retention, and what outlives them."""

from collections.abc import Callable

from foldline.log.protocol import Log, Topic
from foldline.testing.log_checks.subject import (
    NOW,
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
    taken,
)


def topics_are_checked(subject: LogSubject) -> None:
    """Creating again returns the topic that stands; other settings, missing and malformed ones are refused."""
    with open_new(subject) as log:
        made = log.create(Topic("b.t", 3, "compact"))
        expect(len(made.id) == 32 and set(made.id) <= set("0123456789abcdef"), f"topic id {made.id!r}")
        equal(log.create(Topic("b.t", 3, "compact")), made, "topic created again")
        other = log.create(Topic("a.t", retention_ms=5))
        expect(other.id != made.id, "two topics have the same id")
        equal(log.topics(), [other, made], "topics by name")
        equal(log.topic("b.t"), made, "topic by name")
        refused("log.topic_conflict", lambda: log.create(Topic("b.t", 2, "compact")), "other partitions")
        refused("log.topic_conflict", lambda: log.create(Topic("b.t", 3)), "other cleanup")
        refused("log.topic_conflict", lambda: log.create(Topic("a.t", lasting=True)), "what should last goes")
        equal(log.create(Topic("l.t", lasting=True)).lasting, False, "the topic made is no request")
        equal(log.examine(Topic("l.t", lasting=True)), [], "what is wrong with a topic made so")
        refused("log.topic_conflict", lambda: log.examine(Topic("b.t", 3)), "examined for another cleanup")
        refused("log.topic_missing", lambda: log.examine(Topic("none")), "examining a missing topic")
        log.delete("l.t")
        for bad in (Topic(""), Topic("a b"), Topic("t", 0), Topic("t", retention_ms=-1)):
            refused("input.invalid", lambda bad=bad: log.create(bad), repr(bad))  # type: ignore[misc]  # bound per turn
        calls: list[Callable[[], object]] = [
            lambda: log.topic("none"),
            lambda: log.delete("none"),
            lambda: log.offsets("none", 0),
            lambda: log.read("none", 0, 0),
            lambda: log.wait({("none", 0): 0}, 0.0),
        ]
        for call in calls:
            refused("log.topic_missing", call, "a call on a missing topic")


def a_topic_made_again_is_new(subject: LogSubject) -> None:
    """A deleted topic is gone; made again it has another id, no rows, and offsets from 0."""
    with open_new(subject) as log:
        old = log.create(Topic("t", 2))
        log.create(Topic("other"))
        log.append([batch_of("t", numbered(0, 50)), batch_of("other", [b"stays"])])
        log.delete("t")
        refused("log.topic_missing", lambda: log.append([batch_of("t", [b"x"])]), "append to a deleted topic")
        new = log.create(Topic("t", 2))
        expect(new.id != old.id, "the topic made again has its old id")
        equal(log.offsets("t", 0), (0, 0), "offsets of the topic made again")
        equal(appended(log, [batch_of("t", [b"fresh"])]), [0], "first offset")
        equal(lines_of(read_all(log, "t")), [b"fresh"], "records of the topic made again")
        equal(lines_of(read_all(log, "other")), [b"stays"], "records of the topic beside it")


def compaction_keeps_the_newest(subject: LogSubject) -> None:
    """Compaction keeps each key's newest row, drops tombstones at last, and moves no offset."""
    with open_new(subject) as log:
        log.create(Topic("c", 2, cleanup="compact"))
        for number in range(30):
            log.append([batch_of("c", [b"v%d" % number], key=b"k%d" % (number % 3))])
        log.append([batch_of("c", [b"other"], partition=1, key=b"k0"), batch_of("c", [b""], key=b"k1")])
        expect(log.clean() >= 0, "clean must return bytes")
        if not subject.cleans:
            _newest_stand(log)
            return
        kept = [(row.offset, row.payload) for row in log.read("c", 0, 0)]
        equal(kept[:2], [(27, b"v27"), (29, b"v29")], "rows after compaction")
        expect(all(payload == b"" for _, payload in kept[2:]), f"old rows stayed: {kept!r}")
        log.clean()
        equal([row.offset for row in log.read("c", 0, 5)], [27, 29], "rows once tombstones are gone")
        equal([row.offset for row in log.read("c", 0, 28)], [29], "rows from a dropped offset")
        equal(log.read("c", 0, 30), [], "rows from the dropped tombstone on")
        equal(log.offsets("c", 0)[1], 31, "end offset")
        equal(log.offsets("c", 1), (0, 1), "offsets of the other partition, with the same key")
        equal(log.append([batch_of("c", [b"new"], key=b"k1")]), [31], "offset after compaction")


def _newest_stand(log: Log) -> None:
    """However much was compacted, each key's newest row stands and no older one comes after it."""
    newest = {row.key: row.payload for row in read_all(log, "c")}
    expect(newest.pop(b"k1", b"") == b"", "the tombstone is not the newest of its key")
    equal(newest, {b"k0": b"v27", b"k2": b"v29"}, "newest rows by key")
    equal([row.payload for row in read_all(log, "c", 1)], [b"other"], "rows of the other partition")


def ends_outlive_all_rows(subject: LogSubject) -> None:
    """Offsets go on from the end even where cleaning left no row."""
    clock = SetClock()
    with open_new(subject, clock) as log:
        log.create(Topic("c", cleanup="compact"))
        log.create(Topic("d", retention_ms=1000))
        log.append([batch_of("c", [b""], key=b"k"), batch_of("d", numbered(0, 5))])
        clock.now += 2000
        log.clean()
        log.clean()
        if not subject.cleans:
            return
        equal(log.offsets("c", 0), (1, 1), "offsets of a topic of dropped tombstones")
        equal(log.offsets("d", 0), (5, 5), "offsets of a topic whose rows are all too old")
        equal(log.read("d", 0, 5), [], "rows at the end")
        refused("log.offset_out_of_range", lambda: log.read("d", 0, 4), "reading a dropped row")
        equal(log.append([batch_of("c", [b"v"], key=b"k"), batch_of("d", [b"x"])]), [1, 5], "next offsets")


def retention_drops_a_prefix(subject: LogSubject) -> None:
    """Retention drops whole rows from the front until one is young enough; reading below is refused."""
    clock = SetClock()
    with open_new(subject, clock) as log:
        log.create(Topic("d", retention_ms=1000))
        log.create(Topic("keep"))
        for age in (5000, 3000, 1000, 4000, 0):
            log.append(
                [batch_of("d", numbered(0, 2), time=NOW - age), batch_of("keep", [b"x"], time=NOW - age)]
            )
        log.clean()
        if not subject.cleans:
            equal(lines_of(log.read("d", 0, log.offsets("d", 0)[0]))[-2:], numbered(0, 2), "the youngest row")
            equal(log.offsets("keep", 0)[0], 0, "first offset of a topic that keeps all")
            return
        equal(log.offsets("d", 0), (4, 10), "offsets: a row exactly as old as allowed keeps all after it")
        refused("log.offset_out_of_range", lambda: log.read("d", 0, 3), "reading a dropped row")
        equal([row.offset for row in log.read("d", 0, 5)], [5, 6, 8], "rows kept")
        clock.now += 1
        log.clean()
        equal(log.offsets("d", 0), (8, 10), "offsets a millisecond later")
        equal(log.offsets("keep", 0), (0, 5), "offsets of a topic that keeps all")


def a_reopened_log_holds_all(subject: LogSubject) -> None:
    """Where the log persists: topics, rows, ends and lease epochs are the same after closing and opening again."""
    if subject.reopen is None:
        return
    clock = SetClock()
    log = open_new(subject, clock)
    made = [log.create(Topic("c", cleanup="compact")), log.create(Topic("t", 2, retention_ms=10_000))]
    log.append(
        [
            batch_of("t", numbered(0, 3), partition=1),
            batch_of("c", [b"v"], key=b"k"),
            batch_of("c", [b""], key=b"j"),
        ]
    )
    lease = taken(log, "role", "one")
    log.clean()
    rows, ends = log.read("t", 1, 0), log.offsets("c", 0)
    log.close()
    with subject.reopen(log, clock=clock) as again:
        equal(again.topics(), made, "topics after reopening")
        equal(again.read("t", 1, 0), rows, "rows after reopening")
        equal(again.offsets("c", 0), ends, "offsets after reopening")
        [offset] = appended(again, [batch_of("t", [b"x"], partition=1)], lease)
        expect(
            offset >= rows[-1].end, f"offset {offset} after reopening, the last row ended at {rows[-1].end}"
        )
        equal(again.acquire("role", "two", 1.0), None, "lease held before the close")
