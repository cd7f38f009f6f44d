"""A line to a service that can be cut: a port of this machine that forwards to another, until told not to."""

import asyncio
import threading
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

CHUNK_BYTES = 1 << 16

Result = TypeVar("Result")


class Line:
    """Forwards connections to a service in a thread of its own. Thread-safe.

    Args:
        url: of the service, such as `http://127.0.0.1:8080`.

    Attributes:
        url: what to connect to instead.

    Example:
        >>> with Line("http://127.0.0.1:9") as line:
        ...     line.cut()
        ...     line.url.startswith("http://127.0.0.1:")
        True
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._open = True
        self._ends: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="foldline-line", daemon=True)
        self._thread.start()
        self._server: asyncio.Server = self._run(asyncio.start_server(self._forward, "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def cut(self) -> None:
        """Break every connection, and each that is tried from now on."""
        self._open = False
        self._run(self._break())

    def mend(self) -> None:
        """Forward again."""
        self._open = True

    def close(self) -> None:
        """Break every connection and give the port up."""
        self._open = False
        self._run(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        ends = [writer]
        self._ends.add(writer)
        try:
            if not self._open:
                return
            there, back = await asyncio.open_connection(self._host, self._port)
            ends.append(back)
            self._ends.add(back)
            await asyncio.gather(self._copy(reader, back), self._copy(there, writer))
        except OSError:
            return
        finally:
            for end in ends:
                self._ends.discard(end)
                end.close()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while self._open and (data := await reader.read(CHUNK_BYTES)):
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()

    async def _break(self) -> None:
        for end in list(self._ends):
            end.transport.abort()

    async def _shut(self) -> None:
        self._server.close()
        await self._break()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.gather(*tasks, return_exceptions=True)

    def _run(self, step: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(step, self._loop).result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
