"""The verdict: a pure function of where an experiment stands at the end of a minute, and of its definition.

The deciding rule is met: with a fixed horizon, where every variant has its planned matured units; with an always-valid
rule, where some challenger's interval says that it is better, or every one's that it is worse. A one-sided question
is whether a challenger is better, or with a margin, not worse by as much: there the control never wins. A shares test
that alarms makes the experiment invalid from that minute on; a stop by hand, a promotion, or the maximum duration,
ends it without a winner.
"""

from dataclasses import dataclass, replace
from typing import Literal

import msgspec
import numpy as np

from foldline.experiments.definition import ExperimentDefinition
from foldline.experiments.effects import Effect, final_effects, live_effects
from foldline.experiments.tally import PhaseSeen, Totals
from foldline.experiments.tally_fold import ValuesKept
from foldline.experiments.tally_layout import Count

Outcome = Literal["challenger_wins", "control_wins", "inconclusive", "invalid"]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """How an experiment ended.

    Attributes:
        experiment: its name.
        version: of the definition it was started with.
        result: `challenger_wins`, `control_wins`, `inconclusive` or `invalid`.
        winner: key of the variant that won, or None.
        reason: one sentence for people.
        time: the end of the minute it was taken at, milliseconds of stream time.
        rule: `fixed` or `always_valid`.
        alpha: chance of a false win it was designed for.
        units: matured units of each variant, by key.
        enrolled: units that met each variant, by key.
        mixed: units found in two variants, left out.
        effects: the goal's, one for each challenger.
        sample_ratio_p: least p-value so far of the sequential test of shares.

    Example:
        >>> Verdict(experiment="ctr", version=2, result="inconclusive", reason="stopped by hand", time=0,
        ...         rule="fixed", alpha=0.05, units={}, enrolled={}, mixed=0, effects=(), sample_ratio_p=1.0).winner
    """

    experiment: str
    version: int
    result: Outcome
    winner: str | None = None
    reason: str
    time: int
    rule: str
    alpha: float
    units: dict[str, int]
    enrolled: dict[str, int]
    mixed: int
    effects: tuple[Effect, ...]
    sample_ratio_p: float


