"""A revision: the verdict as it would have been, had what came later come in time. The verdict itself stands."""

from collections.abc import Iterator

import msgspec

from foldline.experiments.verdict import Verdict

Figure = float | int | str | None

_OF_EFFECT = ("control", "value", "difference", "low", "high", "p_value", "e_value")


class Revision(msgspec.Struct, frozen=True, kw_only=True):
    """What late records made of a verdict's figures.

    Records that come after their unit was counted, within `late_ms`, and units found in a second variant by then,
    change figures of an earlier minute. Each minute in which such a change of the verdict's own minutes came makes
    one revision, unless the figures are those of the one before.

    Attributes:
        revises: the time of the verdict that it revises; that verdict stands.
        time: the end of the minute in which what it knows had come, milliseconds of stream time.
        verdict: by the same rule at the same moment, with the figures revised.
        changed: what differs from the verdict that stands: by name, its figure and the revised one; those of a
            variant or challenger are named `units.KEY`, `difference.KEY`.
    """

    revises: int
    time: int
    verdict: Verdict
    changed: dict[str, tuple[Figure, Figure]]


def revision_of(first: Verdict, revised: Verdict, time: int) -> Revision:
    """What a revised verdict changes of the first.

    Args:
        first: that stands.
        revised: at the same moment.
        time: the end of the minute in which it came to be known.
    """
    before = dict(_figures(first))
    changed = {
        name: (before.get(name), figure) for name, figure in _figures(revised) if before.get(name) != figure
    }
    return Revision(revises=first.time, time=time, verdict=revised, changed=changed)


def _figures(verdict: Verdict) -> Iterator[tuple[str, Figure]]:
    yield "result", verdict.result
    yield "winner", verdict.winner
    yield "mixed", verdict.mixed
    for key, units in verdict.units.items():
        yield f"units.{key}", units
    for effect in verdict.effects:
        for name in _OF_EFFECT:
            yield f"{name}.{effect.challenger}", getattr(effect, name)
