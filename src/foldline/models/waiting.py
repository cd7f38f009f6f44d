"""Examples that wait for their labels: in columns where they fit, each an object where not."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt

from foldline.models.kept import Kept
from foldline.records.examples import FeatureTable, Texts
from foldline.records.types import Value

LONGEST: Final = 128
"""Bytes of an id or a unit that stands in columns, where each takes the room of the longest."""


TEXTS: Final = 50_000
"""Different texts among the features beyond which further examples are objects, until none in columns waits."""


class Waiting(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An example without its label so far.

    Attributes:
        sequence: its number.
        id: its id.
        unit: whose it is.
        group: of the models in its partition, which one predicts it.
        x: features, absent ones left out.
    """

    sequence: int
    id: str
    unit: str
    group: int
    x: dict[str, Value]


@dataclass(frozen=True, slots=True)
class WaitingColumns:
    """Several of them.

    Attributes:
        id: ids.
        unit: whose they are.
        group: (n,) see `Waiting`.
        x: features.
    """

    id: Texts
    unit: Texts
    group: npt.NDArray[np.int64]
    x: FeatureTable

    def __getitem__(self, at: npt.NDArray[np.int64]) -> "WaitingColumns":
        """Some of them."""
        return WaitingColumns(self.id[at], self.unit[at], self.group[at], self.x[at])


class WaitingExamples:
    """Those of one partition, by number; numbers rise. Memory: what their features take, and some 100 bytes each."""

    def __init__(self) -> None:
        self._objects: dict[int, Waiting] = {}
        self._kept = Kept()
        self._names: tuple[str, ...] = ()
        self._texts: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._objects) + len(self._kept)

    def first(self) -> int | None:
        """The number of the one that waits longest. O(1)."""
        firsts = [next(iter(each), None) for each in (self._objects, self._kept)]
        return min((number for number in firsts if number is not None), default=None)

    def fits(self, names: tuple[str, ...]) -> bool:
        """Whether examples of these features stand in the same columns as those that wait."""
        return not len(self._kept) or (names == self._names and len(self._texts) <= TEXTS)

    @property
    def names(self) -> tuple[str, ...]:
        """Features of those in columns."""
        return self._names

    def add(self, one: Waiting) -> None:
        """One more."""
        self._objects[one.sequence] = one

    def add_columns(self, numbers: Sequence[int], rows: WaitingColumns) -> None:
        """Several more, where they fit in columns; otherwise each is an object."""
        if not numbers:
            return
        id, id_size = rows.id.padded()
        unit, unit_size = rows.unit.padded()
        if not self.fits(rows.x.names) or max(id.shape[1], unit.shape[1]) > LONGEST:
            for one in _objects(numbers, rows):
                self.add(one)
            return
        if not len(self._kept):
            self._texts = {}
        self._names = rows.x.names
        self._kept.put(numbers, {
            "id": id, "id_size": id_size, "unit": unit, "unit_size": unit_size, "group": rows.group,
            "x": rows.x.coded(self._texts), "forms": rows.x.forms,
        })  # fmt: skip

    def pop(self, number: int) -> Waiting:
        """The one of this number, which waits no longer."""
        found = self._objects.pop(number, None)
        return found or next(_objects([number], self._columns(self._kept.take([number]))))

    def pop_columns(self, numbers: Sequence[int]) -> WaitingColumns:
        """Several that stand in columns, see `in_columns`."""
        return self._columns(self._kept.take(numbers))

    def discard(self, numbers: Sequence[int]) -> None:
        """Several that stand in columns wait no longer."""
        self._kept.take(numbers)

    def in_columns(self, numbers: Iterable[int]) -> bool:
        """Whether all of these stand in columns."""
        return not self._objects or not any(number in self._objects for number in numbers)

    def in_order(self) -> Iterator[Waiting]:
        """All of them, by number. O(waiting)."""
        numbers = list(self._kept)
        made = _objects(numbers, self._columns(self._kept.look(numbers))) if numbers else iter(())
        return iter(sorted([*self._objects.values(), *made], key=lambda one: one.sequence))

    def restore(self, given: Sequence[Waiting]) -> None:
        """Take in what `in_order` gave, in columns where that can be."""
        id, unit = Texts.of([one.id for one in given]), Texts.of([one.unit for one in given])
        x = FeatureTable.of([one.x for one in given])
        if given and id is not None and unit is not None and x is not None:
            group = np.array([one.group for one in given], np.int64)
            self.add_columns([one.sequence for one in given], WaitingColumns(id, unit, group, x))
        else:
            self._objects.update((one.sequence, one) for one in given)

    def _columns(self, rows: dict[str, npt.NDArray[Any]]) -> WaitingColumns:
        get = rows.__getitem__
        return WaitingColumns(
            Texts.unpadded(get("id"), get("id_size")),
            Texts.unpadded(get("unit"), get("unit_size")),
            get("group"),
            FeatureTable(self._names, get("x"), get("forms"), tuple(self._texts)),
        )


def _objects(numbers: Sequence[int], rows: WaitingColumns) -> Iterator[Waiting]:
    for number, id, unit, group, x in zip(
        numbers, rows.id, rows.unit, rows.group.tolist(), rows.x, strict=True
    ):
        yield Waiting(number, id, unit, group, dict(x))
