"""What does a snapshot cost a River model, and what do the examples after it?

Question: how long does it take to dump a model and to go on from the dump, how large is it, and how much slower are
    predicting and learning afterwards?
Workload: the examples of `benchmarks/models.py`: 20,000 before the snapshot, 20,000 after it, by the model alone.
Peer: the same model after `pickle.dumps`, from which CPython before 3.13 does not recover: it moves the attributes of
    every object into a dictionary of its own. No snapshot at all is the measure.
Ratio: CPU of an example after the snapshot over the same one without.
Command: `python -m benchmarks.snapshots [--examples 20000] [--rounds 3] [--json]`
"""

import argparse
import json
import pickle
import statistics
import time
from typing import Any

from benchmarks.models import RIVER, SECRET, data
from foldline.models.definition import ModelDefinition


def _each(model: Any, rows: list[tuple[dict[str, float], bool]], *, anomaly: bool) -> float:
    """CPU microseconds an example."""
    began = time.process_time()
    for x, y in rows:
        if anomaly:
            model.score_one(x)
            model.learn_one(x)
        else:
            model.predict_proba_one(x)
            model.learn_one(x, y)
    return (time.process_time() - began) / len(rows) * 1e6


def measure(text: str, rows: list[tuple[dict[str, float], bool]], rounds: int) -> dict[str, Any]:
    """Alternating rounds of ours and a plain pickle."""
    half = len(rows) // 2
    built = ModelDefinition(name="m", model=text).build(lambda: SECRET)
    anomaly = built.task == "anomaly"
    none, ours, plain, dumping = (list[float]() for _ in range(4))
    size = 0
    for _ in range(rounds):
        models = [built.empty() for _ in range(3)]
        for model in models:
            _each(model, rows[:half], anomaly=anomaly)
        began = time.process_time()
        dumped = built.dump(models[1])
        models[1] = built.load(dumped)
        dumping.append((time.process_time() - began) * 1e3)
        size = len(dumped)
        pickle.dumps(models[2])
        for model, times in zip(models, (none, ours, plain), strict=True):
            times.append(_each(model, rows[half:], anomaly=anomaly))
    whole = statistics.median(none)
    return {
        "model": text,
        "bytes": size,
        "snapshot_ms": statistics.median(dumping),
        "example_us": whole,
        "after_ours": statistics.median(ours) / whole,
        "after_pickle": statistics.median(plain) / whole,
    }


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--examples", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    rows = data(2 * given.examples)
    results = [measure(text, rows, given.rounds) for text in RIVER.values()]
    if given.json:
        print(json.dumps(results))
        return
    for found in results:
        print(
            f"{found['model']:58} {found['bytes']:9,} bytes, {found['snapshot_ms']:6.1f} ms; an example after it "
            f"{found['after_ours']:.2f} of {found['example_us']:.1f} us, after a plain pickle "
            f"{found['after_pickle']:.2f}"
        )


if __name__ == "__main__":
    main()
