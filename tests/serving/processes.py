"""The service and the learner as processes of their own."""

import json
import os
import signal
import subprocess
import sys
import threading
from types import TracebackType
from typing import Any, Self


class Process:
    """A `foldline` command that runs until it is told to stop.

    Attributes:
        popen: the process.
        lines: what it wrote to standard error, complete once it has ended.
    """

    def __init__(self, *arguments: str) -> None:
        code = "from foldline.cli import main; main()"
        self.popen = subprocess.Popen(
            [sys.executable, "-c", code, *arguments, "--json", "--log-format", "json"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def ready(self) -> dict[str, Any]:
        """What it says once it is ready."""
        assert self.popen.stdout is not None
        line = self.popen.stdout.readline()
        assert line, "".join(self.lines)
        said: dict[str, Any] = json.loads(line)
        return said

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, await the end; the exit status."""
        self.popen.send_signal(number)
        status = self.popen.wait(60)
        self._reader.join()
        return status

    def messages(self) -> list[str]:
        """The messages of its log lines."""
        return [json.loads(line)["message"] for line in self.lines]

    def rss(self) -> int:
        """Bytes of memory it holds now."""
        with open(f"/proc/{self.popen.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def _read(self) -> None:
        assert self.popen.stderr is not None
        self.lines.extend(self.popen.stderr)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.popen.poll() is None:
            self.popen.kill()
            self.popen.wait()
        self._reader.join()
        for pipe in (self.popen.stdout, self.popen.stderr):
            if pipe is not None:
                pipe.close()
