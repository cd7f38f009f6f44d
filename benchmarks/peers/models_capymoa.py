"""CapyMOA's Hoeffding tree and half-space trees over a CSV file whose last column is the label; prints JSON.

Run by `benchmarks/capymoa_models.py` in an environment of its own.
"""

import json
import sys
import time
from typing import Any

import numpy as np
from capymoa.anomaly import HalfSpaceTrees
from capymoa.classifier import HoeffdingTree
from capymoa.stream import NumpyStream


def main(path: str) -> None:
    """CPU microseconds an example of predicting, then learning, instances made on the way as a consumer makes them."""
    table = np.loadtxt(path, delimiter=",")
    x, y = table[:, :-1], table[:, -1].astype(int)
    found: dict[str, Any] = {}
    for name, kind in (("Hoeffding tree", HoeffdingTree), ("half-space trees", HalfSpaceTrees)):
        for _ in range(2):  # the first round warms the virtual machine up
            stream = NumpyStream(x, y, target_type="categorical")
            model = kind(stream.get_schema())
            right = 0
            began, clock = time.process_time(), time.perf_counter()
            while stream.has_more_instances():
                instance = stream.next_instance()
                if name == "Hoeffding tree":
                    right += model.predict(instance) == instance.y_index
                else:
                    model.score_instance(instance)
                model.train(instance)
            spent, passed = time.process_time() - began, time.perf_counter() - clock
        found[name] = {
            "cpu_us": spent / len(y) * 1e6,
            "clock_us": passed / len(y) * 1e6,
            "accuracy": right / len(y),
        }
    print(json.dumps(found))


main(sys.argv[1])
