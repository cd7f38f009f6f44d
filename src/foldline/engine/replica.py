"""A replica: a reader's current bundle, swapped whole when a newer one stands on the log."""

import logging
from collections.abc import Callable, Sequence
from functools import cache

from foldline.engine.restore import rows_here
from foldline.errors import FoldlineError
from foldline.experiments.reasons import Reason
from foldline.log.protocol import Log
from foldline.loops.bundle import decode_bundle
from foldline.loops.deciding import Decider
from foldline.loops.edge_bundle import EdgeBundle, edge_bundle
from foldline.loops.trying import Chooser, TrialDecider, Trying

_logger = logging.getLogger("foldline.engine")


class Replica:
    """Follows one loop's policy topic. `decider` is replaced atomically; readers take it once per decision.

    Attributes:
        decider: the newest bundle, ready to decide; None before the first.
        chooser: the same, with the running experiments before it.
    """

    def __init__(self, log: Log, topic: str) -> None:
        self._log = log
        self._topic = topic
        self.offset = 0
        self.decider: Decider | None = None
        self.chooser: Chooser | None = None
        self._trials: tuple[TrialDecider, ...] = ()
        self._idle: Reason | None = None
        self._edge: Callable[[], EdgeBundle | None] = lambda: None

    def step(self) -> bool:
        """Read what has come and swap to the newest bundle; True if there was a newer one."""
        payload: bytes | None = None
        for row in rows_here(self._log, self._topic, 0, self.offset):
            payload, self.offset = row.payload, row.end
        if payload is None:
            return False
        try:
            self.decider = Decider(decode_bundle(payload))
        except FoldlineError as error:
            # Deciding goes on with the bundle before: the next one published takes its place.
            place = f"before offset {self.offset} of {self._topic}"
            _logger.error("passing over the bundle %s: %s", place, error)  # noqa: TRY400 - its text says all
            return False
        self._choose()
        return True

    def try_out(self, trials: Sequence[TrialDecider], idle: Reason | None = None) -> bool:
        """Let these experiments decide first; True if they are others than before.

        Args:
            trials: those that run, in the order in which they are asked.
            idle: why nobody is assigned, where none of them runs.
        """
        if (self._trials, self._idle) == (tuple(trials), idle):
            return False
        self._trials, self._idle = tuple(trials), idle
        self._choose()
        return True

    def edge_bundle(self) -> EdgeBundle | None:
        """All that decides, for those who decide elsewhere; None before the first bundle."""
        return self._edge()

    def tries(self, experiment: str) -> bool:
        """Whether deciding asks this experiment first."""
        return any(trial.definition.name == experiment for trial in self._trials)

    def _choose(self) -> None:
        decider, trials, idle = self.decider, self._trials, self._idle
        self._edge = cache(lambda: None if decider is None else edge_bundle(decider.bundle, trials, idle))
        if self.decider is None or not (self._trials or self._idle):
            self.chooser = self.decider
        else:
            self.chooser = Trying(self.decider, self._trials, self._idle)
