"""A compiled policy: the table of probabilities of a bundle, ready to be drawn from."""

from bisect import bisect_right
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache, partial
from itertools import accumulate
from typing import Any

import numpy as np
import numpy.typing as npt
from xxhash import xxh3_64_intdigest

from foldline.errors import InputError
from foldline.policies.protocol import WHOLE, Parameters, Policy
from foldline.policies.registry import policy_class

_MASKS = 256


class Compiled:
    """A bundle's rule as every reader decides with it.

    An action's probability is an integer over 2^53, and a decision's draw is a 53-bit hash: the action is the first
    whose cumulative probability exceeds the draw, so each has exactly the probability that is logged.

    Args:
        kind: the policy's kind.
        actions: names in table order, at least one.
        parameters: as compiled by the policy; not changed.
        salt: of the loop's draws.
        policy: the class of the kind, for one that is not registered.

    Attributes:
        actions: names in table order.
        weights: (n,) int64 probabilities over 2^53 with every action allowed.
        choose: from a decision's id to the index of its action and its propensity; every action is allowed.

    Raises:
        InputError: `input.unknown_policy`, `input.no_action`.

    Example:
        >>> choice = Compiled("random", ["a", "b"], {"n": 2}, "salt")
        >>> choice.choose("0.0.d1")
        (1, 0.5)
        >>> choice.decide(None, 0, ["b"])
        ('b', 1.0)
    """

    __slots__ = (
        "_allowed",
        "_cumulative",
        "_index",
        "_propensities",
        "_rule",
        "actions",
        "choose",
        "weights",
    )

    def __init__(
        self,
        kind: str,
        actions: Sequence[str],
        parameters: Parameters,
        salt: str,
        *,
        policy: type[Policy] | None = None,
    ) -> None:
        if not actions:
            raise InputError("input.no_action", f"compiling policy {kind!r}: its bundle has no actions")
        self.actions = tuple(actions)
        rule = (policy or policy_class(kind)).weights
        named = {**parameters, "actions": self.actions}
        self._rule: Callable[[npt.NDArray[np.bool_] | None], npt.NDArray[np.int64]] = partial(rule, named)
        self._index = {name: i for i, name in enumerate(self.actions)}
        self.weights: npt.NDArray[np.int64] = self._rule(None)
        self._cumulative, self._propensities = _table(self.weights)
        self.choose = _chooser(self._cumulative, self._propensities, salt)
        self._allowed = lru_cache(maxsize=_MASKS)(self._masked)

    def decide(
        self,
        context: dict[str, Any] | None,
        draw: int,
        available: Collection[str] | None,
    ) -> tuple[str, float]:
        """The action for a draw, and its propensity among the available actions.

        Args:
            context: features; the policies here do not look at them.
            draw: 0 to 2^53 - 1.
            available: names allowed, None for all. Tables of the 256 masks used last are kept.

        Raises:
            InputError: `input.no_action` where none is available, `input.unknown_action` for a name that is none
                of the bundle's.
        """
        if not 0 <= draw < WHOLE:
            raise InputError("input.invalid", f"draw={draw!r}: expected 0 to 2^53 - 1", field="draw")
        if available is None:
            cumulative, propensities = self._cumulative, self._propensities
        else:
            cumulative, propensities = self._allowed(frozenset(available))
        i = bisect_right(cumulative, draw)
        return self.actions[i], propensities[i]

    def weights_among(self, available: Collection[str] | None) -> npt.NDArray[np.int64]:
        """(n,) probabilities over 2^53 with these actions available, zero for the others.

        Raises:
            InputError: as `decide`.
        """
        if available is None:
            return self.weights
        unknown = sorted(set(available) - set(self._index))
        if unknown:
            raise InputError(
                "input.unknown_action",
                f"available names {unknown!r}, which are none of the actions {list(self.actions)!r}",
                field="available",
            )
        if not available:
            raise InputError(
                "input.no_action", "available is empty; allow at least one action", field="available"
            )
        allowed = np.zeros(len(self.actions), np.bool_)
        allowed[[self._index[name] for name in available]] = True
        return self._rule(allowed)

    def _masked(self, available: frozenset[str]) -> tuple[list[int], list[float]]:
        return _table(self.weights_among(available))


def _table(weights: npt.NDArray[np.int64]) -> tuple[list[int], list[float]]:
    """Cumulative weights, and propensities."""
    return list(accumulate(weights.tolist())), (weights / WHOLE).tolist()


def _chooser(
    cumulative: list[int], propensities: list[float], salt: str
) -> Callable[[str], tuple[int, float]]:
    """The hot path, as a closure: looking up attributes would cost half as much as the choice itself.

    The draw is `foldline.records.hashing.draw(salt, "action", id)`, written out for the same reason.
    """
    prefix = f"{salt}\x1faction\x1f".encode()

    def choose(id: str) -> tuple[int, float]:
        i = bisect_right(cumulative, xxh3_64_intdigest(prefix + id.encode()) >> 11)
        return i, propensities[i]

    return choose
