"""The verdict: a pure function of the tallies of every partition and the definition, whoever looks and when.

It is taken at the first minute, below every partition's stream time, in which the deciding rule is met: with a fixed
horizon, in which every variant has its planned matured units; with an always-valid rule, in which some challenger's
interval first says that it is better, or every one's that it is worse. A shares test that alarms makes the experiment
invalid from that minute on; a stop by hand, or the maximum duration, ends it without a winner.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from foldline.experiments.definition import ExperimentDefinition
from foldline.experiments.effects import Effect, breach, final_effects, live_effect
from foldline.experiments.screen import Running, may_exclude, running, shares_may_fall
from foldline.experiments.tally import Tally, Totals
from foldline.experiments.tally_fold import TallyFold, ValuesKept
from foldline.experiments.tally_layout import MINUTE_MS, Count
from foldline.stats.not_estimable import NotEstimable
from foldline.stats.sample_ratio import sequential_ratio

Bools = npt.NDArray[np.bool_]
Int64s = npt.NDArray[np.int64]
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
        self._minutes, self._ends = self._left()

    def run(self, until: int | None = None) -> Verdict | None:
        """Look at every final minute not looked at, up to a stream time in milliseconds; the verdict, if there is one.

        It goes on after the verdict, which stands. Minutes in which nothing can happen are passed over, some
        microseconds each (`screen`); a minute looked at exactly takes 0.1 ms, and as much for each guardrail.
        Guardrails that are ratios, or have a covariate, are looked at in every minute.
        """
        stop = self.final if until is None else min(self.final, until // MINUTE_MS)
        minutes = self._minutes[: int(np.searchsorted(self._minutes, stop))]
        self._minutes = self._minutes[len(minutes) :]
        if len(minutes):
            self._go(minutes)
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

    def _left(self) -> tuple[Int64s, list[int]]:
        """Minutes in which something happens, rising, and times after which the rule ends it."""
        ends = [time for time in (self._stopped, self.definition.deadline) if time is not None]
        # What was looked at is left out first: of a long walk taken up again little is left to sort.
        minutes = self.tally.minutes[np.searchsorted(self.tally.minutes, self.minute) :]
        ending = [time // MINUTE_MS for time in ends if time // MINUTE_MS >= self.minute]
        return np.union1d(minutes, np.array(ending, np.int64)), ends

    def _go(self, minutes: Int64s) -> None:
        tally = self.tally
        first, last = np.searchsorted(tally.minutes, [minutes[0], minutes[-1] + 1]).tolist()
        found = running(tally, self.kept, self.totals, first, last)
        # Minutes that only end something stand in no tally: they have the totals of the one before.
        at = np.searchsorted(tally.minutes[first:last], minutes, side="right") - 1
        shares = np.append(shares_may_fall(self.definition, found, self.sample_ratio_p), False)[at]
        goal = np.append(self._goal_may_decide(found), False)[at]
        guarded = [np.append(each, False)[at] for each in self._guardrails_may_break(found)]
        ending = np.zeros(len(minutes), np.bool_)
        for time in self._ends:
            ending[int(np.searchsorted((minutes + 1) * MINUTE_MS, time, side="right")) :][:1] = True
        place = first
        looked = np.logical_or.reduce([shares, goal, ending, *guarded])
        for i in np.flatnonzero(looked).tolist():
            open_guardrails = [which for which, flags in enumerate(guarded) if flags[i]]
            deciding = self.verdict is None and (shares[i] or goal[i] or ending[i])
            self.minute = int(minutes[i]) + 1
            if deciding or any(self._key(which) not in self.breached for which in open_guardrails):
                upto = first + int(at[i]) + 1
                self.totals, place = self.totals.plus(tally, place, upto), upto
            if shares[i]:
                self._watch_shares(found.counts[at[i]])
            for which in open_guardrails:
                self._watch_guardrail(which)
            if deciding:
                self.verdict = self._decide(int(minutes[i]))
        self.totals = self.totals.plus(tally, place, last)

    def _goal_may_decide(self, found: Running) -> Bools:
        """Minutes in which the rule may be met; of a fixed horizon, the first."""
        may = np.zeros(len(found.counts), np.bool_)
        if self.verdict is not None:
            return may
        if self.definition.rule == "fixed":
            planned = np.array(self.definition.sample_sizes)
            reached = np.flatnonzero((found.counts[:, :, Count.MATURED] >= planned).all(axis=1))
            may[reached[:1]] = True
            return may
        challengers = range(1, len(self.definition.keys))
        alpha = self.definition.alpha / len(challengers)
        for challenger in challengers:
            may |= may_exclude(self.definition, self.kept, found, 0, challenger, alpha)
        return may

    def _guardrails_may_break(self, found: Running) -> list[Bools]:
        """By guardrail, then challenger."""
        return [
            may_exclude(self.definition, self.kept, found, 1 + which, challenger, guardrail.alpha)
            for which, guardrail in enumerate(self.definition.guardrails)
            for challenger in range(1, len(self.definition.keys))
        ]

    def _key(self, which: int) -> tuple[int, int]:
        """Guardrail and challenger, from 0, of a place in the list of guardrails' effects."""
        return divmod(which, len(self.definition.keys) - 1)

    def _watch_shares(self, counts: Int64s) -> None:
        found = sequential_ratio(counts[:, Count.ENROLLED].tolist(), self.definition.weights)
        if not isinstance(found, NotEstimable):
            self.sample_ratio_p = min(self.sample_ratio_p, found.p_value)

    def _watch_guardrail(self, which: int) -> None:
        guardrail, challenger = key = self._key(which)
        if key in self.breached:
            return
        wanted = self.definition.guardrails[guardrail]
        effect = live_effect(
            self.definition, self.kept, self.totals, 1 + guardrail, 1 + challenger, wanted.alpha
        )
        if breach(wanted, effect):
            self.breached.add(key)
            self.breaches.append(Breach(time=self.minute * MINUTE_MS, effect=effect, margin=wanted.margin))

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
            signs = [_sign(effect) * definition.goal.better for effect in effects]
            # One challenger that is worse settles nothing while another may still be better.
            if max(signs) > 0 or max(signs) < 0:
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
        reason = "no difference was found"
        if sure:
            reason = "no challenger is better; worse: " + "; ".join(map(_sentence, sure))
        return self._verdict(time, "inconclusive", None, reason, effects)

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


def _sign(effect: Effect) -> int:
    """1 or -1 where the interval lies on one side of zero, else 0."""
    if effect.low is None or effect.high is None:
        return 0
    return (effect.low > 0.0) - (effect.high < 0.0)


def _sentence(effect: Effect) -> str:
    return (
        f"{effect.metric}: {effect.value:.6g} with {effect.challenger!r}, {effect.control:.6g} with the control, "
        f"p = {effect.p_value:.3g} by {effect.method}"
    )
