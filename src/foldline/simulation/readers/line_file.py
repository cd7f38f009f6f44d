"""The lines of a file, plain or gzipped, with how far it was read."""

import gzip
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self, cast

from foldline.errors import InputError

_LONGEST = 1_000_000


class LineFile:
    """A file of lines, gunzipped where its first bytes say so. One pass.

    Attributes:
        size: bytes on disk.

    Raises:
        InputError: `input.unreadable` where the file cannot be opened, or while reading where it is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._raw: BinaryIO = path.open("rb")
            zipped = self._raw.read(2) == b"\x1f\x8b"
            self._raw.seek(0)
            self.size = path.stat().st_size
        except OSError as error:
            raise unreadable(path, str(error)) from error
        self._lines: BinaryIO = self._raw
        if zipped:
            unzipped = cast("io.RawIOBase", gzip.GzipFile(fileobj=self._raw))
            self._lines = io.BufferedReader(unzipped, 1 << 18)

    @property
    def read(self) -> int:
        """Bytes of the file on disk read so far."""
        return min(self._raw.tell(), self.size)

    def first_line(self) -> bytes:
        """The first line, without its end; reading goes on after it.

        Raises:
            InputError: `input.unreadable` where no line ends within a million bytes.
        """
        try:
            line = self._lines.readline(_LONGEST)
        except (OSError, EOFError, zlib.error) as error:
            raise self._damaged(error) from error
        if len(line) == _LONGEST:
            raise unreadable(
                self._path, f"no line ends within {_LONGEST} bytes; expected a text file of lines"
            )
        return line.rstrip(b"\r\n")

    def __iter__(self) -> Iterator[bytes]:
        try:
            for line in self._lines:
                yield line.rstrip(b"\r\n")
        except (OSError, EOFError, zlib.error) as error:
            raise self._damaged(error) from error

    def close(self) -> None:
        """Close the file."""
        self._lines.close()
        self._raw.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _damaged(self, error: BaseException) -> InputError:
        return unreadable(self._path, f"the file is damaged or cut off: {error}")


def unreadable(path: Path, reason: str) -> InputError:
    """The error of a file that cannot be read as a log of decisions."""
    return InputError("input.unreadable", f"reading {str(path)!r}: {reason}", field="source")
