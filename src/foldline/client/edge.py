"""The edge client: an app that decides by itself and tells the service later."""

import logging
import os
import random
import threading
import time
from collections.abc import Callable, Collection
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import quote

from foldline.client import bodies, forks
from foldline.client.calls import local_of, named
from foldline.client.courier import Courier
from foldline.client.drawing import Drawing, Fallback, local_ids
from foldline.client.link import Link
from foldline.client.outbox import Outbox, Refusal
from foldline.client.outbox_file import Durability
from foldline.client.transport import Clock, headers_of, httpx_of, wall_clock
from foldline.errors import FoldError, FoldlineError, InputError, RequestError
from foldline.loops.bundle import Bundle, decode_bundle, encode_bundle
from foldline.records.ids import checked_name
from foldline.records.types import Decision

_logger = logging.getLogger("foldline.client")

_HOPELESS = frozenset({"http.unauthorized", "http.forbidden", "http.not_found", "input.unknown_loop"})
"""Answers after which waiting for a first bundle is no use."""


class EdgeStats(NamedTuple):
    """How an edge client is doing.

    Attributes:
        waiting: events in the outbox that the service has not answered yet.
        delivered: events the service has, over the outbox's life.
        refused: events the service found unusable; see `Edge.refused`.
        renamed: how often the outbox began under a new name because the service's numbers contradicted its own.
        bundle: hash of the bundle decided with, None before the first.
        age_s: seconds since the service last said that it is the newest, None before the first.
        online: whether the last word between app and service got through.
        error: why not, None where it did.
    """

    waiting: int
    delivered: int
    refused: int
    renamed: int
    bundle: str | None
    age_s: float | None
    online: bool
    error: str | None


