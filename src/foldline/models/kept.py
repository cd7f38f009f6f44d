"""Rows kept by number until they are taken away: what waits, in columns, without an object for each."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Columns = Mapping[str, npt.NDArray[Any]]

LEAST: Final = 256
"""Rows there is room for at least."""


class Kept:
    """Rows of named columns by number. Room doubles as needed, and is halved when three quarters of it are empty.

    Columns are (n,) or (n, width); a wider one than before widens what is kept, with NaN in numbers and zeros in bytes.

    Example:
        >>> kept = Kept()
        >>> kept.put([7, 9], {"a": np.array([0.5, 1.5])})
        >>> kept.take([9])["a"].tolist(), list(kept)
        ([1.5], [7])
    """

    def __init__(self) -> None:
        self._slots: dict[int, int] = {}
        self._free: list[int] = []
        self._columns: dict[str, npt.NDArray[Any]] = {}

    def __len__(self) -> int:
        return len(self._slots)

    def __iter__(self) -> Iterator[int]:
        """The numbers, in the order in which they were put in."""
        return iter(self._slots)

    def __contains__(self, number: int) -> bool:
        return number in self._slots

    def put(self, numbers: Sequence[int], columns: Columns) -> None:
        """Keep rows; amortised O(1) a row.

        Args:
            numbers: n of them, none of which is kept.
            columns: n rows each, the same names at every call while anything is kept.
        """
        if not numbers:
            return
        if not self._slots:
            self._columns = {}
        self._make_room(len(numbers), columns)
        taken = self._free[-len(numbers) :]
        del self._free[-len(numbers) :]
        self._slots.update(zip(numbers, taken, strict=True))
        at = np.array(taken, np.int64)
        for name, rows in columns.items():
            kept = self._columns[name]
            if rows.ndim == 1:
                kept[at] = rows
            else:
                kept[at, : rows.shape[1]] = rows
                kept[at, rows.shape[1] :] = _nothing(kept.dtype)

    def look(self, numbers: Sequence[int]) -> dict[str, npt.NDArray[Any]]:
        """The rows of these numbers, as columns of their own.

        Raises:
            KeyError: one of them is not kept.
        """
        at = np.array([self._slots[number] for number in numbers], np.int64)
        return {name: column[at] for name, column in self._columns.items()}

    def take(self, numbers: Sequence[int]) -> dict[str, npt.NDArray[Any]]:
        """As `look`; from then on they are not kept. Amortised O(1) a row."""
        rows = self.look(numbers)
        self._free += [self._slots.pop(number) for number in numbers]
        size = self._size()
        if size > LEAST and len(self._slots) * 4 <= size:
            self._move(size // 2)
        return rows

    def _size(self) -> int:
        return len(next(iter(self._columns.values()), ()))

    def _make_room(self, more: int, columns: Columns) -> None:
        for name, rows in columns.items():
            kept = self._columns.get(name)
            if kept is None:
                self._columns[name] = np.zeros((0, *rows.shape[1:]), rows.dtype)
            elif rows.ndim > 1 and rows.shape[1] > kept.shape[1]:
                wider = np.full((len(kept), rows.shape[1]), _nothing(kept.dtype), kept.dtype)
                wider[:, : kept.shape[1]] = kept
                self._columns[name] = wider
        size = LEAST
        while size < len(self._slots) + more:
            size *= 2
        if size > self._size():
            self._move(size)

    def _move(self, size: int) -> None:
        """The rows that are kept to the beginning of columns of this many rows."""
        count = len(self._slots)
        at = np.fromiter(self._slots.values(), np.int64, count)
        for name, column in self._columns.items():
            moved = np.empty((size, *column.shape[1:]), column.dtype)
            moved[:count] = column[at]
            self._columns[name] = moved
        self._slots = dict(zip(self._slots, range(count), strict=True))
        self._free = list(range(size - 1, count - 1, -1))


def _nothing(dtype: np.dtype[Any]) -> Any:
    return np.nan if dtype.kind == "f" else 0
