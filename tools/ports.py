"""Ports that may be listened on in a moment, by a process that has not started yet."""

import random
import socket
from contextlib import ExitStack

LOWEST, HIGHEST = 10_000, 32_000
"""Below those that systems give to connections (32768 and up on Linux, IANA's 49152 elsewhere).

A port of theirs can be given to any connection between here and the start of who is to listen on it; and a client
that tries to reach a server that is down would be given the server's own port now and then, and keep it from
coming back.
"""


def free_ports(count: int = 1) -> list[int]:
    """Ports of 127.0.0.1 in a row that nobody listens on, all found before any is let go."""
    while True:
        first = random.randrange(LOWEST, HIGHEST - count)
        ports = list(range(first, first + count))
        with ExitStack() as taken:
            try:
                for port in ports:
                    taken.enter_context(socket.create_server(("127.0.0.1", port)))
            except OSError:
                continue
            return ports