class Edge:
    """Decides in the app, with the newest bundle that came from the service. Thread-safe.

    Deciding and reporting never wait for the network: what happened stands in the outbox first, on disk, and a thread
    delivers it in order, once, with the propensity it had. Without network the last bundle goes on deciding; the
    outbox keeps it, so a restart without network does too.

    Several processes may share an outbox file: all append, one of them delivers. After a fork both sides go on, the
    child with an outbox of its own where it is in memory. One file serves one loop.

    Args:
        url: of the service.
        loop: name of the loop.
        key: with the roles `decide` and `reward`; None where the service wants none.
        outbox: path of the file, made where there is none. None keeps events in memory: what is not delivered when
            the process ends is lost.
        durability: `durable` has every event on disk before the call returns; `fast` leaves the syncing to the
            operating system, which a crash of the app survives, one of the machine not.
        fallback: the action decided before any bundle came, logged as such; None refuses instead.
        max_events: that may wait for the service; then reports are refused rather than dropped.
        wait_s: seconds this call waits for a first bundle, where none is kept and there is no fallback.
        timeout_s: seconds a request in the background may wait for the network.
        clock: milliseconds, `occurred` of what is reported; the wall clock by default.
        rng: draws the jitter of pauses between tries.

    Raises:
        InputError: loop, key or fallback are not well formed.
        RequestError: `edge.not_an_outbox`, `edge.unavailable`.
        MissingExtra: the extra `client` is not installed.

    Example:
        >>> import foldline as fl
        >>> with fl.Edge("http://127.0.0.1:9", loop="news", fallback="a") as news:
        ...     choice = news.decide(unit="u3")
        ...     news.reward(choice, 1)
        ...     print(choice.action, choice.propensity, choice.bundle, news.stats().waiting)
        a 1.0 fallback 2
    """

    def __init__(
        self,
        url: str,
        *,
        loop: str,
        key: str | None = None,
        outbox: str | os.PathLike[str] | None = None,
        durability: Durability = "durable",
        fallback: str | None = None,
        max_events: int = 1_000_000,
        wait_s: float = 5.0,
        timeout_s: float = 10.0,
        clock: Clock = wall_clock,
        rng: random.Random | None = None,
    ) -> None:
        httpx_of("Edge")
        headers_of(key)
        if durability not in ("durable", "fast"):
            raise InputError(
                "input.invalid",
                f"durability is {durability!r}, expected 'durable' or 'fast'",
                field="durability",
            )
        self._url, self._key = url.rstrip("/"), key
        self._name = checked_name(loop, "loop")
        self._timeout_s = timeout_s
        self._clock = clock
        self._rng = rng or random.Random()
        self._drawing: Drawing | Fallback = Fallback(loop, fallback)
        self._ids = local_ids()
        self._changed = threading.Condition()
        self._closed = False
        self._error: FoldlineError | None = None
        self._faults: dict[bool, FoldlineError | None] = {True: None, False: None}
        self._heard: int | None = None
        self._kept: str | None = None
        path = None if outbox is None else os.path.abspath(outbox)
        self._outbox = Outbox(path, loop, durability=durability, max_events=max_events)
        self._courier = Courier(self._outbox.path)
        self._link: Link | None = None
        forks.watch(self)
        self._restore()
        self._start()
        if self.known() is None and fallback is None:
            self._await(self._known_or_hopeless, wait_s)

    @property
    def name(self) -> str:
        """The loop's name."""
        return self._name

    @property
    def bundle(self) -> Bundle:
        """The bundle decided with now.

        Raises:
            FoldError: `fold.no_bundle` before the first one.
        """
        bundle = self._drawing.bundle
        if bundle is None:
            raise self._no_bundle("no bundle has come yet")
        return bundle

    def decide(
        self,
        unit: str,
        *,
        context: dict[str, Any] | None = None,
        available: Collection[str] | None = None,
        id: str | None = None,
        log: bool = True,
    ) -> Decision:
        """Choose an action for a unit; in the outbox when this returns. Never waits for the network.

        Args:
            unit: who or what is decided for; 1 to 400 characters.
            context: features, logged by value; finite numbers, strings, lists, dicts.
            available: the actions allowed now, where fewer than the loop's.
            id: the caller's own id, for retries: the same id and unit count once. Random by default.
            log: False keeps the decision out of the outbox; report it later with `outcome`.

        Returns:
            The decision, as the service would have drawn it. Before any bundle came: the fallback, whose bundle is
            `fallback`, definition 0 and id the local part only.

        Raises:
            InputError: unit, id, context or available are not usable.
            FoldError: `fold.no_bundle` before the first bundle, without a fallback.
            RequestError: `edge.full`, `edge.unavailable`, `edge.closed`.
        """
        if self._link is None:
            self._start()
        drawing = self._drawing
        local = self._ids() if id is None else drawing.checked_local(id, unit)
        made, line = drawing.decide(unit, local, self._clock(), context, available)
        if log:
            self._outbox.append(line)
        return made

    def reward(
        self,
        decision: Decision | str | None,
        value: float,
        *,
        unit: str | None = None,
        name: str | None = None,
        id: str | None = None,
    ) -> None:
        """Report how a decision went; in the outbox when this returns.

        Args:
            decision: the decision, or its id or the caller's own together with `unit`; None credits the last
                decision of `unit`.
            value: within the loop's range, which the service checks; see `refused`.
            unit: see `decision`.
            name: which reward this is; the loop's by default.
            id: the reward's own: the same id counts once. Random by default.

        Raises:
            InputError: `input.not_finite`, `input.invalid`.
            RequestError: `edge.full`, `edge.unavailable`, `edge.closed`.
        """
        target, unit = _with_unit(decision, unit)
        self._append(
            bodies.RewardEvent(
                decision=target,
                unit=unit,
                value=bodies.checked_value(value),
                name=None if name is None else checked_name(name, "name"),
                reward_id=self._ids() if id is None else checked_name(id, "id"),
                occurred=self._clock(),
            )
        )

    def outcome(self, decision: Decision, reward: float) -> None:
        """Report a decision made with `log=False` together with its reward; in the outbox when this returns."""
        event = bodies.OutcomeEvent(
            decision=local_of(decision),
            unit=decision.unit,
            action=decision.action,
            propensity=decision.propensity,
            reward=bodies.checked_value(reward, "reward"),
            bundle=decision.bundle,
            definition=decision.definition,
            available=decision.available,
            context=decision.context,
            occurred=decision.occurred,
        )
        self._append(event, decision.context)

    def activate(self, decision: Decision | str, *, unit: str | None = None) -> None:
        """Report that a decision was shown; needed where the loop asks for activations."""
        target, unit = _with_unit(decision, unit)
        self._append(bodies.ActivationEvent(decision=target or "", unit=unit, occurred=self._clock()))

    def await_bundle(self, timeout_s: float = 30.0, *, other_than: str | None = None) -> Bundle:
        """Wait for a bundle.

        Args:
            timeout_s: seconds.
            other_than: a hash: wait until a bundle with another is in use.

        Raises:
            FoldError: `fold.no_bundle` if none comes within the time.
        """

        def there() -> bool:
            bundle = self._drawing.bundle
            return bundle is not None and bundle.hash != other_than

        if not self._await(there, timeout_s):
            raise self._no_bundle(f"none other than {other_than} came within {timeout_s:g} s")
        return self.bundle

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until everything reported so far has been answered by the service.

        Returns:
            Whether it has been within the time.
        """
        return self._flush(timeout_s, lambda: False)

    def refused(self) -> list[Refusal]:
        """Events the service found unusable, oldest first, with the reasons; the newest 10,000 are kept."""
        return self._outbox.refused()

    def stats(self) -> EdgeStats:
        """How it is doing."""
        heard = self._heard
        return EdgeStats(
            *self._outbox.counts(),
            bundle=self.known(),
            age_s=None if heard is None else max(0, self._clock() - heard) / 1000,
            online=self._error is None and heard is not None and self._link is not None,
            error=None if self._error is None else str(self._error),
        )

    def close(self, timeout_s: float = 5.0) -> None:
        """Deliver what can be delivered within the time, and stop. The rest stays in the file. Idempotent.

        Without network that takes one try, not all the time; in memory, where the rest is lost, all of it.
        """
        with self._changed:
            if self._closed:
                return
            self._closed = True
        link = self._link
        if link is not None:
            delivery = link.delivery
            before = delivery.failures if delivery is not None else 0
            self._flush(
                timeout_s,
                lambda: self._outbox.durable and delivery is not None and delivery.failures > before,
            )
            link.stop()
            self._link = None
        self.keep()
        left = self._outbox.counts().waiting
        if left and not self._outbox.durable:
            _logger.warning("%d events of loop %r were kept in memory only and are lost", left, self._name)
        self._courier.give_up()
        self._outbox.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # What the link calls, from its thread.

    def known(self) -> str | None:
        """Hash of the bundle in use, None before the first."""
        bundle = self._drawing.bundle
        return None if bundle is None else bundle.hash

    def take(self, payload: bytes) -> None:
        """Decide with a bundle from now on, if it is sound.

        Raises:
            FoldlineError: its hash does not match, it is another loop's, or this version cannot decide with it.
        """
        bundle = decode_bundle(payload)
        if bundle.loop != self._name:
            raise InputError(
                "input.unknown_loop",
                f"the bundle is of loop {bundle.loop!r}, not of {self._name!r}",
                field="loop",
            )
        self._drawing = Drawing(bundle)
        self.heard()

    def heard(self) -> None:
        """The service says that the bundle in use is the newest."""
        self._heard = self._clock()
        self._got(None, following=True)

    def failed(self, error: FoldlineError, *, following: bool) -> None:
        """The service was not reached, or refused."""
        known = self._faults[following]
        if known is None or known.code != error.code:
            _logger.warning("%s: %s", "following bundles" if following else "delivering events", error)
        self._got(error, following=following)

    def changed(self) -> None:
        """Something was delivered, or a try failed."""
        delivery = self._link.delivery if self._link is not None else None
        if delivery is not None and not delivery.failures:
            self._faults[False] = None
        self._got(self._faults[False], following=False)

    def keep(self) -> None:
        """Write the bundle down, if it is not the one kept."""
        bundle = self._drawing.bundle
        if bundle is not None and bundle.hash != self._kept and self._heard is not None:
            self._outbox.keep_bundle(encode_bundle(bundle), self._heard)
            self._kept = bundle.hash

    def before_fork(self) -> None:
        """No thread must be inside when the process is copied."""
        self._changed.acquire()

    def after_fork(self, *, child: bool) -> None:
        """The child has no thread yet: it starts one when it next decides or reports."""
        if not child:
            self._changed.release()
            return
        self._changed = threading.Condition()
        self._ids = local_ids()
        self._link = None

    def _got(self, error: FoldlineError | None, *, following: bool) -> None:
        with self._changed:
            self._faults[following] = error
            self._error = self._faults[True] or self._faults[False]
            self._changed.notify_all()

    def _restore(self) -> None:
        """Use the bundle kept, if there is one."""
        kept = self._outbox.kept_bundle()
        if kept is None:
            return
        payload, heard = kept
        try:
            bundle = decode_bundle(payload)
            self._drawing = Drawing(bundle)
        except FoldlineError as error:
            _logger.warning("the bundle kept in %s cannot be used: %s", self._outbox.path, error)
            return
        self._heard, self._kept = heard, bundle.hash

    def _start(self) -> None:
        with self._changed:
            if self._closed:
                raise RequestError(
                    "edge.closed", f"the edge client of loop {self._name!r} was closed; make another"
                )
            if self._link is None:
                link = Link(
                    self,
                    url=self._url,
                    key=self._key,
                    path=f"/v1/loops/{quote(self._name, safe='')}",
                    outbox=self._outbox,
                    courier=self._courier,
                    timeout_s=self._timeout_s,
                    clock=self._clock,
                    rng=self._rng,
                )
                delivery = link.delivery
                if delivery is not None:
                    self._outbox.on_append = delivery.poke
                self._link = link

    def _append(self, event: bodies.Body, context: dict[str, Any] | None = None) -> None:
        if self._link is None:
            self._start()
        self._outbox.append(bodies.encode_body(event, context))

    def _flush(self, timeout_s: float, hopeless: Callable[[], bool]) -> bool:
        end, _ = self._outbox.end()
        link = self._link
        if link is not None and link.delivery is not None:
            link.delivery.hurry()
        return self._await(lambda: self._outbox.end()[1] >= end or hopeless(), timeout_s) and (
            self._outbox.end()[1] >= end
        )

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

    def _known_or_hopeless(self) -> bool:
        error = self._error
        return self.known() is not None or (error is not None and error.code in _HOPELESS)

    def _no_bundle(self, what: str) -> FoldError:
        why = "" if self._error is None else f" ({self._error})"
        return FoldError("fold.no_bundle", f"loop {self._name!r} at {self._url}: {what}{why}")


def _with_unit(decision: Decision | str | None, unit: str | None) -> tuple[str | None, str]:
    """The decision named, and its unit, which an event always needs."""
    target, unit = named(decision, unit)
    if unit is None:
        raise InputError(
            "input.invalid",
            f"decision {decision!r:.80} came without its unit; pass the decision itself, or unit=",
            field="unit",
            expected="the unit decided for",
        )
    return target, unit
