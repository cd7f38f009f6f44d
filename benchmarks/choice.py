"""How much does a choice with its propensity cost over drawing a number and finding its place?

Question: what does `Compiled.choose` cost, against a bare function of the hash and `bisect`?
Workload: 20,000 decision ids of 36 characters, 20 actions, no mask.
Peer: a function that hashes the id with xxh3 and bisects the same cumulative table; it returns the index alone.
Ratio: our time over the peer's, median of alternating rounds; the bar is 1.3.
Command: `python benchmarks/choice.py`
"""

import json
import statistics
import time
from bisect import bisect_right
from collections.abc import Callable
from itertools import accumulate

from xxhash import xxh3_64_intdigest

from foldline.policies.compiled import Compiled

ACTIONS = 20
BAR = 1.3
IDS = [f"0.0.{i:032x}" for i in range(20_000)]
ROUNDS = 41


def bare() -> Callable[[str], int]:
    """`bisect` and the hash, nothing else."""
    cumulative = list(accumulate([(1 << 53) // ACTIONS] * ACTIONS))
    prefix = b"salt\x1faction\x1f"

    def choose(id: str) -> int:
        return bisect_right(cumulative, xxh3_64_intdigest(prefix + id.encode()) >> 11)

    return choose


def seconds(function: Callable[[str], object]) -> float:
    """Time of one call, averaged over all ids."""
    start = time.perf_counter()
    for id in IDS:
        function(id)
    return (time.perf_counter() - start) / len(IDS)


def measure() -> dict[str, float]:
    """Medians of alternating rounds, in nanoseconds, and the ratio."""
    compiled = Compiled("random", [f"a{i}" for i in range(ACTIONS)], {"n": ACTIONS}, "salt")
    candidates = {"bare": bare(), "choose": compiled.choose}
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(ROUNDS):
        for name, function in candidates.items():
            times[name].append(seconds(function))
    medians = {f"{name}_ns": statistics.median(taken) * 1e9 for name, taken in times.items()}
    ratio = statistics.median(c / b for c, b in zip(times["choose"], times["bare"], strict=True))
    return {**medians, "ratio": ratio, "bar": BAR}


if __name__ == "__main__":
    print(json.dumps({name: round(value, 3) for name, value in measure().items()}))
