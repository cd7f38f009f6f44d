"""Cuts as people write them on the command line: offsets by partition, or a time."""

from typing import TYPE_CHECKING

from foldline.cli.instants import parse_instant

if TYPE_CHECKING:
    from foldline.log.protocol import Log
    from foldline.loops.cut import Cut
    from foldline.loops.definition import LoopDefinition


def cut_of(log: "Log", definition: "LoopDefinition", at: str) -> "Cut":
    """A time where it reads as one, else a cut.

    Raises:
        InputError: `input.invalid`.
    """
    from foldline.engine.replay import cut_at
    from foldline.loops.cut import parse_cut

    if ":" in at and not set(at) & {"-", "T"}:
        return parse_cut(at, definition.partitions)
    time = parse_instant(at, field="at")
    return cut_at(log, definition, 0 if time is None else time)
