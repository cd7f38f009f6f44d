"""Inferences of record that wait for their labels: in columns where they fit, each an object where not."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from foldline.models.class_table import MOST, ClassTable
from foldline.models.inference import Names, likelihood
from foldline.models.kept import Kept
from foldline.records.categorical import Categorical
from foldline.records.types import Value


class Held(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An inference of record whose label has not come yet.

    Attributes:
        sequence: the example's number in the join.
        value: see `Inference`.
        score: of the positive class, or of an anomaly; None for none.
        probabilities: pairs of class and probability, by the names of the classes; None for none.
    """

    sequence: int
    value: Value | None
    score: float | None
    probabilities: tuple[tuple[Value, float], ...] | None

    @classmethod
    def of(
        cls, sequence: int, value: Value | None, score: float | None, table: Mapping[Value, float] | None
    ) -> "Held":
        """Of what a model said, in which numbers may be numpy's and probabilities stand in any order."""
        pairs = sorted([(key, float(p)) for key, p in table.items()], key=_named) if table else None
        given: Any = value
        return cls(
            sequence,
            given.item() if isinstance(given, np.generic) else given,
            None if score is None else float(score),
            tuple(pairs) if pairs else None,
        )

    def likelihood(self, truth: Value, positive: Value) -> float:
        """The probability given to the label; NaN for none."""
        return likelihood(dict(self.probabilities), truth, positive) if self.probabilities else float("nan")


def _named(pair: tuple[Value, float]) -> tuple[str, bool]:
    return Names()[pair[0]], isinstance(pair[0], str)


@dataclass(frozen=True, slots=True)
class HeldColumns:
    """Several of them.

    Attributes:
        value: (n,) numbers, booleans or None.
        score: (n,) NaN for none.
        table: probabilities, no class for a model without them.
    """

    value: Categorical | npt.NDArray[np.object_]
    score: npt.NDArray[np.float64]
    table: ClassTable

    def objects(self) -> npt.NDArray[np.object_]:
        """(n,) the values as an array."""
        return self.value.objects() if isinstance(self.value, Categorical) else self.value

    def __getitem__(self, at: npt.NDArray[np.int64]) -> "HeldColumns":
        """Some of them."""
        return HeldColumns(
            self.value[at], self.score[at], ClassTable(self.table.classes, self.table.values[at])
        )


class HeldInferences:
    """Those of one partition, by the number of their example."""

    def __init__(self) -> None:
        self._objects: dict[int, Held] = {}
        self._kept = Kept()
        self._classes: tuple[Value, ...] = ()

    def __len__(self) -> int:
        return len(self._objects) + len(self._kept)

    def add(self, one: Held) -> None:
        """One more."""
        self._objects[one.sequence] = one

    def add_columns(self, numbers: Sequence[int], rows: HeldColumns) -> None:
        """Several more. Their classes, all that came until now included, are at most as many as a table has."""
        if not numbers:
            return
        if not len(self._kept):
            self._classes = ()
        self._classes = tuple(dict.fromkeys((*self._classes, *rows.table.classes)))
        table = rows.table.by(self._classes)
        self._kept.put(numbers, {"value": rows.objects(), "score": rows.score, "table": table.values})

    def has_room(self, classes: Sequence[Value]) -> bool:
        """Whether inferences that name these classes fit into the columns."""
        return len({*self._classes, *classes}) <= MOST

    def pop(self, number: int) -> Held:
        """The one of this number, held no longer."""
        found = self._objects.pop(number, None)
        return found or next(self._each([number], self._columns(self._kept.take([number]))))

    def pop_columns(self, numbers: Sequence[int]) -> HeldColumns:
        """Several that stand in columns, see `in_columns`."""
        return self._columns(self._kept.take(numbers))

    def discard(self, numbers: Sequence[int]) -> None:
        """Hold these no longer, as far as they are held."""
        for number in numbers:
            self._objects.pop(number, None)
        self._kept.take([number for number in numbers if number in self._kept])

    def in_columns(self, numbers: Sequence[int]) -> bool:
        """Whether all of these stand in columns."""
        return not self._objects or not any(number in self._objects for number in numbers)

    def in_order(self) -> Iterator[Held]:
        """All of them, by number. O(held)."""
        numbers = list(self._kept)
        made = self._each(numbers, self._columns(self._kept.look(numbers))) if numbers else iter(())
        return iter(sorted([*self._objects.values(), *made], key=lambda one: one.sequence))

    def restore(self, given: Sequence[Held]) -> None:
        """Take in what `in_order` gave, in columns where that can be."""
        table = ClassTable.from_mappings([dict(one.probabilities or ()) for one in given])
        names = set(map(Names().__getitem__, table.classes)) if table is not None else set()
        if table is None or len(names) < len(table.classes) or any(isinstance(o.value, str) for o in given):
            self._objects.update((one.sequence, one) for one in given)
            return
        value = np.empty(len(given), np.object_)
        value[:] = [one.value for one in given]
        score = np.array([one.score for one in given], np.float64)  # None is NaN
        self.add_columns([one.sequence for one in given], HeldColumns(value, score, table))

    def _columns(self, rows: dict[str, npt.NDArray[Any]]) -> HeldColumns:
        values = rows.get("table", np.empty((0, 0)))
        classes = self._classes[: values.shape[1]]
        return HeldColumns(
            rows.get("value", np.empty(0, np.object_)),
            rows.get("score", np.empty(0)),
            ClassTable(classes, values),
        )

    def _each(self, numbers: Sequence[int], rows: HeldColumns) -> Iterator[Held]:
        names = Names()
        order = sorted(rows.table.classes, key=lambda value: (names[value], isinstance(value, str)))
        table = rows.table.by(tuple(order))
        scores = [None if score != score else score for score in rows.score.tolist()]
        for number, value, score, pairs in zip(numbers, rows.value.tolist(), scores, table, strict=True):
            yield Held(number, value, score, tuple(pairs.items()) or None)
