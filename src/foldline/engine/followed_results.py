"""Results of experiments that are followed: each look reads the roots that are new, and goes through the new minutes.

So an answer costs the same however many exposures an experiment has had.
"""

import threading

from foldline.engine.announcer import Announcement, announcements_of
from foldline.engine.examining import tallies
from foldline.engine.known import FoldStates
from foldline.engine.restore import rows_from
from foldline.errors import LogError
from foldline.experiments.definition import ExperimentDefinition
from foldline.experiments.results import Results, results_of
from foldline.experiments.succession import fixed_difference
from foldline.experiments.tally import Tally
from foldline.experiments.walk import Walk
from foldline.log.protocol import Log
from foldline.loops.definition import LoopDefinition
from foldline.loops.topics import verdicts_of


class _Followed:
    """One experiment's tally, the walk through its minutes so far, and what was announced of it."""

    def __init__(self, log: Log, loop: LoopDefinition, definition: ExperimentDefinition) -> None:
        self.loop, self.definition = loop, definition
        self.turn = threading.Lock()
        self._log = log
        self._states: FoldStates[Tally] = tallies(log, loop, definition)
        self._walk: Walk | None = None
        self._seen: tuple[ExperimentDefinition, tuple[int, ...]] | None = None
        self._found: Results
        self._announced: list[Announcement] = []
        self._offset = 0

    def results(self, definition: ExperimentDefinition) -> Results:
        self._states.read()
        cut = self._states.cut
        if self._seen != (definition, cut):
            self._walk = Walk(definition, self._states.parts(), after=self._walk)
            self._walk.run()
            self._found, self._seen = results_of(self._walk, cut), (definition, cut)
        self.definition = definition
        return self._found

    def announced(self) -> list[Announcement]:
        try:
            for row in rows_from(self._log, verdicts_of(self.loop, self.definition.name), 0, self._offset):
                self._announced += announcements_of(row)
                self._offset = row.end
        except LogError as error:
            if error.code != "log.topic_missing":
                raise
        return list(self._announced)


class FollowedResults:
    """Follows the experiments of a log that it is asked about. Thread-safe; two experiments do not wait for each other.

    Args:
        log: only read.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._followed: dict[str, _Followed] = {}
        self._turn = threading.Lock()

    def results(self, loop: LoopDefinition, definition: ExperimentDefinition) -> Results:
        """What is known as of the newest roots, which lag behind the log by a second or so.

        Args:
            loop: newest version of its loop.
            definition: newest version.
        """
        followed = self._following(loop, definition)
        with followed.turn:
            return followed.results(definition)

    def with_announced(
        self, loop: LoopDefinition, definition: ExperimentDefinition
    ) -> tuple[Results, list[Announcement]]:
        """The results, and what was announced so far, in order."""
        followed = self._following(loop, definition)
        with followed.turn:
            return followed.results(definition), followed.announced()

    def _following(self, loop: LoopDefinition, definition: ExperimentDefinition) -> _Followed:
        with self._turn:
            known = self._followed.get(definition.name)
            if (
                known is None
                or known.loop.generation != loop.generation
                or known.definition.phase != definition.phase
                or fixed_difference(known.definition, definition) is not None
            ):
                known = self._followed[definition.name] = _Followed(self._log, loop, definition)
            return known
