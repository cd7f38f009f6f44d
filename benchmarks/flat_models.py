"""What does an example cost a flat-array model, and what River's model of the same name?

Question: how many examples a second are predicted and then learnt, from arrays?
Workload: 100,000 made-up examples of 10 features between 0 and 1, labelled by a noisy line. River gets dictionaries
    made before, ours the table; both predict each example and then learn it. Medians of 5 alternating rounds.
Peer: River's `anomaly.HalfSpaceTrees(seed=42)`, `tree.HoeffdingTreeClassifier(max_depth=10)` and
    `StandardScaler | LogisticRegression`, in the same run; their scores and probabilities are compared with ours.
Ratio: examples a second, ours over River's. Bar: 25.
Command: `python benchmarks/flat_models.py [--examples 100000] [--json]`
"""

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from river import anomaly, compose, linear_model, preprocessing, tree

from foldline.models.half_space_trees import HalfSpaceTrees
from foldline.models.hoeffding_tree import HoeffdingTree
from foldline.models.logistic_regression import LogisticRegression

ROUNDS = 5
FEATURES = [f"f{n}" for n in range(10)]


def data(examples: int) -> tuple[Any, Any, list[dict[str, float]], list[bool]]:
    """The table and the labels, and the same as River takes them."""
    rng = np.random.default_rng(1)
    x = rng.random((examples, len(FEATURES)))
    y = (x @ rng.normal(size=len(FEATURES)) + rng.normal(size=examples) * 0.3 > 0).astype(float)
    rows = [dict(zip(FEATURES, row, strict=True)) for row in x.tolist()]
    return x, y, rows, [bool(label) for label in y]


def river_trees(rows: list[dict[str, float]]) -> list[float]:
    """Score, then learn."""
    model: Any = anomaly.HalfSpaceTrees(seed=42)
    scores = []
    for row in rows:
        scores.append(model.score_one(row))
        model.learn_one(row)
    return scores


def river_regression(rows: list[dict[str, float]], labels: list[bool]) -> list[float]:
    """Predict, then learn."""
    model = compose.Pipeline(preprocessing.StandardScaler(), linear_model.LogisticRegression())
    found = []
    for row, label in zip(rows, labels, strict=True):
        found.append(model.predict_proba_one(row)[True])
        model.learn_one(row, label)
    return found


def river_tree(rows: list[dict[str, float]], labels: list[bool]) -> list[float]:
    """Predict, then learn."""
    model: Any = tree.HoeffdingTreeClassifier(max_depth=10)
    found = []
    for row, label in zip(rows, labels, strict=True):
        found.append(model.predict_proba_one(row).get(True, 0.0))
        model.learn_one(row, label)
    return found


def our_tree(x: Any, y: Any) -> list[float]:
    """The same, in one pass."""
    model = HoeffdingTree(FEATURES, max_depth=10)
    found: list[float] = model.predict_learn(model.empty(), x, y)[:, 1].clip(0.0).tolist()
    return found


def our_trees(x: Any) -> list[float]:
    """The same, in one pass."""
    model = HalfSpaceTrees(FEATURES, random.Random(42))
    found: list[float] = model.predict_learn(model.empty(), x, np.full(len(x), np.nan))[:, 0].tolist()
    return found


def our_regression(x: Any, y: Any) -> list[float]:
    """The same, in one pass."""
    model = LogisticRegression(FEATURES)
    found: list[float] = model.predict_learn(model.empty(), x, y)[:, 1].tolist()
    return found


def seconds(act: Callable[[], list[float]]) -> tuple[float, list[float]]:
    """CPU seconds, and what came out."""
    began = time.process_time()
    found = act()
    return time.process_time() - began, found


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--examples", type=int, default=100_000)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    x, y, rows, labels = data(given.examples)
    our_trees(x[:500])
    our_regression(x[:500], y[:500])
    our_tree(x[:500], y[:500])
    result: dict[str, Any] = {}
    for name, theirs, ours in (
        ("half-space trees", lambda: river_trees(rows), lambda: our_trees(x)),
        ("Hoeffding tree", lambda: river_tree(rows, labels), lambda: our_tree(x, y)),
        ("logistic regression", lambda: river_regression(rows, labels), lambda: our_regression(x, y)),
    ):
        peer, own, ratios = [], [], []
        for _ in range(ROUNDS):
            slow, expected = seconds(theirs)
            quick, found = seconds(ours)
            np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
            peer.append(given.examples / slow)
            own.append(given.examples / quick)
            ratios.append(slow / quick)
        result[name] = {
            "river_per_s": statistics.median(peer),
            "ours_per_s": statistics.median(own),
            "ratio": [statistics.median(ratios), min(ratios), max(ratios)],
        }
    if given.json:
        print(json.dumps(result))
        return
    for name, found in result.items():
        middle, least, most = found["ratio"]
        print(
            f"{name:20} {found['ours_per_s']:>12,.0f} examples/s, River {found['river_per_s']:>9,.0f}: "
            f"{middle:.0f} times ({least:.0f} to {most:.0f})"
        )


if __name__ == "__main__":
    main()
