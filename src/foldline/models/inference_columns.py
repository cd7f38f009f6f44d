"""Inferences and late labels as columns: measured and told without an object for each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from foldline.models.class_table import ClassTable
from foldline.models.held import HeldColumns, HeldInferences
from foldline.models.inference import Names
from foldline.models.measuring import Measured
from foldline.models.online import Predictions
from foldline.models.taken import Taken
from foldline.records.categorical import Categorical
from foldline.records.examples import Texts
from foldline.records.types import Value
from foldline.records.weaving import Strand, integers, numbers, same, spans
from foldline.records.woven import Woven

_PLAIN = {bool, int, float, type(None)}

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class InferenceColumns:
    """What a batch came to, where it fits into columns: a step is an inference, or a label that came after its example.

    Attributes:
        id: the examples' ids.
        unit: whose they are.
        at: times, milliseconds.
        y: labels, numbers or booleans; None where not known.
        known: (n,) whether each is known.
        predicts: (n,) whether the step is an inference.
        said: what was predicted of each step's example, now or before.
        is_score: whether the model says scores, not classes or numbers.
        cold: None where nothing is.
    """

    id: Texts
    unit: Texts
    at: npt.NDArray[np.int64]
    y: Sequence[Value | None]
    known: Mask
    predicts: Mask
    said: HeldColumns
    is_score: bool
    cold: Sequence[bool] | None

    @classmethod
    def of(
        cls, taken: Taken, predictions: Predictions, held: HeldInferences, positive: Value
    ) -> "InferenceColumns | None":
        """The columns; None, with nothing changed, where something is to be looked at one by one: a text, a failure.

        Args:
            taken: the steps.
            predictions: of those that predict.
            held: inferences that wait for their labels: those of the steps are taken out, others put in.
            positive: the positive class.
        """
        id, unit, source = taken.id, taken.unit, taken.source
        if predictions.failures or source is None or not (isinstance(id, Texts) and isinstance(unit, Texts)):
            return None
        own = _own(predictions, positive)
        predicts = taken.predicts
        before = ~predicts & (source < 0)
        number = taken.sequence
        waited = number[before].tolist()
        if own is None or not held.has_room(own.table.classes) or not held.in_columns(waited):
            return None
        y = taken.y  # none is a text, or there would be no source
        known = (
            y.known if isinstance(y, Categorical) else np.array([each is not None for each in y], np.bool_)
        )
        left = ~known
        # Those whose label came in this batch are never held.
        left[source[~predicts & (source >= 0)]] = False
        said = own if predicts.all() else _gathered(own, source, before, held.pop_columns(waited))
        waits = np.flatnonzero(left)
        held.add_columns(number[waits].tolist(), own[waits])
        is_score = predictions.scores is not None
        return cls(id, unit, taken.at, y, known, predicts, said, is_score, predictions.cold)

    def measured(self, positive: Value) -> Measured:
        """What the metrics take of them."""
        said, truth, at = self.said, self.y, self.at
        line: Sequence[int] = range(1, len(at) + 1)
        if not self.known.all():
            chosen = np.flatnonzero(self.known)
            said, at, line = said[chosen], at[chosen], (chosen + 1).tolist()
            truth = truth[chosen] if isinstance(truth, Categorical) else [y for y in truth if y is not None]
        value = said.value if isinstance(said.value, Categorical) else said.value.tolist()
        return Measured(truth, value, said.score, said.table.likelihoods(truth, positive), at, line)

    def learns(self) -> Mask:
        """(n,) whether each step is learnt: all that come, for a detector, or those with labels."""
        return self.predicts if self.is_score else self.known

    def lines(self, model: str, learnt: int, after: Mapping[int, bytes]) -> Woven:
        """The output lines, as `inference.Inference` and `inference.Labelled` are written.

        Args:
            model: its name.
            learnt: labels learnt before.
            after: lines that come after some, by the places of those; rising.
        """
        now, late, known, said, learns = self.predicts, ~self.predicts, self.known, self.said, self.learns()
        id, unit, truth = (
            spans(self.id.text, self.id.spans),
            spans(self.unit.text, self.unit.spans),
            numbers(self.y),
        )
        strands = [
            same(b'{"type":"inference","id":"').where(now), same(b'{"type":"labelled","id":"').where(late),
            id, same(b'/%b","example":"' % model.encode()), id, same(b'","unit":"'), unit,
            same(b'","at":'), integers(self.at),
            same(b',"learnt":').where(now), integers(learnt + np.cumsum(learns) - learns).where(now),
            same(b',"truth":').where(late), truth.where(late),
            *_field(b',"value":', said.value),
            *_shares(said.table, now),
        ]  # fmt: skip
        scored = ~np.isnan(said.score) & (late | self.is_score)
        if scored.any():
            strands += [same(b',"score":').where(scored), numbers(said.score.tolist()).where(scored)]
        if self.cold is not None:
            strands.append(same(b',"cold":true').where(np.array(self.cold, np.bool_) & now))
        strands += [same(b',"truth":').where(now & known), truth.where(now & known)]
        return Woven(
            strands, len(known), {line + nth + 1: text for nth, (line, text) in enumerate(after.items())}
        )


def _own(predictions: Predictions, positive: Value) -> HeldColumns | None:
    """What the model said at each step; None where that does not fit into columns."""
    count = len(predictions.values)
    values = predictions.values
    few = values.categories if isinstance(values, Categorical) else values
    if not _PLAIN.issuperset(map(type, few)):
        return None
    table = ClassTable((), np.empty((count, 0)))
    if predictions.probabilities is not None:
        given = predictions.probabilities
        made = given if isinstance(given, ClassTable) else ClassTable.from_mappings(given)
        if made is None or len(set(map(Names().__getitem__, made.classes))) < len(made.classes):
            return None
        table, score = made, made.of(positive)
    elif predictions.scores is not None:
        score = np.array(predictions.scores, np.float64)  # None is NaN
    else:
        score = np.full(count, np.nan)
    if isinstance(values, Categorical):
        return HeldColumns(values, score, table)
    value = np.empty(count, np.object_)
    value[:] = values
    return HeldColumns(value, score, table)


def _gathered(
    own: HeldColumns, source: npt.NDArray[np.int64], before: Mask, waited: HeldColumns
) -> HeldColumns:
    """What was said of each step's example, in this batch or before."""
    if not before.any():
        return own[source]
    classes = tuple(dict.fromkeys((*own.table.classes, *waited.table.classes)))
    at = np.where(before, len(own.value) + np.cumsum(before) - 1, source)
    tables = own.table.by(classes).values, waited.table.by(classes).values
    return HeldColumns(
        np.concatenate((own.objects(), waited.objects())),
        np.concatenate((own.score, waited.score)),
        ClassTable(classes, np.concatenate(tables)),
    )[at]


