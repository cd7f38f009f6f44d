"""Pieces: one text of lines that stands in several places of memory, and is not put together to be read."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from foldline.records.words import text_at

Int64s = npt.NDArray[np.int64]


class Pieces(NamedTuple):
    """A text of so many pieces, with a newline between each two; each holds one line or more. Not changed.

    Attributes:
        addresses: (k,) where each begins.
        sizes: (k,) bytes of each.
        kept: whatever keeps that memory as it is while these pieces are there.
        told: (k,) how many lines somebody else said that each holds; None where nobody did.

    Example:
        >>> Pieces.of([np.frombuffer(text, np.uint8) for text in (b"a", b"b")]).joined()
        b'a\\nb'
    """

    addresses: Int64s
    sizes: Int64s
    kept: object
    told: Int64s | None = None

    @classmethod
    def of(cls, arrays: Sequence[npt.NDArray[np.uint8]]) -> "Pieces":
        """Those of some arrays, each contiguous."""
        addresses = np.array([array.ctypes.data for array in arrays], np.int64)
        return cls(addresses, np.array([len(array) for array in arrays], np.int64), arrays)

    @classmethod
    def together(cls, parts: Iterable["Pieces"]) -> "Pieces":
        """All in one, in order."""
        kept = list(parts)
        told = [part.told for part in kept if part.told is not None]
        return cls(
            np.concatenate([part.addresses for part in kept]),
            np.concatenate([part.sizes for part in kept]),
            kept,
            np.concatenate(told) if len(told) == len(kept) else None,
        )

    @property
    def size(self) -> int:
        """Bytes of the text."""
        return int(self.sizes.sum()) + len(self.sizes) - 1

    def joined(self) -> bytes:
        """The text. O(size)."""
        return b"\n".join(self._texts())

    def are_as_told(self) -> bool:
        """Whether each piece holds as many lines as was told, if it was. O(size)."""
        if self.told is None:
            return True
        counts = [bytes(text).count(b"\n") + 1 for text in self._texts()]
        return bool(np.array_equal(counts, self.told))

    def _texts(self) -> list[memoryview]:
        places = zip(self.addresses.tolist(), self.sizes.tolist(), strict=True)
        return [text_at(address, size).data for address, size in places]
