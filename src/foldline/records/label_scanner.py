"""A scanner of canonical labels, for the lines that other scanners leave: labels that are numbers or booleans."""

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from foldline.kernels import Bytes, kernel
from foldline.records.columns import Kind
from foldline.records.examples import Form
from foldline.records.hashing import hash_span
from foldline.records.labels import LabelTable
from foldline.records.literals import closed, literal, opened
from foldline.records.tokens import string_end

_OPENING: Final = b'{"type":"label","time":'
_START: Final = literal(_OPENING[:16])
_TIME: Final = literal(_OPENING[16:])
_EXAMPLE: Final = literal(b',"example":"')
_QUOTE: Final = 1


@kernel
def _scan(
    buffer: Bytes, left: Any, kinds: Any, times: Any, ids: Any, rows: Any, y: Any, forms: Any, rest: Any
) -> Any:
    """Reads the labels it knows among the lines left; how many. O(bytes).

    Args:
        buffer: (m,) uint8.
        left: (3, n) int64, row, start and end of each line.
        kinds: written at the rows of labels; likewise `times`, and `ids` with the hash of the example's id.
        times: (rows,) int64.
        ids: (rows, 2) uint64.
        rows: (n,) int64, written: the row of each label taken.
        y: (n,) float64, written; likewise `forms`.
        forms: (n,) uint8.
        rest: (n,) int64, written: which lines are left.
    """
    taken, remaining = 0, 0
    for line in range(left.shape[1]):
        end = left[2, line]
        time, id = opened(buffer, left[1, line], _START, _TIME, _EXAMPLE)
        found = False
        if id >= 0:
            id_end = string_end(buffer, id)
            if 1 <= id_end - id <= 512 and closed(buffer, id_end + _QUOTE, end, y, forms, taken):
                found = forms[taken] != Form.ABSENT
        if found:
            row = left[0, line]
            kinds[row], times[row], rows[taken] = Kind.LABEL, time, row
            ids[row, 0], ids[row, 1] = hash_span(buffer, id, id_end)
            taken += 1
        else:
            rest[remaining] = line
            remaining += 1
    return taken


def scan_labels(
    data: bytes,
    left: npt.NDArray[np.int64],
    kinds: npt.NDArray[np.int8],
    times: npt.NDArray[np.int64],
    ids: npt.NDArray[np.uint64],
) -> tuple[LabelTable | None, npt.NDArray[np.int64]]:
    """The labels among lines left by other scanners, and the lines that are left then.

    Args:
        data: newline-joined lines.
        left: (3, n) row, start and end of each.
        kinds: of the batch, written at the rows of labels; likewise the others.
        times: milliseconds.
        ids: (rows, 2) hashes.
    """
    count = left.shape[1]
    rows, rest = np.empty(count, np.int64), np.empty(count, np.int64)
    y, forms = np.empty(count), np.empty(count, np.uint8)
    taken = _scan(np.frombuffer(data, np.uint8), left, kinds, times, ids, rows, y, forms, rest)
    if not taken:
        return None, left
    table = LabelTable(rows[:taken], y[:taken], forms[:taken])
    return table, np.ascontiguousarray(left[:, rest[: count - taken]])
