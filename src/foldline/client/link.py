"""The thread that keeps an edge client in touch: it follows the bundle and delivers the outbox."""

import asyncio
import logging
import random
import threading
from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from foldline.client.courier import Courier
from foldline.client.delivery import Delivery
from foldline.client.follower import Follower
from foldline.client.offload import Ending, offload
from foldline.client.outbox import Outbox
from foldline.client.retrying import Backoff
from foldline.client.transport import Clock, headers_of, httpx_of
from foldline.errors import FoldlineError

_logger = logging.getLogger("foldline.client")

KEEP_S: Final = 1.0
"""The newest bundle is written to the outbox at most so often."""

BACKOFF: Final = Backoff(first_s=0.05, most_s=5.0)


class Party(Protocol):
    """Who is kept in touch. All methods are called from the link's thread."""

    def tag(self) -> str | None:
        """Hash of all that is decided with."""
        ...

    def take(self, payload: bytes) -> None:
        """Use a bundle from now on."""
        ...

    def heard(self) -> None:
        """The service says that the bundle in use is the newest."""
        ...

    def failed(self, error: FoldlineError, *, following: bool) -> None:
        """The service was not reached, or refused."""
        ...

    def changed(self) -> None:
        """Something was delivered, or a try failed."""
        ...

    def keep(self) -> None:
        """Write the bundle down, if it is newer than the one kept; blocks."""
        ...


class Link:
    """A daemon thread with an event loop of its own.

    Args:
        party: who is kept in touch.
        url: of the service.
        key: for it.
        path: of the loop.
        outbox: what to deliver.
        courier: the right to.
        timeout_s: seconds a request may wait for the network.
        clock: milliseconds.
        rng: draws the jitter of pauses.
    """

    def __init__(
        self,
        party: Party,
        *,
        url: str,
        key: str | None,
        path: str,
        outbox: Outbox,
        courier: Courier,
        timeout_s: float,
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self._party = party
        self._url = url
        self._headers = headers_of(key)
        self._path = path
        self._outbox = outbox
        self._courier = courier
        self._timeout_s = timeout_s
        self._clock = clock
        self._rng = rng
        self._begun = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self.delivery: Delivery | None = None
        self._thread = threading.Thread(target=self._run, name="foldline-edge", daemon=True)
        self._thread.start()
        self._begun.wait()

    def stop(self, timeout_s: float = 10.0) -> None:
        """End the thread; a request under way is broken off."""
        loop, task = self._loop, self._task
        if loop is not None and task is not None and self._thread.is_alive():
            try:
                loop.call_soon_threadsafe(task.cancel)
            except RuntimeError:
                _logger.debug("the link has ended by itself")
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            asyncio.run(self._main())
        except asyncio.CancelledError:
            return
        finally:
            self._begun.set()

    async def _main(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        async with httpx_of("Edge").AsyncClient(
            base_url=self._url, headers=self._headers, timeout=self._timeout_s
        ) as http:
            party = self._party
            follower = Follower(
                http,
                self._path,
                known=party.tag,
                take=party.take,
                heard=party.heard,
                failed=lambda error: party.failed(error, following=True),
                backoff=BACKOFF,
                rng=self._rng,
            )
            self.delivery = Delivery(
                http,
                self._path,
                self._outbox,
                self._courier,
                clock=self._clock,
                failed=lambda error: party.failed(error, following=False),
                changed=party.changed,
                backoff=BACKOFF,
                rng=self._rng,
            )
            self._begun.set()
            await asyncio.gather(_for_ever(follower.run), _for_ever(self.delivery.run), _for_ever(self._keep))

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(KEEP_S)
            await offload(self._party.keep)


async def _for_ever(work: Callable[[], Awaitable[None]]) -> None:
    """Whatever goes wrong, the app's decisions must go on and its events be delivered later."""
    while True:
        try:
            await work()
        except Ending:
            return
        except Exception:
            _logger.exception("an edge client's background work failed; it begins again")
            await asyncio.sleep(1.0)
