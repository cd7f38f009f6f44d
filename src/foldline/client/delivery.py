"""Delivers what the outbox holds, in order, each event once.

The numbers of events do it: what is not known to have been answered is sent again from the same number on, and the
service says how much of it it had.
"""

import asyncio
import logging
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from foldline.client.answers import error_of, read_value, seconds_of, unreachable
from foldline.client.courier import Courier
from foldline.client.held import Held
from foldline.client.offload import offload
from foldline.client.outbox import BATCH_EVENTS, PLACEHOLDER, Outbox
from foldline.client.retrying import Backoff
from foldline.client.transport import Clock, httpx_of
from foldline.errors import FoldlineError
from foldline.loops.messages import EventsAnswer

if TYPE_CHECKING:
    import httpx

_logger = logging.getLogger("foldline.client")

LOOK_S: Final = 0.5
"""How often to look for what other processes have put in, or whether the right to deliver has become free."""

_ANSWER = msgspec.json.Decoder(EventsAnswer)


class Delivery:
    """Delivers from one outbox.

    Args:
        http: reaches the service.
        path: of the loop.
        outbox: what to deliver.
        courier: the right to.
        clock: milliseconds, stamps refusals.
        failed: called with the reason whenever a try failed.
        changed: called whenever something was delivered, or a try failed.
        backoff: pauses between tries.
        rng: draws their jitter.
    """

    def __init__(
        self,
        http: "httpx.AsyncClient",
        path: str,
        outbox: Outbox,
        courier: Courier,
        *,
        clock: Clock,
        failed: Callable[[FoldlineError], None],
        changed: Callable[[], None],
        backoff: Backoff,
        rng: random.Random,
    ) -> None:
        self._http = http
        self._path = f"{path}/events"
        self._outbox = outbox
        self._courier = courier
        self._clock = clock
        self._failed = failed
        self._changed = changed
        self._backoff = backoff
        self._rng = rng
        self._library = httpx_of("Edge")
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._most = BATCH_EVENTS
        self._unanswered: Held | None = None
        self.idle = False
        self.failures = 0

    def poke(self) -> None:
        """From any thread: something may be waiting. Costs nothing while a delivery is under way."""
        if self.idle:
            self.hurry()

    def hurry(self) -> None:
        """From any thread: look now, even if a pause between tries is not over."""
        self._loop.call_soon_threadsafe(self._wake.set)

    async def run(self) -> None:
        """Deliver until cancelled."""
        while True:
            self._wake.clear()
            # Announced before looking: an append between the look and the wait then wakes us.
            self.idle = True
            held = None
            if not await offload(self._courier.take):
                self._unanswered = None
            elif self._unanswered is not None:
                # As it was sent: growing meanwhile, it might become more than the service takes.
                held, self._unanswered = self._unanswered, None
            else:
                held = await offload(self._outbox.next_batch, self._most)
            if held is None:
                self._changed()
                await self._rest(LOOK_S)
                continue
            self.idle = False
            await self._deliver(held)

    async def _deliver(self, held: Held) -> None:
        try:
            response = await self._http.post(self._path, content=held.body())
        except self._library.RequestError as error:
            self._unanswered = held
            await self._fail(unreachable(str(self._http.base_url), error), None)
            return
        retry_after_s = seconds_of(response.headers.get("retry-after"))
        if not response.is_success:
            refusal = error_of(response.status_code, response.content, retry_after_s)
            if refusal.code == "http.gap":
                await self._begin_again(held, str(refusal))
            elif refusal.code == "http.too_large":
                await self._shrink(held, refusal)
            else:
                self._unanswered = held
                await self._fail(refusal, retry_after_s)
            return
        try:
            answer = read_value(_ANSWER, response.content)
        except FoldlineError as error:
            self._unanswered = held
            await self._fail(error, None)
            return
        if answer.next != held.number + len(held.lines):
            await self._begin_again(held, f"number {answer.next} is the next the service expects")
            return
        await self._settle(held, answer)

    async def _settle(self, held: Held, answer: EventsAnswer) -> None:
        refused = []
        for fault in answer.errors:
            code, message = fault.error.code, fault.error.message
            refused.append((fault.index, code, message))
            _logger.warning(
                "the service refused an event: %s [%s]: %.200r", message, code, held.lines[fault.index]
            )
        await offload(self._outbox.settle, held, refused, time=self._clock())
        self.failures = 0
        self._most = min(BATCH_EVENTS, 2 * self._most)
        self._changed()

    async def _begin_again(self, held: Held, why: str) -> None:
        """The service lost its log, or the outbox went back in time."""
        if await offload(self._outbox.begin_again, held):
            _logger.warning(
                "outbox %s and the service disagree on what was received (%s); what waits, from number %d on, is "
                "sent under a new name",
                held.outbox, why, held.number,
            )  # fmt: skip
        # Two services that do not share a log would find a gap for ever.
        self.failures += 1
        await self._rest(self._backoff.pause_s(self.failures, self._rng))

    async def _shrink(self, held: Held, error: FoldlineError) -> None:
        """Less at a time; a single event that is too large is given up."""
        if len(held.lines) > 1:
            self._most = max(1, len(held.lines) // 2)
            return
        if held.lines[0] == PLACEHOLDER:
            await self._fail(error, None)
            return
        _logger.warning("the service takes no event as large as this: %.200r", held.lines[0])
        await offload(self._outbox.blank, held, error.code, str(error.args[0]), time=self._clock())

    async def _fail(self, error: FoldlineError, retry_after_s: int | None) -> None:
        self.failures += 1
        self._failed(error)
        self._changed()
        self._wake.clear()
        await self._rest(self._backoff.pause_s(self.failures, self._rng, float(retry_after_s or 0)))

    async def _rest(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return
