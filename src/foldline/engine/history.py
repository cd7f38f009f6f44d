"""History: what was known at a series of times, folded in one pass."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from foldline.engine.reading import columns_of
from foldline.engine.restore import rows_from
from foldline.log.protocol import Log
from foldline.loops.definition import LoopDefinition
from foldline.loops.topics import topics_of
from foldline.policies.fold import Known, PolicyFold
from foldline.records.columns import Columns


def history(log: Log, definition: LoopDefinition, times: Sequence[int]) -> list[Known]:
    """The merged known state at each stream time, milliseconds, in rising order.

    Reads the whole event topic once; holds it in memory.
    """
    fold, topic = definition.fold(), topics_of(definition).events
    per_partition = [
        _folded(fold, _batches(log, topic, partition), times) for partition in range(definition.partitions)
    ]
    return [fold.merge_all([fold.load_known(parts[i]) for parts in per_partition]) for i in range(len(times))]


def _batches(log: Log, topic: str, partition: int) -> list[Columns]:
    rows = list(rows_from(log, topic, partition, 0))
    size = 10_000
    return [columns_of(part) for part in (rows[i : i + size] for i in range(0, len(rows), size))]


def _folded(fold: PolicyFold, batches: list[Columns], times: Sequence[int]) -> list[bytes]:
    """The known half of one partition before the first record that moves stream time past each time."""
    state, clock = fold.empty(), 0
    known: list[bytes] = []
    for columns in batches:
        running: npt.NDArray[np.int64] = np.maximum(np.maximum.accumulate(columns.time), clock)
        start = 0
        while len(known) < len(times) and running[-1] > times[len(known)]:
            stop = int(running.searchsorted(times[len(known)], side="right"))
            fold.apply(state, columns.slice(start, stop))
            known.append(fold.dump_known(state.known))
            start = stop
        fold.apply(state, columns.slice(start, len(columns)))
        clock = int(running[-1])
    last = fold.dump_known(state.known)
    return known + [last] * (len(times) - len(known))
