"""The examples of a batch as columns: features in a table, texts as spans, so that none needs an object for itself.

What stands here is what `scan_examples` reads; a batch with any other example has objects, one an example.
"""

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from functools import lru_cache
from itertools import chain
from typing import Any, Final, cast, overload

import numpy as np
import numpy.typing as npt

from foldline.records.types import Example, Value

_AT_A_TIME: Final = 256

_EXACT: Final = 1 << 53
"""The greatest whole number that a float64 holds as every one before it."""


class Form(IntEnum):
    """How a value stood in the line; the table holds it as a float64, a text by its place among the table's texts."""

    ABSENT = 0
    FLOAT = 1
    INTEGER = 2
    FALSE = 3
    TRUE = 4
    TEXT = 5


class Texts(Sequence[str]):
    """A column of texts that are spans of one; ASCII, and without what JSON escapes.

    Args:
        text: the whole.
        spans: (n, 2) first byte of each and the byte after its last.
    """

    def __init__(self, text: bytes, spans: npt.NDArray[np.int64]) -> None:
        self.text = text
        self.spans = spans

    def __len__(self) -> int:
        return len(self.spans)

    def __iter__(self) -> Iterator[str]:
        text = self.text
        return iter([text[start:end].decode() for start, end in self.spans.tolist()])

    @overload
    def __getitem__(self, at: int) -> str: ...

    @overload
    def __getitem__(self, at: slice | npt.NDArray[np.int64]) -> "Texts": ...

    def __getitem__(self, at: Any) -> Any:
        """One as a text; several as another column."""
        if not isinstance(at, int):
            return Texts(self.text, self.spans[at])
        start, end = self.spans[at].tolist()
        return self.text[start:end].decode()

    @classmethod
    def of(cls, given: Sequence[str]) -> "Texts | None":
        """The column of these; None where one is not ASCII, or has what JSON escapes."""
        text = "".join(given)
        if not text.isascii() or (text and not text.isprintable()) or '"' in text or "\\" in text:
            return None
        ends = np.cumsum([len(each) for each in given], dtype=np.int64)
        starts = np.concatenate((np.zeros(1, np.int64), ends[:-1]))[: len(ends)]
        return cls(text.encode(), np.stack((starts, ends), axis=1))

    def joined(self, other: "Texts") -> "Texts":
        """These, and after them the others. O(bytes)."""
        return Texts(self.text + other.text, np.concatenate((self.spans, other.spans + len(self.text))))

    def padded(self) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]:
        """(n, longest) uint8 bytes, zeros behind each text, and (n,) their lengths. O(n · longest)."""
        starts, lengths = self.spans[:, 0], self.spans[:, 1] - self.spans[:, 0]
        within = np.arange(int(lengths.max()) if len(lengths) else 0)
        text = np.frombuffer(self.text, np.uint8)
        at = np.minimum(starts[:, None] + within, max(len(text) - 1, 0))
        return np.where(within < lengths[:, None], text[at], 0).astype(np.uint8), lengths

    @classmethod
    def unpadded(cls, rows: npt.NDArray[np.uint8], lengths: npt.NDArray[np.int64]) -> "Texts":
        """What `padded` gives, as it was."""
        starts = np.arange(len(rows), dtype=np.int64) * rows.shape[1]
        return cls(rows.tobytes(), np.stack((starts, starts + lengths), axis=1))


