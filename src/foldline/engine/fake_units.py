"""The units of a log as a fake experiment meets them: every decision of the loop is an exposure."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from foldline.engine.examining import folded_states
from foldline.experiments.definition import ExperimentDefinition
from foldline.experiments.tally_fold import TallyFold
from foldline.experiments.unit_table import UnitTable, unit_table
from foldline.log.protocol import Log
from foldline.loops.cut import Cut
from foldline.loops.definition import LoopDefinition
from foldline.records.columns import Columns, Kind
from foldline.records.hashing import hash128


def fake_units(
    log: Log,
    loop: LoopDefinition,
    definition: ExperimentDefinition,
    at: Cut,
    *,
    progress: Callable[[int], None] = lambda _: None,
) -> UnitTable:
    """The units of a loop up to a cut, with their values by a definition's goal.

    The log is folded once, by the tally's own fold, to which every decision is shown as one of the experiment: so
    window, maturity, duplicates and lateness are those of a real experiment. Nothing is written.

    Args:
        log: only read.
        loop: any version of the loop.
        definition: its goal, window, maturity and lateness are used.
        at: one offset for each partition.
        progress: called with the number of records folded so far.

    Raises:
        InputError: the cut lies beyond the log.
    """
    fold = TallyFold(definition)
    experiment, variant = (np.array(hash128(key), np.uint64) for key in (fold.experiment, fold.variants[0]))

    def exposed(columns: Columns) -> Columns:
        decided = (columns.kind == Kind.DECISION)[:, None]
        nothing = np.zeros(2, np.uint64)
        return dataclasses.replace(
            columns,
            experiment=np.where(decided, experiment, nothing),
            variant=np.where(decided, variant, nothing),
            probability=np.where(decided[:, 0], 1.0, np.nan),
        )

    states = folded_states(log, loop, fold, at, seen_as=exposed, progress=progress)
    return joined([unit_table(fold, state) for state in states])


def joined(tables: Sequence[UnitTable]) -> UnitTable:
    """The units of several partitions, by the time of their exposure; as far as the slowest partition has come."""
    order = np.argsort(np.concatenate([table.exposed for table in tables]), kind="stable")
    names = ("hashes", "variant", "exposed", "matured", "mixed", "values")
    columns = {name: np.concatenate([getattr(table, name) for table in tables])[order] for name in names}
    return UnitTable(**columns, stream_time=min(table.stream_time for table in tables))
