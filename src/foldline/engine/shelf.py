"""A shelf of recomputed bundles, by hash: in memory while they are few, in a temporary file beyond."""

import tempfile
from types import TracebackType
from typing import Final, Self

from foldline.loops.bundle import Bundle, decode_bundle, encode_bundle

MEMORY_BYTES: Final = 32 << 20
"""Bundles beyond this many bytes of JSON stand in a file that goes with the shelf."""


class Shelf:
    """Keeps bundles until it is closed; use it in a `with` statement. Memory beyond the file: 200 bytes a bundle.

    A hash leads to the bundle that has it. Only where none has, it leads to the first that was claimed to have it:
    a published bundle may be named by another hash than its content's.
    """

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(MEMORY_BYTES)  # noqa: SIM115 - closed with the shelf
        self._own: dict[str, tuple[int, int]] = {}
        self._claimed: dict[str, tuple[int, int]] = {}
        self._end = 0

    def put(self, bundle: Bundle) -> None:
        """Keep a recomputed bundle under its own hash."""
        if bundle.hash not in self._own:
            self._own[bundle.hash] = self._write(bundle)

    def claim(self, name: str, bundle: Bundle) -> None:
        """Keep under a published hash what was recomputed for it, or a header where that cannot be done."""
        if name not in self._claimed:
            self._claimed[name] = self._own.get(bundle.hash) or self._write(bundle)

    def find(self, name: str) -> Bundle | None:
        """The bundle of a hash; a header where it could not be recomputed, None where no bundle has it."""
        place = self._own.get(name) or self._claimed.get(name)
        if place is None:
            return None
        self._file.seek(place[0])
        return decode_bundle(self._file.read(place[1]))

    def close(self) -> None:
        """Forget everything."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, bundle: Bundle) -> tuple[int, int]:
        data = encode_bundle(bundle)
        self._file.seek(self._end)
        self._file.write(data)
        place = self._end, len(data)
        self._end += len(data)
        return place
