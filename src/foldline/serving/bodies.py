"""Reading the body of a request: whole, in time, and not more of it than is taken."""

import asyncio
from collections.abc import Awaitable, Coroutine, Generator, MutableMapping
from typing import Any, TypeVar

from foldline.errors import RequestError
from foldline.serving.calls import Gone, Receive

Got = TypeVar("Got")


async def read_whole(
    headers: list[tuple[bytes, bytes]], receive: Receive, most: int, timeout_s: float
) -> bytes:
    """The body of a request.

    Args:
        headers: of the request.
        receive: gives its parts.
        most: bytes it may have.
        timeout_s: seconds it may take to come.

    Raises:
        RequestError: `http.too_large`, `http.slow`.
        Gone: the client went away.
    """
    for name, value in headers:
        if name == b"content-length" and value.isdigit() and int(value[:20]) > most:
            raise _too_large(int(value[:20]), most)
    step = receive()
    try:
        waits_for = step.send(None)
    except StopIteration as done:
        # Nearly always: the body came with the head. A timer would cost as much as the decision.
        message: MutableMapping[str, Any] = done.value
    else:
        message = await _in_time(_Begun(step, waits_for), timeout_s)
    body: bytes = _part(message)
    if not message.get("more_body", False):
        if len(body) > most:
            raise _too_large(len(body), most)
        return body
    return await _in_time(_rest(body, receive, most), timeout_s)


async def _in_time(reading: Awaitable[Got], timeout_s: float) -> Got:
    try:
        async with asyncio.timeout(timeout_s):
            return await reading
    except TimeoutError as error:
        raise RequestError(
            "http.slow", f"the body did not come within {timeout_s:g} s; send it again"
        ) from error


async def _rest(first: bytes, receive: Receive, most: int) -> bytes:
    parts, size, more = [first], len(first), True
    while more:
        message = await receive()
        parts.append(_part(message))
        size += len(parts[-1])
        more = message.get("more_body", False)
        if size > most:
            raise _too_large(size, most)
    return b"".join(parts)


def _part(message: MutableMapping[str, Any]) -> bytes:
    """A part of a body: half of one is none, even where it can be read as JSON."""
    if message["type"] == "http.disconnect":
        raise Gone
    part: bytes = message.get("body", b"")
    return part


class _Begun(Awaitable[Any]):
    """Goes on awaiting a coroutine that was begun by hand and waits for something."""

    def __init__(self, step: Coroutine[Any, Any, Any], waits_for: Any) -> None:
        self._step = step
        self._waits_for = waits_for

    def __await__(self) -> Generator[Any, Any, Any]:
        step, waits_for = self._step, self._waits_for
        while True:
            error: BaseException | None = None
            try:
                yield waits_for
            except BaseException as thrown:  # noqa: BLE001 - handed on to whom it is meant for
                error = thrown
            try:
                waits_for = step.send(None) if error is None else step.throw(error)
            except StopIteration as done:
                return done.value


def _too_large(size: int, most: int) -> RequestError:
    return RequestError(
        "http.too_large",
        f"the body has {size} bytes or more, at most {most} are taken; send it in parts",
        value=size,
        expected=f"at most {most} bytes",
    )
