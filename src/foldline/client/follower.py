"""Follows a loop's bundles: server-sent events, long polls where those do not come through, and again after faults."""

import asyncio
import logging
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from foldline.client.answers import error_of, seconds_of, unreachable
from foldline.client.retrying import Backoff
from foldline.client.sse import EventReader
from foldline.client.transport import httpx_of
from foldline.errors import FoldlineError

if TYPE_CHECKING:
    import httpx

_logger = logging.getLogger("foldline.client")

QUIET_S: Final = 20.0
"""A stream says something every 15 s; one that is silent for longer is dead, or held back by a proxy."""

POLL_S: Final = 20
"""How long a long poll waits for a newer bundle."""

_EVENT_STREAM: Final = "text/event-stream"


class Follower:
    """Follows one loop.

    Args:
        http: reaches the service.
        path: of the loop.
        known: hash of what is in use, None for none.
        take: is given each new bundle's bytes; may refuse with a `FoldlineError`.
        heard: called whenever the service confirms the bundle in use.
        failed: called with the reason whenever following fails.
        backoff: pauses between tries.
        rng: draws their jitter.
    """

    def __init__(
        self,
        http: "httpx.AsyncClient",
        path: str,
        *,
        known: Callable[[], str | None],
        take: Callable[[bytes], None],
        heard: Callable[[], None],
        failed: Callable[[FoldlineError], None],
        backoff: Backoff,
        rng: random.Random,
    ) -> None:
        self._http = http
        self._path = f"{path}/edge"
        self._known = known
        self._take = take
        self._heard = heard
        self._failed = failed
        self._backoff = backoff
        self._rng = rng
        self._streams = True
        self._failures = 0
        self._library = httpx_of("Edge")

    async def run(self) -> None:
        """Follow until cancelled."""
        while True:
            least_s = 0.0
            try:
                await (self._stream() if self._streams else self._poll())
                continue
            except self._library.RequestError as error:
                self._streams = True
                self._failed(unreachable(str(self._http.base_url), error))
            except _Refused as error:
                least_s = error.retry_after_s
                self._failed(error.reason)
            except FoldlineError as error:
                _logger.warning("a bundle was refused: %s", error)
                self._failed(error)
            self._failures += 1
            await asyncio.sleep(self._backoff.pause_s(self._failures, self._rng, least_s))

    async def _stream(self) -> None:
        """One stream, until it ends; whether long polls must do instead is found out here."""
        headers = {"accept": _EVENT_STREAM}
        if (known := self._known()) is not None:
            headers["last-event-id"] = known
        spoke = False
        timeout = self._library.Timeout(self._http.timeout.connect, read=QUIET_S)
        try:
            async with self._http.stream("GET", self._path, headers=headers, timeout=timeout) as response:
                if not response.is_success:
                    await response.aread()
                    raise _Refused(response)
                if not response.headers.get("content-type", "").startswith(_EVENT_STREAM):
                    self._streams = False
                    return
                reader = EventReader()
                async for line in response.aiter_lines():
                    spoke = True
                    for event, data in reader.feed(line):
                        if event == "bundle":
                            self._take(data.encode())
                    if self._known() is not None:
                        self._well()
        except self._library.ReadTimeout:
            if spoke:
                raise
            # A proxy that holds the stream back: it will let whole answers through.
            self._streams = False
            return
        # The service closed the stream in an orderly way: it is restarting. No failure yet, and no hurry.
        raise self._library.RemoteProtocolError("the service ended the stream")

    async def _poll(self) -> None:
        """One long poll."""
        headers = {}
        path = self._path
        if (known := self._known()) is not None:
            headers["if-none-match"] = f'"{known}"'
            path = f"{path}?wait={POLL_S}"
        timeout = self._library.Timeout(self._http.timeout.connect, read=POLL_S + QUIET_S)
        response = await self._http.get(path, headers=headers, timeout=timeout)
        if response.status_code == 304:
            self._well()
        elif response.is_success:
            self._take(response.content)
            self._well()
        else:
            raise _Refused(response)

    def _well(self) -> None:
        self._failures = 0
        self._heard()


class _Refused(Exception):
    """The service answered with an error."""

    def __init__(self, response: "httpx.Response") -> None:
        after_s = seconds_of(response.headers.get("retry-after"))
        self.reason = error_of(response.status_code, response.content, after_s)
        self.retry_after_s = float(after_s or 0)
        super().__init__(str(self.reason))
