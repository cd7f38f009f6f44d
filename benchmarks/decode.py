"""What do columns cost over decoding alone?

Question: how does the time from lines to columns compare with msgspec decoding the same bytes to structs?
Workload: decision and reward pairs, and outcomes, as a loop writes them (about 150 bytes a line), in batches of 1
    to 10,000; decisions with a context of four features beside them. `decode` scans what it knows and leaves the
    rest to msgspec; `decode_plainly` is msgspec alone.
Peer: `msgspec.json.Decoder(Lean).decode_lines` of a struct that names only the fields columns need.
Ratio: our CPU time over the peer's, medians of alternating rounds; below 1 is faster than decoding alone.
Command: `python benchmarks/decode.py [--rounds 15] [--json]`
"""

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable

import msgspec

from foldline.records.codec import decode, decode_plainly, encode_lines
from foldline.records.types import Decision, Outcome, Record, Reward

SIZES = (1, 10, 1_000, 10_000)
WHOLE = 1 << 53


class Lean(msgspec.Struct, gc=False):
    """Every field that stands in a column, and no other."""

    type: str
    time: int
    id: str = ""
    unit: str = ""
    decision: str = ""
    action: str = ""
    name: str = "reward"
    propensity: float = -1.0
    value: float = 0.0
    reward: float = 0.0


def decision(rng: random.Random, number: int, context: dict[str, float] | None = None) -> Decision:
    """A decision among twenty actions, with an exact propensity."""
    return Decision(
        time=1_790_000_000_000 + number,
        id=f"0.{number % 8}.{rng.getrandbits(128):032x}",
        unit=f"user-{rng.randrange(10**6)}",
        action=f"article-{rng.randrange(20)}",
        propensity=int((0.905 if rng.random() < 0.9 else 0.005) * WHOLE) / WHOLE,
        bundle="7c1d88e02b3f4a56",
        definition=1,
        context=context,
    )


def pairs(rng: random.Random, count: int) -> list[Record]:
    """Decisions, each followed by its reward."""
    made: list[Record] = []
    for number in range((count + 1) // 2):
        chosen = decision(rng, number)
        value = rng.choice([0.0, 1.0, 0.1, 1 / 3])
        key = f"{rng.getrandbits(64):016x}"
        made += [chosen, Reward(time=chosen.time, id=key, decision=chosen.id, name="click", value=value)]
    return made[:count]


def outcomes(rng: random.Random, count: int) -> list[Record]:
    """Complete outcomes with a reward of 0 or 1."""
    made: list[Record] = []
    for number in range(count):
        fields = msgspec.structs.asdict(decision(rng, number))
        shared = {name: fields[name] for name in Outcome.__struct_fields__ if name in fields}
        made.append(Outcome(**shared, reward=float(rng.random() < 0.03)))
    return made


def contexts(rng: random.Random, count: int) -> list[Record]:
    """Decisions with four features each."""
    return [decision(rng, n, {f"x{k}": rng.random() for k in range(4)}) for n in range(count)]


def median_times(calls: dict[str, Callable[[], object]], rounds: int, repeats: int) -> dict[str, float]:
    """Median CPU seconds of each call over alternating rounds."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.process_time()
            for _ in range(repeats):
                call()
            times[name].append((time.process_time() - start) / repeats)
    return {name: statistics.median(values) for name, values in times.items()}


def measure(name: str, records: list[Record], rounds: int) -> dict[str, object]:
    """One row of the table."""
    data = encode_lines(records)
    peer = msgspec.json.Decoder(Lean)
    calls: dict[str, Callable[[], object]] = {
        "msgspec": lambda: peer.decode_lines(data),
        "decode": lambda: decode(data),
        "plain": lambda: decode_plainly(data),
    }
    for call in calls.values():
        call()
    found = median_times(calls, rounds, max(1, 2_000 // len(records)))
    return {
        "workload": name,
        "batch": len(records),
        "bytes_per_line": round(len(data) / len(records)),
        **{f"{call}_ns": round(seconds / len(records) * 1e9) for call, seconds in found.items()},
        "decode_ratio": round(found["decode"] / found["msgspec"], 2),
        "plain_ratio": round(found["plain"] / found["msgspec"], 2),
    }


def main() -> None:
    """Prints a row per workload and batch size."""
    parser = argparse.ArgumentParser(description="Lines to columns, against msgspec alone.")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    rng = random.Random(7)
    rows = [
        measure(make.__name__, make(rng, size), arguments.rounds)
        for make in (pairs, outcomes, contexts)
        for size in SIZES
    ]
    if arguments.json:
        print(json.dumps(rows))
        return
    for row in rows:
        print("  ".join(f"{key} {value}" for key, value in row.items()))


if __name__ == "__main__":
    main()
