"""The course of an experiment: how effect and shares went, at moments that anyone finds again from the same tallies."""

from collections.abc import Sequence

import msgspec

from foldline.experiments.definition import ExperimentDefinition
from foldline.experiments.effects import Effect
from foldline.experiments.tally import Tally
from foldline.experiments.tally_layout import MINUTE_MS, Count
from foldline.experiments.walk import Walk

MOST_POINTS = 200


class Point(msgspec.Struct, frozen=True):
    """A moment of an experiment's course.

    Attributes:
        time: the end of a minute, milliseconds of stream time.
        effects: the goal's at that moment.
        sample_ratio_p: least p-value up to then.
        matured: matured units of each variant.
    """

    time: int
    effects: tuple[Effect, ...]
    sample_ratio_p: float
    matured: tuple[int, ...]


class Course:
    """Follows an experiment whose tallies grow; each look costs only what is new.

    Points stand on a grid of stream time, whose step is the least power of two of minutes that leaves at most `most`
    of them, and at the last final minute. So they depend on the tallies, not on who looked when.

    Args:
        most: points kept, besides the last.

    Attributes:
        points: in order of time.
    """

    def __init__(self, most: int = MOST_POINTS) -> None:
        self.points: list[Point] = []
        self._most = most
        self._walk: Walk | None = None

    def look(self, definition: ExperimentDefinition, parts: Sequence[Tally]) -> Walk:
        """Go on to the last final minute.

        Args:
            definition: any version from its start on.
            parts: the tally of each partition, no older than those before.

        Returns:
            The walk, where it stands now.
        """
        walk = self._walk = Walk(definition, parts, after=self._walk)
        if not len(walk.tally.minutes) or walk.final <= int(walk.tally.minutes[0]):
            walk.run()
            return walk
        first = int(walk.tally.minutes[0])
        step = 1
        while (walk.final - first) // step > self._most:
            step *= 2
        self.points = [point for point in self.points if point.time % (step * MINUTE_MS) == 0]
        begin = self.points[-1].time // MINUTE_MS if self.points else first
        for minute in range((begin // step + 1) * step, walk.final + 1, step):
            # A coarser grid leaves moments out that the walk has passed already.
            if minute >= walk.minute:
                walk.run(minute * MINUTE_MS)
                self.points.append(_point(walk, minute))
        walk.run()
        if not self.points or self.points[-1].time < walk.final * MINUTE_MS:
            self.points.append(_point(walk, walk.final))
        return walk


def course(
    definition: ExperimentDefinition, parts: Sequence[Tally], points: int = MOST_POINTS
) -> list[Point]:
    """How the effect and the shares went, at up to so many moments and at the last."""
    found = Course(points)
    found.look(definition, parts)
    return found.points


def _point(walk: Walk, minute: int) -> Point:
    matured = tuple(walk.totals.counts[:, Count.MATURED].tolist())
    return Point(minute * MINUTE_MS, walk.effects(), walk.sample_ratio_p, matured)
