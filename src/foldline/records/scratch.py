"""What the scanner works with and what it leaves blank: memory that batches share, dear to clear for each."""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

SHARED_ROWS: Final = 1 << 16
"""Rows up to which memory is shared; a larger batch has its own."""

EXPECTED: Final = 16
"""After so many batches without anything rare none is expected in the next."""

_POOLED: Final = 4


class Rare(NamedTuple):
    """The columns in which outcomes have nothing: of n rows, or of none where there is no room for them.

    Attributes:
        hashes: (3, n, 2) uint64, zeros where there is nothing: reward id, experiment, variant.
        probability: (n,) float64, NaN likewise.
        name: (n,) int32, -1 likewise.
    """

    hashes: npt.NDArray[np.uint64]
    probability: npt.NDArray[np.float64]
    name: npt.NDArray[np.int32]


def cleared(count: int) -> Rare:
    """Rows with nothing in them, for who writes there."""
    return Rare(
        np.zeros((3, count, 2), np.uint64), np.full(count, np.nan), np.full(count, -1, dtype=np.int32)
    )


_NONE: Final = cleared(0)


class Scratch:
    """Threads may use it at once."""

    def __init__(self) -> None:
        self._blank = _NONE
        self._batches = 0
        self._tables: list[npt.NDArray[np.int32]] = []

    def room(self, count: int) -> Rare:
        """Room for what is rare in a batch of so many rows, where it is expected; else none."""
        return cleared(count) if self._batches > 0 else _NONE

    def made(self, count: int) -> Rare:
        """Room for what is rare, which is expected from now on."""
        self._batches = EXPECTED
        return cleared(count)

    def missed(self) -> None:
        """There was room, and nothing in it."""
        self._batches -= 1

    def nothing(self, count: int) -> Rare:
        """Rows with nothing in them; nobody may write there."""
        if count > SHARED_ROWS:
            return cleared(count)
        blank = self._blank
        if count > len(blank.name):
            blank = self._blank = cleared(1 << (count - 1).bit_length())
        return Rare(blank.hashes[:, :count], blank.probability[:count], blank.name[:count])

    def tables(self, count: int) -> npt.NDArray[np.int32]:
        """(2, power of two above 2 count) int32, zeros; to be given back as zeros."""
        least = 2 << count.bit_length()
        try:
            tables = self._tables.pop()
        except IndexError:
            tables = np.zeros((2, 0), np.int32)
        return tables if tables.shape[1] >= least else np.zeros((2, least), np.int32)

    def give_back(self, tables: npt.NDArray[Any]) -> None:
        """Tables that are zeros again."""
        if len(self._tables) < _POOLED and tables.shape[1] <= 2 * SHARED_ROWS:
            self._tables.append(tables)
