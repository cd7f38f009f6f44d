"""A decision made here: drawn as the service draws it, and written as the event that tells of it.

No file and no network: what the hot path costs is what stands here.
"""

import itertools
import secrets
from collections.abc import Callable, Collection
from typing import Any

from foldline.client.bodies import encode_body, encode_plain
from foldline.errors import FoldError, InputError
from foldline.experiments.reasons import Reason
from foldline.loops.edge_bundle import EdgeBundle
from foldline.loops.followed import followed
from foldline.loops.made import FALLBACK
from foldline.loops.messages import DecisionEvent
from foldline.records.hashing import partition_of
from foldline.records.ids import checked_name, parse_decision_id
from foldline.records.types import Decision


def local_ids() -> Callable[[], str]:
    """Makes local ids: 80 random bits of this process, then a count; a fifth of the cost of a random one each."""
    prefix, count = secrets.token_hex(10), itertools.count()
    return lambda: f"{prefix}{next(count):x}"


class Drawing:
    """Decides with a bundle; immutable, so that readers swap it whole.

    Args:
        edge: the loop's bundle, and the experiments before it.

    Raises:
        FoldlineError: this version cannot decide with it.
    """

    __slots__ = ("_decide", "bundle", "edge")

    def __init__(self, edge: EdgeBundle) -> None:
        self.edge = edge
        self.bundle = bundle = edge.bundle
        self._decide = edge.chooser().decide
        if len(bundle.cut) > 1:
            partition_of("", len(bundle.cut))  # read from numba's cache here, not at the first decision

    def decide(
        self,
        unit: str,
        local: str,
        now: int,
        context: dict[str, Any] | None = None,
        available: Collection[str] | None = None,
        anonymous: str | None = None,
    ) -> tuple[Decision, bytes]:
        """The decision for a unit, and the event that tells of it.

        Args:
            unit: who or what is decided for.
            local: the local part of the decision's id, valid (see `checked_local`).
            now: this machine's clock, milliseconds.
            context: features, logged by value.
            available: the actions allowed, where fewer than the bundle's.
            anonymous: the id that the unit had before it logged in; see `loops.reports.followed`.

        Raises:
            InputError: unit, context or available are not usable.
        """
        account = None
        if anonymous is None:
            checked_name(unit, "unit")
        else:
            unit, account = _identified(unit, anonymous)
        made = self._decide(
            unit, local, now, context=context, available=available, occurred=now, account=account
        )
        event = DecisionEvent(
            decision=local,
            unit=unit,
            account=account,
            action=made.action,
            propensity=made.propensity,
            bundle=made.bundle,
            reason=None if made.reason is None else Reason(made.reason),
            definition=made.definition,
            experiment=made.experiment,
            variant=made.variant,
            probability=made.probability,
            available=made.available,
            context=context,
            occurred=now,
        )
        if context is None and available is None:
            try:
                return made, encode_plain(event)
            except UnicodeEncodeError:
                pass  # said better below
        return made, encode_body(event, context)

    def checked_local(self, local: str, unit: str) -> str:
        """A caller's own id, if it cannot be taken for a full one of its unit.

        Raises:
            InputError: `input.invalid`.
        """
        bundle = self.bundle
        partition = partition_of(checked_name(unit, "unit"), len(bundle.cut)) if len(bundle.cut) > 1 else 0
        prefix = f"{bundle.generation}.{partition}."
        if checked_name(local, "id").startswith(prefix):
            raise _like_a_full_id(local, f"begin with {prefix!r}")
        return local


class Fallback:
    """Decides before any bundle came: always the same action, and logged as a fallback.

    Generation and partition are not known yet, so a decision's id here is its local one; the service makes it whole
    from the unit.

    Args:
        loop: name of the loop.
        action: what to answer, None to refuse.
    """

    __slots__ = ("_loop", "action")

    bundle = edge = None

    def __init__(self, loop: str, action: str | None) -> None:
        self._loop = loop
        self.action = None if action is None else checked_name(action, "fallback")

    def decide(
        self,
        unit: str,
        local: str,
        now: int,
        context: dict[str, Any] | None = None,
        available: Collection[str] | None = None,
        anonymous: str | None = None,
    ) -> tuple[Decision, bytes]:
        """The fallback for a unit, and the event that tells of it.

        Raises:
            FoldError: `fold.no_bundle` where there is no fallback, or it is not available.
        """
        action = self.action
        if action is None or (available is not None and action not in available):
            what = "no fallback was given" if action is None else f"the fallback {action!r} is not available"
            raise FoldError(
                "fold.no_bundle",
                f"no bundle of loop {self._loop!r} has come from the service yet, and {what}",
            )
        allowed = None if available is None else sorted(available)
        unit, account = _identified(unit, anonymous)
        event = DecisionEvent(
            decision=local,
            unit=unit,
            account=account,
            action=action,
            propensity=1.0,
            bundle=FALLBACK,
            definition=0,
            available=allowed,
            context=context,
            occurred=now,
        )
        line = encode_body(event, context)
        made = Decision(
            time=now,
            id=local,
            unit=unit,
            account=account,
            action=action,
            propensity=1.0,
            bundle=FALLBACK,
            definition=0,
            available=allowed,
            context=context,
            occurred=now,
        )
        return made, line

    def checked_local(self, local: str, unit: str) -> str:
        """A caller's own id, if it has not the form of a full one.

        Raises:
            InputError: `input.invalid`.
        """
        try:
            parse_decision_id(checked_name(local, "id"))
        except InputError as error:
            if error.code == "input.unknown_decision":
                return local
            raise
        raise _like_a_full_id(local, "have the form generation.partition.local")


def _identified(unit: str, anonymous: str | None) -> tuple[str, str | None]:
    """The id that all follows, and the account's where it is another."""
    followed_unit = followed(unit, anonymous)
    return followed_unit, None if followed_unit == unit else unit


def _like_a_full_id(local: str, how: str) -> InputError:
    return InputError(
        "input.invalid",
        f"id is {local!r}: your own id must not {how}, as full ids do",
        field="id",
        value=local,
    )
