"""Output records of a fold: what follows from a batch beside the state, as lines already encoded.

A fold says from which record each output follows; where that record stands, and so the output's identity, is the
engine's to know. An output is a function of the prefix up to its record, as the state is: batches of any size and
restarts give the same outputs in the same order.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from foldline.errors import FoldError
from foldline.records.newlines import count_newlines
from foldline.records.woven import Woven


@dataclass(frozen=True, slots=True, eq=False)
class Outputs:
    """The outputs of one batch, in order.

    Attributes:
        lines: newline-joined JSON objects of at least one field, one an output, without a trailing newline; or what
            they will be woven of. They have no fields `time` and `source`: those are the engine's, which appends them
            to each.
        rows: (n,) integers, the row of the batch from which each follows: from 0, never falling. Several may follow
            from one row.

    Example:
        >>> outputs = Outputs(b'{"type":"seen","id":"a"}\\n{"type":"seen","id":"b"}', np.array([0, 0]))
        >>> len(outputs), outputs.split()[1]
        (2, b'{"type":"seen","id":"b"}')
    """

    lines: bytes | Woven
    rows: npt.NDArray[np.integer]

    def __len__(self) -> int:
        return len(self.rows)

    def split(self) -> list[bytes]:
        """Each line for itself."""
        return self.text().split(b"\n") if len(self.rows) else []

    def text(self) -> bytes:
        """The lines."""
        return self.lines.text() if isinstance(self.lines, Woven) else self.lines

    def check(self, records: int, fold: str) -> None:
        """Refuse outputs that could not be numbered. O(bytes).

        Args:
            records: in the batch.
            fold: how messages name the fold.

        Raises:
            FoldError: `fold.bad_outputs`.
        """
        lines = self.lines
        count = len(lines) if isinstance(lines, Woven) else count_newlines(lines) + 1 if lines else 0
        rows = self.rows
        fault = ""
        if count != len(rows):
            fault = f"{count} lines for {len(rows)} rows; expected one line a row"
        elif count and not (rows[0] >= 0 and rows[-1] < records and (np.diff(rows) >= 0).all()):
            fault = f"rows that fall, or leave the batch of {records}; expected rows from 0 on, never falling"
        if fault:
            raise FoldError("fold.bad_outputs", f"{fold} returned outputs with {fault}: correct the fold")