class Breach(msgspec.Struct, frozen=True, kw_only=True):
    """A guardrail that did not hold.

    Attributes:
        time: the end of the minute it was found at, milliseconds of stream time.
        effect: by how much, with limits that hold at every moment.
        margin: what was tolerated.
    """

    time: int
    effect: Effect
    margin: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where an experiment stands at the end of a minute.

    Attributes:
        time: the end of the minute, milliseconds of stream time.
        totals: of all minutes before.
        sample_ratio_p: least p-value so far of the sequential test of shares.
        version: of the definition it was started with.
        ended: the marker that ended it, or None; its time may lie ahead.
    """

    time: int
    totals: Totals
    sample_ratio_p: float
    version: int
    ended: PhaseSeen | None

    def with_more(self, came: Totals) -> "Standing":
        """With what came later and belongs to these minutes."""
        return replace(self, totals=self.totals.add(came))


def decide(definition: ExperimentDefinition, kept: ValuesKept, standing: Standing) -> Verdict | None:
    """The verdict, if the rule is met where the experiment stands.

    Args:
        definition: any version from its start on.
        kept: by `values_of` its measures.
        standing: where it stands.
    """
    totals, time = standing.totals, standing.time
    if standing.sample_ratio_p <= definition.srm_alpha:
        shares = f"sample ratio mismatch: p = {standing.sample_ratio_p:.2g}, at most {definition.srm_alpha:g} allowed"
        return _verdict(definition, standing, "invalid", None, shares, live_effects(definition, kept, totals))
    planned = np.array(definition.sample_sizes)
    reached = bool((totals.counts[:, Count.MATURED] >= planned).all())
    if definition.rule == "fixed" and reached:
        return _at_horizon(definition, kept, standing)
    if definition.rule == "always_valid":
        effects = live_effects(definition, kept, totals)
        alpha = definition.alpha / len(effects)
        signs = [_sign(effect, alpha) * definition.goal.better for effect in effects]
        # One challenger that is worse settles nothing while another may still be better.
        if max(signs) > 0 or max(signs) < 0:
            return _concluded(definition, standing, effects, alpha)
    ended = standing.ended
    if ended is not None and ended.time < time:
        promoted = "promoted before its verdict" if ended.by == "promotion" else "stopped by hand"
        return _verdict(
            definition, standing, "inconclusive", None, promoted, live_effects(definition, kept, totals)
        )
    if definition.deadline is not None and definition.deadline < time:
        reason = "maximum duration reached" + ("" if reached else " before the planned sample")
        return _verdict(
            definition, standing, "inconclusive", None, reason, live_effects(definition, kept, totals)
        )
    return None


def decide_again(definition: ExperimentDefinition, kept: ValuesKept, standing: Standing) -> Verdict:
    """The verdict where one was taken before, with what came later added; there always is one.

    Units that were found in two variants later are missing from the planned sample: the test is made all the same.
    """
    found = decide(definition, kept, standing)
    if found is not None:
        return found
    if definition.rule == "fixed":
        return _at_horizon(definition, kept, standing)
    reason = "with what came later, nothing was to be decided at that moment"
    effects = live_effects(definition, kept, standing.totals)
    return _verdict(definition, standing, "inconclusive", None, reason, effects)


def _at_horizon(definition: ExperimentDefinition, kept: ValuesKept, standing: Standing) -> Verdict:
    effects = tuple(final_effects(definition, kept, standing.totals))
    return _concluded(definition, standing, effects, definition.alpha)


def _concluded(
    definition: ExperimentDefinition, standing: Standing, effects: tuple[Effect, ...], alpha: float
) -> Verdict:
    enrolled, mixed = (int(standing.totals.counts[:, c].sum()) for c in (Count.ENROLLED, Count.MIXED))
    if mixed > definition.mixed_limit * enrolled:
        reason = f"{mixed} of {enrolled} units were found in two variants, at most {definition.mixed_limit:g}"
        return _verdict(definition, standing, "invalid", None, reason, effects)
    if definition.goal.alternative != "two_sided":
        return _one_sided(definition, standing, effects, alpha)
    better = definition.goal.better
    sure = [e for e in effects if e.p_value is not None and e.p_value <= alpha and e.difference]
    winners = [e for e in sure if better * (e.difference or 0.0) > 0.0]
    if winners:
        best = max(winners, key=lambda e: better * (e.difference or 0.0))
        return _verdict(definition, standing, "challenger_wins", best.challenger, _sentence(best), effects)
    if len(sure) == len(effects):
        worst = min(sure, key=lambda e: better * (e.difference or 0.0))
        return _verdict(definition, standing, "control_wins", definition.keys[0], _sentence(worst), effects)
    reason = "no difference was found"
    if sure:
        reason = "no challenger is better; worse: " + "; ".join(map(_sentence, sure))
    return _verdict(definition, standing, "inconclusive", None, reason, effects)


def _one_sided(
    definition: ExperimentDefinition, standing: Standing, effects: tuple[Effect, ...], alpha: float
) -> Verdict:
    goal = definition.goal
    winners = [e for e in effects if e.p_value is not None and e.p_value <= alpha]
    if winners:
        best = max(winners, key=lambda e: goal.better * (e.difference or 0.0))
        return _verdict(definition, standing, "challenger_wins", best.challenger, _sentence(best), effects)
    shown = "better" if not goal.margin else f"not worse by {goal.margin:g}"
    reason = f"no challenger was shown to be {shown}"
    return _verdict(definition, standing, "inconclusive", None, reason, effects)


def _verdict(
    definition: ExperimentDefinition,
    standing: Standing,
    result: Outcome,
    winner: str | None,
    reason: str,
    effects: tuple[Effect, ...],
) -> Verdict:
    counts, keys = standing.totals.counts, definition.keys
    return Verdict(
        experiment=definition.name,
        version=standing.version,
        result=result,
        winner=winner,
        reason=reason,
        time=standing.time,
        rule=definition.rule,
        alpha=definition.alpha,
        units=dict(zip(keys, counts[:, Count.MATURED].tolist(), strict=True)),
        enrolled=dict(zip(keys, counts[:, Count.ENROLLED].tolist(), strict=True)),
        mixed=int(counts[:, Count.MIXED].sum()),
        effects=effects,
        sample_ratio_p=standing.sample_ratio_p,
    )


def _sign(effect: Effect, alpha: float) -> int:
    """1 or -1 where the limits lie on one side of zero, or the answer to a one-sided question is yes; else 0."""
    if effect.low is None or effect.high is None or effect.p_value is None:
        return 0
    if effect.alternative != "two_sided":
        return (1 if effect.alternative == "greater" else -1) * (effect.p_value <= alpha)
    return (effect.low > 0.0) - (effect.high < 0.0)


def _sentence(effect: Effect) -> str:
    note = "" if effect.note is None else f" ({effect.note})"
    margin = f"not worse by {abs(effect.null):g}, " if effect.null else ""
    sided = "" if effect.alternative == "two_sided" else ", one-sided"
    return (
        f"{effect.metric}: {margin}{effect.value:.6g} with {effect.challenger!r}, {effect.control:.6g} with the "
        f"control, p = {effect.p_value:.3g} by {effect.method}{sided}{note}"
    )
