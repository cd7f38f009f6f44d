"""An edge client's contact with its service: the bundle in use, when it was last confirmed, and what went wrong since.

What the hot path reads is swapped whole; everything else is told by the link's thread and waited for here.
"""

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import quote

from foldline.client import forks
from foldline.client.courier import Courier
from foldline.client.drawing import Drawing, Fallback, local_ids
from foldline.client.link import Link
from foldline.client.outbox import Outbox
from foldline.client.transport import Clock
from foldline.errors import FoldError, FoldlineError, InputError, RequestError
from foldline.loops.edge_bundle import decode_edge_bundle, encode_edge_bundle

_logger = logging.getLogger("foldline.client")

KEPT_MS: Final = 60_000
"""That the bundle kept still is the newest is written down at most so often."""

_HOPELESS: Final = frozenset({"http.unauthorized", "http.forbidden", "http.not_found", "input.unknown_loop"})
"""Answers after which waiting for a first bundle is no use."""


class Contact:
    """What an edge client knows of its service. Thread-safe.

    Args:
        url: of the service.
        key: for it.
        loop: name of the loop.
        fallback: the action decided before any bundle came, None to refuse.
        outbox: what is delivered; keeps the bundle too.
        timeout_s: seconds a request may wait for the network.
        clock: milliseconds.
        rng: draws the jitter of pauses.

    Attributes:
        drawing: decides now.
        ids: makes local ids.
        link: the thread; None before the first `start`, after a fork, and in the end.
        heard_ms: when the service last said that the bundle in use is the newest.
        error: why the last word did not get through, None where it did.
    """

    def __init__(
        self,
        url: str,
        key: str | None,
        loop: str,
        fallback: str | None,
        outbox: Outbox,
        *,
        timeout_s: float,
        clock: Clock,
        rng: random.Random,
    ) -> None:
        self._url, self._key, self._loop = url, key, loop
        self._outbox = outbox
        self._courier = Courier(outbox.path)
        self._timeout_s = timeout_s
        self._clock = clock
        self._rng = rng
        self._changed = threading.Condition()
        self._closed = False
        self._faults: dict[bool, FoldlineError | None] = {True: None, False: None}
        self._kept: tuple[str, int] | None = None
        self.drawing: Drawing | Fallback = Fallback(loop, fallback)
        self.ids = local_ids()
        self.link: Link | None = None
        self.heard_ms: int | None = None
        self.error: FoldlineError | None = None
        self._restore()
        forks.watch(self)

    def start(self) -> None:
        """Start the thread, unless it runs.

        Raises:
            RequestError: `edge.closed`.
        """
        with self._changed:
            if self._closed:
                raise RequestError(
                    "edge.closed", f"the edge client of loop {self._loop!r} was closed; make another"
                )
            if self.link is None:
                link = Link(
                    self,
                    url=self._url,
                    key=self._key,
                    path=f"/v1/loops/{quote(self._loop, safe='')}",
                    outbox=self._outbox,
                    courier=self._courier,
                    timeout_s=self._timeout_s,
                    clock=self._clock,
                    rng=self._rng,
                )
                delivery = link.delivery
                if delivery is not None:
                    self._outbox.on_append = delivery.poke
                self.link = link

    def await_bundle(self, timeout_s: float, *, other_than: str | None = None, patient: bool = True) -> bool:
        """Wait for a bundle other than that of a hash.

        Args:
            timeout_s: seconds.
            other_than: the hash, None for any.
            patient: whether to wait on where the service says that there will be none.

        Returns:
            Whether there is one.
        """

        def there() -> bool:
            return self.known() not in {None, other_than}

        def hopeless() -> bool:
            return not patient and self.error is not None and self.error.code in _HOPELESS

        return self._await(lambda: there() or hopeless(), timeout_s) and there()

    def flush(self, timeout_s: float, hopeless: Callable[[], bool] = lambda: False) -> bool:
        """Wait until what is in the outbox now has been answered, or there is no hope.

        Returns:
            Whether it has been.
        """
        end, _ = self._outbox.end()
        if self.link is not None and self.link.delivery is not None:
            self.link.delivery.hurry()

        def answered() -> bool:
            return self._outbox.end()[1] >= end

        return self._await(lambda: answered() or hopeless(), timeout_s) and answered()

    def close(self, timeout_s: float) -> None:
        """Deliver what can be, end the thread, keep the bundle. Idempotent."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
        try:
            if self.link is not None:
                self._deliver_last(self.link, timeout_s)
                self.link = None
            self._keep(least_ms=0)
        finally:
            self._courier.give_up()

    def no_bundle(self, what: str) -> FoldError:
        """The error of there being no bundle."""
        why = "" if self.error is None else f" ({self.error})"
        return FoldError("fold.no_bundle", f"loop {self._loop!r} at {self._url}: {what}{why}")

    # What the link calls, from its thread.

    def known(self) -> str | None:
        """Hash of the bundle in use, None before the first."""
        bundle = self.drawing.bundle
        return None if bundle is None else bundle.hash

    def tag(self) -> str | None:
        """Hash of all that is decided with, experiments included; None before the first."""
        edge = self.drawing.edge
        return None if edge is None else edge.hash

    def take(self, payload: bytes) -> None:
        """Decide with a bundle from now on, if it is sound.

        Raises:
            FoldlineError: its hash does not match, it is another loop's, or this version cannot decide with it.
        """
        edge = decode_edge_bundle(payload)
        bundle = edge.bundle
        if bundle.loop != self._loop:
            raise InputError(
                "input.unknown_loop",
                f"the bundle is of loop {bundle.loop!r}, not of {self._loop!r}",
                field="loop",
            )
        self.drawing = Drawing(edge)
        self.heard()

    def heard(self) -> None:
        """The service says that the bundle in use is the newest."""
        self.heard_ms = self._clock()
        self._got(None, following=True)

    def failed(self, error: FoldlineError, *, following: bool) -> None:
        """The service was not reached, or refused."""
        known = self._faults[following]
        if known is None or known.code != error.code:
            _logger.warning("%s: %s", "following bundles" if following else "delivering events", error)
        self._got(error, following=following)

    def changed(self) -> None:
        """Something was delivered, or a try failed."""
        delivery = self.link.delivery if self.link is not None else None
        if delivery is not None and not delivery.failures:
            self._faults[False] = None
        self._got(self._faults[False], following=False)

    def keep(self) -> None:
        """Write the bundle down, if it is not the one kept; or, once a minute, that it still is the newest."""
        self._keep(least_ms=KEPT_MS)

    def before_fork(self) -> None:
        """No thread must be inside when the process is copied."""
        self._changed.acquire()

    def after_fork(self, *, child: bool) -> None:
        """The child has no thread yet: it starts one when it next decides or reports."""
        if not child:
            self._changed.release()
            return
        self._changed = threading.Condition()
        self.ids = local_ids()
        self.link = None

    def _await(self, holds: Callable[[], bool], timeout_s: float) -> bool:
        """Wait until something holds; looks whenever anything changed, and now and then for other processes."""
        deadline = time.monotonic() + timeout_s
        while not holds():
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            with self._changed:
                self._changed.wait(min(left, 0.05))
        return True

    def _got(self, error: FoldlineError | None, *, following: bool) -> None:
        with self._changed:
            self._faults[following] = error
            self.error = self._faults[True] or self._faults[False]
            self._changed.notify_all()

    def _keep(self, *, least_ms: int) -> None:
        edge, heard = self.drawing.edge, self.heard_ms
        if edge is None or heard is None:
            return
        if self._kept is None or self._kept[0] != edge.hash or heard - self._kept[1] > least_ms:
            self._outbox.keep_bundle(encode_edge_bundle(edge), heard)
            self._kept = edge.hash, heard

    def _deliver_last(self, link: Link, timeout_s: float) -> None:
        """One try without network is enough, three where the rest is lost; then the thread ends in any case."""
        delivery = link.delivery
        enough = (delivery.failures if delivery is not None else 0) + (1 if self._outbox.durable else 3)
        try:
            self.flush(timeout_s, lambda: delivery is not None and delivery.failures >= enough)
        finally:
            link.stop()

    def _restore(self) -> None:
        """Use the bundle kept, if there is one."""
        kept = self._outbox.kept_bundle()
        if kept is None:
            return
        payload, heard = kept
        try:
            edge = decode_edge_bundle(payload)
            self.drawing = Drawing(edge)
        except FoldlineError as error:
            _logger.warning("the bundle kept in %s cannot be used: %s", self._outbox.path, error)
            return
        self.heard_ms, self._kept = heard, (edge.hash, heard)
