"""Clients that are slow, endless, half-closed, gone, or speak no HTTP."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator

import pytest

from foldline.serving.connection import MAX_HEAD_BYTES
from foldline.serving.settings import ServiceSettings
from tests.serving.conftest import NEWS
from tests.serving.running import GatedLog, Running, running
from tests.serving.wire import Wire, request

DECIDE = "/v1/loops/news/decisions"
BODY = b'{"unit": "u"}'
PATIENT = ServiceSettings(port=0, body_timeout_s=0.3)


@pytest.fixture(scope="module")
def impatient() -> Iterator[Running]:
    """A service that gives its clients a third of a second."""
    with running(loops={"news": NEWS}, settings=PATIENT) as made:
        yield made


@pytest.fixture(autouse=True)
def _quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever clients do is no error of the service, and no task is left of them."""
    yield
    assert [r.getMessage() for r in caplog.records if r.levelname in ("ERROR", "CRITICAL")] == []


def _events(served: Running) -> int:
    return served.log.offsets("news.events", 0)[1]


def _idle(served: Running) -> bool:
    """Whether the service comes to rest: no request under way, and nothing that waits for the log."""

    async def busy() -> int:
        tasks = [task for task in asyncio.all_tasks() if "run_asgi" in repr(task)]
        return len(tasks) + served.service.appender.waiting

    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if asyncio.run_coroutine_threadsafe(busy(), served.service._loop).result(30) == 0:
            return True
        threading.Event().wait(0.01)
    return False


def test_a_body_that_drips_is_given_up(impatient: Running) -> None:
    """408 after the time allowed, the connection is closed, nothing is written."""
    before = _events(impatient)
    with Wire(impatient.address) as wire:
        wire.post(DECIDE, BODY[:5], length=len(BODY))
        reply = wire.read()
        assert (reply.status, reply.code, reply.headers["connection"]) == (408, "http.slow", "close")
        assert wire.rest() == b""
    assert _events(impatient) == before


