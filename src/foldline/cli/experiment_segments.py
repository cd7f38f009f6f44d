"""`foldline experiments results --segment`: an experiment's results by a declared attribute of the context."""

from typing import TYPE_CHECKING

from foldline.cli.bars import bar
from foldline.cli.output import print_json, print_table

if TYPE_CHECKING:
    from foldline.experiments.definition import ExperimentDefinition
    from foldline.experiments.segments import Segmented
    from foldline.log.protocol import Log
    from foldline.loops.cut import Cut
    from foldline.loops.definition import LoopDefinition


def print_segments(
    log: "Log",
    loop: "LoopDefinition",
    one: "ExperimentDefinition",
    attribute: str,
    at: "Cut | None",
    as_json: bool,
) -> None:
    """Read the log up to a cut, and print the results by segment.

    Raises:
        InputError: the attribute was not declared; the cut lies beyond the log.
    """
    import msgspec

    from foldline.engine.segmenting import SegmentReader

    reader = SegmentReader(log, loop, one, attribute)
    with bar("records", None) as progress:
        found = reader.read(at, progress=progress)
    if as_json:
        print_json(msgspec.to_builtins(found))
        return
    _print(found)


def _print(found: "Segmented") -> None:
    print(f"{found.experiment} by {found.attribute}: exploratory, no part of the verdict")
    rows: list[tuple[str | None, ...]] = []
    for segment in found.segments:
        for e in segment.effects:
            matured = "/".join(f"{n:,}" for n in segment.matured.values())
            if e.difference is None or e.low is None or e.high is None:
                rows.append((segment.segment, matured, e.challenger, None, None, None))
                continue
            limits = f"[{e.low:.5g}, {e.high:.5g}]"
            rows.append(
                (segment.segment, matured, e.challenger, f"{e.difference:+.5g}", limits, f"{e.p_value:.3g}")
            )
    print_table(["segment", "matured", "challenger", "difference", "limits", "p, adjusted"], rows)
    print(f"{found.comparisons} comparisons; p is adjusted for all of them (Holm), limits are each row's own")