class FeatureTable(Sequence[Mapping[str, Value]]):
    """Features of n examples, as numbers in a table; also one mapping an example, absent ones left out.

    Args:
        names: of the columns.
        values: (n, columns) float64; of an absent one NaN.
        forms: (n, columns) uint8, a `Form`.
        texts: those that the table has, and maybe others.

    Example:
        >>> table = FeatureTable(("age", "new"), np.array([[41.0, 1.0]]), np.array([[Form.INTEGER, Form.TRUE]]))
        >>> table[0], table.numbers(("new", "amount"))
        ({'age': 41, 'new': True}, array([[ 1., nan]]))
    """

    def __init__(
        self,
        names: tuple[str, ...],
        values: npt.NDArray[np.float64],
        forms: npt.NDArray[np.uint8],
        texts: tuple[str, ...] = (),
    ) -> None:
        self.names = names
        self.values = values
        self.forms = forms
        self.texts = texts

    def __len__(self) -> int:
        return len(self.values)

    def __iter__(self) -> Iterator[Mapping[str, Value]]:
        names, made, plain = self.names, _maker(self.names), bool((self.forms == Form.FLOAT).all())
        absent = not plain and bool((self.forms == Form.ABSENT).any())
        # Some at a time: each is then still in the processor's cache when it is used.
        for start in range(0, len(self), _AT_A_TIME):
            some = slice(start, start + _AT_A_TIME)
            values, forms = self.values[some], self.forms[some]
            rows: Iterable[Sequence[Any]] = values.tolist()
            if not plain and names:
                rows = zip(
                    *[given(values[:, at], forms[:, at], self.texts) for at in range(len(names))], strict=True
                )
            if absent:
                yield from [
                    {name: value for name, value in zip(names, row, strict=False) if value is not None}
                    for row in rows
                ]
            else:
                yield from made(rows)

    @overload
    def __getitem__(self, at: int) -> Mapping[str, Value]: ...

    @overload
    def __getitem__(self, at: slice | npt.NDArray[np.int64]) -> "FeatureTable": ...

    def __getitem__(self, at: Any) -> Any:
        """One as a mapping; several as another table."""
        return (
            self._one(at)
            if isinstance(at, int)
            else FeatureTable(self.names, self.values[at], self.forms[at], self.texts)
        )

    @classmethod
    def of(cls, rows: Sequence[Mapping[str, Value | None]]) -> "FeatureTable | None":
        """The table of these mappings, None standing for an absent one.

        None where one has a whole number that a float64 would round, or features in another order than others.
        """
        names = tuple(dict.fromkeys(chain.from_iterable(rows)))
        values, forms = np.full((len(rows), len(names)), np.nan), np.zeros((len(rows), len(names)), np.uint8)
        place = {name: column for column, name in enumerate(names)}
        texts: dict[str, int] = {}
        for at, row in enumerate(rows):
            columns = [place[name] for name, value in row.items() if value is not None]
            some = [value for value in row.values() if value is not None]
            how = [form_of(value) for value in some]
            if Form.ABSENT in how or columns != sorted(columns):
                return None
            codes = [
                texts.setdefault(value, len(texts)) if isinstance(value, str) else value for value in some
            ]
            values[at, columns], forms[at, columns] = codes, how
        return cls(names, values, forms, tuple(texts))

    def joined(self, other: "FeatureTable") -> "FeatureTable":
        """These, and after them another table's of the same names."""
        texts = {text: place for place, text in enumerate(self.texts)}
        values = np.concatenate((self.values, other.coded(texts)))
        return FeatureTable(self.names, values, np.concatenate((self.forms, other.forms)), tuple(texts))

    def coded(self, texts: dict[str, int]) -> npt.NDArray[np.float64]:
        """(n, columns) the values with texts by their places among others, to which those that lack are added."""
        here = self.forms == Form.TEXT
        if not self.texts or not here.any():
            return self.values
        values, codes = self.values.copy(), self.values[here].astype(np.int64)
        places = np.zeros(len(self.texts))
        for code in np.unique(codes).tolist():
            places[code] = texts.setdefault(self.texts[code], len(texts))
        values[here] = places[codes]
        return values

    def numbers(self, names: Sequence[str]) -> npt.NDArray[np.float64]:
        """(n, names) the features of these names in their order, NaN where absent or a text."""
        values = self.values
        if self.texts:
            values = np.where(self.forms == Form.TEXT, np.nan, values)
        if tuple(names) == self.names:
            return values
        out = np.full((len(self), len(names)), np.nan)
        for at, name in enumerate(names):
            if name in self.names:
                out[:, at] = values[:, self.names.index(name)]
        return out

    def _one(self, at: int) -> Mapping[str, Value]:
        there = np.flatnonzero(self.forms[at])
        found = given(self.values[at, there], self.forms[at, there], self.texts)
        return {self.names[column]: value for column, value in zip(there.tolist(), found, strict=True)}  # type: ignore[misc]  # none is absent


@lru_cache(256)
def _maker(names: tuple[str, ...]) -> Callable[[Iterable[Sequence[Any]]], list[dict[str, Any]]]:
    """Makes rows of values into mappings by these names, by a dict display: it knows its size beforehand."""
    values = [f"v{at}" for at in range(len(names))]
    row = ast.Tuple([ast.Name(value, ast.Store()) for value in values], ast.Store())
    # The names are constants of the tree, so nothing in them is code.
    mapping = ast.Dict(
        [ast.Constant(name) for name in names], [ast.Name(value, ast.Load()) for value in values]
    )
    each = ast.comprehension(row, ast.Name("rows", ast.Load()), [], 0)
    takes = ast.arguments([], [ast.arg("rows")], None, [], [], None, [])
    tree = ast.Expression(ast.Lambda(takes, ast.ListComp(mapping, [each])))
    code = compile(ast.fix_missing_locations(tree), "<examples>", "eval")
    return cast("Callable[[Iterable[Sequence[Any]]], list[dict[str, Any]]]", eval(code))  # noqa: S307 - see above