def test_a_head_that_drips_is_given_up(impatient: Running) -> None:
    """Also the first byte, and the head of a second request on a connection that was used."""
    for begin in (b"", b"GET /healthz HTT", b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: "):
        with Wire(impatient.address) as wire:
            assert wire.send(begin).rest() == b""
    with Wire(impatient.address) as wire:
        wire.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert wire.read().status == 200
        assert wire.send(b"GET /heal").rest() == b""


def test_a_body_in_parts_is_taken(impatient: Running) -> None:
    """Head and body byte by byte, as long as they come in time; and in chunks."""
    with Wire(impatient.address) as wire:
        for i in range(len(whole := request(DECIDE, BODY))):
            wire.send(whole[i : i + 1])
        assert wire.read().status == 200
        wire.send(f"POST {DECIDE} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        for i in range(0, len(BODY), 4):
            wire.send(b"%x\r\n%s\r\n" % (len(BODY[i : i + 4]), BODY[i : i + 4]))
        wire.send(b"0\r\n\r\n")
        assert wire.read().status == 200


def test_a_large_body_is_refused_before_it_is_read(shared: Running) -> None:
    """By its Content-Length alone; once it is through, the connection serves the next request."""
    with Wire(shared.address) as wire:
        wire.post(DECIDE, b"", length=10_000_000)
        reply = wire.read()
        assert (reply.status, reply.code, reply.json()["error"]["value"]) == (
            413,
            "http.too_large",
            10_000_000,
        )
        wire.send(b" " * 10_000_000)
        assert wire.post(DECIDE, BODY).read().status == 200
    with Wire(shared.address) as wire:
        assert wire.post(DECIDE, b"", length=10**30).read().status in (400, 413)


def test_a_large_body_in_chunks_is_refused_once_it_is_too_large(shared: Running) -> None:
    """However long it goes on."""
    with Wire(shared.address) as wire:
        wire.send(f"POST {DECIDE} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
        for _ in range(160):
            wire.send(chunk)
        wire.send(b"0\r\n\r\n")
        reply = wire.read()
        assert (reply.status, reply.code) == (413, "http.too_large")
        assert wire.post(DECIDE, BODY).read().status == 200


def test_a_body_of_the_greatest_size_is_taken(shared: Running) -> None:
    """One byte more is not."""
    whole = b'{"unit": "u", "context": {"x": "' + b"y" * 999_964 + b'"}}'
    with Wire(shared.address) as wire:
        assert len(whole) < 1_000_000
        assert wire.post(DECIDE, whole + b" " * (1_000_000 - len(whole))).read().status == 200
        assert wire.post(DECIDE, whole + b" " * (1_000_001 - len(whole))).read().status == 413


def test_a_refused_body_that_never_ends_is_cut_off(impatient: Running) -> None:
    """After the answer the rest is read away for a while, then the connection closes."""
    with Wire(impatient.address) as wire:
        wire.post(DECIDE, b"", length=10**12)
        assert wire.read().status == 413
        assert wire.send(b" ").rest() == b""


@pytest.mark.parametrize(
    "head",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /caf\xe9 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: minus one\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nnot a size\r\n",
        b"GET / HTTP/1.1\r\nBad Name: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET http://[ HTTP/1.1\r\n\r\n",
    ],
    ids=lambda head: repr(head[:40]),
)
def test_what_is_no_http_is_refused_in_the_one_shape(shared: Running, head: bytes) -> None:
    """400 as JSON, then the connection closes; the service goes on."""
    with Wire(shared.address) as wire:
        reply = wire.send(head).read()
        assert (reply.status, reply.headers["content-type"]) == (400, "application/json")
        assert reply.code in ("http.malformed", "http.not_found", "http.bad_json")
    assert shared.client.get("/healthz").status_code == 200


def test_a_head_without_end_is_refused(shared: Running) -> None:
    """431 once it is too large; memory stays bounded."""
    with Wire(shared.address) as wire:
        wire.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
        line = b"X-More: " + b"y" * 8_000 + b"\r\n"
        try:
            for _ in range(4 * MAX_HEAD_BYTES // len(line)):
                wire.send(line)
        except (BrokenPipeError, ConnectionResetError):
            pass
        reply = wire.read()
        assert (reply.status, reply.code) == (431, "http.too_large")


def test_requests_sent_together_are_answered_in_order(shared: Running) -> None:
    """Fifty pipelined decisions, each with its own answer."""
    with Wire(shared.address) as wire:
        asks = [json.dumps({"unit": "u", "decision": f"p{i}"}).encode() for i in range(50)]
        wire.send(b"".join(request(DECIDE, body) for body in asks))
        assert [wire.read().json()["decision"] for _ in asks] == [f"0.0.p{i}" for i in range(50)]


def test_a_client_that_sends_no_more_is_answered(shared: Running) -> None:
    """One request, and several pipelined; then the service closes too."""
    for count in (1, 5):
        with Wire(shared.address) as wire:
            wire.send(request(DECIDE, BODY) * count).half_close()
            assert [wire.read().status for _ in range(count)] == [200] * count
            assert wire.rest() == b""
    with Wire(shared.address) as wire:
        wire.send(b"GET /v1/loops/news HTTP/1.1\r\nHost: x\r\n\r\n").half_close()
        assert wire.read().json()["name"] == "news"
    assert _idle(shared)


def test_half_a_request_is_none(shared: Running) -> None:
    """A body cut short by its client is not taken for a whole one, even where it reads as JSON."""
    before = _events(shared)
    for whole in (False, True):
        with Wire(shared.address) as wire:
            wire.post(DECIDE, BODY, length=100)
            if whole:
                wire.half_close()
            else:
                wire.vanish()
                continue
            assert wire.rest() == b""
    with Wire(shared.address) as wire:
        wire.send(f"POST {DECIDE} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        wire.send(b"%x\r\n%s\r\n" % (len(BODY), BODY)).half_close()
        assert wire.rest() == b""
    assert _idle(shared)
    assert _events(shared) == before


def test_a_client_that_vanishes_leaves_nothing_behind() -> None:
    """Its decision was sent whole, so it may stand; its task ends, and nothing is logged as an error."""
    log = GatedLog()
    with running(log, loops={"news": NEWS}) as served:
        log.reached.clear()
        log.gate.clear()
        wires = [Wire(served.address).post(DECIDE, BODY) for _ in range(20)]
        assert log.reached.wait(30)
        for wire in wires:
            wire.vanish()
        log.gate.set()
        assert _idle(served)
        assert served.service.appender.waiting == 0
        assert served.client.post(DECIDE, json={"unit": "u"}).status_code == 200


def test_a_wait_for_continue_is_granted(shared: Running) -> None:
    """A client that asks first is told to go on, or refused at once."""
    with Wire(shared.address) as wire:
        head = f"POST {DECIDE} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: "
        wire.send(f"{head}{len(BODY)}\r\n\r\n".encode())
        assert wire.socket.recv(100).startswith(b"HTTP/1.1 100 Continue")
        assert wire.send(BODY).read().status == 200
        wire.send(f"{head}5000000\r\n\r\n".encode())
        assert wire.read().status == 413


def test_one_connection_too_many_is_refused() -> None:
    """503 with Retry-After in the one shape; when others close, the next is served."""
    few = ServiceSettings(port=0, max_connections=3)
    with running(loops={"news": NEWS}, settings=few) as served:
        ask = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
        wires = [Wire(served.address) for _ in range(4)]
        assert [wire.send(ask).read().status for wire in wires[:3]] == [200] * 3
        refused = wires[3].send(ask).read()
        assert (refused.status, refused.code, refused.headers["retry-after"]) == (503, "http.overloaded", "1")
        assert wires[3].rest() == b""
        for wire in wires:
            wire.vanish()
        while served.client.get("/healthz").status_code != 200:
            threading.Event().wait(0.01)
        assert served.client.get("/readyz").status_code == 200


def test_head_is_answered_without_a_body(shared: Running) -> None:
    """As with any other method that a path does not take."""
    with Wire(shared.address) as wire:
        wire.send(b"HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        wire.socket.settimeout(30)
        head = wire.socket.recv(65_536)
        assert head.startswith(b"HTTP/1.1 405")
        assert head.endswith(b"\r\n\r\n")


def test_an_upgrade_is_not_taken(shared: Running, caplog: pytest.LogCaptureFixture) -> None:
    """There are no web sockets here; the request is answered as it stands."""
    with Wire(shared.address) as wire:
        wire.send(
            b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Key: eA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        assert wire.read().status == 200
