"""Do two consumers do twice the work of one?

Question: how much sooner are examples predicted and learnt by two processes than by one, on two cores?
Workload: 60,000 made-up examples of 6 features on 8 partitions of an embedded log, put there in one go once the
    consumers have shared the partitions out; River's Hoeffding tree of depth 10 in each partition. Time from then to
    the last inference, by the inferences' own times. Rounds alternate; medians.
Peer: the same with one consumer. What the machine itself gives: River's bare loop over the examples in one process, and
    over half of them in each of two, which share nothing.
Ratio: examples a second, two consumers over one. Bar: 1.8.
Command: `python -m benchmarks.models_scaling [--examples 60000] [--rounds 3] [--model NAME] [--json]`
"""

import argparse
import json
import multiprocessing
import os
import secrets
import statistics
import tempfile
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import foldline as fl
from benchmarks.models import FEATURES, bare, data
from foldline.app.foldline import wall_clock
from foldline.demos.fraud import LOOP, consume
from foldline.demos.fraud_summary import INFERENCE
from foldline.log.protocol import Batch
from foldline.records.codec import encode_lines
from foldline.records.hashing import partition_of
from foldline.records.ids import decision_id
from foldline.records.types import Example

PARTITIONS = 8


def payloads(count: int) -> list[Batch]:
    """The examples, encoded, 500 a batch."""
    now = wall_clock()
    by_partition: list[list[Example]] = [[] for _ in range(PARTITIONS)]
    for number, (x, y) in enumerate(data(count)):
        unit = f"row-{number}"
        partition = partition_of(unit, PARTITIONS)
        by_partition[partition].append(
            Example(time=now, id=decision_id(0, partition, unit), unit=unit, x=dict(x), y=y)
        )
    batches = []
    for partition, examples in enumerate(by_partition):
        for start in range(0, len(examples), 500):
            part = examples[start : start + 500]
            batches.append(Batch(f"{LOOP}.events", partition, encode_lines(part), len(part), now, now))
    return batches


def seconds(folder: Path, model: str, batches: list[Batch], consumers: int, count: int) -> float:
    """From putting the examples on the log to the last inference."""
    url = f"sqlite:///{folder}/{consumers}-{secrets.token_hex(4)}.db"
    stop = folder / f"stop-{secrets.token_hex(4)}"
    spawn = multiprocessing.get_context("spawn")
    with fl.open(url, learn=False) as app:
        loop = app.loop(
            LOOP,
            models=[fl.Model(name="model", model=model, features=tuple(FEATURES))],
            partitions=PARTITIONS,
        )
        pipes, processes = [], []
        for _ in range(consumers):
            here, there = spawn.Pipe(duplex=False)
            process = spawn.Process(target=consume, args=(url, stop, there), daemon=True)
            process.start()
            there.close()
            pipes.append(here)
            processes.append(process)
        shares: list[list[int]] = [[] for _ in pipes]
        while sorted(p for share in shares for p in share) != list(range(PARTITIONS)) or not all(shares):
            for number, here in enumerate(pipes):
                while here.poll():
                    shares[number] = here.recv()
            time.sleep(0.02)
        began = wall_clock()
        app.log.append(batches)
        while loop.models()["model"].counts["examples"] < count:
            time.sleep(1.0)  # looking takes 20 ms of the two cores, and the end is told by the inferences
        stop.touch()
        for process in processes:
            process.join()
        reader = loop.outputs("model")
        last = began
        while outputs := reader.read(50_000):
            last = max(last, *(INFERENCE.decode(output.line).time for output in outputs))
    return (last - began) / 1000


def bare_seconds(model: str, count: int, processes: int) -> float:
    """Of River's loop over the examples, shared out to processes that know nothing of each other."""
    spawn = multiprocessing.get_context("spawn")
    go, out = spawn.Barrier(processes), spawn.Queue()
    running = [
        spawn.Process(target=_bare, args=(model, count // processes, go, out)) for _ in range(processes)
    ]
    for each in running:
        each.start()
    taken: list[float] = [out.get(timeout=300) for _ in running]
    for each in running:
        each.join()
    return max(taken)


def _bare(model: str, count: int, go: Barrier, out: Any) -> None:
    rows = data(count)
    go.wait()
    began = time.perf_counter()
    bare(model, rows)
    out.put(time.perf_counter() - began)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--examples", type=int, default=60_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="tree.HoeffdingTreeClassifier:max_depth=10")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    os.environ["FOLDLINE_SECRET"] = secrets.token_hex(32)
    batches = payloads(given.examples)
    times: dict[int, list[float]] = {1: [], 2: []}
    alone: dict[int, list[float]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(given.rounds):
            for consumers, found in times.items():
                found.append(seconds(Path(folder), given.model, batches, consumers, given.examples))
                alone[consumers].append(bare_seconds(given.model, given.examples, consumers))
    ratios, machine = (
        [one / two for one, two in zip(each[1], each[2], strict=True)] for each in (times, alone)
    )
    result: dict[str, Any] = {
        "model": given.model,
        "per_s": {n: given.examples / statistics.median(each) for n, each in times.items()},
        "ratio": [statistics.median(ratios), min(ratios), max(ratios)],
        "machine": [statistics.median(machine), min(machine), max(machine)],
    }
    if given.json:
        print(json.dumps(result))
        return
    one, two = result["per_s"][1], result["per_s"][2]
    print(
        f"{given.model}: {one:,.0f} examples/s by one consumer, {two:,.0f} by two: "
        f"{result['ratio'][0]:.2f} times ({min(ratios):.2f} to {max(ratios):.2f}); bare loops that share nothing: "
        f"{result['machine'][0]:.2f} ({min(machine):.2f} to {max(machine):.2f})"
    )


if __name__ == "__main__":
    main()
