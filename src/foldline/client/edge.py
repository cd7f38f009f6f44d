"""The edge client: an app that decides by itself and tells the service later."""

import logging
import os
import random
from collections.abc import Collection
from types import TracebackType
from typing import Any, NamedTuple, Self

from foldline.client import bodies
from foldline.client.contact import Contact
from foldline.client.named import local_of, named
from foldline.client.outbox import Outbox
from foldline.client.outbox_file import Durability
from foldline.client.refusal import Refusal
from foldline.client.transport import Clock, checked_url, headers_of, httpx_of, wall_clock
from foldline.errors import InputError
from foldline.loops import messages
from foldline.loops.bundle import Bundle
from foldline.loops.followed import followed
from foldline.records.ids import checked_name
from foldline.records.types import Decision

_logger = logging.getLogger("foldline.client")


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
        if fallback is not None:
            checked_name(fallback, "fallback")
        self._name = checked_name(loop, "loop")
        self._clock = clock
        address = checked_url(url)
        path = None if outbox is None else os.path.abspath(outbox)
        self._outbox = Outbox(path, loop, durability=durability, max_events=max_events)
        self._contact = Contact(
            address,
            key,
            loop,
            fallback,
            self._outbox,
            timeout_s=timeout_s,
            clock=clock,
            rng=rng or random.Random(),
        )
        self._contact.start()
        if fallback is None:
            self._contact.await_bundle(wait_s, patient=False)

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
        bundle = self._contact.drawing.bundle
        if bundle is None:
            raise self._contact.no_bundle("no bundle has come yet")
        return bundle

    def decide(
        self,
        unit: str,
        *,
        context: dict[str, Any] | None = None,
        available: Collection[str] | None = None,
        id: str | None = None,
        log: bool = True,
        anonymous: str | None = None,
    ) -> Decision:
        """Choose an action for a unit; in the outbox when this returns. Never waits for the network.

        Args:
            unit: who or what is decided for; 1 to 400 characters.
            context: features, logged by value; finite numbers, strings, lists, dicts.
            available: the actions allowed now, where fewer than the loop's.
            id: the caller's own id, for retries: the same id and unit count once. Random by default.
            log: False keeps the decision out of the outbox; report it later with `outcome`.
            anonymous: the id that the unit had before it logged in: its variant stays, and it stays one unit.

        Returns:
            The decision, as the service would have drawn it. Before any bundle came: the fallback, whose bundle is
            `fallback`, definition 0 and id the local part only.

        Raises:
            InputError: unit, id, context or available are not usable.
            FoldError: `fold.no_bundle` before the first bundle, without a fallback.
            RequestError: `edge.full`, `edge.unavailable`, `edge.closed`.
        """
        contact = self._contact
        if contact.link is None:
            contact.start()
        drawing = contact.drawing
        local = contact.ids() if id is None else drawing.checked_local(id, followed(unit, anonymous))
        made, line = drawing.decide(unit, local, self._clock(), context, available, anonymous)
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
        anonymous: str | None = None,
    ) -> None:
        """Report how a decision went; in the outbox when this returns.

        Args:
            decision: the decision, or its id or the caller's own together with `unit`; None credits the last
                decision of `unit`.
            value: within the loop's range, which the service checks; see `refused`.
            unit: see `decision`.
            name: which reward this is; the loop's by default.
            id: the reward's own: the same id counts once. Random by default.
            anonymous: the id that `unit` had before it logged in; see `decide`.

        Raises:
            InputError: `input.not_finite`, `input.invalid`.
            RequestError: `edge.full`, `edge.unavailable`, `edge.closed`.
        """
        target, unit = _with_unit(decision, unit)
        self._append(
            messages.RewardEvent(
                decision=target,
                unit=followed(unit, anonymous),
                value=bodies.checked_value(value),
                name=None if name is None else checked_name(name, "name"),
                reward_id=self._contact.ids() if id is None else checked_name(id, "id"),
                occurred=self._clock(),
            )
        )

    def outcome(self, decision: Decision, reward: float) -> None:
        """Report a decision made with `log=False` together with its reward; in the outbox when this returns."""
        event = messages.OutcomeEvent(
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
        self._append(messages.ActivationEvent(decision=target or "", unit=unit, occurred=self._clock()))

    def await_bundle(self, timeout_s: float = 30.0, *, other_than: str | None = None) -> Bundle:
        """Wait for a bundle.

        Args:
            timeout_s: seconds.
            other_than: a hash: wait until a bundle with another is in use.

        Raises:
            FoldError: `fold.no_bundle` if none comes within the time.
        """
        if not self._contact.await_bundle(timeout_s, other_than=other_than):
            raise self._contact.no_bundle(f"none other than {other_than} came within {timeout_s:g} s")
        return self.bundle

    def flush(self, timeout_s: float = 10.0) -> bool:
        """Wait until everything reported so far has been answered by the service.

        Returns:
            Whether it has been within the time.
        """
        return self._contact.flush(timeout_s)

    def refused(self) -> list[Refusal]:
        """Events the service found unusable, oldest first, with the reasons; the newest 10,000 are kept."""
        return self._outbox.refused()

    def stats(self) -> EdgeStats:
        """How it is doing."""
        contact = self._contact
        heard, error = contact.heard_ms, contact.error
        return EdgeStats(
            *self._outbox.counts(),
            bundle=contact.known(),
            age_s=None if heard is None else max(0, self._clock() - heard) / 1000,
            online=error is None and heard is not None and contact.link is not None,
            error=None if error is None else str(error),
        )

    def close(self, timeout_s: float = 5.0) -> None:
        """Deliver what can be delivered within the time, and stop. The rest stays in the file. Idempotent.

        Without network that takes one try, not all the time; in memory, where the rest is lost, three.
        """
        if self._outbox.closed:
            return
        try:
            self._contact.close(timeout_s)
            left = self._outbox.counts().waiting
            if left and not self._outbox.durable:
                _logger.warning(
                    "%d events of loop %r were kept in memory only and are lost", left, self._name
                )
        finally:
            self._outbox.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _append(self, event: messages.Body, context: dict[str, Any] | None = None) -> None:
        if self._contact.link is None:
            self._contact.start()
        self._outbox.append(bodies.encode_body(event, context))


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
