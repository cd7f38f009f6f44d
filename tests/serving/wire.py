"""Raw sockets: clients that send what no library would."""

import json
import socket
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True)
class Reply:
    """An answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The code of the error in it."""
        return str(json.loads(self.body)["error"]["code"])

    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


class Wire:
    """A connection whose bytes are ours."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, timeout=30)
        self._incoming = self.socket.makefile("rb")

    def send(self, data: bytes) -> Self:
        """Send bytes as they are."""
        self.socket.sendall(data)
        return self

    def post(self, path: str, body: bytes, *, length: int | None = None, method: str = "POST") -> Self:
        """Send a request; `length` where it lies about the body's."""
        return self.send(request(path, body, length=length, method=method))

    def read(self) -> Reply:
        """The next answer."""
        status = self._incoming.readline()
        if not status:
            raise EOFError("the service closed without an answer")
        headers: dict[str, str] = {}
        while line := self._incoming.readline().strip().decode("latin-1"):
            name, _, value = line.partition(": ")
            headers[name.lower()] = value
        body = self._incoming.read(int(headers.get("content-length", 0)))
        return Reply(int(status.split()[1]), headers, body)

    def rest(self) -> bytes:
        """All that comes until the service closes."""
        try:
            return self._incoming.read()
        except ConnectionResetError:
            return b""

    def vanish(self) -> None:
        """Close both ways."""
        self._incoming.close()
        self.socket.close()

    def half_close(self) -> Self:
        """Send no more."""
        self.socket.shutdown(socket.SHUT_WR)
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.vanish()


def request(path: str, body: bytes, *, length: int | None = None, method: str = "POST") -> bytes:
    """A request's bytes."""
    size = len(body) if length is None else length
    return f"{method} {path} HTTP/1.1\r\nHost: test\r\nContent-Length: {size}\r\n\r\n".encode() + body
