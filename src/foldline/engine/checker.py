"""A recomputed bundle as a table, to decide again for many decisions at once."""

from collections.abc import Sequence

import numpy as np
from xxhash import xxh3_64_intdigest

from foldline.errors import InputError
from foldline.loops.bundle import Bundle
from foldline.loops.deciding import ACTION, Decider
from foldline.policies.protocol import WHOLE
from foldline.records.types import Decision, Outcome

Decided = Decision | Outcome


class Checker:
    """A recomputed bundle as a table, to decide again for many ids at once.

    Attributes:
        bundle: the bundle; a header where it could not be recomputed.
        is_ready: whether it was recomputed.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.is_ready = bundle.parameters is not None
        if self.is_ready:
            self._compiled = Decider(bundle).compiled
            self._cumulative = np.cumsum(self._compiled.weights)
            self._propensities = self._compiled.weights / WHOLE
            self._prefix = f"{bundle.salt}\x1f{ACTION}\x1f".encode()

    def decide(self, some: Sequence[Decided]) -> list[tuple[str, float] | InputError]:
        """Action and propensity of each, or the error where its mask leaves nothing to choose from.

        What has neither mask nor context is looked up in the one table all at once: the draw is
        `records.hashing.draw`, its place that of `Compiled.choose`.
        """
        prefix, actions = self._prefix, self._compiled.actions
        draws = np.array(
            [xxh3_64_intdigest(prefix + one.id.encode()) for one in some], np.uint64
        ) >> np.uint64(11)
        places = self._cumulative.searchsorted(draws.view(np.int64), side="right")
        propensities = self._propensities[places].tolist()
        answers: list[tuple[str, float] | InputError] = [
            (actions[place], propensity)
            for place, propensity in zip(places.tolist(), propensities, strict=True)
        ]
        for i, one in enumerate(some):
            if one.available is not None or one.context is not None:
                answers[i] = self._decide_apart(one, int(draws[i]))
        return answers

    def _decide_apart(self, one: Decided, draw: int) -> tuple[str, float] | InputError:
        try:
            return self._compiled.decide(one.context, draw, one.available)
        except InputError as error:
            if error.code not in {"input.unknown_action", "input.no_action"}:
                raise
            return error
