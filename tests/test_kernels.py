"""Loops run as they stand until compiling pays, and give the same bits either way."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from foldline import kernels
from foldline.kernels import as_it_stands, is_ready, patient

BOTH_WAYS = """
import sys

import numpy as np

from foldline import kernels
from foldline.fold.attribution import Attribution
from foldline.fold.rule import AGGREGATIONS, RewardRule
from foldline.records.codec import decode
from foldline.stats.exact_sums import count_pulls, learn_squares, learn_sums
from tests.fold.logs import columns, random_log, remap


def folded(seed):
    rule = RewardRule(wait_ms=(0, 20)[seed % 2], aggregation=AGGREGATIONS[seed % len(AGGREGATIONS)])
    attribution, told = Attribution(rule), []
    events = random_log(seed, 300, ids=12)
    for start in range(0, 300, 7):
        batch = columns(events[start : start + 7])
        emits, counts, dead = attribution.apply(batch, 0, len(batch), remap(batch), -1.0, 1.0)
        told.append([column.tolist() for column in (emits.kind, emits.action, emits.old, emits.new, emits.time)])
        told.append([counts.tolist(), dead])
    return told, b"".join(attribution.dump())


def learnt(seed):
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 6, 200).astype(np.int8)
    action = rng.integers(0, 5, 200).astype(np.int32)
    old, new = rng.integers(-(2**55), 2**55, (2, 200))
    sums = np.zeros((3, 5), np.int64)
    squares = np.zeros((2, 5), np.uint64)
    learn_sums(sums[0], sums[1], kind, action, old, new)
    count_pulls(sums[2], kind, action)
    try:
        learn_squares(*squares, np.where(kind == 4, 3, kind).astype(np.int8), action, old, new)
    except Exception as error:
        return repr(error), sums.tolist(), squares.tolist()
    return sums.tolist(), squares.tolist()


def decoded(seed):
    letters = np.random.default_rng(seed).integers(0, 4, 40)
    lines = [
        b'{"type":"reward","time":5,"id":"r%s","unit":"\\xc3\\xa9%s","value":1}' % (b"x" * k, b"[" * (k % 3))
        for k in letters.tolist()
    ]
    found = decode(b"\\n".join([*lines, b"", b"{" * 70 + b"}", b"[1]"]))
    return found.id.tolist(), found.unit.tolist(), found.reward_id.tolist(), found.dead


kernels._turns_left = 10**9
plain = [(folded(seed), learnt(seed), decoded(seed)) for seed in range(24)]
assert "numba" not in sys.modules, "numba was loaded while there was patience left"
kernels.lose_patience()
compiled = [(folded(seed), learnt(seed), decoded(seed)) for seed in range(24)]
assert "numba" in sys.modules, "nothing was compiled"
for seed, (first, second) in enumerate(zip(plain, compiled, strict=True)):
    for what, left, right in zip(("folded", "learnt", "decoded"), first, second, strict=True):
        assert left == right, (what, seed, left, right)
"""


def test_loops_give_the_same_bits_as_they_stand_and_compiled() -> None:
    """Joins, sums, squares and hashes of random logs; numba is not even loaded while there is patience."""
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", BOTH_WAYS], capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stderr[-2_000:]


def test_patience_is_spent_by_turns_and_then_the_loop_is_compiled() -> None:
    """A loop as long as what is left of the patience is the last to run as it stands, minus one turn."""

    def total(numbers: np.ndarray, out: np.ndarray) -> None:
        for number in numbers:
            out[0] += number

    loop = patient(lambda numbers, _: len(numbers))(total)
    assert as_it_stands(loop) is total
    before = kernels._turns_left
    try:
        kernels._turns_left = 10
        out = np.zeros(1, np.int64)
        loop(np.arange(9), out)
        assert not is_ready(loop)
        loop(np.arange(1), out)
        assert is_ready(loop)
        assert out[0] == 36
    finally:
        kernels._turns_left = before


OLDER = """
from typing import Any, NamedTuple

from foldline.kernels import kernel


class Pair(NamedTuple):
    left: Any
    right: Any


@kernel
def added(pair):
    return pair[0] + pair[1]
"""

CALLS = """
import sys

sys.path.insert(0, sys.argv[1])
import loops
from foldline.kernels import is_ready

assert loops.added(getattr(loops, "Pair", lambda *both: both)(2, 3)) == 5
dispatcher = loops.added.compiled()
print(sum(dispatcher.stats.cache_hits.values()), is_ready(loops.added))
"""


def test_code_kept_by_another_version_counts_as_none(tmp_path: Path) -> None:
    """Neither a type that is gone nor an index cut short stops a process; what it compiles is kept for the next."""
    module = tmp_path / "loops.py"

    def call() -> str:
        ran = subprocess.run(
            [sys.executable, "-c", CALLS, str(tmp_path)],
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr[-2_000:]
        return ran.stdout.strip()

    module.write_text(OLDER)
    assert call() == "0 True"
    assert call() == "1 True"
    # On the same lines, since what is kept is named by the line of its function.
    module.write_text(OLDER.replace("class Pair(NamedTuple):\n    left: Any\n    right: Any", "#\n#\n#"))
    assert call() == "0 True"
    assert call() == "1 True"
    (index,) = tmp_path.rglob("*.nbi")
    index.write_bytes(index.read_bytes()[:-9])
    assert call() == "0 True"
    assert call() == "1 True"
