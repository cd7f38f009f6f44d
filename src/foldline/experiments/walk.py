"""The walk: through the minutes of an experiment to its verdict, and on to what revises it.

The verdict is taken at the first minute, below every partition's stream time, in which the deciding rule is met. What
comes later and belongs to that minute or an earlier one makes a revision, in the minute in which it came; the verdict
stands. Either depends on the tallies alone, not on who looked when.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from foldline.experiments.definition import ExperimentDefinition
from foldline.experiments.effects import Effect, breach, live_effect, live_effects
from foldline.experiments.revision import Revision, revision_of
from foldline.experiments.screen import Running, may_exclude, running, shares_may_fall
from foldline.experiments.tally import Tally, Totals
from foldline.experiments.tally_fold import TallyFold, ValuesKept
from foldline.experiments.tally_layout import MINUTE_MS, Count
from foldline.experiments.verdict import Breach, Standing, Verdict, decide, decide_again
from foldline.stats.not_estimable import NotEstimable
from foldline.stats.sample_ratio import sequential_ratio

Bools = npt.NDArray[np.bool_]
Int64s = npt.NDArray[np.int64]


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
        revisions: of the verdict, in order.
        decided: where the verdict was taken, with what came since and belongs there.
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
        self.revisions: list[Revision] = []
        self.decided: Standing | None = None
        self._ended = min(
            (p for p in self.tally.phases if p.state == "ended"), key=lambda p: p.time, default=None
        )
        if after is not None:
            self._take_up(after)
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
        before = self.minute
        if len(minutes):
            self._go(minutes)
        self.minute = max(self.minute, stop)
        self._revise(before)
        return self.verdict

    def effects(self) -> tuple[Effect, ...]:
        """The goal's effects at this minute, with limits that hold at every moment."""
        return live_effects(self.definition, self.kept, self.totals)

    def guardrails(self) -> tuple[Effect, ...]:
        """The guardrails' effects at this minute, by guardrail, then challenger."""
        return tuple(
            live_effect(self.definition, self.kept, self.totals, 1 + which, challenger, guardrail.alpha)
            for which, guardrail in enumerate(self.definition.guardrails)
            for challenger in range(1, len(self.definition.keys))
        )

    def _take_up(self, after: "Walk") -> None:
        self.totals, self.minute, self.sample_ratio_p = after.totals, after.minute, after.sample_ratio_p
        self.breaches, self.breached = list(after.breaches), set(after.breached)
        self.verdict, self.revisions, self.decided = after.verdict, list(after.revisions), after.decided

    def _left(self) -> tuple[Int64s, list[int]]:
        """Minutes in which something happens, rising, and times after which the rule ends it."""
        stopped = None if self._ended is None else self._ended.time
        ends = [time for time in (stopped, self.definition.deadline) if time is not None]
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
                self._decide()
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

    def _decide(self) -> None:
        """At the minute before `minute`, if the rule is met."""
        standing = Standing(
            time=self.minute * MINUTE_MS,
            totals=self.totals,
            sample_ratio_p=self.sample_ratio_p,
            version=min((p.version for p in self.tally.phases if p.state == "running"), default=1),
            ended=self._ended,
        )
        self.verdict = decide(self.definition, self.kept, standing)
        if self.verdict is not None:
            self.decided = standing

    def _revise(self, before: int) -> None:
        """By what came from a minute on, and belongs to the verdict's or an earlier one."""
        if self.verdict is None or self.decided is None:
            return
        taken = self.verdict.time // MINUTE_MS
        for minute, came in self.tally.moved(taken, (max(before, taken), self.minute)):
            self.decided = self.decided.with_more(came)
            known = self.revisions[-1].verdict if self.revisions else self.verdict
            found = decide_again(self.definition, self.kept, self.decided)
            if found != known:
                self.revisions.append(revision_of(self.verdict, found, (minute + 1) * MINUTE_MS))
