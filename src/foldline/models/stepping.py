"""From a batch of records to what a model is to do: predict examples, learn labels, in record order."""

from typing import Final

import numpy as np

from foldline.models.join import Early, Join
from foldline.models.join_layout import What
from foldline.models.known import Count
from foldline.models.online import Features
from foldline.models.step_columns import take_columns
from foldline.models.taken import Taken
from foldline.models.waiting import Waiting
from foldline.records.columns import Columns
from foldline.records.types import Value

_EXAMPLE: Final = int(What.EXAMPLE)


def take(join: Join, columns: Columns, groups: int, missing: Value | None) -> Taken:
    """Fold a batch into the join; what follows from it.

    Args:
        join: changed in place.
        columns: the batch.
        groups: models in the partition.
        missing: the label of examples whose label did not come in time, or None.
    """
    told = join.apply(columns)
    whole = take_columns(join, columns, told, groups, missing)
    if whole is not None:
        return whole
    taken = Taken()
    counts, examples, times = taken.counts, columns.examples.by_row(columns.time), columns.time.tolist()
    labels = columns.labels.by_row()
    # What most records come to is written out: a call a field would cost as much as all the rest.
    row_: list[int] = []
    at_: list[int] = []
    sequence_: list[int] = []
    group_: list[int] = []
    predicts_: list[bool] = []
    id_: list[str] = []
    unit_: list[str] = []
    x_: list[Features] = []
    y_: list[Value | None] = []
    taken.id, taken.unit, taken.x, taken.y = id_, unit_, x_, y_

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
                join.waiting.add(Waiting(sequence, id, unit, group, x))  # type: ignore[arg-type]  # no None is left
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
            add_late(row, join.waiting.pop(sequence), labels[row])
        elif what == What.EARLY:
            join.early[sequence] = Early(sequence, labels[row])
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
    taken.row, taken.at, taken.sequence, taken.group = (
        np.array(column, np.int64) for column in (row_, at_, sequence_, group_)
    )
    taken.predicts = np.array(predicts_, np.bool_)
    return taken
