"""The learners of a storm: processes that are started again when they are gone, as a supervisor would."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

LOOK_S = 0.5

READY = "learning on "
"""What a learner says once it learns."""


class Learners:
    """Processes of `foldline learn`, by number.

    Args:
        urls: the log, as each of them is to reach it.
        folder: where they write what they have to say.
        tell: called with what happened by itself.
    """

    def __init__(self, urls: list[str], folder: Path, tell: Callable[[str], None]) -> None:
        self.gone = 0
        self._urls = urls
        self._folder = folder
        self._tell = tell
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._running = [self._start(number) for number in range(len(urls))]
        self._thread = threading.Thread(target=self._supervise, name="supervisor", daemon=True)
        self._thread.start()

    def __len__(self) -> int:
        return len(self._urls)

    def await_ready(self, seconds: float) -> None:
        """Until each says that it learns, or for so long: harm done before would meet nobody."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if all(READY in self._words(number) for number in range(len(self))):
                return
            self._over.wait(LOOK_S)
        self._tell(f"not every learner has begun within {seconds:g} s")

    def kill(self, number: int) -> None:
        """SIGKILL one, and start it again."""
        with self._lock:
            self._running[number].kill()
            self._running[number].wait()
            self._running[number] = self._start(number)

    def stop(self, number: int, seconds: float) -> None:
        """SIGSTOP one, and SIGCONT it later."""
        with self._lock:
            victim = self._running[number]
        victim.send_signal(signal.SIGSTOP)
        self._over.wait(seconds)
        victim.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """SIGTERM all, and SIGKILL who does not end."""
        self._over.set()
        self._thread.join()
        for process in self._running:
            process.terminate()
        for process in self._running:
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                self._tell("a learner did not end when it was told to")
                process.kill()
                process.wait()

    def _start(self, number: int) -> "subprocess.Popen[bytes]":
        # On one machine brokers must not wait for those who wait for them.
        program = str(Path(sys.executable).parent / "foldline")
        with open(self._folder / f"learner{number}.log", "ab") as out:
            command = ["nice", "-n", "10", program, "learn", "--log", self._urls[number]]
            return subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL)

    def _supervise(self) -> None:
        while not self._over.wait(LOOK_S):
            with self._lock:
                for number, process in enumerate(self._running):
                    if process.poll() is not None:
                        self.gone += 1
                        self._tell(
                            f"learner {number} ended by itself with {process.returncode}; started again. "
                            f"Its last words: {self._last_words(number)}"
                        )
                        self._running[number] = self._start(number)

    def _last_words(self, number: int) -> str:
        lines = self._words(number).splitlines()
        return lines[-1] if lines else "none"

    def _words(self, number: int) -> str:
        return (self._folder / f"learner{number}.log").read_text(errors="replace")
