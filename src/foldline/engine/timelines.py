"""Reading a loop's timeline: as the newest roots say, or folded again to a cut."""

from foldline.engine.known import FoldStates
from foldline.engine.reading import columns_of
from foldline.errors import InputError
from foldline.log.protocol import Log
from foldline.loops.cut import Cut
from foldline.loops.definition import LoopDefinition
from foldline.loops.timeline import Timeline
from foldline.loops.topics import topics_of


def timelines(log: Log, definition: LoopDefinition) -> FoldStates[Timeline]:
    """The roots of a loop's timeline, to be followed: each `read` costs only what is new."""
    return FoldStates(log, definition, definition.timeline())


def read_timeline(log: Log, definition: LoopDefinition, at: Cut | None = None) -> Timeline:
    """What happened in a loop over time.

    Args:
        log: only read.
        definition: the version whose reward rule joins.
        at: one offset for each partition: folds the log again to there, from its beginning. By default the
            newest roots are read, which costs nothing much and lags behind by a second or so.

    Raises:
        InputError: the cut lies beyond the log.
    """
    if at is None:
        states = timelines(log, definition)
        states.read()
        return states.merged()
    topic, parts = topics_of(definition).events, []
    fold = definition.timeline()
    for partition, stop in enumerate(at):
        end = log.offsets(topic, partition)[1]
        if not 0 <= stop <= end:
            raise InputError(
                "input.invalid",
                f"cut at offset {stop} of partition {partition}: the log ends at {end}",
                field="at",
            )
        state, n = fold.empty(), 0
        while n < stop:
            rows = log.read(topic, partition, n, max_records=10_000, end=stop)
            if not rows:
                break
            fold.apply(state, columns_of(rows))
            n = rows[-1].end
        parts.append(state.known)
    return fold.merge_all(parts)
