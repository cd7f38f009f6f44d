"""Freed memory stays with the process, where the C library can be told so."""

import ctypes
from contextlib import suppress
from typing import Final

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""`M_TRIM_THRESHOLD`, `M_MMAP_THRESHOLD` of glibc's malloc.h."""

KEPT_BYTES: Final = 64 << 20
"""Free memory at the end of a heap that is not given back."""

APART_BYTES: Final = 32 << 20
"""Blocks from this size on are the system's, given back when freed; the most that glibc takes."""


def keep_freed_memory() -> None:
    """Let batches be put where those before them were; for processes that are here to stay.

    By default glibc gives back what a large batch took as soon as it is freed, and the system clears each page again
    before the next has it. Does nothing with another C library.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_TRIM_THRESHOLD, KEPT_BYTES)
        mallopt(_MMAP_THRESHOLD, APART_BYTES)
