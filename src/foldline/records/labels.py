"""The labels of a batch: what examples turned out to be, as columns or each an object."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from foldline.records.examples import given
from foldline.records.types import Label, Value


@dataclass(frozen=True, slots=True)
class LabelTable:
    """Labels that are numbers or booleans.

    Attributes:
        rows: (k,) int64, rows of the batch, rising.
        y: (k,) float64.
        forms: (k,) uint8, how each stood, a `Form`.
    """

    rows: npt.NDArray[np.int64]
    y: npt.NDArray[np.float64]
    forms: npt.NDArray[np.uint8]

    def __getitem__(self, at: slice) -> "LabelTable":
        """Some of them."""
        return LabelTable(self.rows[at], self.y[at], self.forms[at])


@dataclass(slots=True)
class Labels:
    """The labels of a batch by row; the examples they are of stand in the columns.

    Attributes:
        table: those read as columns, or None.
        objects: the others by row.
    """

    table: LabelTable | None = None
    objects: dict[int, Label] = field(default_factory=dict)

    def slice(self, start: int, stop: int) -> "Labels":
        """Those of rows `start` to `stop`, with row numbers shifted."""
        objects = {row - start: each for row, each in self.objects.items() if start <= row < stop}
        if self.table is None:
            return Labels(None, objects)
        first, last = np.searchsorted(self.table.rows, (start, stop)).tolist()
        part = self.table[first:last]
        return Labels(LabelTable(part.rows - start, part.y, part.forms), objects)

    def by_row(self) -> dict[int, Value]:
        """Each label by its row."""
        found: dict[int, Value] = {row: each.y for row, each in self.objects.items()}
        if self.table is not None:
            values = given(self.table.y, self.table.forms)
            found.update(zip(self.table.rows.tolist(), values, strict=True))  # type: ignore[arg-type]  # none is absent
        return found
