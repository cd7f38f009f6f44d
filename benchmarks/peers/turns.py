"""Two measured things take turns, so that both meet the machine's fast and slow times: one stands still meanwhile."""

import multiprocessing
import os
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

Pause = Callable[[int], None]
"""Says how far it is, and stands still until the other has come as far."""


class Turns:
    """Runs functions in a process of its own, which is stopped, all its threads, whenever a function pauses."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._here, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(there,), daemon=True)
        self._process.start()
        self._here.recv()

    def run(self, function: Callable[..., Any], *given: Any, follow: Pause) -> Any:
        """What `function(*given, pause)` returns there; `follow` is called here at each pause.

        Raises:
            EOFError: the process died; it has printed why.
        """
        self._here.send((function, given))
        while True:
            kind, value = self._here.recv()
            if kind == "end":
                return value
            os.waitpid(self._process.pid or 0, os.WUNTRACED)
            follow(value)
            os.kill(self._process.pid or 0, signal.SIGCONT)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()


def _serve(there: Connection) -> None:
    from foldline.engine.warming import warm_up

    def pause(value: int) -> None:
        there.send(("at", value))
        os.kill(os.getpid(), signal.SIGSTOP)

    warm_up()
    there.send(None)
    while True:
        function, given = there.recv()
        there.send(("end", function(*given, pause)))
