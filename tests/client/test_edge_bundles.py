"""Bundles on their way to an edge client: an unsound one is refused, and without streams they are polled for."""

import logging
import threading

import pytest

from foldline.client.edge import Edge
from foldline.loops.bundle import encode_bundle
from tests.client.conftest import until
from tests.client.scripted import Scripted, ScriptedServer, bundle_of, streaming


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (encode_bundle(bundle_of()).replace(b'"definition":1', b'"definition":2'), "content hash"),
        (b"nonsense", "decoding what decides"),
        (encode_bundle(bundle_of(loop="posts")), "of loop 'posts'"),
        (encode_bundle(bundle_of(kind="from the future")), "from the future"),
    ],
)
def test_an_unsound_bundle_is_refused(payload: bytes, why: str, caplog: pytest.LogCaptureFixture) -> None:
    """The one in use goes on deciding; the reason is logged."""
    sound = bundle_of()
    answers = [streaming(encode_bundle(sound)), streaming(payload)]

    def script(method: str, path: str, headers: dict[str, str]) -> Scripted:
        return answers[0] if len(answers) == 1 else answers.pop(0)

    with (
        caplog.at_level(logging.WARNING, "foldline.client"),
        ScriptedServer(script) as server,
        Edge(server.url, loop="news") as edge,
    ):
        until(lambda: "a bundle was refused" in caplog.text)
        assert edge.bundle == sound
        assert edge.decide("u1", log=False).bundle == sound.hash
    assert why in caplog.text


def test_long_polls_where_streams_do_not_come_through() -> None:
    """A proxy that knows no streams answers whole bundles: they are polled for."""
    first, second = bundle_of(), bundle_of(actions=("a", "c"))
    polled = threading.Event()

    def script(method: str, path: str, headers: dict[str, str]) -> Scripted:
        if "wait=" not in path or headers.get("if-none-match") == f'"{second.hash}"':
            polled.wait(5 if "wait=" in path else 0)
            return Scripted(304) if "wait=" in path else Scripted(200, encode_bundle(first))
        return Scripted(200, encode_bundle(second))

    with ScriptedServer(script) as server, Edge(server.url, loop="news") as edge:
        assert edge.await_bundle(other_than=first.hash) == second
        assert edge.stats().online
        polled.set()
    assert ("GET", "/v1/loops/news/edge?wait=20") in server.asked
