"""A/A on units that were logged: split them by chance as an experiment would, and see how often it raises an alarm.

Nothing differs between the fake variants, so an alarm is false; over many salts their share must not exceed the level.
Where it does, the metric is not fit for its test at this size (rare, or skewed, with few units on one side), or the
hash does not split these ids as chance would; better known before a launch than after. That one person hides behind
several ids is not seen here: whoever splits ids splits them soundly.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
import numpy as np

from foldline.experiments.assignment import assigner
from foldline.experiments.definition import ExperimentDefinition
from foldline.experiments.effects import final_effects
from foldline.experiments.tally import Tally
from foldline.experiments.tally_fold import TallyFold
from foldline.experiments.tally_layout import MINUTE_MS, Count, Int64s
from foldline.experiments.unit_table import UnitTable
from foldline.experiments.walk import Walk


class FakeRun(NamedTuple):
    """What one salt gave.

    Attributes:
        always_valid: the interval that holds at every moment excluded zero in some minute.
        fixed: the test of one look, at the end, found a difference.
        shares: least p-value of the test of shares.
        tested: whether the test of one look could be made at all.
    """

    always_valid: bool
    fixed: bool
    shares: float
    tested: bool


class AlarmRate(msgspec.Struct, frozen=True, kw_only=True):
    """How often one test raised a false alarm.

    Attributes:
        test: `always_valid`, `fixed` or `shares`.
        alarms: of so many salts.
        salts: tried.
        share: alarms by salts.
        nominal: the level it is to keep.
        most: the level and four binomial standard errors: more would hardly be chance.
        holds: whether the share is at most that.
    """

    test: str
    alarms: int
    salts: int
    share: float
    nominal: float
    most: float
    holds: bool


@dataclass(frozen=True, slots=True)
class FakeSplit:
    """The units of a log, to be split again and again.

    Attributes:
        definition: its variants' weights, goal, window and levels are used.
        table: the units, whatever variant they had.
    """

    definition: ExperimentDefinition
    table: UnitTable

    def run(self, salt: str) -> FakeRun:
        """Split by one salt, tally, and look at every minute. Some ms, and 0.3 us a unit."""
        matured = int(self.table.matured.sum())
        weights = self.definition.weights
        changes: dict[str, Any] = {
            "salt": salt,
            "rule": "always_valid",
            "state": "running",
            "started": None,
            "coverage": 1.0,
            "layer": None,
            "holdouts": (),
            "forced": {},
            "guardrails": (),
            # Nothing differs, so with a margin the answer were rightly yes.
            "goal": msgspec.structs.replace(self.definition.goal, margin=0.0),
            "promoted": None,
            "promoted_share": 0.0,
            "sample_sizes": tuple(max(2, matured * weight // sum(weights)) for weight in weights),
        }
        definition = msgspec.structs.replace(self.definition, **changes)
        fold = TallyFold(definition)
        walk = Walk(definition, [fake_tally(fold, self.table, self._assigned(definition))])
        verdict = walk.run()
        once = msgspec.structs.replace(definition, rule="fixed")
        final = final_effects(once, walk.kept, walk.totals)
        return FakeRun(
            verdict is not None and verdict.result in ("challenger_wins", "control_wins"),
            any(e.p_value is not None and e.p_value <= definition.alpha for e in final),
            walk.sample_ratio_p,
            any(e.p_value is not None for e in final),
        )

    def runs(self, salts: Iterable[str]) -> Iterator[FakeRun]:
        """One for each salt."""
        return map(self.run, salts)

    def _assigned(self, definition: ExperimentDefinition) -> Int64s:
        """By the experiment's own hash, of the unit's hash written as text: ids need not be kept for this."""
        assign, index = assigner(definition.plan()), {key: k for k, key in enumerate(definition.keys)}
        names = [f"{high:016x}{low:016x}" for high, low in self.table.hashes.tolist()]
        return np.array([index[assign(name).variant or ""] for name in names], np.int64)


def fake_tally(fold: TallyFold, table: UnitTable, variants: Int64s) -> Tally:
    """The tally that a split would have given.

    Args:
        fold: of the measures.
        table: the units.
        variants: (n,) of each.
    """
    known, wait = fold.nothing(), fold.terms.wait
    chosen = table.matured
    minute = np.concatenate([table.exposed, table.exposed[chosen] + wait]) // MINUTE_MS
    what = np.repeat([Count.ENROLLED, Count.MATURED], [len(table), int(chosen.sum())]).astype(np.int64)
    # The goal's values come first; guardrails take no part.
    kept = table.values[:, : len(fold.kept.values)]
    values = np.concatenate([np.zeros_like(kept), kept[chosen]])
    variant = np.concatenate([variants, variants[chosen]])
    fold.count(known, minute, variant, what, np.ones(len(minute), np.int64), values)
    known.stream_time = table.stream_time
    return known


def alarm_rates(definition: ExperimentDefinition, runs: Sequence[FakeRun]) -> list[AlarmRate]:
    """The share of alarms of each test, against its level."""
    found = {
        "always_valid": (sum(run.always_valid for run in runs), definition.alpha),
        "fixed": (sum(run.fixed for run in runs), definition.alpha),
        "shares": (sum(run.shares <= definition.srm_alpha for run in runs), definition.srm_alpha),
    }
    rates = []
    for test, (alarms, nominal) in found.items():
        salts = max(1, len(runs))
        most = nominal + 4.0 * (nominal * (1.0 - nominal) / salts) ** 0.5
        rates.append(
            AlarmRate(
                test=test,
                alarms=alarms,
                salts=len(runs),
                share=alarms / salts,
                nominal=nominal,
                most=most,
                holds=alarms / salts <= most,
            )
        )
    return rates
