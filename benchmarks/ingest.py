"""What does copying a foreign record onto a loop cost?

Question: how many records a second does an ingest map, check, place by unit and append, with its mark in the same
    commit?
Workload: 200,000 JSON orders of 120 bytes, 100 a batch, on a topic of 4 partitions of an SQLite file; copied as
    outcomes onto 4 partitions of another, 5,000 records a commit. Medians of 5 alternating rounds. With --kafka both
    stand on one node of a cluster started for it, one record a message, so that fetching counts too.
Peer: the least that any copier in Python does with the same rows: msgspec decodes each record, and encodes it again.
Ratio: ours over the peer's, CPU a record.
Command: `python -m benchmarks.ingest [--kafka] [--records 200000] [--json]`
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
from foldline.log.shares import FirstCome
from foldline.loops.catalogue import Catalogue
from foldline.loops.definition import LoopDefinition
from foldline.loops.mapping import RecordMapping
from foldline.loops.mapping_settings import Constant, MappingSettings
from tools.kafka.sharing import shared_cluster

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


def fill(log: Log, records: int, *, plain: bool) -> None:
    """The orders, packed or one a message."""
    log.create(Topic("orders", PARTITIONS))
    for start in range(0, records, 100):
        lines = [
            b'{"status":"paid","customer":{"id":"user-%d","country":"DE"},"shown":"article-%02d","bought":%d,"n":%d}'
            % (n % 9973, n % 20, n % 33 == 0, n)
            for n in range(start, start + 100)
        ]
        partition = start // 100 % PARTITIONS
        packed = [Batch("orders", partition, b"\n".join(lines), 100, START, START)]
        log.append([Batch("orders", partition, line, 1, START, START) for line in lines] if plain else packed)


def ours(source: Log, url: str, records: int) -> float:
    """CPU seconds to copy everything."""
    with open_log(url) as log:
        create_catalogue(log)
        define(log, Catalogue(), "news", lambda _: LOOP, holder="bench", now=START)
        ingest = Ingest(log, source, "orders", RecordMapping(MAPPING), "bench", share=FirstCome())
        now, began, copied = START, time.process_time(), 0
        while copied < records:
            read = ingest.step(now=now)
            copied += read
            now += 1
            if not read:
                ingest.wait(0.1)
        used = time.process_time() - began
        assert ingest.counts().copied == copied
        ingest.close()
    return used


def peer(source: Log) -> tuple[float, int]:
    """CPU seconds to read, decode and encode everything."""
    began, count = time.process_time(), 0
    for partition in range(PARTITIONS):
        for row in rows_from(source, "orders", partition, 0):
            for line in row.payload.split(b"\n"):
                count += len(msgspec.json.encode(msgspec.json.decode(line))) > 0
    return time.process_time() - began, count


def measure(stem: str, records: int) -> dict[str, float]:
    """The figures; logs are made beside each other, at URLs that begin so."""
    mine, theirs, ratios = [], [], []
    with open_log(f"{stem}-source") as source:
        fill(source, records, plain=stem.startswith("kafka"))
        for number in range(ROUNDS):
            used = ours(source, f"{stem}-{number}", records)
            least, count = peer(source)
            assert count == records
            mine.append(1e6 * used / records)
            theirs.append(1e6 * least / count)
            ratios.append(used / least)
    return {
        "us": statistics.median(mine),
        "records_per_s": 1e6 / statistics.median(mine),
        "peer_us": statistics.median(theirs),
        "ratio": statistics.median(ratios),
    }


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, default=200_000)
    parser.add_argument("--kafka", action="store_true", help="on a cluster instead of files")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if given.kafka:
            with shared_cluster(Path(folder)) as cluster:
                result = measure(f"kafka://{cluster.bootstrap}/bench", given.records)
        else:
            result = measure(f"sqlite:///{folder}/bench", given.records)
    if given.json:
        print(json.dumps(result))
    else:
        print(
            f"{result['us']:.2f} us CPU a record ({result['records_per_s']:,.0f} a second); decode and encode alone "
            f"{result['peer_us']:.2f} us; ratio {result['ratio']:.1f}"
        )


if __name__ == "__main__":
    main()
