"""How long does an assignment take?

Question: what does assigning a unit cost, by the variant's hash alone, and behind a layer, a ramp and a past?
Workload: 20,000 unit ids such as `user-12345`, two variants of equal weight; the same behind a layer's half and a
    coverage of 0.8, of which two fifths reach the third hash; by `foldline_2`, which new experiments have, and by the
    hash before it; and the hashes of other systems beside it, as an experiment is assigned by them.
Peer: a bare function that hashes the id with xxh3 and compares it with one bound; it refuses no empty id, knows no
    other weights, and returns an index.
Ratio: our CPU time over the peer's, least of several rounds that alternate; the bar is 200 ns an assignment, by the
    variant's hash and behind a layer and a coverage.
Command: `python benchmarks/assignment.py`
"""

import json
import sys
import time
from collections.abc import Callable

from xxhash import xxh3_64_intdigest

from foldline.experiments.assignment import assigner
from foldline.experiments.assignment_plan import AssignmentPlan
from foldline.experiments.hashes import Hash
from foldline.experiments.layer import LayerRange

BAR_NS = 200.0
HALVES = {"control": 1, "challenger": 1}
ROUNDS = 25
UNITS = [f"user-{i}" for i in range(20_000)]


def bare(unit: str) -> int:
    """The hash and one comparison."""
    return int(xxh3_64_intdigest(f"ctr\x1fvariant\x1f{unit}".encode()) >= 1 << 63)


def by(name: Hash, *, guarded: bool = False, sticky: bool = False) -> Callable[[str], object]:
    """Assigns as an experiment of this hash; behind a layer's half and a coverage, or with a past that is asked for."""
    coverage, layer = (0.8, LayerRange("checkout", ((0, 5000),))) if guarded else (1.0, None)
    plan = AssignmentPlan(key="ctr", weights=HALVES, hash=name, coverage=coverage, layer=layer, sticky=sticky)
    return assigner(plan)


def nanoseconds(cases: dict[str, Callable[[str], object]]) -> dict[str, float]:
    """CPU time of one call of each, averaged over all units; the least of the rounds: others share the machine."""
    least = dict.fromkeys(cases, float("inf"))
    for _ in range(ROUNDS):
        for name, function in cases.items():
            start = time.thread_time_ns()
            for unit in UNITS:
                function(unit)
            least[name] = min(least[name], (time.thread_time_ns() - start) / len(UNITS))
    return least


def main() -> None:
    """Measure and print."""
    cases: dict[str, Callable[[str], object]] = {
        "peer": bare,
        "variant": by("foldline_2"),
        "layer_and_coverage": by("foldline_2", guarded=True),
        "sticky": by("foldline_2", sticky=True),
        "variant_1": by("foldline_1"),
        "layer_and_coverage_1": by("foldline_1", guarded=True),
        "growthbook_2": by("growthbook_2"),
        "planout_uniform": by("planout_uniform"),
        "unleash": by("unleash"),
    }
    found = {name: round(value, 1) for name, value in nanoseconds(cases).items()}
    result = {
        "nanoseconds": found,
        "ratio": round(found["variant"] / found["peer"], 2),
        "bar_nanoseconds": BAR_NS,
        "ratio_layer_and_coverage": round(found["layer_and_coverage"] / found["peer"], 2),
        "passed": max(found["variant"], found["layer_and_coverage"]) < BAR_NS,
    }
    if "--json" in sys.argv:
        print(json.dumps(result))
        return
    for name, value in found.items():
        print(f"{name:<22}{value:>8.0f} ns")
    print(f"ratio {result['ratio']}, bar {BAR_NS:.0f} ns: {'passed' if result['passed'] else 'missed'}")


if __name__ == "__main__":
    main()
