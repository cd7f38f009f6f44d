"""The conformance suite of folds: what the engine relies on when it restores, batches and replays.

Example:
    >>> from foldline.fold.rule import RewardRule
    >>> from foldline.policies.epsilon_greedy import EpsilonGreedy
    >>> from foldline.policies.fold import PolicyFold
    >>> from foldline.records.codec import decode
    >>> line = b'{"type":"definition","time":1,"loop":"l","version":1,"actions":["a"]}'
    >>> check_fold(PolicyFold(EpsilonGreedy(), RewardRule()), decode(line))
    ['batches', 'resumption', 'lagging_pending', 'lasting_pages', 'outputs', 'input', 'parameters']
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np

from foldline.fold.protocol import Dump, Fold
from foldline.records.columns import ARRAYS, Columns


def check_fold(fold: Fold[Any], columns: Columns) -> list[str]:
    """Run every check on a fold over a batch of records; the names of the checks that ran.

    Args:
        fold: with the parameters to check.
        columns: some hundreds of records that reach all it does, markers among them.

    Raises:
        AssertionError: the fold breaks a law; the message says which and where.
    """
    assert FOLD_CHECKS, "no checks collected"
    for check in FOLD_CHECKS.values():
        check(fold, columns)
    return list(FOLD_CHECKS)


def check_batches(fold: Fold[Any], columns: Columns) -> None:
    """Batches of 1, 7, 1000 and all give the same bytes."""
    whole = _folded(fold, columns, 0, len(columns), len(columns))
    for size in (1, 7, 1000):
        assert _folded(fold, columns, 0, len(columns), size) == whole, (
            f"batches of {size} differ from one batch"
        )


def check_resumption(fold: Fold[Any], columns: Columns) -> None:
    """Going on from load(dump()) equals going on without, at every cut tried."""
    whole = _folded(fold, columns, 0, len(columns), 64)
    for cut in _cuts(columns):
        state = fold.load(_folded(fold, columns, 0, cut, 64))
        _apply(fold, state, columns, cut, len(columns), 64)
        assert fold.dump(state) == whole, f"restored at row {cut} it ends in other bytes"


def check_lagging_pending(fold: Fold[Any], columns: Columns) -> None:
    """A pending half of an earlier offset, brought up with learning muted, equals one dumped with the known."""
    whole = _folded(fold, columns, 0, len(columns), 64)
    for n in _cuts(columns):
        known = _folded(fold, columns, 0, n, 64).known
        for m in (0, n // 3, n):
            pending = _folded(fold, columns, 0, m, 64).pending
            state = fold.load(Dump(known, pending))
            _apply(fold, state, columns, m, n, 50, muted=True)
            _apply(fold, state, columns, n, len(columns), 64)
            assert fold.dump(state) == whole, f"known of {n} with pending of {m} ends in other bytes"


def check_lasting_pages(fold: Fold[Any], columns: Columns) -> None:
    """A page with a name has the same bytes in every dump of a state, which need not make it once more."""
    state, standing = fold.empty(), dict[str, bytes]()
    cuts = _cuts(columns)
    for low, high in pairwise(cuts):
        _apply(fold, state, columns, low, high, 64)
        whole, rest = fold.dump(state), fold.dump(state, standing=standing.keys())
        for place, name in whole.lasting.items():
            assert standing.get(name, whole.pending[place]) == whole.pending[place], (
                f"page {name!r} has other bytes at row {high} than before"
            )
        left = [
            b"" if whole.lasting.get(place) in standing else page for place, page in enumerate(whole.pending)
        ]
        assert rest == Dump(whole.known, left, whole.lasting), (
            f"at row {high} a dump without the pages that stand differs in others"
        )
        standing |= {name: whole.pending[place] for place, name in whole.lasting.items()}


def check_outputs(fold: Fold[Any], columns: Columns) -> None:
    """Outputs are lines with their rows; the same for batches of 1, 7, 1000 and all, and after load(dump()).

    With learning muted there are none. A fold that says it has outputs must return some for these columns.
    """
    count = len(columns)
    whole = _told(fold, fold.empty(), columns, 0, count, max(count, 1))
    assert bool(whole) == fold.has_outputs, (
        f"has_outputs is {fold.has_outputs}, and {len(whole)} outputs were returned"
    )
    for size in (1, 7, 1000):
        assert _told(fold, fold.empty(), columns, 0, count, size) == whole, (
            f"outputs of batches of {size} differ from those of one batch"
        )
    for cut in _cuts(columns):
        state = fold.load(_folded(fold, columns, 0, cut, 64))
        rest = [(row, line) for row, line in whole if row >= cut]
        assert _told(fold, state, columns, cut, count, 64) == rest, (
            f"restored at row {cut} it returns other outputs"
        )
    assert fold.apply(fold.empty(), columns, muted=True).outputs is None, "it returns outputs when muted"


def check_input(fold: Fold[Any], columns: Columns) -> None:
    """The batch passed in is not changed."""
    before = [getattr(columns, name).copy() for name in ARRAYS]
    _folded(fold, columns, 0, len(columns), len(columns))
    for name, array in zip(ARRAYS, before, strict=True):
        assert np.array_equal(getattr(columns, name), array, equal_nan=array.dtype.kind == "f"), (
            f"the fold changed {name!r} of its input"
        )


def check_parameters(fold: Fold[Any], _columns: Columns) -> None:
    """The learning parameters are JSON, the same at every call: they are part of the identity."""
    first = msgspec.json.encode(fold.parameters(), order="deterministic")
    assert msgspec.json.encode(fold.parameters(), order="deterministic") == first, "parameters change"
    assert fold.name, "a fold needs a name"
    assert fold.version >= 1, f"version {fold.version}: expected 1 or more"


FOLD_CHECKS: dict[str, Callable[[Fold[Any], Columns], None]] = {
    "batches": check_batches,
    "resumption": check_resumption,
    "lagging_pending": check_lagging_pending,
    "lasting_pages": check_lasting_pages,
    "outputs": check_outputs,
    "input": check_input,
    "parameters": check_parameters,
}
"""Every check by name."""


def _cuts(columns: Columns) -> list[int]:
    return sorted({len(columns) * part // 7 for part in range(8)})


def _told(
    fold: Fold[Any], state: Any, columns: Columns, start: int, stop: int, size: int
) -> list[tuple[int, bytes]]:
    """Each output with the row it follows from, counted over all columns."""
    told: list[tuple[int, bytes]] = []
    for low in range(start, stop, size):
        part = columns.slice(low, min(low + size, stop))
        outputs = fold.apply(state, part).outputs
        if outputs is not None:
            outputs.check(len(part), f"fold {fold.name!r}")
            told += [
                (low + row, line) for row, line in zip(outputs.rows.tolist(), outputs.split(), strict=True)
            ]
    for _, line in told:
        fields = msgspec.json.decode(line)
        assert isinstance(fields, dict), f"output {line!r} is no JSON object"
        assert fields, f"output {line!r} has no field"
        assert not fields.keys() & {"time", "source"}, f"output {line!r} has fields that are the engine's"
    return told


def _folded(fold: Fold[Any], columns: Columns, start: int, stop: int, size: int) -> Dump:
    state = fold.empty()
    _apply(fold, state, columns, start, stop, size)
    return fold.dump(state)


def _apply(
    fold: Fold[Any], state: Any, columns: Columns, start: int, stop: int, size: int, *, muted: bool = False
) -> None:
    for low in range(start, stop, max(size, 1)):
        fold.apply(state, columns.slice(low, min(low + size, stop)), muted=muted)