def form_of(value: Value) -> Form:
    """How a value stands in a table; ABSENT for one that cannot."""
    if isinstance(value, bool):
        return Form.TRUE if value else Form.FALSE
    if isinstance(value, float):
        return Form.FLOAT
    if isinstance(value, str):
        return Form.TEXT
    return Form.INTEGER if abs(value) <= _EXACT else Form.ABSENT


def given(
    values: npt.NDArray[np.float64], forms: npt.NDArray[np.uint8], texts: Sequence[str] = ()
) -> list[Value | None]:
    """(n,) values as they stood in their lines; None for absent ones."""
    if not len(forms):
        return []
    if (forms == forms[0]).all():
        return list(_ALIKE[forms[0]](values, texts))
    out = np.empty(len(forms), np.object_)
    for form in np.unique(forms).tolist():
        there = forms == form
        out[there] = _ALIKE[form](values[there], texts)
    return list(out.tolist())


_ALIKE: Final[dict[int, Any]] = {
    Form.ABSENT: lambda values, _: [None] * len(values),
    Form.FLOAT: lambda values, _: values.tolist(),
    Form.INTEGER: lambda values, _: values.astype(np.int64).tolist(),
    Form.FALSE: lambda values, _: [False] * len(values),
    Form.TRUE: lambda values, _: [True] * len(values),
    Form.TEXT: lambda values, texts: [texts[code] for code in values.astype(np.int64).tolist()],
}


@dataclass(frozen=True, slots=True)
class ExampleTable:
    """The examples of a batch.

    Attributes:
        rows: (k,) int64, rows of the batch, rising.
        id: of each.
        unit: whose each is.
        x: features.
        y: (k,) float64 labels, NaN where absent.
        forms: (k,) uint8, how the label stands.
    """

    rows: npt.NDArray[np.int64]
    id: Texts
    unit: Texts
    x: FeatureTable
    y: npt.NDArray[np.float64]
    forms: npt.NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, at: slice) -> "ExampleTable":
        """Some of them."""
        return ExampleTable(self.rows[at], self.id[at], self.unit[at], self.x[at], self.y[at], self.forms[at])

    def labels(self) -> list[Value | None]:
        """The labels as they stand, None where absent."""
        if ((self.forms == Form.FALSE) | (self.forms == Form.TRUE)).all():
            return list((self.forms == Form.TRUE).tolist())
        return given(self.y, self.forms)


@dataclass(slots=True)
class Examples:
    """The examples of a batch by row: all in a table, or each an object.

    Attributes:
        table: all of them, or None where there is none or some do not fit into one.
        objects: where there is no table, each by row.
    """

    table: ExampleTable | None = None
    objects: dict[int, Example] = field(default_factory=dict)

    def slice(self, start: int, stop: int) -> "Examples":
        """Those of rows `start` to `stop`, with row numbers shifted."""
        objects = {row - start: each for row, each in self.objects.items() if start <= row < stop}
        if self.table is None:
            return Examples(None, objects)
        first, last = np.searchsorted(self.table.rows, (start, stop)).tolist()
        part = self.table[first:last]
        return Examples(ExampleTable(part.rows - start, part.id, part.unit, part.x, part.y, part.forms))

    def labelled(self, count: int) -> npt.NDArray[np.bool_]:
        """(count,) of each row of the batch, whether an example with its label stands there."""
        found = np.zeros(count, np.bool_)
        if self.table is not None:
            found[self.table.rows] = self.table.forms != Form.ABSENT
        for row, example in self.objects.items():
            found[row] = example.y is not None
        return found

    def by_row(self, times: npt.NDArray[np.int64]) -> dict[int, Example]:
        """Each as an object, by row; what a client claims of the time is left out.

        Args:
            times: (rows,) milliseconds of the batch's records.
        """
        table = self.table
        if table is None:
            return self.objects
        return {
            row: Example(time=time, id=id, unit=unit, x=dict(x), y=y)
            for row, time, id, unit, x, y in zip(
                table.rows.tolist(), times[table.rows].tolist(), table.id, table.unit, table.x, table.labels(),
                strict=True,
            )
        }  # fmt: skip
