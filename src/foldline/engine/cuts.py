"""Cuts as people write them: offsets by partition, or a time."""

from foldline.engine.replay import cut_at
from foldline.log.protocol import Log
from foldline.loops.cut import Cut, parse_cut
from foldline.loops.definition import LoopDefinition
from foldline.loops.instants import parse_instant


def cut_of(log: Log, definition: LoopDefinition, at: str) -> Cut:
    """A time where it reads as one, else a cut.

    Raises:
        InputError: `input.invalid`.
    """
    if ":" in at and not set(at) & {"-", "T"}:
        return parse_cut(at, definition.partitions)
    time = parse_instant(at, field="at")
    return cut_at(log, definition, 0 if time is None else time)
