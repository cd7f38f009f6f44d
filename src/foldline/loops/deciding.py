"""The one decide: a unit, a bundle, a draw; out comes a decision record with its exact propensity.

Pure: the id and the time are arguments. The same id against the same bundle gives the same answer, so a retry
is safe and an audit can recompute both action and propensity.
"""

from collections.abc import Collection
from typing import Any

from foldline.errors import FoldError
from foldline.loops.bundle import Bundle
from foldline.policies.compiled import Compiled
from foldline.records.hashing import draw, partition_of
from foldline.records.types import Decision

ACTION = "action"
"""The purpose of an action's draw."""


class Decider:
    """A bundle ready to decide; immutable, so readers swap it whole."""

    __slots__ = ("_choose", "_prefixes", "actions", "bundle", "compiled")

    def __init__(self, bundle: Bundle) -> None:
        if bundle.parameters is None:
            raise FoldError(
                "fold.damaged_root",
                f"bundle {bundle.hash} of loop {bundle.loop!r} is a header; deciding needs its parameters",
            )
        self.bundle = bundle
        self.actions = bundle.actions
        self.compiled = Compiled(bundle.kind, bundle.actions, bundle.parameters, bundle.salt)
        self._choose = self.compiled.choose
        self._prefixes = [f"{bundle.generation}.{p}." for p in range(len(bundle.cut))]

    def decide(
        self,
        unit: str,
        local: str,
        time: int,
        *,
        partition: int | None = None,
        context: dict[str, Any] | None = None,
        available: Collection[str] | None = None,
        occurred: int | None = None,
        account: str | None = None,
    ) -> Decision:
        """Decide for a unit; unit and local id are valid (see `records.ids`).

        Args:
            unit: who or what is decided for.
            local: the local part of the decision's id.
            time: log time, milliseconds.
            partition: of the unit, where it is known already.
            context: features, logged by value.
            available: the actions allowed, where fewer than the bundle's.
            occurred: the time the client claims, milliseconds.
            account: the id the unit has by now, where `unit` is the one from before it logged in.

        Raises:
            InputError: `input.unknown_action` or `input.no_action` in `available`.
        """
        bundle = self.bundle
        prefixes = self._prefixes
        if partition is None:
            partition = partition_of(unit, len(prefixes)) if len(prefixes) > 1 else 0
        id = prefixes[partition] + local
        if available is None:
            index, propensity = self._choose(id)
            action = self.actions[index]
        else:
            action, propensity = self.compiled.decide(context, draw(bundle.salt, ACTION, id), available)
        return Decision(
            time=time,
            id=id,
            unit=unit,
            account=account,
            action=action,
            propensity=propensity,
            bundle=bundle.hash,
            definition=bundle.definition,
            available=None if available is None else sorted(available),
            context=context,
            occurred=occurred,
        )
