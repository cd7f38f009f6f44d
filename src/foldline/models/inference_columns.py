"""Inferences of new examples that all have their labels, as columns: measured and told without an object for each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from foldline.models.class_table import ClassTable
from foldline.models.inference import Names
from foldline.models.measuring import Measured
from foldline.models.online import Predictions
from foldline.models.stepping import Taken
from foldline.records.examples import Texts
from foldline.records.types import Value
from foldline.records.weaving import Strand, numbers, same, spans, weave

_PLAIN = {bool, int, float, type(None)}


@dataclass(frozen=True, slots=True)
class InferenceColumns:
    """What a batch came to, where it fits into columns.

    Attributes:
        id: the examples' ids.
        unit: whose they are.
        at: times, milliseconds.
        y: labels, numbers or booleans.
        values: see `Predictions`; likewise the others.
        table: probabilities, None for a model that has none.
        scores: None for a model that has none.
        cold: None where nothing is.
    """

    id: Texts
    unit: Texts
    at: Sequence[int]
    y: Sequence[bool | int | float]
    values: Sequence[Value | None]
    table: ClassTable | None
    scores: Sequence[float | None] | None
    cold: Sequence[bool] | None

    @classmethod
    def of(cls, taken: Taken, predictions: Predictions) -> "InferenceColumns | None":
        """The columns; None where something is to be looked at one by one: a text, a failure, a label that is late."""
        id, unit, y = taken.id, taken.unit, taken.y
        if predictions.failures or not (isinstance(id, Texts) and isinstance(unit, Texts)):
            return None
        if not all(taken.predicts) or None in y or not _PLAIN.issuperset(map(type, predictions.values)):
            return None
        table = None
        if predictions.probabilities is not None:
            given = predictions.probabilities
            table = given if isinstance(given, ClassTable) else ClassTable.from_mappings(given)
            if table is None or len(set(map(Names().__getitem__, table.classes))) < len(table.classes):
                return None
        return cls(id, unit, taken.at, y, predictions.values, table, predictions.scores, predictions.cold)  # type: ignore[arg-type]  # no label is None

    def measured(self, positive: Value) -> Measured:
        """What the metrics take of them."""
        count = len(self.id)
        nothing = np.full(count, np.nan)
        score, likelihood = nothing, nothing
        if self.scores is not None:
            score = np.array(self.scores, np.float64)  # None is NaN
        if self.table is not None:
            score, likelihood = self.table.of(positive), self.table.likelihoods(self.y, positive)
        return Measured(self.y, self.values, score, likelihood, self.at, range(1, count + 1))

    def lines(self, model: str, learnt: int, after: Mapping[int, bytes]) -> bytes:
        """The output lines, as `inference.Inference` is written.

        Args:
            model: its name.
            learnt: labels learnt before.
            after: lines that come after some, by their places.
        """
        count = len(self.id)
        id, unit = spans(self.id.text, self.id.spans), spans(self.unit.text, self.unit.spans)
        strands = [
            same(b'{"type":"inference","id":"'), id, same(b'/%b","example":"' % model.encode()), id,
            same(b'","unit":"'), unit, same(b'","at":'), numbers(self.at),
            same(b',"learnt":'), numbers(range(learnt, learnt + count)),
            *_where(b',"value":', self.values),
        ]  # fmt: skip
        if self.table is not None:
            strands += _shares(self.table)
        if self.scores is not None:
            strands += _where(b',"score":', self.scores)
        if self.cold is not None:
            strands.append(same(b',"cold":true').where(np.array(self.cold, np.bool_)))
        strands += [same(b',"truth":'), numbers(self.y), same(b"}")]
        if after:
            strands.append(_at(after, count))
        return weave(strands)


def _where(name: bytes, values: Sequence[Any]) -> list[Strand]:
    """A field that is left out where its value is None."""
    field, found = same(name), numbers(values)
    if None in values:
        there = np.array([value is not None for value in values], np.bool_)
        return [field.where(there), found.where(there)]
    return [field, found]


def _shares(table: ClassTable) -> list[Strand]:
    """The field of probabilities, by the names of the classes in their order; left out where there are none."""
    names, there = Names(), table.there()
    before: npt.NDArray[np.bool_] = np.zeros(len(table), np.bool_)
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


def _at(lines: Mapping[int, bytes], count: int) -> Strand:
    """Lines of their own after some."""
    starts, ends = np.zeros(count, np.int64), np.zeros(count, np.int64)
    text = b""
    for place, line in lines.items():
        starts[place] = len(text)
        text += b"\n" + line
        ends[place] = len(text)
    return Strand(text, starts, ends)
