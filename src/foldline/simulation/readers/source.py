"""One opening for every published log: tell its format, stream its events, account for its bad lines."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from foldline.errors import InputError
from foldline.simulation.readers import open_bandit, yahoo_r6a
from foldline.simulation.readers.line_file import LineFile, unreadable
from foldline.simulation.readers.logged import LoggedEvents, Parser, Row, Vocabulary, as_columns

CHUNK = 4096
"""Events a chunk, at most."""

KEPT = 20
"""Bad lines kept with their reasons; the rest are counted."""

FORMATS = (yahoo_r6a.FORMAT, open_bandit.FORMAT)


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is not an event: its number in the file, from 1, and what is wrong with it."""

    number: int
    reason: str


@dataclass(slots=True)
class LoggedSource:
    """A published log being read.

    Attributes:
        path: the file.
        format: one of `FORMATS`.
        vocabulary: actions and pools met so far; the events' indexes point into it.
        size: bytes on disk.
        read: of them, read so far.
        bad_lines: how many lines were passed over, so far.
        bad: the first `KEPT` of them.
    """

    path: Path
    format: str
    vocabulary: Vocabulary
    size: int
    read: int = 0
    bad_lines: int = 0
    bad: list[BadLine] = field(default_factory=list)
    _parser: Parser | None = None
    _skip_bad: bool = False

    def events(self) -> Iterator[LoggedEvents]:
        """The events in chunks of at most `CHUNK`, read as they are asked for; once.

        Raises:
            InputError: `input.unreadable` at a damaged file, at the first bad line unless they are passed over,
                at the end where the file had no event, and on a second call.
        """
        parser, self._parser = self._parser, None
        if parser is None:
            raise unreadable(self.path, "its events were read already; open it again")
        found = False
        with LineFile(self.path) as lines:
            for chunk in self._chunks(lines, parser):
                self.read = lines.read
                found = True
                yield chunk
            self.read = self.size
        if not found:
            raise unreadable(self.path, f"no line of the file is an event of the format {self.format!r}")

    def _chunks(self, lines: LineFile, parser: Parser) -> Iterator[LoggedEvents]:
        headed = parser.format == open_bandit.FORMAT
        if headed:
            lines.first_line()
        rows: list[Row] = []
        for number, line in enumerate(lines, start=1 + headed):
            try:
                rows.append(parser.parse(line))
            except ValueError as error:
                self._refuse(BadLine(number, str(error)))
            if len(rows) == CHUNK:
                yield as_columns(rows)
                rows = []
        if rows:
            yield as_columns(rows)

    def _refuse(self, bad: BadLine) -> None:
        if not self._skip_bad:
            raise unreadable(
                self.path,
                f"line {bad.number} {bad.reason}; correct it, or pass over bad lines with --skip-bad "
                "(skip_bad=True), which counts them",
            )
        self.bad_lines += 1
        if len(self.bad) < KEPT:
            self.bad.append(bad)


def open_logged(
    path: str | Path,
    format: str = "auto",
    *,
    skip_bad: bool = False,
) -> LoggedSource:
    """Open a published log of decisions, plain or gzipped.

    Args:
        path: the file.
        format: `r6a` (Yahoo R6A lines), `obd` (Open Bandit CSV), or `auto` to tell by the first line.
        skip_bad: pass over and count lines that are not events; otherwise the first one is an error.

    Raises:
        InputError: `input.unreadable` where the file is missing, damaged or of no known format;
            `input.invalid` for an unknown `format`.
    """
    if format not in ("auto", *FORMATS):
        raise InputError(
            "input.invalid",
            f"format {format!r}; expected auto, {' or '.join(FORMATS)}",
            field="format",
        )
    path = Path(path)
    with LineFile(path) as lines:
        first = lines.first_line()
        size = lines.size
        try:
            parser = _parser(_sniffed(first, path) if format == "auto" else format, first, lines)
        except ValueError as error:
            if isinstance(error, InputError):
                raise
            raise unreadable(path, f"{error}; expected an Open Bandit CSV file") from error
    return LoggedSource(path, parser.format, parser.vocabulary, size, _parser=parser, _skip_bad=skip_bad)


def _sniffed(first: bytes, path: Path) -> str:
    if b"|" in first:
        return yahoo_r6a.FORMAT
    if b"item_id" in first and b"," in first:
        return open_bandit.FORMAT
    raise unreadable(
        path,
        f"the first line, {first[:60]!r}, is of no known format; expected Yahoo R6A lines "
        "(1241160901 109417 1 |user 2:0.4 …) or Open Bandit CSV (a header with item_id); "
        "name the format with --format if the first line is damaged",
    )


def _parser(name: str, first: bytes, lines: LineFile) -> Parser:
    if name == yahoo_r6a.FORMAT:
        return yahoo_r6a.YahooR6A()
    return open_bandit.OpenBandit(first, lines)
