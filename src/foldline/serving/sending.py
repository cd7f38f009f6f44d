"""Sending answers, for as long as somebody is there to read them."""

import asyncio
import contextlib
from collections.abc import Awaitable
from typing import TypeVar

from foldline.serving.calls import Answer, Gone, Receive, Send, Stream

Got = TypeVar("Got")


async def send_answer(reply: Answer, send: Send) -> None:
    """Send an answer whole."""
    status, body, extra, kind = reply
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body)), *extra]
    if status == 304:
        headers = list(extra)
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def send_stream(reply: Stream, receive: Receive, send: Send) -> None:
    """Sends parts until there are no more or the reader is gone."""
    headers = [(b"content-type", reply.kind), *reply.headers]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    parts = aiter(reply.parts)
    with contextlib.suppress(Gone):
        while (body := await while_there(anext(parts, None), receive)) is not None:
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def while_there(work: Awaitable[Got], receive: Receive) -> Got:
    """What comes of work that takes long; given up when the client goes away."""
    working = asyncio.ensure_future(work)
    gone = asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait({working, gone}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise Gone
        return working.result()
    finally:
        working.cancel()
        gone.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        continue
