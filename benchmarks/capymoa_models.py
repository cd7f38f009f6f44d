"""What does an example cost a model here, in River, and in CapyMOA?

Question: how much time does an example take to be predicted and learnt by a Hoeffding tree, and by half-space trees?
Workload: 40,000 made-up examples of 6 features, labelled by a line that moves once (those of `benchmarks/models.py`).
    River from dictionaries made beforehand, CapyMOA from an array, instances made on the way, our models from an array
    and as a consumer that reads JSON from an embedded log, measures, and puts inferences out.
Peer: CapyMOA 0.15 (MOA in a Java virtual machine, warmed up by a round before) in an environment of its own,
    `.tools/models-peers`, never a part of the project; its trees have other defaults. River in this process.
Ratio: clock time an example, the peer's over ours.
Command: `python -m benchmarks.capymoa_models [--examples 40000] [--json]`; the first run installs CapyMOA (560 MB).
"""

import argparse
import json
import subprocess
import tempfile
import time
import venv
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.models import FEATURES, OURS, RIVER, consumed, data, put
from foldline.engine.warming import warm_up
from foldline.models.definition import ModelDefinition
from foldline.models.half_space_trees import HalfSpaceTrees
from foldline.models.hoeffding_tree import HoeffdingTree
from foldline.models.mersenne import Mersenne
from foldline.models.protocol import Model

HERE = Path(__file__).resolve().parent
HOME = HERE.parent / ".tools" / "models-peers"
MODELS = ("Hoeffding tree", "half-space trees")


def capymoa(rows: list[tuple[dict[str, float], bool]], folder: Path) -> dict[str, Any]:
    """What CapyMOA takes, in a process of its own."""
    if not HOME.is_dir():
        venv.create(HOME, with_pip=True)
        subprocess.run([HOME / "bin/pip", "install", "--quiet", "capymoa==0.15.1"], check=True)
    table = folder / "rows.csv"
    table.write_text("".join(",".join(map(repr, [*x.values(), float(y)])) + "\n" for x, y in rows))
    command = [HOME / "bin/python", HERE / "peers/models_capymoa.py", table]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=folder)
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def clocked(act: Any) -> float:
    """Seconds on the clock."""
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def from_array(name: str, x: Any, y: Any) -> None:
    """Ours, in one pass."""
    model: Model = (
        HoeffdingTree(FEATURES, max_depth=10) if name == MODELS[0] else HalfSpaceTrees(FEATURES, Mersenne(42))
    )
    model.predict_learn(model.empty(), x, y)


def river(text: str, rows: list[tuple[dict[str, float], bool]]) -> None:
    """River's, one by one."""
    built = ModelDefinition(name="m", model=text).build()
    model: Any = built.empty()
    for x, y in rows:
        if built.task == "anomaly":
            model.score_one(x)
            model.learn_one(x)
        else:
            model.predict_proba_one(x)
            model.learn_one(x, y)


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--examples", type=int, default=40_000)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    rows = data(given.examples)
    x = np.array([list(each.values()) for each, _ in rows])
    y = np.array([label for _, label in rows], float)
    warm_up()
    for name in MODELS:
        from_array(name, x[:500], y[:500])
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        peer = capymoa(rows, Path(folder))
        for number, name in enumerate(MODELS):
            url = f"sqlite:///{folder}/{number}.db"
            put(url, OURS[name], rows, 0)
            each = 1e6 / len(rows)
            results[name] = {
                "capymoa_us": peer[name]["clock_us"],
                "capymoa_cpu_us": peer[name]["cpu_us"],
                "river_us": clocked(lambda name=name: river(RIVER[name], rows)) * each,
                "ours_us": clocked(lambda name=name: from_array(name, x, y)) * each,
                "ours_on_log_us": clocked(lambda url=url: consumed(url, len(rows))) * each,
            }
    if given.json:
        print(json.dumps(results))
        return
    for name, found in results.items():
        print(
            f"{name}: River {found['river_us']:.1f} us an example, CapyMOA {found['capymoa_us']:.1f} "
            f"({found['capymoa_cpu_us']:.1f} of CPU), ours {found['ours_us']:.2f} from an array "
            f"({found['capymoa_us'] / found['ours_us']:.0f} times CapyMOA) and {found['ours_on_log_us']:.1f} on the log"
        )


if __name__ == "__main__":
    main()
