"""An HTTP server that answers what it is told, for answers the real service gives rarely."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import NamedTuple, Self

import msgspec

from foldline.loops.bundle import Bundle, content_hash


class Scripted(NamedTuple):
    """An answer."""

    status: int
    body: bytes = b"{}"
    headers: tuple[tuple[str, str], ...] = ()


class ScriptedServer:
    """Answers each request with what `script` says of its method, path and headers.

    Attributes:
        asked: method and path of each request.
    """

    def __init__(self, script: Callable[[str, str, dict[str, str]], Scripted]) -> None:
        self.asked: list[tuple[str, str]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except ConnectionError:
                    self.close_connection = True

            def answer(self) -> None:
                self.rfile.read(int(self.headers.get("content-length", "0")))
                outer.asked.append((self.command, self.path))
                reply = script(self.command, self.path, {k.lower(): v for k, v in self.headers.items()})
                self.send_response(reply.status)
                for name, value in reply.headers:
                    self.send_header(name, value)
                if reply.status != 304:
                    self.send_header("content-length", str(len(reply.body)))
                self.end_headers()
                if reply.status != 304:
                    self.wfile.write(reply.body)

            def log_message(self, format: str, *args: object) -> None:
                return

        for method in ("GET", "POST", "PUT"):
            setattr(Handler, f"do_{method}", Handler.answer)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def bundle_of(**changes: object) -> Bundle:
    """A sound bundle."""
    made = Bundle(
        loop="news", hash="", time=1, cut=(0,), definition=1, stream_time=1, generation=0, salt="s",
        kind="random", actions=("a", "b"), parameters={"n": 2},
    )  # fmt: skip
    made = msgspec.structs.replace(made, **changes)
    return msgspec.structs.replace(made, hash=content_hash(made))


def streaming(bundle: bytes) -> Scripted:
    """A stream of one bundle, which then ends."""
    return Scripted(
        200, b"event: bundle\ndata: " + bundle + b"\n\n", (("content-type", "text/event-stream"),)
    )
