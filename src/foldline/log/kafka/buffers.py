"""Buffers: memory for what is fetched, used again as soon as nobody looks at it any more.

Memory that is asked of the system anew for each batch is dear: the system clears every page first.
"""

import weakref
from collections import deque
from typing import Final

import numpy as np
import numpy.typing as npt

ROUND_BYTES: Final = 1 << 18
"""Buffers are multiples of this, so that one fits what comes next."""

SMALL_BYTES: Final = 1 << 14
"""Arrays up to this size are numpy's own: their memory is not asked of the system each time."""

IDLE_BYTES: Final = 16 << 20
"""Memory that may lie idle."""


class Buffers:
    """Gives arrays and takes their memory back by itself. `array` is called by one thread at a time."""

    def __init__(self) -> None:
        self._idle: list[memoryview] = []
        # Arrays are let go of in any thread, even in the midst of a call here: only the deque is touched then.
        self._returned: deque[memoryview] = deque()

    def array(self, size: int) -> npt.NDArray[np.uint8]:
        """(size,) uint8 with anything in it; its memory serves another once the array and all its views are gone."""
        if size <= SMALL_BYTES:
            return np.empty(size, np.uint8)
        self._take_back()
        fitting = [memory for memory in self._idle if len(memory) >= size]
        if fitting:
            memory = min(fitting, key=len)
            self._idle = [other for other in self._idle if other is not memory]
        else:
            memory = np.empty(-(-max(1, size) // ROUND_BYTES) * ROUND_BYTES, np.uint8).data
        # Views refer to the array whose memory is not numpy's own, so it lives as long as any of them.
        array = np.frombuffer(memory, np.uint8, size)
        weakref.finalize(array, self._returned.append, memory).atexit = False
        return array

    def _take_back(self) -> None:
        while self._returned:
            self._idle.append(self._returned.popleft())
        while sum(map(len, self._idle)) > IDLE_BYTES:
            self._idle.pop(0)
