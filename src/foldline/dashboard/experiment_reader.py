"""What the log says about one experiment, as its page shows it: from the roots of its tally, never from the events."""

import threading
from dataclasses import dataclass

import msgspec

from foldline.engine.announcer import Announcement, read_announcements
from foldline.engine.examining import tallies
from foldline.engine.known import FoldStates
from foldline.engine.root import page_hash
from foldline.errors import LogError
from foldline.experiments.course import Course, Point
from foldline.experiments.definition import ExperimentDefinition
from foldline.experiments.results import Results, results_of
from foldline.experiments.succession import fixed_difference
from foldline.experiments.tally import Tally
from foldline.log.protocol import Log
from foldline.loops.definition import LoopDefinition
from foldline.loops.topics import topics_of, verdicts_of


@dataclass(frozen=True, slots=True)
class ExperimentView:
    """One experiment at one moment.

    Attributes:
        version: another one wherever anything differs.
        definition: the newest version.
        results: at the cut of the tally's newest roots.
        points: how effect and shares went.
        announced: its verdict and breaches, as they stand on the log.
        behind: records of the loop that the tally does not cover yet.
    """

    version: str
    definition: ExperimentDefinition
    results: Results
    points: tuple[Point, ...]
    announced: tuple[Announcement, ...]
    behind: int


class ExperimentReader:
    """Follows one experiment; each look costs only what is new. Thread-safe."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._turn = threading.Lock()
        self._definition: ExperimentDefinition | None = None
        self._states: FoldStates[Tally]
        self._course = Course()
        self._seen: ExperimentView | None = None

    def read(self, loop: LoopDefinition, definition: ExperimentDefinition) -> ExperimentView:
        """The experiment now; the same object as before where nothing has changed."""
        with self._turn:
            before = self._definition
            if (
                before is None
                or before.phase != definition.phase
                or fixed_difference(before, definition) is not None
            ):
                self._states, self._course = tallies(self._log, loop, definition), Course()
            self._definition = definition
            self._states.read()
            events = topics_of(loop).events
            ends = [self._log.offsets(events, partition)[1] for partition in range(loop.partitions)]
            marks = [definition.version, self._states.cut, ends, self._said(loop, definition.name)]
            version = page_hash(msgspec.json.encode(marks))[:16]
            if self._seen is None or self._seen.version != version:
                self._seen = self._look(version, loop, definition, ends)
            return self._seen

    def _look(
        self, version: str, loop: LoopDefinition, definition: ExperimentDefinition, ends: list[int]
    ) -> ExperimentView:
        cut, before = self._states.cut, self._seen
        if before is not None and (before.results.cut, before.definition) == (cut, definition):
            found, points = before.results, before.points
        else:
            walk = self._course.look(definition, self._states.parts())
            found, points = results_of(walk, cut), tuple(self._course.points)
        return ExperimentView(
            version=version,
            definition=definition,
            results=found,
            points=points,
            announced=tuple(read_announcements(self._log, loop, definition.name)),
            behind=sum(max(0, end - n) for end, n in zip(ends, cut, strict=True)),
        )

    def _said(self, loop: LoopDefinition, name: str) -> tuple[int, int]:
        try:
            return self._log.offsets(verdicts_of(loop, name), 0)
        except LogError as error:
            if error.code != "log.topic_missing":
                raise
            return 0, 0
