"""What commands print: aligned tables for people, JSON for programs."""

import json
import sys
from collections.abc import Sequence


def print_json(value: object) -> None:
    """Print one value as one line of JSON, at once, so that a reader of a pipe sees it.

    Raises:
        ValueError: the value holds NaN or an infinite number, which JSON has no word for.
    """
    sys.stdout.write(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n")
    sys.stdout.flush()


def print_table(headers: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows under headers: numbers to the right, all else to the left."""
    cells = [[_text(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headers, *cells, strict=True)]
    right = [bool(rows) and all(isinstance(row[c], int | float) for row in rows) for c in range(len(headers))]
    for line in [headers, *cells]:
        padded = [
            text.rjust(width) if number else text.ljust(width)
            for text, width, number in zip(line, widths, right, strict=True)
        ]
        print("  ".join(padded).rstrip())


def _text(value: object) -> str:
    return "-" if value is None else str(value)
