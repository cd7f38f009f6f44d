"""What a loop has learnt, read from its roots by whoever wants to know."""

import threading

from foldline.engine.known import KnownStates
from foldline.log.protocol import Log
from foldline.loops.definition import LoopDefinition
from foldline.loops.estimate import Counts, Estimate, counts_of, estimates_of


class Learnt:
    """Follows the roots of one loop; each look reads only what is new since the last. Thread-safe."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._looking = threading.Lock()
        self._seen: tuple[int, KnownStates] | None = None

    def estimates(self, definition: LoopDefinition) -> list[Estimate]:
        """What was learnt about each action."""
        with self._looking:
            states = self._states(definition)
            known = states.merged()
            return estimates_of(states.fold, known) if known.vocabulary.version else []

    def counts(self, definition: LoopDefinition) -> Counts:
        """How many decisions and rewards were folded, and what became of them."""
        with self._looking:
            return counts_of(self._states(definition).merged(), definition.reward.unit_bits)

    def _states(self, definition: LoopDefinition) -> KnownStates:
        if self._seen is None or self._seen[0] != definition.version:
            self._seen = (definition.version, KnownStates(self._log, definition))
        self._seen[1].read()
        return self._seen[1]
