"""A line that can be cut."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from foldline.simulation.line import Line


@contextmanager
def echo() -> Iterator[str]:
    """A service that answers each line with itself."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        def answer(connection: socket.socket) -> None:
            with connection:
                while data := connection.recv(1000):
                    connection.sendall(data)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


def connect(line: Line) -> socket.socket:
    """A connection through the line."""
    parts = urlsplit(line.url)
    return socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10)


def ended(connection: socket.socket) -> bool:
    """Whether the other side is gone."""
    try:
        return connection.recv(1) == b""
    except OSError:
        return True


def test_it_forwards_until_cut_and_again_once_mended() -> None:
    """Both what was connected and what is tried meanwhile breaks; later connections go through."""
    with echo() as url, Line(url) as line:
        with connect(line) as before:
            before.sendall(b"hello")
            assert before.recv(5) == b"hello"
            line.cut()
            assert ended(before)
        with connect(line) as meanwhile:
            assert ended(meanwhile)
        line.mend()
        with connect(line) as after:
            after.sendall(b"again")
            assert after.recv(5) == b"again"


def test_nothing_behind_it_ends_the_connection() -> None:
    """A service that is not there is as one that hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with Line(f"http://127.0.0.1:{port}") as line, connect(line) as connection:
        assert ended(connection)


@pytest.mark.parametrize("times", [1, 3])
def test_closing_gives_the_port_up(times: int) -> None:
    """After close nobody answers."""
    for _ in range(times):
        with echo() as url:
            line = Line(url)
            line.close()
            with pytest.raises(OSError, match="refused"):
                connect(line)
