"""Following the policy: at once, when it changes, as a stream; and what becomes of readers that vanish or lag."""

import asyncio
import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from foldline.loops.bundle import content_hash, decode_bundle
from foldline.loops.settings import LoopSettings
from tests.serving.conftest import NEWS
from tests.serving.direct import Direct
from tests.serving.running import Running, running
from tests.serving.wire import Wire

BUNDLE = "/v1/loops/news/bundle"


def _learn(served: Running, unit: str = "u") -> None:
    """Make the loop learn something, so that a bundle follows."""
    served.client.post("/v1/loops/news/decisions", json={"unit": unit})


def _newest(served: Running) -> dict[str, Any]:
    """The bundle that covers all there is."""
    while True:
        bundle: dict[str, Any] = served.client.get(BUNDLE).json()
        if bundle["cut"] == [served.log.offsets("news.events", 0)[1]]:
            return bundle
        served.client.get(BUNDLE, params={"wait": 1}, headers={"If-None-Match": f'"{bundle["hash"]}"'})


def _tasks(served: Running) -> int:
    """Tasks of the service's event loop, this count's own not among them."""

    async def count() -> int:
        return len(asyncio.all_tasks()) - 1

    return asyncio.run_coroutine_threadsafe(count(), served.service._loop).result(30)


def _settled(served: Running, tasks: int) -> bool:
    """Whether the event loop comes back to so many tasks; gives it turns, and the network its time."""
    deadline = time.monotonic() + 20
    while _tasks(served) > tasks and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    return _tasks(served) <= tasks


