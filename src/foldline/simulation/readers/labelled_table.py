"""A table with a label in each row, to be replayed as a stream of examples: any CSV file, plain or gzipped."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from foldline.errors import InputError
from foldline.simulation.readers.line_file import LineFile, unreadable

Cell: TypeAlias = float | str

POSITIVE = ("1", "1.0", "true", "True", "TRUE", "yes", "Yes")
"""Labels taken for the positive one of two where none is named."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledTable:
    """n rows in the order of the file, each with features and one of k classes.

    Attributes:
        name: of the file or the data set.
        features: names, in the order of the file.
        columns: one a feature: (n,) float64 where every cell is a number or empty (then NaN), else (n,) objects
            that are strings.
        target: the name of the label.
        classes: the labels by first appearance; of two the positive one stands last.
        labels: (n,) int32, index into `classes`, -1 where the cell is empty.
    """

    name: str
    features: tuple[str, ...]
    columns: tuple[npt.NDArray[np.float64] | npt.NDArray[np.object_], ...]
    target: str
    classes: tuple[str, ...]
    labels: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def is_binary(self) -> bool:
        """Whether there are two classes, the last of which is the positive one."""
        return len(self.classes) == 2

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[tuple[dict[str, Cell], int]]:
        """Features, without those whose cell is empty, and the label's index of each row."""
        part = slice(start, stop)
        # Lists hold Python's own numbers, which JSON knows.
        columns = [column[part].tolist() for column in self.columns]
        for *cells, label in zip(*columns, self.labels[part].tolist(), strict=True):
            yield (
                {name: cell for name, cell in zip(self.features, cells, strict=True) if _is_there(cell)},
                label,
            )

    def head(self, rows: int) -> "LabelledTable":
        """The first rows alone."""
        return LabelledTable(
            self.name,
            self.features,
            tuple(column[:rows] for column in self.columns),
            self.target,
            self.classes,
            self.labels[:rows],
        )


def read_table(path: Path, target: str | None = None, positive: str | None = None) -> LabelledTable:
    """The table in a CSV file whose first line names its columns. O(cells); all of it in memory.

    Args:
        path: plain or gzipped. A field may not contain a line's end.
        target: the column with the label; the last by default.
        positive: a label; rows with it are one class and all others the other.

    Raises:
        InputError: `input.unreadable` where the file cannot be read, has no rows, or a row has too few or too many
            fields; `input.invalid` where `target` or `positive` is not in it, or all labels are alike.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "cards.csv")
        >>> _ = file.write_text("amount,shop,fraud\\n12.5,food,0\\n900,travel,1\\n")
        >>> table = read_table(file)
        >>> table.classes, list(table.rows())
        (('0', '1'), [({'amount': 12.5, 'shop': 'food'}, 0), ({'amount': 900.0, 'shop': 'travel'}, 1)])
    """
    with LineFile(path) as lines:
        names = next(csv.reader([lines.first_line().decode("utf-8-sig", "replace")]), [])
        texts = (line.decode("utf-8", "replace") for line in lines if line.strip())
        rows = list(csv.reader(texts))
    if not rows:
        raise unreadable(path, "it has no rows below its header")
    for number, row in enumerate(rows, start=2):
        if len(row) != len(names):
            raise unreadable(path, f"line {number} has {len(row)} fields, the header has {len(names)}")
    if target is None:
        target = names[-1]
    if target not in names or len(set(names)) < len(names):
        raise InputError(
            "input.invalid",
            f"{str(path)!r} has the columns {names!r}: expected each once, and {target!r} among them",
            field="target",
            value=target,
        )
    cells = dict(zip(names, zip(*rows, strict=True), strict=True))
    return build_table(path.name.partition(".")[0], cells, target, positive)


def build_table(
    name: str, cells: Mapping[str, Sequence[str]], target: str, positive: str | None = None
) -> LabelledTable:
    """A table from texts by column; see `read_table`."""
    texts = cells[target]
    classes = list(dict.fromkeys(text for text in texts if text != ""))
    if positive is not None and positive not in classes:
        raise InputError(
            "input.invalid",
            f"no row of {name!r} has {target} {positive!r}; it has {classes[:10]!r}",
            field="positive",
            value=positive,
        )
    if len(classes) < 2:
        raise InputError(
            "input.invalid",
            f"every row of {name!r} has the label {classes!r} in {target!r}; expected two or more: name another column",
            field="target",
            value=target,
        )
    if positive is not None and len(classes) > 2:
        texts = [text if text in ("", positive) else f"not {positive}" for text in texts]
        classes = [f"not {positive}", positive]
    if len(classes) == 2:
        last = positive or next((text for text in classes if text in POSITIVE), max(classes))
        classes = [*(text for text in classes if text != last), last]
    place = {text: index for index, text in enumerate(classes)} | {"": -1}
    features = tuple(column for column in cells if column != target)
    return LabelledTable(
        name,
        features,
        tuple(_column(cells[feature]) for feature in features),
        target,
        tuple(classes),
        np.array([place[text] for text in texts], np.int32),
    )


def _column(texts: Sequence[str]) -> npt.NDArray[np.float64] | npt.NDArray[np.object_]:
    try:
        numbers = np.array([float(text) if text != "" else np.nan for text in texts], np.float64)
    except ValueError:
        return np.array(texts, object)
    if np.isinf(numbers).any():
        return np.array(texts, object)
    return numbers


def _is_there(cell: Cell) -> bool:
    return cell != "" if isinstance(cell, str) else cell == cell
