"""From a batch of records to what a model is to do: predict examples, learn labels, in record order."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from foldline.models.join import Early, Join, Waiting
from foldline.models.join_layout import Event, What
from foldline.models.known import Count
from foldline.models.online import Features
from foldline.records.columns import Columns
from foldline.records.examples import ExampleTable, FeatureTable, Texts
from foldline.records.types import Value

_EXAMPLE: Final = int(What.EXAMPLE)


@dataclass(slots=True)
class Taken:
    """What a batch comes to: steps in record order, each an example to predict or a label that came after its example.

    Attributes:
        row: of the record that each step follows from.
        at: that record's time, milliseconds.
        sequence: the example's number in the join.
        id: the example's id.
        unit: whose it is.
        group: of the models in its partition, which one predicts it.
        x: features, absent ones left out.
        y: the label; None where it is not known.
        predicts: whether the example is new; otherwise it was predicted before, and only the label is.
        expired: numbers of examples whose label did not come, and for which none is declared.
        counts: to be added, see `Count`.
    """

    row: list[int] = field(default_factory=list)
    at: list[int] = field(default_factory=list)
    sequence: list[int] = field(default_factory=list)
    id: list[str] | Texts = field(default_factory=list)
    unit: list[str] | Texts = field(default_factory=list)
    group: list[int] = field(default_factory=list)
    x: list[Features] | FeatureTable = field(default_factory=list)
    y: list[Value | None] = field(default_factory=list)
    predicts: list[bool] = field(default_factory=list)
    expired: list[int] = field(default_factory=list)
    counts: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(Count), np.int64))

    def __len__(self) -> int:
        return len(self.row)


def take(join: Join, columns: Columns, groups: int, missing: Value | None) -> Taken:
    """Fold a batch into the join; what follows from it.

    Args:
        join: changed in place.
        columns: the batch.
        groups: models in the partition.
        missing: the label of examples whose label did not come in time, or None.
    """
    told = join.apply(columns)
    table = columns.examples.table
    if table is not None and not told[Event.WHAT].any() and not told[Event.EARLY].any():
        return _all_new(join, columns, table, told, groups)
    taken = Taken()
    counts, examples, times = taken.counts, columns.examples.by_row(columns.time), columns.time.tolist()
    # What most records come to is written out: a call a field would cost as much as all the rest.
    row_, at_, sequence_, group_, y_, predicts_ = (
        taken.row, taken.at, taken.sequence, taken.group, taken.y, taken.predicts,
    )  # fmt: skip
    id_: list[str] = []
    unit_: list[str] = []
    x_: list[Features] = []
    taken.id, taken.unit, taken.x = id_, unit_, x_

    def add_late(row: int, one: Waiting, y: Value) -> None:
        """A label that came after its example."""
        row_.append(row)
        at_.append(times[row])
        sequence_.append(one.sequence)
        id_.append(one.id)
        unit_.append(one.unit)
        group_.append(one.group)
        x_.append(one.x)
        y_.append(y)
        predicts_.append(False)

    for row, what, sequence, early in zip(*told.tolist(), strict=True):
        if what == _EXAMPLE:
            example = examples[row]
            y, x, id, unit = example.y, example.x, example.id, example.unit
            if early:
                waited = join.early.pop(early)
                if y is None:
                    y = waited.y
                else:
                    counts[Count.LABELS_AGAIN] += 1
            if None in x.values():
                x = {name: value for name, value in x.items() if value is not None}
            group = int(columns.unit[row, 1]) % groups if groups > 1 else 0
            if y is None:
                join.waiting[sequence] = Waiting(sequence, id, unit, group, x)  # type: ignore[arg-type]  # no None is left
            row_.append(row)
            at_.append(times[row])
            sequence_.append(sequence)
            id_.append(id)
            unit_.append(unit)
            group_.append(group)
            x_.append(x)  # type: ignore[arg-type]  # no None is left
            y_.append(y)
            predicts_.append(True)
        elif what == What.LABEL:
            add_late(row, join.waiting.pop(sequence), columns.labels[row].y)
        elif what == What.EARLY:
            join.early[sequence] = Early(sequence, columns.labels[row].y)
        elif what == What.EXPIRED:
            waiting = join.waiting.pop(sequence)
            counts[Count.MISSING] += 1
            if missing is None:
                taken.expired.append(sequence)
            else:
                add_late(row, waiting, missing)
        elif what == What.UNMATCHED:
            del join.early[sequence]
            counts[Count.UNMATCHED] += 1
        else:
            counts[Count.DUPLICATES if what == What.DUPLICATE else Count.LABELS_AGAIN] += 1
    return taken


def _all_new(
    join: Join, columns: Columns, table: ExampleTable, told: npt.NDArray[np.int64], groups: int
) -> Taken:
    """What `take` gives for new examples alone: a column after another."""
    rows, sequences = told[Event.ROW], told[Event.SEQUENCE].tolist()
    taken = Taken(
        row=rows.tolist(),
        at=columns.time[rows].tolist(),
        sequence=sequences,
        id=table.id,
        unit=table.unit,
        group=(columns.unit[rows, 1] % np.uint64(groups)).tolist(),
        x=table.x,
        y=table.labels(),
        predicts=[True] * len(table),
    )
    if None in taken.y:
        for sequence, id, unit, group, x, y in zip(
            sequences, table.id, table.unit, taken.group, table.x, taken.y, strict=True
        ):
            if y is None:
                join.waiting[sequence] = Waiting(sequence, id, unit, group, dict(x))
    return taken
