"""How much does the log cost over SQLite itself?

Question: what share of a bare SQLite insert's speed does a durable append reach?
Workload: batches of 1,000 records of 141 bytes, one append and one commit each, WAL, synchronous FULL. Beside
    it: appends of one record, and reading one-record rows 1,000 a poll.
Peer: apsw, `BEGIN IMMEDIATE`, one `INSERT` of the same blob, `COMMIT`, in a file with the same page size, journal
    mode and synchronous setting, without auto-vacuum (the log pays for that itself).
Ratio: the peer's time over ours, median of alternating rounds; 1 is as fast, the bar is 0.85.
Command: `python benchmarks/append.py [--rounds 11] [--appends 100] [--dir DIR] [--json]`
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import apsw

from foldline.log.clock import now_ms
from foldline.log.protocol import Batch, Topic
from foldline.log.sqlite.log import SqliteLog
from foldline.log.sqlite.opening import PAGE_BYTES

RECORDS = 1_000
BYTES = 141
SMALL_ROWS = 20_000


def line(number: int) -> bytes:
    """One record as a loop writes it, 141 bytes with its newline."""
    text = (
        f'{{"type":"outcome","time":1790000000000,"id":"0.3.{number:010d}","unit":"u{number % 9973:06d}",'
        f'"action":"a{number % 20:02d}","propensity":0.9,"reward":0,'
    )
    return (text + '"bundle":"' + "b" * 64)[: BYTES - 4].encode() + b'"}\x20'


def make_payloads(count: int) -> list[bytes]:
    """Batches as bytes, each of its own content."""
    return [b"\n".join(line(n * RECORDS + k) for k in range(RECORDS)) for n in range(count)]


class Bare:
    """The peer: nothing but the insert."""

    def __init__(self, path: Path) -> None:
        self.connection = apsw.Connection(str(path))
        settings = (
            ("page_size", PAGE_BYTES, PAGE_BYTES),
            ("journal_mode", "wal", "wal"),
            ("synchronous", 2, 2),
        )
        for name, value, expected in settings:
            self.connection.pragma(name, value)
            assert self.connection.pragma(name) == expected
        self.connection.execute("CREATE TABLE batches (position INTEGER PRIMARY KEY, payload BLOB NOT NULL)")
        self.position = 0

    def append(self, payload: bytes) -> None:
        """One durable insert."""
        self.connection.execute("BEGIN IMMEDIATE")
        self.connection.execute("INSERT INTO batches VALUES (?, ?)", (self.position, payload))
        self.connection.execute("COMMIT")
        self.position += RECORDS


class Ours:
    """The log, appending to each partition of one topic in turn."""

    def __init__(self, path: Path, partitions: int = 1) -> None:
        self.log = SqliteLog(path)
        self.log.create(Topic("events", partitions))
        self.partitions = partitions
        self.now = now_ms()
        self.turn = 0

    def append(self, payload: bytes, count: int = RECORDS) -> None:
        """One durable append."""
        self.turn = (self.turn + 1) % self.partitions
        self.log.append([Batch("events", self.turn, payload, count, self.now, self.now)])

    def append_one(self, payload: bytes) -> None:
        """One durable append of one record."""
        self.append(payload, 1)


def timed(append: Callable[[bytes], None], payload: bytes) -> float:
    """Milliseconds of one append."""
    start = time.perf_counter()
    append(payload)
    return 1e3 * (time.perf_counter() - start)


def one_round(appends: Sequence[Callable[[bytes], None]], payloads: list[bytes]) -> list[float]:
    """Mean milliseconds of each contender, who take turns at every payload so that noise meets all alike."""
    sums = [0.0] * len(appends)
    for number, payload in enumerate(payloads):
        for step in range(len(appends)):
            who = (number + step) % len(appends)
            sums[who] += timed(appends[who], payload)
    return [total / len(payloads) for total in sums]


def poll(ours: Ours) -> float:
    """Microseconds a record, reading one-record rows 1,000 a poll."""
    rows = [Batch("events", 0, line(n), 1, ours.now, ours.now) for n in range(SMALL_ROWS)]
    offset = ours.log.append(rows)[0]
    end = ours.log.offsets("events", 0)[1]
    start = time.perf_counter()
    while offset < end:
        offset = ours.log.read("events", 0, offset, max_records=1000)[-1].end
    return 1e6 * (time.perf_counter() - start) / SMALL_ROWS


def measure(folder: Path, rounds: int, appends: int) -> dict[str, float]:
    """The log on one partition and on eight against the peer, then single records."""
    bare, ours, eight = Bare(folder / "bare.db"), Ours(folder / "ours.db"), Ours(folder / "eight.db", 8)
    small = Ours(folder / "small.db")
    contenders = (bare.append, ours.append, eight.append)
    payloads = make_payloads(appends)
    one_round(contenders, payloads)
    times = [one_round(contenders, payloads) for _ in range(rounds)]
    ratios = [bare_ms / log_ms for bare_ms, log_ms, _ in times]
    ones = [timed(small.append_one, line(n)) for n in range(10 * appends)]
    result = {
        "ratio": statistics.median(ratios),
        "ratio_least": min(ratios),
        "ratio_greatest": max(ratios),
        "ratio_eight_partitions": statistics.median(bare_ms / log_ms for bare_ms, _, log_ms in times),
        "bare_ms": statistics.median(row[0] for row in times),
        "log_ms": statistics.median(row[1] for row in times),
        "one_record_ms_p50": statistics.median(ones),
        "one_record_ms_p99": statistics.quantiles(ones, n=100)[98],
        "poll_us_per_record": statistics.median(poll(small) for _ in range(5)),
        "rounds": rounds,
    }
    for contender in (ours, eight, small):
        contender.log.close()
    bare.connection.close()
    return result


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=11, help="alternating rounds, at least 7")
    parser.add_argument("--appends", type=int, default=100, help="appends a round")
    parser.add_argument("--dir", type=Path, help="folder on the disk to measure")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.dir) as folder:
        result = measure(Path(folder), given.rounds, given.appends)
    if given.json:
        print(json.dumps(result))
        return
    print(f"append of {RECORDS} records: ratio {result['ratio']:.2f} of bare SQLite, bar 0.85", end=" ")
    print(f"(rounds {result['ratio_least']:.2f} to {result['ratio_greatest']:.2f})")
    print(f"  on eight partitions {result['ratio_eight_partitions']:.2f}")
    print(f"  log {result['log_ms']:.3f} ms, bare {result['bare_ms']:.3f} ms")
    print(f"one record, durable: {result['one_record_ms_p50']:.3f} ms, p99 {result['one_record_ms_p99']:.3f}")
    print(f"one-record rows, 1000 a poll: {result['poll_us_per_record']:.2f} us a record")


if __name__ == "__main__":
    main()
