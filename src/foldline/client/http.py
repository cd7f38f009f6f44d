"""The HTTP clients, sync and async: how calls are sent, and sent again.

What can be called is written in `calls.py`; `_sent` and `_sent_async` make of each call a method with its signature.
"""

import asyncio
import functools
import random
import time
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Self, TypeVar

from foldline.client import calls
from foldline.client.answers import AGAIN, error_of, seconds_of, unreachable
from foldline.client.calls import Call, Durability, LoopCalls
from foldline.client.retrying import Backoff, Tries
from foldline.client.transport import Clock, checked_url, headers_of, httpx_of, wall_clock
from foldline.errors import FoldlineError

if TYPE_CHECKING:
    import httpx

P = ParamSpec("P")
T = TypeVar("T")


def _sent(make: Callable[Concatenate[LoopCalls, P], Call[T]]) -> Callable[Concatenate["RemoteLoop", P], T]:
    """A method that makes a call, sends it, and returns what was answered."""

    @functools.wraps(make)
    def send(self: "RemoteLoop", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self._client.send(make(self._calls, *args, **kwargs))

    return send


def _sent_async(
    make: Callable[Concatenate[LoopCalls, P], Call[T]],
) -> Callable[Concatenate["AsyncRemoteLoop", P], Coroutine[Any, Any, T]]:
    """A coroutine method that makes a call, sends it, and returns what was answered."""

    @functools.wraps(make)
    async def send(self: "AsyncRemoteLoop", /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self._client.send(make(self._calls, *args, **kwargs))

    return send


class RemoteLoop:
    """A loop behind a service. Made by `Client.loop`; thread-safe."""

    def __init__(self, client: "Client", loop_calls: LoopCalls) -> None:
        self._client = client
        self._calls = loop_calls

    @property
    def name(self) -> str:
        """The loop's name."""
        return self._calls.name

    decide = _sent(LoopCalls.decide)
    decide_many = _sent(LoopCalls.decide_many)
    reward = _sent(LoopCalls.reward)
    reward_many = _sent(LoopCalls.reward_many)
    outcome = _sent(LoopCalls.outcome)
    outcome_many = _sent(LoopCalls.outcome_many)
    activate = _sent(LoopCalls.activate)
    predict = _sent(LoopCalls.predict)
    label = _sent(LoopCalls.label)
    models = _sent(LoopCalls.models)
    define = _sent(LoopCalls.define)
    show = _sent(LoopCalls.show)
    bundle = _sent(LoopCalls.bundle)


class AsyncRemoteLoop:
    """A loop behind a service, its calls to be awaited. Made by `AsyncClient.loop`."""

    def __init__(self, client: "AsyncClient", loop_calls: LoopCalls) -> None:
        self._client = client
        self._calls = loop_calls

    @property
    def name(self) -> str:
        """The loop's name."""
        return self._calls.name

    decide = _sent_async(LoopCalls.decide)
    decide_many = _sent_async(LoopCalls.decide_many)
    reward = _sent_async(LoopCalls.reward)
    reward_many = _sent_async(LoopCalls.reward_many)
    outcome = _sent_async(LoopCalls.outcome)
    outcome_many = _sent_async(LoopCalls.outcome_many)
    activate = _sent_async(LoopCalls.activate)
    predict = _sent_async(LoopCalls.predict)
    label = _sent_async(LoopCalls.label)
    models = _sent_async(LoopCalls.models)
    define = _sent_async(LoopCalls.define)
    show = _sent_async(LoopCalls.show)
    bundle = _sent_async(LoopCalls.bundle)


class _Sender:
    """What both clients know: where to, with which key, how patiently."""

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        timeout_s: float = 5.0,
        deadline_s: float = 30.0,
        backoff: Backoff | None = None,
        max_connections: int = 100,
        clock: Clock = wall_clock,
        rng: random.Random | None = None,
    ) -> None:
        self._library = httpx_of("Client")
        self._url = checked_url(url)
        self._timeout_s = timeout_s
        self._deadline_s = deadline_s
        self._backoff = backoff or Backoff()
        self._clock = clock
        self._rng = rng or random.Random()
        limits = self._library.Limits(
            max_connections=max_connections, max_keepalive_connections=max_connections
        )
        self._connect({"base_url": self._url, "headers": headers_of(key), "limits": limits})

    def _connect(self, settings: dict[str, Any]) -> None:
        """Make what sends."""
        raise NotImplementedError

    @property
    def url(self) -> str:
        """Where the service is."""
        return self._url

    def _tries(self, call: Call[T]) -> Tries:
        patience = max(self._deadline_s, call.least_timeout_s)
        return Tries(self._backoff, time.monotonic() + patience, self._rng)

    def _timeout(self, call: Call[T], tries: Tries) -> float:
        return max(0.001, min(max(self._timeout_s, call.least_timeout_s), tries.until - time.monotonic()))

    def _pause(self, tries: Tries, outcome: "httpx.Response | httpx.RequestError") -> float:
        """How long to wait before the next try; raises where there is none."""
        error: FoldlineError
        retry_after_s, again = None, True
        if isinstance(outcome, Exception):
            error = unreachable(self._url, outcome)
        else:
            retry_after_s = seconds_of(outcome.headers.get("retry-after"))
            error = error_of(outcome.status_code, outcome.content, retry_after_s)
            again = outcome.status_code in AGAIN
        pause_s = tries.pause_s(time.monotonic(), retry_after_s) if again else None
        if pause_s is None:
            raise error from (outcome if isinstance(outcome, Exception) else None)
        return pause_s


class Client(_Sender):
    """A service's client. Thread-safe; connections are kept and shared.

    Requests that fail on the way, or are answered with 503 or 429, are sent again after a pause that grows, for as
    long as the deadline allows. They carry ids made before the first try, so they count once however often sent.

    Args:
        url: of the service, such as `http://127.0.0.1:8080`.
        key: as `foldline keys add` printed it; None where the service wants none.
        timeout_s: seconds one try may wait for the network.
        deadline_s: seconds all tries of a call may take together.
        backoff: pauses between tries.
        max_connections: at once.
        clock: milliseconds, stamps the decisions returned; the wall clock by default.
        rng: draws the jitter of the pauses.

    Raises:
        InputError: the address or the key is not well formed.
        MissingExtra: the extra `client` is not installed.

    Example:
        >>> import foldline as fl
        >>> with fl.Client("http://127.0.0.1:9", deadline_s=0.1) as client:
        ...     try:
        ...         client.loop("news").decide("u1")
        ...     except fl.FoldlineError as error:
        ...         print(error.code)
        http.unavailable
    """

    def _connect(self, settings: dict[str, Any]) -> None:
        self._http: httpx.Client = self._library.Client(**settings)

    def loop(self, name: str, *, durability: Durability = "durable") -> RemoteLoop:
        """A loop by its name; nothing is asked of the service yet.

        Args:
            name: of the loop.
            durability: `fast` has reports answered once they are queued, not once they are on disk.
        """
        return RemoteLoop(self, LoopCalls(name, self._clock, durability))

    def loops(self) -> list[str]:
        """The names of the loops there are."""
        return self.send(calls.list_loops())

    def send(self, call: Call[T]) -> T:
        """Send a call until it is answered; what `loop` and `loops` do.

        Raises:
            FoldlineError: of the class its code belongs to; `http.unavailable` where no answer came in time.
        """
        tries = self._tries(call)
        while True:
            try:
                response = self._http.request(
                    call.method, call.path, content=call.body, timeout=self._timeout(call, tries)
                )
            except self._library.RequestError as error:
                pause_s = self._pause(tries, error)
            else:
                if response.is_success:
                    return call.read(response.content)
                pause_s = self._pause(tries, response)
            time.sleep(pause_s)

    def close(self) -> None:
        """Close the connections. Idempotent."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class AsyncClient(_Sender):
    """As `Client`, for asyncio: the same calls, to be awaited.

    Args and errors are those of `Client`.

    Example:
        >>> import asyncio
        >>> import foldline as fl
        >>> async def ask() -> None:
        ...     async with fl.AsyncClient("http://127.0.0.1:9", deadline_s=0.1) as client:
        ...         await client.loop("news").decide("u1")
        >>> try:
        ...     asyncio.run(ask())
        ... except fl.FoldlineError as error:
        ...     print(error.code)
        http.unavailable
    """

    def _connect(self, settings: dict[str, Any]) -> None:
        self._http: httpx.AsyncClient = self._library.AsyncClient(**settings)

    def loop(self, name: str, *, durability: Durability = "durable") -> AsyncRemoteLoop:
        """As `Client.loop`."""
        return AsyncRemoteLoop(self, LoopCalls(name, self._clock, durability))

    async def loops(self) -> list[str]:
        """As `Client.loops`."""
        return await self.send(calls.list_loops())

    async def send(self, call: Call[T]) -> T:
        """As `Client.send`."""
        tries = self._tries(call)
        while True:
            try:
                response = await self._http.request(
                    call.method, call.path, content=call.body, timeout=self._timeout(call, tries)
                )
            except self._library.RequestError as error:
                pause_s = self._pause(tries, error)
            else:
                if response.is_success:
                    return call.read(response.content)
                pause_s = self._pause(tries, response)
            await asyncio.sleep(pause_s)

    async def close(self) -> None:
        """Close the connections. Idempotent."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()
