"""Results: what is known of an experiment at some point of its log, live or recomputed."""

from collections.abc import Sequence

import msgspec

from foldline.experiments.definition import ExperimentDefinition
from foldline.experiments.effects import Effect
from foldline.experiments.revision import Revision
from foldline.experiments.tally import Tally, Totals
from foldline.experiments.tally_layout import MINUTE_MS, Count, Counter
from foldline.experiments.verdict import Breach, Verdict
from foldline.experiments.walk import Walk


class VariantResult(msgspec.Struct, frozen=True, kw_only=True):
    """One variant's units.

    Attributes:
        key: the variant's.
        policy: kind of its policy.
        learns: from which decisions it learns.
        weight: its share, in whole parts.
        decisions: decisions made for its units.
        enrolled: units that met it first.
        matured: units whose window has closed: these are analysed.
        mixed: units found in another variant too.
        planned: matured units planned.
    """

    key: str
    policy: str
    learns: str
    weight: int
    decisions: int
    enrolled: int
    matured: int
    mixed: int
    planned: int


class Results(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an experiment.

    Attributes:
        experiment: its name.
        version: newest definition version within the log read.
        state: draft, running, paused or ended, as the newest marker read says.
        time: stream time up to which all is final, milliseconds; 0 before the first record.
        cut: offsets covered, one a partition.
        rule: how it is decided.
        progress: matured units as a share of those planned, of the variant that lags; at most 1.
        variants: the control first.
        effects: the goal's, with limits that hold at every moment.
        guardrails: theirs, likewise.
        breaches: guardrails that did not hold.
        sample_ratio_p: least p-value so far of the sequential test of shares.
        counters: what became of records: counted, foreign, duplicates, late, outside, revisions, refused, forced,
            unknown_variant.
        verdict: once there is one; it stands.
        revisions: of the verdict, by what came late, in order.

    Example:
        >>> msgspec.json.decode(msgspec.json.encode(Results(
        ...     experiment="ctr", version=1, state="draft", time=0, cut=(0,), rule="fixed", progress=0.0, variants=(),
        ...     effects=(), guardrails=(), breaches=(), sample_ratio_p=1.0, counters={}, verdict=None)))["state"]
        'draft'
    """

    experiment: str
    version: int
    state: str
    time: int
    cut: tuple[int, ...]
    rule: str
    progress: float
    variants: tuple[VariantResult, ...]
    effects: tuple[Effect, ...]
    guardrails: tuple[Effect, ...]
    breaches: tuple[Breach, ...]
    sample_ratio_p: float
    counters: dict[str, int]
    verdict: Verdict | None
    revisions: tuple[Revision, ...] = ()


def results(
    definition: ExperimentDefinition, parts: Sequence[Tally], cut: Sequence[int], until: int | None = None
) -> Results:
    """What is known of an experiment.

    After the verdict the counts go on: the effects are those of all that is final, the verdict stays.

    Args:
        definition: any version from its start on.
        parts: the tally of each partition, at the cut.
        cut: offset covered by each.
        until: stream time to stop at, milliseconds; all that is final by default.
    """
    walk = Walk(definition, parts)
    walk.run(until)
    return results_of(walk, cut)


def results_of(walk: Walk, cut: Sequence[int]) -> Results:
    """What a walk says where it stands now.

    Args:
        walk: that has run.
        cut: offset covered by each partition's tally.
    """
    definition, tally, totals, keys = walk.definition, walk.tally, walk.totals, walk.definition.keys
    newest = max(tally.phases, key=lambda phase: phase.version, default=None)
    lags = min(totals.of(k, Count.MATURED) / planned for k, planned in enumerate(definition.sample_sizes))
    return Results(
        experiment=definition.name,
        version=newest.version if newest is not None else 1,
        state=newest.state if newest is not None else "draft",
        time=walk.minute * MINUTE_MS,
        cut=tuple(cut),
        rule=definition.rule,
        progress=min(1.0, lags),
        variants=tuple(_variant(definition, tally, totals, k) for k in range(len(keys))),
        effects=walk.effects(),
        guardrails=walk.guardrails(),
        breaches=tuple(walk.breaches),
        sample_ratio_p=walk.sample_ratio_p,
        counters={counter.name.lower(): int(tally.counters[counter]) for counter in Counter},
        verdict=walk.verdict,
        revisions=tuple(walk.revisions),
    )


def _variant(definition: ExperimentDefinition, tally: Tally, totals: Totals, k: int) -> VariantResult:
    variant = definition.variants[k]
    return VariantResult(
        key=variant.key,
        policy=str(variant.policy.get("kind")),
        learns=variant.learns,
        weight=variant.weight,
        decisions=int(tally.exposures[k]),
        enrolled=totals.of(k, Count.ENROLLED),
        matured=totals.of(k, Count.MATURED),
        mixed=totals.of(k, Count.MIXED),
        planned=definition.sample_sizes[k],
    )
