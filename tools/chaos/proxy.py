"""A detour that can be cut: bytes stop in both directions, connections stay, as when a cable is pulled."""

import asyncio
import threading
from collections.abc import Sequence
from contextlib import suppress

CHUNK = 65_536


class Detours:
    """Leads ports of loopback to others, in a thread of its own.

    Args:
        ports: from which to which.
    """

    def __init__(self, ports: Sequence[tuple[int, int]]) -> None:
        self._loop = asyncio.new_event_loop()
        self._open = asyncio.Event()
        self._open.set()
        self._servers: list[asyncio.Server] = []
        self._thread = threading.Thread(target=self._loop.run_forever, name="detours", daemon=True)
        self._thread.start()
        for near, far in ports:
            asyncio.run_coroutine_threadsafe(self._lead(near, far), self._loop).result(10)

    def cut(self) -> None:
        """Let nothing through."""
        self._loop.call_soon_threadsafe(self._open.clear)

    def heal(self) -> None:
        """Let everything through, what was held up first."""
        self._loop.call_soon_threadsafe(self._open.set)

    def close(self) -> None:
        """Close every connection."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        for task in asyncio.all_tasks(self._loop):
            task.cancel()
        for server in self._servers:
            server.close()
        self._loop.run_until_complete(asyncio.sleep(0.1))
        self._loop.close()

    async def _lead(self, near: int, far: int) -> None:
        async def meet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                onward = await asyncio.open_connection("127.0.0.1", far)
            except OSError:
                writer.close()
                return
            # Cancelled only as all is closed; the server's own callback would print that as an error.
            with suppress(asyncio.CancelledError):
                await asyncio.gather(self._carry(reader, onward[1]), self._carry(onward[0], writer))

        self._servers.append(await asyncio.start_server(meet, "127.0.0.1", near))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(CHUNK):
                await self._open.wait()
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()