def _bundles(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """The bundles of a stream of events, each checked to be well formed."""
    fields: dict[str, str] = {}
    for line in lines:
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            assert fields["event"] == "bundle"
            bundle = json.loads(fields["data"])
            assert bundle["hash"] == fields["id"]
            fields = {}
            yield bundle


def test_the_newest_bundle_is_whole_and_named(asked: Direct) -> None:
    """Content hash and ETag agree; caches must ask again."""
    replied = asked.ask("GET", BUNDLE)
    bundle = decode_bundle(replied.body)
    assert (replied.status, replied.headers["etag"]) == (200, f'"{bundle.hash}"')
    assert replied.headers["cache-control"] == "no-cache"
    assert (content_hash(bundle), bundle.actions) == (bundle.hash, ("a", "b"))


@pytest.mark.parametrize("form", ['"{}"', 'W/"{}"', '"other", "{}"', "*", 'W/"x",W/"{}"'])
def test_who_has_it_is_told_so(asked: Direct, form: str) -> None:
    """304 without a body, in every form the header may have."""
    tag = asked.ask("GET", BUNDLE).headers["etag"]
    replied = asked.ask("GET", BUNDLE, headers={"If-None-Match": form.format(tag.strip('"'))})
    assert (replied.status, replied.body, replied.headers["etag"]) == (304, b"", tag)


@pytest.mark.parametrize("form", ['"other"', "", ",", '"'])
def test_who_has_another_gets_it(asked: Direct, form: str) -> None:
    """200, whatever else the header says."""
    assert asked.ask("GET", BUNDLE, headers={"If-None-Match": form}).status == 200


@pytest.mark.parametrize("wait", ["-1", "61", "nan", "inf", "soon", "", "1e400"])
def test_a_wait_that_is_none_is_named(asked: Direct, wait: str) -> None:
    """The field, the value, the range."""
    replied = asked.ask("GET", f"{BUNDLE}?wait={wait}")
    error = replied.error
    assert (replied.status, error["field"], error["value"], error["expected"]) == (
        400,
        "wait",
        wait,
        "0 to 60",
    )


def test_a_long_poll_is_woken_by_a_new_bundle(served: Running) -> None:
    """It is answered with the bundle that came while it waited."""
    tag = served.client.get(BUNDLE).headers["etag"]
    answers: list[Any] = []
    asking = threading.Thread(
        target=lambda: answers.append(
            served.client.get(BUNDLE, params={"wait": 60}, headers={"If-None-Match": tag})
        )
    )
    tasks = _tasks(served)
    asking.start()
    while _tasks(served) <= tasks:
        threading.Event().wait(0.005)
    assert answers == []
    _learn(served)
    asking.join()
    assert (answers[0].status_code, answers[0].headers["etag"] != tag) == (200, True)


def test_a_long_poll_ends_with_304(served: Running) -> None:
    """After the time asked for, with nothing new."""
    tag = served.client.get(BUNDLE).headers["etag"]
    answered = served.client.get(BUNDLE, params={"wait": 0.05}, headers={"If-None-Match": tag})
    assert answered.status_code == 304


def test_without_a_bundle_it_is_waited_for() -> None:
    """503 at once without `wait`; with it the first bundle, once a learner comes."""
    with running(loops={"news": NEWS}, learn=False) as served:
        assert served.client.get(BUNDLE).json()["error"]["code"] == "fold.no_bundle"
        answers: list[int] = []
        asking = threading.Thread(
            target=lambda: answers.append(served.client.get(BUNDLE, params={"wait": 60}).status_code)
        )
        asking.start()
        with running(served.log):
            asking.join()
        assert answers == [200]


def test_a_stream_brings_every_bundle_that_its_reader_waits_for(served: Running) -> None:
    """The present one first, then each as it comes."""
    with served.client.stream("GET", BUNDLE, headers={"Accept": "text/event-stream"}) as stream:
        assert stream.headers["content-type"] == "text/event-stream"
        bundles = _bundles(stream.iter_lines())
        seen = [next(bundles)]
        for turn in range(3):
            _learn(served, f"u{turn}")
            seen.append(next(bundles))
        assert len({bundle["hash"] for bundle in seen}) == 4
        assert [b["cut"] for b in seen] == sorted(b["cut"] for b in seen)


def test_a_stream_goes_on_after_the_last_one_seen(served: Running) -> None:
    """A reader that comes back names its last bundle and gets newer ones only."""
    known = served.client.get(BUNDLE).json()["hash"]
    headers = {"Accept": "text/event-stream", "Last-Event-ID": known}
    with served.client.stream("GET", BUNDLE, headers=headers) as stream:
        _learn(served)
        assert next(_bundles(stream.iter_lines()))["hash"] != known


def test_a_slow_reader_skips_bundles() -> None:
    """While it reads nothing, bundles are passed over, not queued; then it gets the newest."""
    many = LoopSettings(actions=tuple(f"action-{i:05}" for i in range(20_000)))
    with running(loops={"news": many}) as served, Wire(served.address) as wire:
        wire.send(f"GET {BUNDLE} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n".encode())
        versions = set()
        for turn in range(40):
            _learn(served, f"u{turn}")
            versions.add(_newest(served)["hash"])
        newest = f"id: {_newest(served)['hash']}".encode()
        received, size = b"", 0
        while newest not in received:
            part = wire.socket.recv(1 << 20)
            assert part
            received, size = received[-100:] + part, size + len(part)
        assert len(versions) > 20
        bundle = len(served.client.get(BUNDLE).content)
        assert size < bundle * len(versions) / 2


def test_a_reader_that_does_not_read_holds_nobody_up(caplog: pytest.LogCaptureFixture) -> None:
    """The service stops without waiting for it, and without an error."""
    many = LoopSettings(actions=tuple(f"action-{i:05}" for i in range(40_000)))
    with contextlib.ExitStack() as wires:
        with running(loops={"news": many}) as served:
            before = _tasks(served)
            for _ in range(3):
                wire = wires.enter_context(Wire(served.address))
                wire.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
                wire.send(f"GET {BUNDLE} HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n".encode())
            while _tasks(served) < before + 3:
                threading.Event().wait(0.005)
            for turn in range(40):
                _learn(served, f"u{turn}")
                _newest(served)
        assert [record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.parametrize("accept", ["text/event-stream", "application/json"])
def test_a_vanished_reader_frees_its_task(served: Running, accept: str) -> None:
    """Streams and long polls end with their connection, without an error in the log."""
    tag = served.client.get(BUNDLE).headers["etag"]
    before = _tasks(served)
    wires = [Wire(served.address) for _ in range(5)]
    for wire in wires:
        wire.send(
            f"GET {BUNDLE}?wait=60 HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\nIf-None-Match: {tag}\r\n\r\n".encode()
        )
    while _tasks(served) < before + 5:
        threading.Event().wait(0.005)
    for wire in wires:
        wire.vanish()
    assert _settled(served, before)


def test_closing_ends_streams_and_long_polls(caplog: pytest.LogCaptureFixture) -> None:
    """A stream ends cleanly, a long poll with 304; neither holds the service up."""
    ended: list[Any] = []
    with running(loops={"news": NEWS}) as served:
        tag = served.client.get(BUNDLE).headers["etag"]
        before, opened = _tasks(served), threading.Event()

        def stream() -> None:
            with served.client.stream("GET", BUNDLE, headers={"Accept": "text/event-stream"}) as answer:
                lines = answer.iter_lines()
                next(_bundles(lines))
                opened.set()
                ended.append(len(list(lines)))

        def poll() -> None:
            asked = served.client.get(BUNDLE, params={"wait": 60}, headers={"If-None-Match": tag})
            ended.append(asked.status_code)

        threads = [threading.Thread(target=stream), threading.Thread(target=poll)]
        for thread in threads:
            thread.start()
        assert opened.wait(30)
        while _tasks(served) < before + 2:
            threading.Event().wait(0.005)
        served.app.service._loop.call_soon_threadsafe(served.service.closing.set)
        served.app.service._loop.call_soon_threadsafe(served.service.wake)
        for thread in threads:
            thread.join()
    assert sorted(ended) == [0, 304]
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []
