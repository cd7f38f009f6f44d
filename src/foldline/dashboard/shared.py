"""A view of the log that many look at: read in a thread, at most so often, and only while somebody asks."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import Generic, Protocol, TypeVar

from starlette.concurrency import run_in_threadpool

IDLE_SHARE = 5
"""Between two looks pass at least so many times what the last look took: looking never takes a whole core."""

QUIET_S = 15.0
"""After so long without a change a listener is told that the connection lives."""


class Versioned(Protocol):
    """What can be looked at."""

    @property
    def version(self) -> str:
        """Another one wherever anything differs."""
        ...


View = TypeVar("View", bound=Versioned)


class Shared(Generic[View]):
    """One view for all who look at it.

    Nothing is queued for listeners: each asks for the present view when it is ready for it, so that a slow one
    skips what came in between, and a vanished one leaves nothing behind.
    """

    def __init__(self, read: Callable[[], View], *, every_s: float) -> None:
        self._read = read
        self._every_s = every_s
        self._turn = asyncio.Lock()
        self._view: View | None = None
        self._due = 0.0

    async def get(self) -> View:
        """The view as of now or a moment ago; whoever finds it too old reads it anew, in a thread."""
        async with self._turn:
            began = time.monotonic()
            if self._view is None or began >= self._due:
                self._view = await run_in_threadpool(self._read)
                ended = time.monotonic()
                self._due = ended + max(self._every_s, IDLE_SHARE * (ended - began))
            return self._view

    async def versions(self) -> AsyncIterator[str | None]:
        """The view's version now, and each later one that is seen; None after `QUIET_S` without one."""
        seen, told_at = "", time.monotonic()
        while True:
            version = (await self.get()).version
            now = time.monotonic()
            if version != seen:
                seen, told_at = version, now
                yield version
            elif now - told_at >= QUIET_S:
                told_at = now
                yield None
            await asyncio.sleep(max(self._due - time.monotonic(), self._every_s / 10))
