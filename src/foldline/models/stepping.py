"""From a batch of records to what a model is to do: predict examples, learn labels, in record order."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from foldline.models.join import Early, Join, Waiting
from foldline.models.join_layout import What
from foldline.models.known import Count
from foldline.records.columns import Columns
from foldline.records.types import Value


class Step(NamedTuple):
    """An example to predict, or a label that came after its example.

    Attributes:
        row: of the record it follows from.
        at: that record's time, milliseconds.
        example: the example.
        y: the label; None where it is not known.
        predicts: whether the example is new; otherwise it was predicted before, and only the label is.
    """

    row: int
    at: int
    example: Waiting
    y: Value | None
    predicts: bool


@dataclass(slots=True)
class Taken:
    """What a batch comes to.

    Attributes:
        steps: in record order.
        expired: numbers of examples whose label did not come, and for which none is declared.
        counts: to be added, see `Count`.
    """

    steps: list[Step] = field(default_factory=list)
    expired: list[int] = field(default_factory=list)
    counts: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(len(Count), np.int64))


def take(join: Join, columns: Columns, groups: int, missing: Value | None) -> Taken:
    """Fold a batch into the join; what follows from it.

    Args:
        join: changed in place.
        columns: the batch.
        groups: models in the partition.
        missing: the label of examples whose label did not come in time, or None.
    """
    taken = Taken()
    steps, counts, examples, times = taken.steps, taken.counts, columns.examples, columns.time
    for row, what, sequence, early in join.apply(columns).T.tolist():
        if what == What.EXAMPLE:
            example = examples[row]
            y, x = example.y, example.x
            if early:
                waited = join.early.pop(early)
                if y is None:
                    y = waited.y
                else:
                    counts[Count.LABELS_AGAIN] += 1
            if None in x.values():
                x = {name: value for name, value in x.items() if value is not None}
            group = int(columns.unit[row, 1]) % groups if groups > 1 else 0
            waiting = Waiting(sequence, example.id, example.unit, group, x)  # type: ignore[arg-type]  # no None is left
            if y is None:
                join.waiting[sequence] = waiting
            steps.append(Step(row, int(times[row]), waiting, y, True))
        elif what == What.LABEL:
            steps.append(Step(row, int(times[row]), join.waiting.pop(sequence), columns.labels[row].y, False))
        elif what == What.EARLY:
            join.early[sequence] = Early(sequence, columns.labels[row].y)
        elif what == What.EXPIRED:
            waiting = join.waiting.pop(sequence)
            counts[Count.MISSING] += 1
            if missing is None:
                taken.expired.append(sequence)
            else:
                steps.append(Step(row, int(times[row]), waiting, missing, False))
        elif what == What.UNMATCHED:
            del join.early[sequence]
            counts[Count.UNMATCHED] += 1
        else:
            counts[Count.DUPLICATES if what == What.DUPLICATE else Count.LABELS_AGAIN] += 1
    return taken
