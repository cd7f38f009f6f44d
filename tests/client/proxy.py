"""A TCP proxy of the tests' own: it cuts connections and loses answers at chosen moments."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self


class Proxy:
    """Passes bytes between clients and a service on loopback.

    Attributes:
        lost: answers lost so far.
    """

    def __init__(self, port: int) -> None:
        self._upstream = port
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._cut = False
        self._lose: list[bytes] = []
        self._closed = False
        self.lost = 0
        self.requests: list[bytes] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        """Where clients go."""
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def cut(self) -> None:
        """Break every connection, and each new one at once."""
        with self._lock:
            self._cut = True
            for one in self._open:
                _shut(one)

    def mend(self) -> None:
        """Let through again."""
        with self._lock:
            self._cut = False

    def lose_answer(self, *starts: bytes) -> None:
        """Lose the answers to the next requests that begin so: the service has done them, nobody hears of it."""
        with self._lock:
            self._lose += starts

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closed = True
        self.cut()
        _shut(self._listening)
        self._listening.close()
        for thread in list(self._threads):
            thread.join(5)

    def _accept(self) -> None:
        while not self._closed:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            with self._lock:
                if self._cut:
                    client.close()
                    continue
                self._open.append(client)
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        with client:
            try:
                upstream = socket.create_connection(("127.0.0.1", self._upstream))
            except OSError:
                return
            with upstream:
                with self._lock:
                    self._open.append(upstream)
                losing = threading.Event()
                back = threading.Thread(target=self._back, args=(upstream, client, losing), daemon=True)
                back.start()
                with contextlib.suppress(OSError):
                    while data := client.recv(1 << 16):
                        self._look(data, losing)
                        upstream.sendall(data)
                _shut(upstream)
                back.join()

    def _look(self, data: bytes, losing: threading.Event) -> None:
        with self._lock:
            if data[:4] in (b"GET ", b"POST", b"PUT "):
                self.requests.append(data.partition(b"\r\n")[0])
            for start in self._lose:
                if data.startswith(start):
                    self._lose.remove(start)
                    losing.set()
                    return

    def _back(self, upstream: socket.socket, client: socket.socket, losing: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := upstream.recv(1 << 16):
                if losing.is_set():
                    self.lost += 1
                    break
                client.sendall(data)
        _shut(client)


def _shut(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
