"""How long until a new process has learnt something?

Question: how long does the first fold take on a machine that has never compiled a kernel, how long once compiled
    code is cached, and how long does `import foldline` take?
Workload: a process that opens a memory log without its background thread, defines a loop of epsilon-greedy with
    20 actions, appends 100 outcomes in one batch, folds them and writes the root. Cold: `NUMBA_CACHE_DIR` is an empty
    folder. Warm: the same folder again. Byte-code of Python sources is cached in all cases, as an installed package
    has it. Beside it `compiled cold` and `compiled warm`: the same after `lose_patience`, as a service starts, when
    every loop is compiled or read from the cache.
Peer: `python -c pass`, started in the same alternation and subtracted from each of ours. Beside it, `numba`: a
    process that imports numba and calls one kernel of one line, its code cached, which is the least that any program
    with cached kernels pays.
Ratio: warm against `numba`, without a bar. The bars are absolute, in seconds of CPU time of the whole process (user
    and system, children included) less the peer's: cold 6, warm 0.5, import 0.15. Wall-clock time beside it.
Command: `python benchmarks/startup.py [--rounds 7] [--cold 3] [--json]`
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Final

BARS: Final = {"cold": 6.0, "warm": 0.5, "import": 0.15}

FOLD: Final = """
from foldline.engine.defining import create_catalogue, define
from foldline.engine.learner import Learner
from foldline.log.memory import MemoryLog
from foldline.log.protocol import Batch
from foldline.loops.catalogue import Catalogue
from foldline.loops.definition import LoopDefinition
from foldline.records.codec import encode_lines
from foldline.records.types import Outcome

NOW = 1_700_000_000_000
ACTIONS = tuple(f"article-{i}" for i in range(20))
loop = LoopDefinition(
    name="news", version=1, time=NOW, actions=ACTIONS, policy={"kind": "epsilon_greedy"}, salt="salt"
)
with MemoryLog() as log:
    create_catalogue(log)
    define(log, Catalogue(), "news", lambda _: loop, holder="benchmark", now=NOW)
    made = [
        Outcome(
            time=NOW, id=f"0.0.{i:032x}", unit=f"user-{i}", action=ACTIONS[i % 20], propensity=0.05,
            reward=float(i % 2), bundle="0123456789abcdef", definition=1,
        )
        for i in range(100)
    ]
    log.append([Batch("news.events", 0, encode_lines(made), len(made), NOW, NOW)])
    learner = Learner(log, loop, "benchmark")
    while learner.step(now=NOW + 1_000):
        pass
    learner.close(now=NOW + 2_000)
    assert log.offsets("news.roots", 0)[1] >= 1
"""

PROGRAMS: Final = {
    "bare": "pass",
    "import": "import foldline",
    "numba": "import one_kernel",
    "fold": FOLD,
    "compiled": "from foldline.kernels import lose_patience\nlose_patience()\n" + FOLD,
}

ONE_KERNEL: Final = """
import numba
import numpy


@numba.njit(cache=True)
def first(array):
    return array[0]


first(numpy.zeros(1))
"""


def run(program: str, cache: str) -> tuple[float, float]:
    """CPU and wall-clock seconds of a process."""
    source = Path(cache) / "one_kernel.py"
    if not source.exists():  # written again, it would be compiled again
        source.write_text(ONE_KERNEL)
    found = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), cache]))
    environment = {**os.environ, "NUMBA_CACHE_DIR": cache, "PYTHONPATH": found}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", PROGRAMS[program]], check=True, env=environment)
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, wall


def measure(rounds: int, cold_rounds: int) -> dict[str, float]:
    """Medians of alternating rounds, in seconds, less the bare interpreter's."""
    taken: dict[str, list[tuple[float, float]]] = {
        name: [] for name in ("bare", "numba", "cold", "warm", "compiled cold", "compiled warm", "import")
    }
    with tempfile.TemporaryDirectory() as kept:
        for program in PROGRAMS:
            run(program, kept)
        for number in range(max(rounds, cold_rounds)):
            taken["bare"].append(run("bare", kept))
            taken["numba"].append(run("numba", kept))
            if number < cold_rounds:
                with tempfile.TemporaryDirectory() as empty:
                    taken["cold"].append(run("fold", empty))
                with tempfile.TemporaryDirectory() as empty:
                    taken["compiled cold"].append(run("compiled", empty))
            taken["warm"].append(run("fold", kept))
            taken["compiled warm"].append(run("compiled", kept))
            taken["import"].append(run("import", kept))
    bare = [statistics.median(times) for times in zip(*taken["bare"], strict=True)]
    result = {"bare_cpu_s": bare[0], "bare_wall_s": bare[1]}
    for name in ("numba", "compiled cold", "compiled warm", *BARS):
        cpu, wall = (statistics.median(times) for times in zip(*taken[name], strict=True))
        result |= {
            f"{name}_cpu_s": cpu - bare[0],
            f"{name}_wall_s": wall - bare[1],
        }
        if name in BARS:
            result[f"{name}_bar_s"] = BARS[name]
    result["warm_ratio"] = result["warm_cpu_s"] / result["numba_cpu_s"]
    return {name: round(value, 3) for name, value in result.items()}


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7, help="rounds of the bare, warm and import processes")
    parser.add_argument("--cold", type=int, default=3, help="rounds of the cold process")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    result = measure(given.rounds, given.cold)
    if given.json:
        print(json.dumps(result))
        return
    for name in BARS:
        print(
            f"{name}: {result[f'{name}_cpu_s']:.3f} s of CPU, bar {result[f'{name}_bar_s']:g}; "
            f"{result[f'{name}_wall_s']:.3f} s on the clock"
        )
    for name in ("compiled cold", "compiled warm"):
        print(
            f"{name}, every loop compiled or read from the cache: {result[f'{name}_cpu_s']:.3f} s of CPU, "
            f"{result[f'{name}_wall_s']:.3f} s on the clock"
        )
    print(
        f"numba with one cached kernel: {result['numba_cpu_s']:.3f} s of CPU, "
        f"{result['numba_wall_s']:.3f} s on the clock; warm takes {result['warm_ratio']:.2f} times as much"
    )
    print(
        f"bare interpreter, taken off: {result['bare_cpu_s']:.3f} s of CPU, {result['bare_wall_s']:.3f} on the clock"
    )


if __name__ == "__main__":
    main()
