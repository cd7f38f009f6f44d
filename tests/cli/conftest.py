"""Running the command line in this process."""

import logging
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from foldline.cli import main


@dataclass(frozen=True)
class Ran:
    """What a command left: its exit status and what it printed."""

    status: int
    out: str
    err: str


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Ran]]:
    """Run `foldline` with the arguments given."""
    before = signal.getsignal(signal.SIGTERM)
    root, server = logging.getLogger(), logging.getLogger("uvicorn.error")
    # Roles write log lines their own way; what runs here after them does not.
    handlers, level, server_level = root.handlers[:], root.level, server.level

    def running(*arguments: str) -> Ran:
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        printed = capsys.readouterr()
        code = stopped.value.code
        return Ran(code if isinstance(code, int) else 0, printed.out, printed.err)

    yield running
    signal.signal(signal.SIGTERM, before)
    root.handlers[:] = handlers
    root.setLevel(level)
    server.setLevel(server_level)
