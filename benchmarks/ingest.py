"""What does copying a foreign record onto a loop cost?

Question: how many records a second does an ingest map, check, place by unit and append, with its mark in the same
    commit?
Workload: 200,000 JSON orders of 120 bytes, 100 a batch, on a topic of 4 partitions of an SQLite file; copied as
    outcomes onto 4 partitions of another, 5,000 records a commit. Medians of 5 alternating rounds.
Peer: the least that any copier in Python does with the same rows: msgspec decodes each record, and encodes it again.
Ratio: ours over the peer's, CPU a record.
Command: `python benchmarks/ingest.py [--records 200000] [--json]`
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import msgspec

from foldline.engine.defining import create_catalogue, define
from foldline.engine.ingest import Ingest
from foldline.engine.restore import rows_from
from foldline.log.open import open_log
from foldline.log.protocol import Batch, Log, Topic
from foldline.loops.catalogue import Catalogue
from foldline.loops.definition import LoopDefinition
from foldline.loops.mapping import RecordMapping
from foldline.loops.mapping_settings import Constant, MappingSettings

PARTITIONS = 4
ROUNDS = 5
START = 1_700_000_000_000
LOOP = LoopDefinition(
    name="news",
    version=1,
    time=START,
    actions=tuple(f"article-{n:02d}" for n in range(20)),
    policy={"kind": "epsilon_greedy"},
    partitions=PARTITIONS,
    salt="s",
)
MAPPING = MappingSettings(
    topic="orders",
    loop="news",
    type="outcome",
    where={"status": "paid"},
    fields={
        "unit": "customer.id",
        "action": "shown",
        "propensity": Constant(0.05),
        "reward": "bought",
    },
)


def fill(log: Log, records: int) -> None:
    """The orders."""
    log.create(Topic("orders", PARTITIONS))
    for start in range(0, records, 100):
        lines = [
            b'{"status":"paid","customer":{"id":"user-%d","country":"DE"},"shown":"article-%02d","bought":%d,"n":%d}'
            % (n % 9973, n % 20, n % 33 == 0, n)
            for n in range(start, start + 100)
        ]
        log.append([Batch("orders", start // 100 % PARTITIONS, b"\n".join(lines), 100, START, START)])


def ours(source: Log, folder: Path, number: int) -> tuple[float, int]:
    """CPU seconds to copy everything, and how many records that was."""
    with open_log(f"sqlite:///{folder}/target-{number}.db") as log:
        create_catalogue(log)
        define(log, Catalogue(), "news", lambda _: LOOP, holder="bench", now=START)
        ingest = Ingest(log, source, "orders", RecordMapping(MAPPING), "bench")
        now, began, copied = START, time.process_time(), 0
        while read := ingest.step(now=now):
            copied += read
            now += 1
        used = time.process_time() - began
        assert ingest.counts().copied == copied
        ingest.close()
    return used, copied


def peer(source: Log) -> tuple[float, int]:
    """CPU seconds to read, decode and encode everything."""
    began, count = time.process_time(), 0
    for partition in range(PARTITIONS):
        for row in rows_from(source, "orders", partition, 0):
            for line in row.payload.split(b"\n"):
                count += len(msgspec.json.encode(msgspec.json.decode(line))) > 0
    return time.process_time() - began, count


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    mine, theirs, ratios = [], [], []
    with tempfile.TemporaryDirectory() as folder, open_log(f"sqlite:///{folder}/source.db") as source:
        fill(source, given.records)
        for number in range(ROUNDS):
            used, copied = ours(source, Path(folder), number)
            least, count = peer(source)
            assert copied == count == given.records
            mine.append(1e6 * used / copied)
            theirs.append(1e6 * least / count)
            ratios.append(used / least)
    result = {
        "us": statistics.median(mine),
        "records_per_s": 1e6 / statistics.median(mine),
        "peer_us": statistics.median(theirs),
        "ratio": statistics.median(ratios),
    }
    if given.json:
        print(json.dumps(result))
    else:
        print(
            f"{result['us']:.2f} us CPU a record ({result['records_per_s']:,.0f} a second); decode and encode alone "
            f"{result['peer_us']:.2f} us; ratio {result['ratio']:.1f}"
        )


if __name__ == "__main__":
    main()
