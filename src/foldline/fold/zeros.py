"""Zeros for rings and tables, on large pages where there are many."""

import math
import mmap
from typing import Final

import numpy as np

from foldline.fold.layout import Int64s

LARGE_BYTES: Final = 2 << 20
"""What the system can give as one page; less is not worth asking for."""

_LARGE_PAGES: Final[int | None] = getattr(mmap, "MADV_HUGEPAGE", None)
"""None where the system has no such advice to give."""


def zeros(*shape: int) -> Int64s:
    """An array of zeros, of int64.

    States that grow take memory that nobody had before, and look into it at random: with pages of 4 KiB clearing them
    one by one costs as much as the looking.
    """
    size = math.prod(shape) * np.dtype(np.int64).itemsize
    if _LARGE_PAGES is None or size < LARGE_BYTES:
        return np.zeros(shape, np.int64)
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    memory.madvise(_LARGE_PAGES)
    # The array keeps the mapping; it goes back to the system with it.
    return np.frombuffer(memory, np.int64).reshape(shape)
