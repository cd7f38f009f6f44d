"""Steps of a batch as columns, where its examples and labels stand in columns: none of them becomes an object."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from foldline.models.join import Join
from foldline.models.join_layout import Event, What
from foldline.models.known import Count
from foldline.models.taken import Taken
from foldline.models.waiting import WaitingColumns
from foldline.records.categorical import labels
from foldline.records.columns import Columns
from foldline.records.examples import FeatureTable, Form, Texts, form_of
from foldline.records.types import Value

Int64s = npt.NDArray[np.int64]

_COUNTED: Final = (
    (What.DUPLICATE, Count.DUPLICATES),
    (What.LABEL_AGAIN, Count.LABELS_AGAIN),
    (What.EXPIRED, Count.MISSING),
)
_KNOWN: Final = (What.EXAMPLE, What.LABEL, What.DUPLICATE, What.LABEL_AGAIN, What.EXPIRED)


def take_columns(
    join: Join, columns: Columns, told: Int64s, groups: int, missing: Value | None
) -> Taken | None:
    """What `stepping.take` gives of a batch; None, with nothing changed, where something is to be looked at by itself.

    That is a text or another example that is not in the table, a label that came before its example, an example that
    waits with other features or as an object.

    Args:
        join: it has folded the batch in; examples that wait are put in and taken out here.
        columns: the batch.
        told: what the join told.
        groups: models in the partition.
        missing: the label of examples whose label did not come in time, or None.
    """
    what, rows, numbers = told[Event.WHAT], told[Event.ROW], told[Event.SEQUENCE]
    if not _fits(join, columns, told, missing):
        return None
    new = _New.of(columns, rows[what == What.EXAMPLE], numbers[what == What.EXAMPLE], groups)
    expired = numbers[what == What.EXPIRED].tolist() if missing is None else []
    step = (what == What.EXAMPLE) | (what == What.LABEL)
    if missing is not None:
        step |= what == What.EXPIRED
    what, rows, numbers = what[step], rows[step], numbers[step]
    predicts = what == What.EXAMPLE
    y, forms = _labels(columns, what, rows, new, missing)
    # A label finds its example in this batch, or among those that wait.
    place = np.searchsorted(new.numbers, numbers)
    here = place < len(new.numbers)
    here[here] = new.numbers[place[here]] == numbers[here]
    source: Int64s = np.full(len(rows), -1, np.int64)
    source[here] = np.flatnonzero(predicts)[place[here]]
    waited = join.waiting.pop_columns(numbers[~here].tolist()) if not here.all() else None
    whole = _together(new.rows, place, here, waited)
    waits = np.ones(len(new.numbers), np.bool_)
    waits[place[here & (forms != Form.ABSENT)]] = False
    left = np.flatnonzero(waits)
    join.waiting.add_columns(new.numbers[left].tolist(), new.rows[left])
    join.waiting.discard(expired)
    taken = Taken(
        row=rows, at=columns.time[rows], sequence=numbers, id=whole.id, unit=whole.unit,
        group=whole.group, x=whole.x, y=labels(y, forms), predicts=predicts, source=source,
        expired=expired,
    )  # fmt: skip
    for kind, count in _COUNTED:
        taken.counts[count] = np.count_nonzero(told[Event.WHAT] == kind)
    return taken


@dataclass(frozen=True, slots=True)
class _New:
    """The examples of a batch that are predicted.

    Attributes:
        numbers: (n,) in the join, rising.
        rows: what stands in their lines.
        y: (n,) labels; likewise `forms`.
        forms: (n,) see `ExampleTable`.
    """

    numbers: Int64s
    rows: WaitingColumns
    y: npt.NDArray[np.float64]
    forms: npt.NDArray[np.uint8]

    @classmethod
    def of(cls, columns: Columns, rows: Int64s, numbers: Int64s, groups: int) -> "_New":
        table = columns.examples.table
        group = (columns.unit[rows, 1] % np.uint64(groups)).astype(np.int64)
        if table is None:
            nothing = Texts(b"", np.empty((0, 2), np.int64))
            x = FeatureTable((), np.empty((0, 0)), np.empty((0, 0), np.uint8))
            return cls(
                numbers, WaitingColumns(nothing, nothing, group, x), np.empty(0), np.empty(0, np.uint8)
            )
        if len(rows) < len(table):
            at = np.searchsorted(table.rows, rows)
            table = replace(
                table,
                id=table.id[at],
                unit=table.unit[at],
                x=table.x[at],
                y=table.y[at],
                forms=table.forms[at],
            )
        return cls(numbers, WaitingColumns(table.id, table.unit, group, table.x), table.y, table.forms)


def _fits(join: Join, columns: Columns, told: Int64s, missing: Value | None) -> bool:
    what, numbers = told[Event.WHAT], told[Event.SEQUENCE]
    if told[Event.EARLY].any() or columns.labels.objects or not np.isin(what, _KNOWN).all():
        return False
    is_new, late = what == What.EXAMPLE, what == What.LABEL
    table = columns.examples.table
    if is_new.any() and table is None:
        return False
    expired = what == What.EXPIRED
    if missing is not None and expired.any():
        if isinstance(missing, str):
            return False
        late |= expired
    # Numbers rise: those before the first of this batch waited before it.
    waited = numbers[late | expired]
    if is_new.any():
        waited = waited[waited < numbers[is_new][0]]
    if not len(waited):
        return True
    fits = table is None or not is_new.any() or join.waiting.fits(table.x.names)
    return fits and join.waiting.in_columns(waited.tolist())


def _labels(
    columns: Columns, what: Int64s, rows: Int64s, new: _New, missing: Value | None
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.uint8]]:
    """(n,) labels of steps and how each stands."""
    y, forms = np.full(len(what), np.nan), np.zeros(len(what), np.uint8)
    of_new, of_labels, of_expired = (what == each for each in (What.EXAMPLE, What.LABEL, What.EXPIRED))
    y[of_new], forms[of_new] = new.y, new.forms
    table = columns.labels.table
    if table is not None:
        at = np.searchsorted(table.rows, rows[of_labels])
        y[of_labels], forms[of_labels] = table.y[at], table.forms[at]
    if missing is not None and not isinstance(missing, str):
        y[of_expired], forms[of_expired] = missing, form_of(missing)
    return y, forms


def _together(
    new: WaitingColumns, place: Int64s, here: npt.NDArray[np.bool_], waited: WaitingColumns | None
) -> WaitingColumns:
    """What stands in the example's line of each step: a new one's, or one's that waited."""
    count = len(new.x)
    if waited is None:
        return new if np.array_equal(place, np.arange(count)) else new[place]
    at = np.empty(len(here), np.int64)
    at[here], at[~here] = place[here], count + np.arange(len(waited.x))
    return (waited if not count else _joined(new, waited))[at]


def _joined(first: WaitingColumns, second: WaitingColumns) -> WaitingColumns:
    return WaitingColumns(
        first.id.joined(second.id),
        first.unit.joined(second.unit),
        np.concatenate((first.group, second.group)),
        first.x.joined(second.x),
    )
