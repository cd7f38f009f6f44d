"""Probabilities of classes as a table: what is measured and told of them is worked out for a column at once."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from typing import Any, Final, overload

import numpy as np
import numpy.typing as npt

from foldline.models.losses import CLIP
from foldline.records.categorical import Categorical
from foldline.records.types import Value

MOST: Final = 64
"""Classes of a table made of mappings."""


class ClassTable(Sequence[Mapping[Value, float]]):
    """Probabilities of n examples by class; also one mapping an example, without the classes it does not name.

    Args:
        classes: of the columns.
        values: (n, classes) probabilities, NaN where an example does not name the class.

    Example:
        >>> table = ClassTable((False, True), np.array([[0.25, 0.75], [np.nan, np.nan]]))
        >>> table[0], table.of(True).tolist()
        ({False: 0.25, True: 0.75}, [0.75, nan])
    """

    def __init__(self, classes: tuple[Value, ...], values: npt.NDArray[np.float64]) -> None:
        self.classes = classes
        self.values = values

    @classmethod
    def from_mappings(cls, given: Sequence[Mapping[Value, float] | None]) -> "ClassTable | None":
        """The table of these mappings; None where they do not fit into one: too many classes, or a NaN."""
        table = cls._alike(given)
        if table is not None:
            return table
        rows = [each or {} for each in given]
        classes = tuple(dict.fromkeys(chain.from_iterable(rows)))
        if len(classes) > MOST:
            return None
        nan = float("nan")
        values = np.empty((len(rows), len(classes)))
        for at, value in enumerate(classes):
            values[:, at] = [row.get(value, nan) for row in rows]
        named = sum(map(len, rows))
        return cls(classes, values) if np.count_nonzero(~np.isnan(values)) == named else None

    @classmethod
    def _alike(cls, given: Sequence[Mapping[Value, float] | None]) -> "ClassTable | None":
        """Of mappings that name the same classes, which most do; None where they do not, or there is one class."""
        classes = tuple(given[0] or ()) if given else ()
        size = len(given) * len(classes)
        if not 1 < len(classes) <= MOST:
            return None
        try:
            if sum(map(len, given)) != size:  # type: ignore[arg-type]  # None has no length, and is caught
                return None
            pick: Any = itemgetter(*classes)
            found = chain.from_iterable(map(pick, given))
            values = np.fromiter(found, np.float64, size).reshape(len(given), len(classes))
        except (KeyError, TypeError):
            return None
        return None if np.isnan(values).any() else cls(classes, values)

    @classmethod
    def joined(cls, parts: Sequence["ClassTable"]) -> "ClassTable":
        """All of them, one after another; classes by first appearance."""
        classes = tuple(dict.fromkeys(chain.from_iterable(part.classes for part in parts)))
        return cls(
            classes,
            np.concatenate([np.empty((0, len(classes))), *[part.by(classes).values for part in parts]]),
        )

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[Mapping[Value, float]]:
        if np.isnan(self.values).any():
            return iter([self._one(at) for at in range(len(self))])
        return iter([dict(zip(self.classes, row, strict=True)) for row in self.values.tolist()])

    @overload
    def __getitem__(self, at: int) -> Mapping[Value, float]: ...

    @overload
    def __getitem__(self, at: slice) -> "ClassTable": ...

    def __getitem__(self, at: Any) -> Any:
        """One as a mapping; several as another table."""
        return ClassTable(self.classes, self.values[at]) if isinstance(at, slice) else self._one(at)

    def by(self, classes: tuple[Value, ...]) -> "ClassTable":
        """The same with other columns: in another order, or more of them."""
        if classes == self.classes:
            return self
        place = {value: at for at, value in enumerate(classes)}
        values = np.full((len(self), len(classes)), np.nan)
        values[:, [place[value] for value in self.classes]] = self.values
        return ClassTable(classes, values)

    def most_probable(self) -> Categorical:
        """The class of the greatest probability of each example, of equal ones the first column's; None of none."""
        best: npt.NDArray[np.int64] = np.full(len(self), -1, np.int64)
        if self.classes:
            there = self.there()
            best[:] = np.argmax(np.where(there, self.values, -np.inf), axis=1)
            best[~there.any(axis=1)] = -1
        return Categorical(self.classes, best)

    def ties(self) -> list[int]:
        """Examples of which several classes have the greatest probability."""
        if not self.classes:
            return []
        values = np.where(self.there(), self.values, -np.inf)
        best = values.max(axis=1, keepdims=True)
        return np.flatnonzero(((values == best) & self.there()).sum(axis=1) > 1).tolist()

    def there(self) -> npt.NDArray[np.bool_]:
        """(n, classes) whether the example names the class."""
        return ~np.isnan(self.values)

    def of(self, value: Value) -> npt.NDArray[np.float64]:
        """(n,) of this class; 0 for an example that only names others, NaN for one that names none."""
        nothing = np.isnan(self.values).all(axis=1)
        if value not in self.classes:
            return np.where(nothing, np.nan, 0.0)
        found = self.values[:, self.classes.index(value)]
        return np.where(np.isnan(found) & ~nothing, 0.0, found)

    def likelihoods(self, truths: Sequence[Value | None], positive: Value) -> npt.NDArray[np.float64]:
        """(n,) the probability given to each label, as `inference.likelihood` has it; NaN for one that names none."""
        there = self.there()
        count = there.sum(axis=1)
        place = {value: at for at, value in enumerate(self.classes)}
        at = (
            truths.places(place)
            if isinstance(truths, Categorical)
            else np.array([-1 if truth is None else place.get(truth, -1) for truth in truths], np.int64)
        )
        found = np.zeros(len(self))
        known = np.flatnonzero(at >= 0)
        found[known] = self.values[known, at[known]]
        found = np.clip(np.where(np.isnan(found), 0.0, found), CLIP, 1.0 - CLIP)
        sure = place.get(positive)
        if sure is not None:
            other = (at != sure) & (count <= 2) & there[:, sure]
            found = np.where(other, 1.0 - np.clip(self.values[:, sure], CLIP, 1.0 - CLIP), found)
        found[count == 0] = np.nan
        return found

    def _one(self, at: int) -> Mapping[Value, float]:
        row = self.values[at].tolist()
        return {value: p for value, p in zip(self.classes, row, strict=True) if p == p}
