"""Reading an experiment: what its tally says now, or said at a cut; and whether its assignments can be made again."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from foldline.engine.known import FoldStates
from foldline.engine.reading import columns_of, records_of
from foldline.engine.replay import check_cut
from foldline.experiments.definition import ExperimentDefinition
from foldline.experiments.promotion import Promoted, promoted_units
from foldline.experiments.reasons import Reason
from foldline.experiments.results import Results, results
from foldline.experiments.succession import phase_before
from foldline.experiments.tally import Tally
from foldline.experiments.tally_fold import TallyFold, TallyState
from foldline.log.protocol import Log
from foldline.loops.cut import Cut
from foldline.loops.definition import LoopDefinition
from foldline.loops.topics import topics_of
from foldline.loops.trying import TrialDecider
from foldline.records.columns import Columns
from foldline.records.types import Decision

_KEPT = 20


@dataclass(slots=True)
class AssignmentCheck:
    """Whether logged assignments are those that the plan gives.

    Attributes:
        decisions: decisions logged in the experiment.
        agree: of those, the ones whose variant and probability the plan gives their unit.
        chosen: of those, the ones by chance; the others were forced.
        differ: the first that disagree: offset, partition, unit, logged and recomputed variant.
    """

    decisions: int = 0
    agree: int = 0
    chosen: int = 0
    differ: list[tuple[int, int, str, str | None, str | None]] = field(default_factory=list)


def tallies(log: Log, loop: LoopDefinition, experiment: ExperimentDefinition) -> FoldStates[Tally]:
    """The roots of an experiment's tally, to be followed: each `read` costs only what is new."""
    return FoldStates(log, loop, TallyFold(experiment))


def read_results(
    log: Log,
    loop: LoopDefinition,
    experiment: ExperimentDefinition,
    *,
    at: Cut | None = None,
    until: int | None = None,
) -> Results:
    """What is known of an experiment.

    Args:
        log: only read.
        loop: any version of its loop.
        experiment: its newest version.
        at: one offset for each partition: the log is folded again to there, from its beginning. By default the
            newest roots are read, which lag behind by a second or so.
        until: stream time to stop at, milliseconds.

    Raises:
        InputError: the cut lies beyond the log.
    """
    if at is None:
        states = tallies(log, loop, experiment)
        states.read()
        return results(experiment, states.parts(), states.cut, until)
    parts = folded_tallies(log, loop, experiment, at)
    while not any(part.phases for part in parts) and (before := phase_before(experiment)) is not None:
        # The cut lies before the marker of this phase: what was known then is of the one before.
        experiment, parts = before, folded_tallies(log, loop, before, at)
    return results(experiment, parts, at, until)


def folded_tallies(log: Log, loop: LoopDefinition, experiment: ExperimentDefinition, at: Cut) -> list[Tally]:
    """Each partition's tally at a cut, folded from the beginning.

    Raises:
        InputError: the cut lies beyond the log.
    """
    return [state.known for state in folded_states(log, loop, TallyFold(experiment), at)]


def folded_states(
    log: Log,
    loop: LoopDefinition,
    fold: TallyFold,
    at: Cut,
    *,
    seen_as: Callable[[Columns], Columns] = lambda columns: columns,
    progress: Callable[[int], None] = lambda _: None,
) -> list[TallyState]:
    """Each partition's whole state at a cut, units included, folded from the beginning.

    Args:
        log: only read.
        loop: any version of its loop.
        fold: of the experiment.
        at: one offset for each partition.
        seen_as: what the fold is shown of each batch.
        progress: called with the number of records folded so far.

    Raises:
        InputError: the cut lies beyond the log.
    """
    topic = topics_of(loop).events
    check_cut(at, tuple(log.offsets(topic, p)[1] for p in range(loop.partitions)))
    states, folded = [], 0
    for partition, stop in enumerate(at):
        state, n = fold.empty(), 0
        while n < stop:
            rows = log.read(topic, partition, n, max_records=10_000, end=stop)
            if not rows:
                break
            columns = columns_of(rows)
            fold.apply(state, seen_as(columns))
            n = rows[-1].end
            folded += len(columns)
            progress(folded)
        states.append(state)
    return states


def check_assignments(
    log: Log, loop: LoopDefinition, versions: Sequence[ExperimentDefinition]
) -> AssignmentCheck:
    """Recompute the variant of every decision logged in an experiment, from its unit alone. Reads the whole log.

    Coverage only rises, so the last version covers whoever any covered; the condition was judged by a context that
    need not be logged, and is left out.

    Args:
        log: only read.
        loop: any version of its loop.
        versions: every version of the experiment.
    """
    newest = versions[-1]
    fields: dict[str, Any] = {
        "state": "running",
        "condition": None,
        "coverage": max(one.coverage for one in versions),
        "promoted": None,
    }
    promoted, kept = _promoted(versions), _kept(newest)
    trial = TrialDecider(msgspec.structs.replace(newest, **fields), {})
    found, topic = AssignmentCheck(), topics_of(loop).events
    for partition in range(loop.partitions):
        n, end = log.offsets(topic, partition)
        while n < end:
            rows = log.read(topic, partition, n, max_records=10_000, end=end)
            if not rows:
                break
            for row in rows:
                records = records_of([row])
                _check(found, trial, promoted, kept, row.offset, partition, records)
            n = rows[-1].end
    return found


def _promoted(versions: Sequence[ExperimentDefinition]) -> dict[str, Promoted]:
    """Of each variant that any version promoted, who has got it at most."""
    shares: dict[str, float] = {}
    for one in versions:
        if one.promoted is not None:
            shares[one.promoted] = max(one.promoted_share, shares.get(one.promoted, 0.0))
    return {key: promoted_units(versions[-1].salt, share) for key, share in shares.items()}


def _kept(newest: ExperimentDefinition) -> dict[str, list[float | None]]:
    """What a unit of an earlier phase was logged with, by variant: its share then, and none since."""
    return {
        key: [None, *(band.weights[k] / sum(band.weights) for band in newest.bands)]
        for k, key in enumerate(newest.keys)
    }


def _check(
    found: AssignmentCheck,
    trial: TrialDecider,
    promoted: Mapping[str, Promoted],
    kept: Mapping[str, Collection[float | None]],
    offset: int,
    partition: int,
    records: Sequence[object],
) -> None:
    for record in records:
        if not isinstance(record, Decision) or record.experiment != trial.definition.name:
            continue
        found.decisions += 1
        found.chosen += record.probability is not None
        variant, reason, probability, _ = trial.assign(record.unit, None, record.account)
        was_promoted = record.probability is None and record.variant in promoted
        then = kept.get(variant or "", ()) if reason is Reason.STICKY else (probability,)
        if (variant == record.variant and record.probability in then) or (
            was_promoted and promoted[record.variant or ""](record.unit)
        ):
            found.agree += 1
        elif len(found.differ) < _KEPT:
            found.differ.append((offset, partition, record.unit, record.variant, variant))
