"""Running the command line in this process."""

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

    def running(*arguments: str) -> Ran:
        with pytest.raises(SystemExit) as stopped:
            main(arguments)
        printed = capsys.readouterr()
        code = stopped.value.code
        return Ran(code if isinstance(code, int) else 0, printed.out, printed.err)

    yield running
    signal.signal(signal.SIGTERM, before)
