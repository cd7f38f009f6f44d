"""The newest bundle, for who decides with it: at once, when it changes, or as a stream."""

import time
from collections.abc import AsyncIterator

from foldline.errors import InputError
from foldline.loops.bundle import Bundle, encode_bundle
from foldline.serving.calls import JSON, Answer, Call, Stream
from foldline.serving.service import Served, Service

MAX_WAIT_S = 60.0
KEEP_ALIVE_S = 15.0


async def newest_bundle(service: Service, call: Call) -> Answer | Stream:
    """The loop's newest bundle, unless the caller has it; with `wait` as soon as there is a newer one."""
    served = service.served(call.name)
    if "text/event-stream" in (call.header(b"accept") or ""):
        return Stream(_stream(service, call.name, call.header(b"last-event-id")))
    known = _known(call)
    deadline = time.monotonic() + _wait_s(call)
    while _unchanged(served, known) and (left := deadline - time.monotonic()) > 0:
        if service.closing.is_set():
            break
        await service.swap(left)
        served = service.served(call.name)
    bundle = served.decider().bundle
    headers = ((b"etag", f'"{bundle.hash}"'.encode()), (b"cache-control", b"no-cache"))
    if bundle.hash in known or "*" in known:
        return Answer(304, b"", headers)
    return Answer(200, encode_bundle(bundle), headers, JSON)


async def _stream(service: Service, loop: str, known: str | None) -> AsyncIterator[bytes]:
    """Each bundle as it comes; those that come while the reader is slow are passed over."""
    yield b": bundles of this loop, as they come\n\n"
    while not service.closing.is_set():
        bundle = _bundle(service.served(loop))
        if bundle is not None and bundle.hash != known:
            known = bundle.hash
            yield b"event: bundle\nid: " + known.encode() + b"\ndata: " + encode_bundle(bundle) + b"\n\n"
            continue
        started = time.monotonic()
        await service.swap(KEEP_ALIVE_S)
        if time.monotonic() - started >= KEEP_ALIVE_S:
            yield b": still here\n\n"


def _bundle(served: Served) -> Bundle | None:
    decider = served.replica.decider
    return decider.bundle if decider is not None else None


def _known(call: Call) -> frozenset[str]:
    """The bundles the caller has, as the header If-None-Match lists them."""
    listed = (call.header(b"if-none-match") or "").split(",")
    return frozenset(tag.strip().removeprefix("W/").strip('"') for tag in listed) - {""}


def _unchanged(served: Served, known: frozenset[str]) -> bool:
    bundle = _bundle(served)
    return bundle is None or bundle.hash in known or "*" in known


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
