"""The CSV format of the Open Bandit Dataset (Saito, Aihara, Matsutani, Narita 2020, arXiv 2008.07146).

A header names the columns, in any order; `timestamp`, `item_id`, `position`, `click` and `propensity_score` are
needed, others are passed over. A row is one impression at one of the page's positions, and each is one event
here. The format does not say what could have been shown: taken are the items that occur anywhere in the file,
which a first pass collects.
"""

import csv
import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from foldline.simulation.readers.logged import Row, Vocabulary, quoted

FORMAT = "obd"

COLUMNS = ("timestamp", "item_id", "position", "click", "propensity_score")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class OpenBandit:
    """Parser of the format.

    Args:
        header: the file's first line.
        lines: the lines after it, all of them, of a first pass.

    Raises:
        ValueError: the header lacks a column.
    """

    format = FORMAT

    def __init__(self, header: bytes, lines: Iterable[bytes]) -> None:
        names = _fields(header.removeprefix(b"\xef\xbb\xbf"))
        missing = [name for name in COLUMNS if name not in names]
        if missing:
            raise ValueError(f"the header lacks the columns {missing!r}")
        self._width = len(names)
        self._places = [names.index(name) for name in COLUMNS]
        self.vocabulary = Vocabulary()
        items = {item for item in map(self._item, lines) if item is not None}
        for item in sorted(items, key=int):
            self.vocabulary.action(item)
        self._pool = self.vocabulary.pool(tuple(range(len(items))))

    def parse(self, line: bytes) -> Row:
        """See `Parser.parse`."""
        timestamp, item, position, click, propensity = self._pick(line)
        if not _is_item(item):
            raise ValueError(f"item_id is {item!r}, expected a whole number from 0")
        if click not in ("0", "1"):
            raise ValueError(f"click is {click!r}, expected 0 or 1")
        if not (position.isascii() and position.isdigit() and len(position) < 6 and int(position) > 0):
            raise ValueError(f"position is {position!r}, expected a whole number from 1")
        return (
            _milliseconds(timestamp),
            self.vocabulary.action(item),
            float(click),
            self._pool,
            _probability(propensity),
            int(position),
        )

    def _item(self, line: bytes) -> str | None:
        try:
            item = self._pick(line)[1]
        except ValueError:
            return None
        return item if _is_item(item) else None

    def _pick(self, line: bytes) -> list[str]:
        fields = _fields(line)
        if len(fields) != self._width:
            raise ValueError(f"has {len(fields)} fields, the header has {self._width}")
        return [fields[place] for place in self._places]


def _fields(line: bytes) -> list[str]:
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"is not UTF-8: {quoted(line)}") from error
    if '"' not in text:
        return text.split(",")
    try:
        return next(csv.reader([text], strict=True))
    except (csv.Error, StopIteration) as error:
        raise ValueError(f"is not a CSV row: {error}") from error


def _is_item(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 19 and str(int(text)) == text


def _milliseconds(text: str) -> int:
    """Whole milliseconds, rounded down; a timestamp without an offset is UTC."""
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"timestamp is {text!r}, expected YYYY-MM-DD HH:MM:SS+00:00") from None
    return ((when if when.tzinfo else when.replace(tzinfo=UTC)) - _EPOCH) // _MILLISECOND


def _probability(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 < value <= 1.0:
        raise ValueError(f"propensity_score is {text!r}, expected a number above 0, at most 1")
    return value
