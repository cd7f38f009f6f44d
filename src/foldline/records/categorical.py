"""A column of few different values: each stands once, and a row is its place."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, overload

import numpy as np
import numpy.typing as npt

from foldline.records.examples import Form, given
from foldline.records.types import Value

MOST: Final = 64
"""Categories of a column made of numbers."""

Int64s = npt.NDArray[np.int64]


class Categorical(Sequence[Value | None]):
    """n values by their places among the categories; also a sequence of the values themselves.

    Args:
        categories: different values. One that no row has may be among them.
        codes: (n,) place of each row's, -1 for None.

    Example:
        >>> column = Categorical((False, True), np.array([1, -1, 0]))
        >>> list(column), column.places({True: 7}).tolist()
        ([True, None, False], [7, -1, -1])
    """

    def __init__(self, categories: tuple[Value, ...], codes: Int64s) -> None:
        self.categories = categories
        self.codes = codes

    @classmethod
    def of(cls, values: npt.NDArray[np.float64], forms: npt.NDArray[np.uint8]) -> "Categorical | None":
        """What `examples.given` tells; None unless all are booleans, or whole numbers of which few differ."""
        absent = forms == Form.ABSENT
        if (absent | (forms == Form.TRUE) | (forms == Form.FALSE)).all():
            return cls((False, True), np.where(absent, -1, forms == Form.TRUE).astype(np.int64))
        if not (absent | (forms == Form.INTEGER)).all():
            return None
        some, at = np.unique(values[~absent], return_inverse=True)
        if len(some) > MOST:
            return None
        codes: Int64s = np.full(len(values), -1, np.int64)
        codes[~absent] = at
        return cls(tuple(some.astype(np.int64).tolist()), codes)

    @classmethod
    def joined(cls, parts: Sequence["Categorical"]) -> "Categorical":
        """All of them, one after another."""
        places: dict[tuple[type[Value], Value], int] = {}
        codes = [np.zeros(0, np.int64)]
        for part in parts:
            # By type, too: True and 1 are equal, and written differently.
            place = [places.setdefault((type(each), each), len(places)) for each in part.categories]
            codes.append(np.array([*place, -1], np.int64)[part.codes])
        return cls(tuple(value for _, value in places), np.concatenate(codes))

    def __len__(self) -> int:
        return len(self.codes)

    def __iter__(self) -> Iterator[Value | None]:
        return map((*self.categories, None).__getitem__, self.codes.tolist())

    @overload
    def __getitem__(self, at: int) -> Value | None: ...

    @overload
    def __getitem__(self, at: slice | npt.NDArray[np.generic]) -> "Categorical": ...

    def __getitem__(self, at: Any) -> Any:
        """One value; several as another column."""
        found = self.codes[at]
        return (*self.categories, None)[found] if isinstance(at, int) else Categorical(self.categories, found)

    def tolist(self) -> list[Value | None]:
        """The values."""
        return list(self)

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """(n,) whether each row has a value."""
        return self.codes >= 0

    def places(self, known: Mapping[Value, int]) -> Int64s:
        """(n,) what each row's value is mapped to; -1 for None and for one that is not."""
        return np.array([*[known.get(value, -1) for value in self.categories], -1], np.int64)[self.codes]

    def by_appearance(self) -> list[Value]:
        """The values that rows have, in the order in which they first appear. O(n · categories)."""
        firsts = {}
        for code, value in enumerate(self.categories):
            here = self.codes == code
            if here.any():
                firsts[int(here.argmax())] = value
        return [firsts[first] for first in sorted(firsts)]

    def objects(self) -> npt.NDArray[np.object_]:
        """(n,) the values as an array."""
        values = np.empty(len(self.categories) + 1, np.object_)
        values[:] = [*self.categories, None]
        return values[self.codes]


def labels(values: npt.NDArray[np.float64], forms: npt.NDArray[np.uint8]) -> Sequence[Value | None]:
    """As `examples.given`, as categories where they are few."""
    return Categorical.of(values, forms) or given(values, forms)
