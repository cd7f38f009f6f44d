"""A service on the loopback that speaks what docs/http-api.md asks of an edge client, and fails on request.

It also serves the client's files and the golden vectors, so that a browser finds all of them at one origin.
"""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

ROOT = Path(__file__).resolve().parents[2]
STRICT = "script-src 'self'"
"""Without 'wasm-unsafe-eval': WebAssembly is refused."""


def bundle(hash_: str, action: str, loop: str = "news") -> dict[str, Any]:
    """A bundle that always chooses one action."""
    return {
        "type": "bundle",
        "loop": loop,
        "hash": hash_,
        "time": 0,
        "cut": [0, 0],
        "definition": 3,
        "stream_time": 0,
        "generation": 0,
        "salt": "salt",
        "kind": "fixed",
        "actions": ["a", "b"],
        "parameters": {"action": action},
    }


class Service:
    """A context manager; everything it holds may be read and set under `changed`.

    Attributes:
        bundle: the newest bundle.
        events: what the log would hold, in order.
        expected: the next number expected, by outbox.
        lose: so many answers to events are lost after the events were taken.
        down: no request is answered.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.bundle: dict[str, Any] | None = None
        self.events: list[dict[str, Any]] = []
        self.expected: dict[str, int] = {}
        self.lose = 0
        self.down = False
        handler = type("Handler", (_Handler,), {"service": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.set(down=True)
        self._server.shutdown()
        self._server.server_close()

    def set(self, **values: object) -> None:
        """Change attributes and wake whoever waits."""
        with self.changed:
            for name, value in values.items():
                setattr(self, name, value)
            self.changed.notify_all()

    def units(self, count: int) -> list[str]:
        """The units of the events, once there are so many."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.events) >= count, timeout=30), self.events
            return [event["unit"] for event in self.events]

    def newest(self, known: str | None, wait_s: float) -> tuple[int, object]:
        """Status and body of a request for the bundle."""

        def same() -> bool:
            return self.bundle is not None and known == f'"{self.bundle["hash"]}"'

        with self.changed:
            self.changed.wait_for(lambda: self.down or not same(), timeout=wait_s)
            if self.bundle is None or self.down:
                return 503, {"error": {"code": "fold.no_bundle", "message": "nothing was learnt yet"}}
            return (304, None) if same() else (200, self.bundle)

    def take(self, body: dict[str, Any]) -> tuple[int, object]:
        """Status and body of a request with events."""
        outbox, first, events = body["outbox"], body["first"], body["events"]
        with self.changed:
            expected = self.expected.get(outbox, 0)
            if not first <= expected <= first + len(events):
                return 409, {"error": {"code": "http.gap", "message": f"expected {expected}"}}
            self.events += events[expected - first :]
            self.expected[outbox] = first + len(events)
            self.changed.notify_all()
        repeated = expected - first
        accepted = len(events) - repeated
        return 200, {"accepted": accepted, "repeated": repeated, "next": first + len(events), "errors": []}


class _Handler(BaseHTTPRequestHandler):
    service: Service
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        """A page, a file, or the bundle."""
        address = urlsplit(self.path)
        if address.path in ("/page", "/strict"):
            self._send(200, b"<!doctype html><title>page</title>", "text/html")
        elif address.path.startswith(("/clients/", "/vectors/")):
            path = ROOT / address.path[1:]
            kind = "text/javascript" if path.suffix == ".js" else "application/json"
            self._send(200, path.read_bytes(), kind)
        elif not address.path.endswith("/bundle") or self.service.down:
            self._drop()
        else:
            wait = float(parse_qs(address.query).get("wait", ["0"])[0])
            status, body = self.service.newest(self.headers["If-None-Match"], wait)
            self._send(status, b"" if body is None else json.dumps(body).encode(), "application/json")

    def do_POST(self) -> None:
        """Events."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.service.down:
            return self._drop()
        status, answer = self.service.take(body)
        if self.service.lose > 0:
            self.service.lose -= 1
            return self._drop()
        return self._send(status, json.dumps(answer).encode(), "application/json")

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        if self.path == "/strict":
            self.send_header("Content-Security-Policy", STRICT)
        self.end_headers()
        self.wfile.write(body)

    def _drop(self) -> None:
        """End the connection without an answer."""
        self.close_connection = True
