"""What does a decision cost, from the unit to its line of JSON?

Question: how long does it take to draw a decision without context and encode its record?
Workload: `Decider.decide(unit, local, time)` and `records.codec.encode`, 20,000 units of 11 characters with given
    local ids of 32, 20 actions, a bundle of one partition and of eight; time given, append excluded.
Peer: `msgspec.json.Encoder.encode` of the same records already made: what any program that logs them pays.
Ratio: our CPU time over the peer's, median of alternating rounds, for comparison between machines; the bar is an
    absolute one, 2 us a decision.
Command: `python benchmarks/decide.py [--rounds 21] [--json]`
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from typing import Final

import msgspec

from foldline.loops.bundle import Bundle
from foldline.loops.deciding import Decider
from foldline.records.codec import encode

BAR_US: Final = 2.0
ACTIONS: Final = tuple(f"article-{i}" for i in range(20))
START: Final = 1_700_000_000_000
ASKED: Final = [(f"user-{i:06d}", f"{i:032x}") for i in range(20_000)]


def decider(partitions: int) -> Decider:
    """An epsilon-greedy bundle that has learnt a little."""
    values = [0.01 + 0.002 * i for i in range(len(ACTIONS))]
    return Decider(
        Bundle(
            loop="news",
            hash="0123456789abcdef",
            time=START,
            cut=(0,) * partitions,
            definition=1,
            stream_time=START,
            generation=0,
            salt="0123456789abcdef",
            kind="epsilon_greedy",
            actions=ACTIONS,
            parameters={"epsilon": 0.1, "ties": "random", "values": values},
        )
    )


def ours(made: Decider) -> Callable[[], None]:
    """Decide and encode for everybody."""

    def run() -> None:
        decide = made.decide
        for unit, local in ASKED:
            encode(decide(unit, local, START))

    return run


def bare() -> Callable[[], None]:
    """Encode what was decided before."""
    made = decider(1)
    records = [made.decide(unit, local, START) for unit, local in ASKED]

    def run() -> None:
        write = msgspec.json.Encoder().encode
        for record in records:
            write(record)

    return run


def microseconds(function: Callable[[], None]) -> float:
    """CPU time of one decision, averaged over all."""
    start = time.process_time_ns()
    function()
    return (time.process_time_ns() - start) / len(ASKED) / 1e3


def measure(rounds: int) -> dict[str, float]:
    """Medians of alternating rounds."""
    contenders = {"encode": bare(), "decide": ours(decider(1)), "decide_eight": ours(decider(8))}
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for function in contenders.values():
        function()
    for _ in range(rounds):
        for name, function in contenders.items():
            times[name].append(microseconds(function))
    ratio = statistics.median(d / e for d, e in zip(times["decide"], times["encode"], strict=True))
    return {
        "decide_us": statistics.median(times["decide"]),
        "decide_us_least": min(times["decide"]),
        "decide_us_greatest": max(times["decide"]),
        "decide_eight_partitions_us": statistics.median(times["decide_eight"]),
        "bar_us": BAR_US,
        "encode_us": statistics.median(times["encode"]),
        "ratio": ratio,
    }


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=21, help="alternating rounds, at least 7")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    result = measure(given.rounds)
    if given.json:
        print(json.dumps({name: round(value, 3) for name, value in result.items()}))
        return
    print(
        f"a decision drawn and encoded: {result['decide_us']:.2f} us, bar {BAR_US:g} "
        f"(rounds {result['decide_us_least']:.2f} to {result['decide_us_greatest']:.2f})"
    )
    print(f"  on eight partitions {result['decide_eight_partitions_us']:.2f} us")
    print(f"  encoding alone {result['encode_us']:.2f} us, ratio {result['ratio']:.1f}")


if __name__ == "__main__":
    main()
