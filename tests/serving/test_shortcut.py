"""Requests that go the short way are answered as those that go the long way are."""

import asyncio
import threading
from typing import Any

import pytest

from foldline.errors import LogError
from foldline.serving.keys import Keyring, Role
from foldline.serving.settings import ServiceSettings
from tests.serving.conftest import NEWS
from tests.serving.running import GatedLog, Running, running
from tests.serving.wire import Reply, Wire, request

LOOP = "/v1/loops/news"
ROLES: tuple[Role, Role] = ("decide", "reward")


def _both_ways(served: Running, path: str, body: bytes, extra: str = "") -> tuple[Reply, Reply]:
    """The answers to a request sent whole, and sent in two pieces, which only the long way waits for."""
    whole = request(path, body).replace(b"\r\n\r\n", f"\r\n{extra}\r\n".encode(), 1)
    with Wire(served.address) as wire:
        short = wire.send(whole).read()
        # What came so far is read before the rest is sent: the answer to another connection says so.
        wire.send(whole[:-1])
        assert served.client.get("/healthz").status_code == 200
        long = wire.send(whole[-1:]).read()
    return short, long


def _tasks(served: Running) -> int:
    """Requests under way that have a task."""

    async def count() -> int:
        return len([task for task in asyncio.all_tasks() if "run_asgi" in repr(task)])

    return asyncio.run_coroutine_threadsafe(count(), served.service._loop).result(30)


def _shape(reply: Reply) -> Any:
    """What must not differ: names and the values that are not new with each answer."""
    fixed = {n: v for n, v in reply.headers.items() if n not in ("date", "content-length")}
    body = reply.json()
    parts = body if isinstance(body, list) else [body]
    return reply.status, fixed, [sorted(part) if "error" not in part else part for part in parts]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"{LOOP}/decisions", b'{"unit":"u"}'),
        (f"{LOOP}/decisions?durability=fast", b'{"unit":"u"}'),
        (f"{LOOP}/decisions?durability=soon", b'{"unit":"u"}'),
        (f"{LOOP}/decisions", b'[{"unit":"u"},{"unit":7},{"unit":"v","available":[]}]'),
        (f"{LOOP}/decisions", b'{"unit":"u","available":["nothing"]}'),
        (f"{LOOP}/decisions", b"{"),
        (f"{LOOP}/decisions", b'{"unit":["u"]}'),
        (f"{LOOP}/rewards", b'{"unit":"u","value":1}'),
        (f"{LOOP}/rewards", b'{"unit":"u","value":1e9}'),
        (f"{LOOP}/activations", b'{"decision":"0.0.x","unit":"u"}'),
        (f"{LOOP}/observations", b'{"unit":"u","name":"revenue","value":2.5}'),
        (f"{LOOP}/outcomes", b'{"unit":"u","action":"a","propensity":0.5,"reward":1}'),
        ("/v1/loops/olds/decisions", b'{"unit":"u"}'),
        ("/v1/loops//decisions", b'{"unit":"u"}'),
        ("/v1/loops/n%65ws/decisions", b'{"unit":"u"}'),
        (f"{LOOP}/nonsense", b'{"unit":"u"}'),
    ],
)
def test_both_ways_give_one_answer(shared: Running, path: str, body: bytes) -> None:
    """Status, headers and form of the body, whatever is asked."""
    short, long = _both_ways(shared, path, body)
    assert _shape(short) == _shape(long)
    assert "date" in short.headers


def test_keys_are_asked_for_on_both_ways() -> None:
    """None, a wrong one, one of another role, the right one."""
    log = GatedLog()
    with running(log, loops={"news": NEWS}) as served:
        keyring = served.service.keyring
        now = served.service.clock()
        decide, reward = (Keyring(log).add(role, (role,), now=now)[1] for role in ROLES)
        keyring.read()
        for given, status in (
            ("", 401),
            ("Authorization: Bearer fl_wrong\r\n", 401),
            (f"Authorization: Bearer {reward}\r\n", 403),
            (f"Authorization: Bearer {decide}\r\n", 200),
        ):
            with Wire(served.address) as wire:
                whole = request(f"{LOOP}/decisions", b'{"unit":"u"}')
                reply = wire.send(whole.replace(b"\r\n\r\n", f"\r\n{given}\r\n".encode(), 1)).read()
            assert reply.status == status


def test_web_pages_of_other_origins_go_the_long_way() -> None:
    """The answer to a page says that the page may read it."""
    settings = ServiceSettings(port=0, origins=("https://shop.example",))
    with running(loops={"news": NEWS}, settings=settings) as served:
        short, long = _both_ways(
            served, f"{LOOP}/decisions", b'{"unit":"u"}', "Origin: https://shop.example\r\n"
        )
        assert _shape(short) == _shape(long)
        assert short.headers["access-control-allow-origin"] == "https://shop.example"


def test_an_answer_that_is_owed_is_given_before_the_service_stops() -> None:
    """And its connection is closed with it."""
    log = GatedLog()
    with running(log, loops={"news": NEWS}) as served:
        log.reached.clear()
        log.gate.clear()
        wire = Wire(served.address).post(f"{LOOP}/decisions", b'{"unit":"u"}')
        assert log.reached.wait(30)
        assert _tasks(served) == 0, "it went the long way"
        timer = threading.Timer(0.3, log.gate.set)
        timer.start()
    reply = wire.read()
    assert (reply.status, reply.headers["connection"]) == (200, "close")
    assert wire.rest() == b""
    wire.vanish()
    timer.join()


class _Refusing(GatedLog):
    """A log whose disk is full from some time on."""

    full = False

    def append(self, batches: Any, *, lease: Any = None) -> list[int]:
        if self.full and any(batch.topic == "news.events" for batch in batches):
            raise LogError("log.full", "the disk is full")
        return super().append(batches, lease=lease)


def test_what_the_log_refuses_is_answered_with_503() -> None:
    """Counted as such too; once the log takes it again, so is the client."""
    log = _Refusing()
    with running(log, loops={"news": NEWS}) as served, Wire(served.address) as wire:
        log.full = True
        reply = wire.post(f"{LOOP}/decisions", b'{"unit":"u"}').read()
        assert (reply.status, reply.code, reply.headers["retry-after"]) == (503, "log.full", "1")
        log.full = False
        assert wire.post(f"{LOOP}/decisions", b'{"unit":"u"}').read().status == 200
        counted = served.client.get("/metrics").text
        assert 'route="decide",status="503"} 1.0' in counted


def test_requests_sent_together_are_answered_in_order_whichever_way_they_go(shared: Running) -> None:
    """The second waits for the first, though it could be answered at once."""
    with Wire(shared.address) as wire:
        wire.send(
            request(f"{LOOP}/decisions", b'{"unit":"u","decision":"first"}')
            + b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
            + request(f"{LOOP}/decisions", b'{"unit":"u","decision":"third"}')
        )
        first, second, third = wire.read(), wire.read(), wire.read()
    assert first.json()["decision"].endswith(".first")
    assert second.json() == {"status": "ok"}
    assert third.json()["decision"].endswith(".third")
