"""The newest bundle, for who decides with it: at once, when it changes, or as a stream."""

import time
from collections.abc import AsyncIterator, Callable

from foldline.errors import FoldError, InputError
from foldline.loops.bundle import Bundle, encode_bundle
from foldline.loops.edge_bundle import EdgeBundle, encode_edge_bundle
from foldline.serving.calls import JSON, Answer, Call, Stream
from foldline.serving.service import Served, Service

MAX_WAIT_S = 60.0
KEEP_ALIVE_S = 15.0


Followed = Bundle | EdgeBundle
"""What a reader follows; named by its hash."""

_Follow = Callable[[Served], Followed | None]


async def newest_bundle(service: Service, call: Call) -> Answer | Stream:
    """The loop's newest bundle, unless the caller has it; with `wait` as soon as there is a newer one."""
    return await _newest(service, call, _bundle)


async def newest_edge_bundle(service: Service, call: Call) -> Answer | Stream:
    """The same, with the experiments that decide before it."""
    return await _newest(service, call, _edge_bundle)


async def _newest(service: Service, call: Call, follow: _Follow) -> Answer | Stream:
    served = service.served(call.name)
    if "text/event-stream" in (call.header(b"accept") or ""):
        return Stream(_stream(service, call.name, call.header(b"last-event-id"), follow))
    known = _known(call)
    deadline = time.monotonic() + _wait_s(call)
    while _unchanged(follow(served), known) and (left := deadline - time.monotonic()) > 0:
        if service.closing.is_set():
            break
        await service.swap(left)
        served = service.served(call.name)
    newest = follow(served)
    if newest is None:
        served.decider()  # raises why there is none
        raise FoldError("fold.no_bundle", f"loop {call.name!r} has no bundle yet; try again")
    headers = ((b"etag", f'"{newest.hash}"'.encode()), (b"cache-control", b"no-cache"))
    if newest.hash in known or "*" in known:
        return Answer(304, b"", headers)
    return Answer(200, _encoded(newest), headers, JSON)


async def _stream(service: Service, loop: str, known: str | None, follow: _Follow) -> AsyncIterator[bytes]:
    """Each as it comes; those that come while the reader is slow are passed over."""
    yield b": bundles of this loop, as they come\n\n"
    while not service.closing.is_set():
        newest = follow(service.served(loop))
        if newest is not None and newest.hash != known:
            known = newest.hash
            yield b"event: bundle\nid: " + known.encode() + b"\ndata: " + _encoded(newest) + b"\n\n"
            continue
        started = time.monotonic()
        await service.swap(KEEP_ALIVE_S)
        if time.monotonic() - started >= KEEP_ALIVE_S:
            yield b": still here\n\n"


def _bundle(served: Served) -> Bundle | None:
    decider = served.replica.decider
    return None if decider is None else decider.bundle


def _edge_bundle(served: Served) -> EdgeBundle | None:
    return served.replica.edge_bundle()


def _encoded(followed: Followed) -> bytes:
    return encode_bundle(followed) if isinstance(followed, Bundle) else encode_edge_bundle(followed)


def _known(call: Call) -> frozenset[str]:
    """The bundles the caller has, as the header If-None-Match lists them."""
    listed = (call.header(b"if-none-match") or "").split(",")
    return frozenset(tag.strip().removeprefix("W/").strip('"') for tag in listed) - {""}


def _unchanged(newest: Followed | None, known: frozenset[str]) -> bool:
    return newest is None or newest.hash in known or "*" in known


def _wait_s(call: Call) -> float:
    text = call.parameters().get("wait", "0")
    try:
        wait_s = float(text)
    except ValueError:
        wait_s = -1.0
    if not 0.0 <= wait_s <= MAX_WAIT_S:
        raise InputError(
            "input.invalid",
            f"wait is {text!r}, expected seconds from 0 to {MAX_WAIT_S:g}",
            field="wait",
            value=text,
            expected=f"0 to {MAX_WAIT_S:g}",
        )
    return wait_s
