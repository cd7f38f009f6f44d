"""The verdict: a pure function of the tallies of every partition and the definition, whoever looks and when.

It is taken at the first minute, below every partition's stream time, in which the deciding rule is met: with a fixed
horizon, in which every variant has its planned matured units; with an always-valid rule, in which the interval of
some challenger first excludes zero. A shares test that alarms makes the experiment invalid from that minute on; a
stop by hand, or the maximum duration, ends it without a winner.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np

from foldline.experiments.definition import ExperimentDefinition
from foldline.experiments.effects import Effect, breach, final_effects, live_effect
from foldline.experiments.tally import Tally, Totals
from foldline.experiments.tally_fold import TallyFold, ValuesKept
from foldline.experiments.tally_layout import MINUTE_MS, Count
from foldline.stats.not_estimable import NotEstimable
from foldline.stats.sample_ratio import sequential_ratio

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


class Walk:
    """Goes through the minutes of an experiment once, in order.

    Args:
        definition: any version from its start on.
        parts: the tally of each partition.
        after: a walk through an earlier state of the same tallies, taken up where it ended: final minutes stay.

    Attributes:
        final: minutes before it can change no more.
        totals: up to the last minute looked at.
        minute: the first minute not looked at.
        sample_ratio_p: least p-value so far of the sequential test of shares.
        breaches: the first of each guardrail and challenger.
        breached: which those are, by their numbers.
        verdict: the first there was; None while there is none.
    """

    def __init__(
        self, definition: ExperimentDefinition, parts: Sequence[Tally], after: "Walk | None" = None
    ) -> None:
        fold = TallyFold(definition)
        self.definition = definition
        self.kept: ValuesKept = fold.kept
        self.tally = fold.merge_all(parts)
        self.final = min(part.final_minute for part in parts)
        self.totals: Totals = self.tally.upto(0)
        self.minute = 0
        self.sample_ratio_p = 1.0
        self.breaches: list[Breach] = []
        self.verdict: Verdict | None = None
        self.breached: set[tuple[int, int]] = set()
        self._stopped = min((p.time for p in self.tally.phases if p.state == "ended"), default=None)
        if after is not None:
            self.totals, self.minute, self.sample_ratio_p = after.totals, after.minute, after.sample_ratio_p
            self.breaches, self.verdict, self.breached = (
                list(after.breaches),
                after.verdict,
                set(after.breached),
            )
        self._left = self._minutes()

    def run(self, until: int | None = None) -> Verdict | None:
        """Look at every final minute not looked at, up to a stream time in milliseconds; the verdict, if there is one.

        It goes on after the verdict, which stands. About 0.1 ms a minute, and as much for each guardrail.
        """
        stop = self.final if until is None else min(self.final, until // MINUTE_MS)
        while self._left and self._left[-1][0] < stop:
            minute, at = self._left.pop()
            if at is not None:
                self.totals = self.totals.plus(
                    self.tally.counts[at], self.tally.sums[at], self.tally.low[at], self.tally.high[at]
                )
            self.minute = minute + 1
            self._watch()
            if self.verdict is None:
                self.verdict = self._decide(minute)
        self.minute = max(self.minute, stop)
        return self.verdict

    def effects(self) -> tuple[Effect, ...]:
        """The goal's effects at this minute, with limits that hold at every moment."""
        alpha = self.definition.alpha / (len(self.definition.keys) - 1)
        return tuple(
            live_effect(self.definition, self.kept, self.totals, 0, challenger, alpha)
            for challenger in range(1, len(self.definition.keys))
        )

    def guardrails(self) -> tuple[Effect, ...]:
        """The guardrails' effects at this minute, by guardrail, then challenger."""
        return tuple(
            live_effect(self.definition, self.kept, self.totals, 1 + which, challenger, guardrail.alpha)
            for which, guardrail in enumerate(self.definition.guardrails)
            for challenger in range(1, len(self.definition.keys))
        )

    def _minutes(self) -> list[tuple[int, int | None]]:
        """Minutes in which something happens, the last first, with their place in the tally where they have one."""
        places = {int(minute): at for at, minute in enumerate(self.tally.minutes.tolist())}
        ends = {time // MINUTE_MS for time in (self._stopped, self.definition.deadline) if time is not None}
        return [
            (minute, places.get(minute))
            for minute in sorted({*places, *ends}, reverse=True)
            if minute >= self.minute
        ]

    def _watch(self) -> None:
        enrolled = self.totals.counts[:, Count.ENROLLED].tolist()
        found = sequential_ratio(enrolled, self.definition.weights)
        if not isinstance(found, NotEstimable):
            self.sample_ratio_p = min(self.sample_ratio_p, found.p_value)
        challengers = len(self.definition.keys) - 1
        for i, effect in enumerate(self.guardrails()):
            which = i // challengers
            guardrail, key = self.definition.guardrails[which], (which, i % challengers)
            if key not in self.breached and breach(guardrail, effect):
                self.breached.add(key)
                self.breaches.append(
                    Breach(time=self.minute * MINUTE_MS, effect=effect, margin=guardrail.margin)
                )

    def _decide(self, minute: int) -> Verdict | None:
        definition, time = self.definition, (minute + 1) * MINUTE_MS
        if self.sample_ratio_p <= definition.srm_alpha:
            shares = f"sample ratio mismatch: p = {self.sample_ratio_p:.2g}, at most {definition.srm_alpha:g} allowed"
            return self._verdict(time, "invalid", None, shares, self.effects())
        planned = np.array(definition.sample_sizes)
        reached = bool((self.totals.counts[:, Count.MATURED] >= planned).all())
        if definition.rule == "fixed" and reached:
            return self._concluded(
                time, tuple(final_effects(definition, self.kept, self.totals)), definition.alpha
            )
        if definition.rule == "always_valid":
            effects = self.effects()
            if any(_excludes_zero(effect) for effect in effects):
                return self._concluded(time, effects, definition.alpha / len(effects))
        if self._stopped is not None and self._stopped < time:
            return self._verdict(time, "inconclusive", None, "stopped by hand", self.effects())
        if definition.deadline is not None and definition.deadline < time:
            reason = "maximum duration reached" + ("" if reached else " before the planned sample")
            return self._verdict(time, "inconclusive", None, reason, self.effects())
        return None

    def _concluded(self, time: int, effects: tuple[Effect, ...], alpha: float) -> Verdict:
        enrolled, mixed = (int(self.totals.counts[:, c].sum()) for c in (Count.ENROLLED, Count.MIXED))
        if mixed > self.definition.mixed_limit * enrolled:
            reason = f"{mixed} of {enrolled} units were found in two variants, at most {self.definition.mixed_limit:g}"
            return self._verdict(time, "invalid", None, reason, effects)
        better = self.definition.goal.better
        sure = [e for e in effects if e.p_value is not None and e.p_value <= alpha and e.difference]
        winners = [e for e in sure if better * (e.difference or 0.0) > 0.0]
        if winners:
            best = max(winners, key=lambda e: better * (e.difference or 0.0))
            return self._verdict(time, "challenger_wins", best.challenger, _sentence(best), effects)
        if len(sure) == len(effects):
            worst = min(sure, key=lambda e: better * (e.difference or 0.0))
            return self._verdict(time, "control_wins", self.definition.keys[0], _sentence(worst), effects)
        return self._verdict(time, "inconclusive", None, "no difference was found", effects)

    def _verdict(
        self, time: int, result: Outcome, winner: str | None, reason: str, effects: tuple[Effect, ...]
    ) -> Verdict:
        counts, keys = self.totals.counts, self.definition.keys
        return Verdict(
            experiment=self.definition.name,
            version=min((p.version for p in self.tally.phases if p.state == "running"), default=1),
            result=result,
            winner=winner,
            reason=reason,
            time=time,
            rule=self.definition.rule,
            alpha=self.definition.alpha,
            units=dict(zip(keys, counts[:, Count.MATURED].tolist(), strict=True)),
            enrolled=dict(zip(keys, counts[:, Count.ENROLLED].tolist(), strict=True)),
            mixed=int(counts[:, Count.MIXED].sum()),
            effects=effects,
            sample_ratio_p=self.sample_ratio_p,
        )


def _excludes_zero(effect: Effect) -> bool:
    return effect.low is not None and effect.high is not None and (effect.low > 0.0 or effect.high < 0.0)


def _sentence(effect: Effect) -> str:
    return (
        f"{effect.metric}: {effect.value:.6g} with {effect.challenger!r}, {effect.control:.6g} with the control, "
        f"p = {effect.p_value:.3g} by {effect.method}"
    )
