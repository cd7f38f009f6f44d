"""Clients that decide and reward without end, and send again what was not answered."""

import itertools
import threading
from types import TracebackType
from typing import Any, Self

import httpx

THREADS = 4


class Load:
    """Threads that ask a service, each with units and ids of its own.

    A request that is not answered with 200 is sent again with the same ids, until it is or the load ends.

    Attributes:
        decided: local ids of decisions acknowledged.
        rewarded: ids of rewards acknowledged.
        sent: local ids ever sent, acknowledged or not.
    """

    def __init__(self, url: str, *, retry: bool = True) -> None:
        self._url = url
        self._retry = retry
        self._stop = threading.Event()
        self._acknowledged = threading.Condition()
        self.decided: set[str] = set()
        self.rewarded: set[str] = set()
        self.sent: set[str] = set()
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(THREADS)]

    def await_more(self, count: int) -> None:
        """Wait until so many more decisions are acknowledged."""
        with self._acknowledged:
            target = len(self.decided) + count
            assert self._acknowledged.wait_for(lambda: len(self.decided) >= target, 60)

    def finish(self) -> None:
        """Let every thread end with what it is at."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, thread: int) -> None:
        with httpx.Client(base_url=self._url, timeout=20) as client:
            for n in itertools.count():
                if self._stop.is_set():
                    return
                ids = [f"{thread}-{n}-{i}" for i in range(1 if n % 2 else 5)]
                self.sent.update(ids)
                decisions = [{"unit": f"u-{id}", "decision": id} for id in ids]
                if not self._post(client, "decisions", decisions):
                    return
                with self._acknowledged:
                    self.decided.update(ids)
                    self._acknowledged.notify_all()
                rewards = [{"unit": f"u-{id}", "decision": id, "value": 1, "reward_id": id} for id in ids]
                if not self._post(client, "rewards", rewards):
                    return
                self.rewarded.update(ids)

    def _post(self, client: httpx.Client, verb: str, items: list[dict[str, Any]]) -> bool:
        """Send until acknowledged; whether it was."""
        body: Any = items if len(items) > 1 else items[0]
        while True:
            try:
                answered = client.post(f"/v1/loops/news/{verb}", json=body)
                if answered.status_code == 200:
                    assert "error" not in answered.text
                    return True
                assert answered.status_code == 503, answered.text
            except httpx.TransportError:
                pass
            if not self._retry:
                return False
            # Nobody listens while the service is down: looked at again in a moment.
            threading.Event().wait(0.02)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._retry = False
        self.finish()