def _field(name: bytes, values: Categorical | npt.NDArray[np.object_]) -> list[Strand]:
    """A field that is left out where its value is None."""
    field = same(name)
    if isinstance(values, Categorical):
        return [field.where(values.known), numbers(values).where(values.known)]
    some = values.tolist()
    if None in some:
        there = np.array([value is not None for value in some], np.bool_)
        return [field.where(there), numbers(some).where(there)]
    return [field, numbers(some)]


def _shares(table: ClassTable, wanted: Mask) -> list[Strand]:
    """The field of probabilities, by the names of the classes in their order; left out where there are none."""
    if not table.classes:
        return []
    names, there = Names(), table.there() & wanted[:, None]
    before: Mask = np.zeros(len(table), np.bool_)
    strands: list[Strand] = []
    for at in sorted(range(len(table.classes)), key=lambda column: names[table.classes[column]]):
        here = there[:, at]
        name = names.quoted(table.classes[at]) + b":"
        # The first of an example opens the field; after another one a comma is enough.
        strands += [
            same(b',"probabilities":{' + name).where(here & ~before),
            same(b"," + name).where(here & before),
            numbers(np.where(here, table.values[:, at], 0.0).tolist()).where(here),
        ]
        before = before | here
    strands.append(same(b"}").where(before))
    return strands
