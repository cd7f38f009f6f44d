"""Experiments in Prometheus's form: what their tallies hold, as of the newest roots.

Each tally is followed: a scrape reads the roots that are new since the last, and looks at the minutes that are new.
Counts of a variant's decisions and of records are the tally's own, so they are the same in every process and go on
after a restart. Labels name experiments, variants and metrics; never a unit.
"""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from foldline.engine.followed_results import FollowedResults
from foldline.errors import FoldlineError
from foldline.experiments.definition import ExperimentDefinition
from foldline.experiments.effects import Effect
from foldline.experiments.results import Results
from foldline.loops.catalogue import Catalogue
from foldline.stats.not_estimable import NotEstimable
from foldline.stats.sample_ratio import sequential_ratio


class ExperimentGauges:
    """Every experiment of a log that was started. Thread-safe.

    Args:
        followed: reads their results.
    """

    def __init__(self, followed: FollowedResults) -> None:
        self._followed = followed

    def metrics(self, loops: Catalogue, experiments: list[ExperimentDefinition]) -> Iterator[Metric]:
        """As Prometheus wants them.

        Args:
            loops: their newest versions.
            experiments: likewise; drafts are passed over.
        """
        families = _Families()
        for one in experiments:
            loop = loops.get(one.loop)
            if one.state == "draft" or loop is None:
                continue
            try:
                families.add(one, self._followed.results(loop, one))
            except FoldlineError:
                # Its topics are being made, or a root is damaged: the others are still worth telling of.
                continue
        yield from families.all()


class _Families:
    """The metrics, filled experiment by experiment."""

    def __init__(self) -> None:
        self._exposures = CounterMetricFamily(
            "foldline_experiment_exposures",
            "decisions made in the experiment, by variant",
            labels=["experiment", "variant"],
        )
        self._records = CounterMetricFamily(
            "foldline_experiment_records",
            "rewards, observations and exposures folded, by what became of them",
            labels=["experiment", "kind"],
        )
        self._units = _gauge(
            "units",
            "units: enrolled, matured (analysed), mixed (in two variants), planned",
            "variant",
            "state",
        )
        self._values = _gauge(
            "value", "rate, mean or ratio of the matured units", "metric", "kind", "variant"
        )
        self._differences = _gauge("estimate", "challenger minus control", "metric", "kind", "challenger")
        self._low = _gauge(
            "limit_low",
            "lower limit of the estimate, which holds at every moment",
            "metric",
            "kind",
            "challenger",
        )
        self._high = _gauge("limit_high", "upper limit, likewise", "metric", "kind", "challenger")
        self._factor = _gauge(
            "srm_log_bayes_factor", "evidence that the variants' shares are not as planned, natural logarithm"
        )
        self._mixed = _gauge("mixed_units_ratio", "units seen in two variants, of those enrolled")
        self._progress = _gauge("sample_progress", "matured units of those planned, of the variant that lags")
        self._running = _gauge("running", "1 while units are assigned")
        self._verdict = _gauge("verdict", "1 of the verdict that was taken", "result")

    def add(self, one: ExperimentDefinition, found: Results) -> None:
        """Take in what is known of an experiment."""
        name = one.name
        for variant in found.variants:
            self._exposures.add_metric([name, variant.key], variant.decisions)
            for state in ("enrolled", "matured", "mixed", "planned"):
                self._units.add_metric([name, variant.key, state], getattr(variant, state))
        for kind, count in found.counters.items():
            self._records.add_metric([name, kind], count)
        effects = iter((*found.effects, *found.guardrails))
        for measure in one.measures:
            metric = measure.name if measure.per is None else f"{measure.name} per {measure.per}"
            for _ in one.keys[1:]:
                self._add_effect(one, next(effects), metric)
        enrolled = [variant.enrolled for variant in found.variants]
        shares = sequential_ratio(enrolled, one.weights)
        if not isinstance(shares, NotEstimable):
            self._factor.add_metric([name], shares.statistic)
        if sum(enrolled):
            self._mixed.add_metric([name], sum(v.mixed for v in found.variants) / sum(enrolled))
        self._progress.add_metric([name], found.progress)
        self._running.add_metric([name], one.state == "running")
        if found.verdict is not None:
            self._verdict.add_metric([name, found.verdict.result], 1)

    def _add_effect(self, one: ExperimentDefinition, effect: Effect, metric: str) -> None:
        """Where there is no number there is no sample."""
        labels = [one.name, metric, effect.kind]
        if effect.challenger == one.keys[1] and effect.control is not None:
            self._values.add_metric([*labels, one.keys[0]], effect.control)
        if effect.value is not None:
            self._values.add_metric([*labels, effect.challenger], effect.value)
        for family, number in (
            (self._differences, effect.difference),
            (self._low, effect.low),
            (self._high, effect.high),
        ):
            if number is not None:
                family.add_metric([*labels, effect.challenger], number)

    def all(self) -> Iterator[Metric]:
        """Every family."""
        yield from (self._exposures, self._records, self._units, self._values, self._differences, self._low)
        yield from (self._high, self._factor, self._mixed, self._progress, self._running, self._verdict)


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"foldline_experiment_{name}", text, labels=["experiment", *labels])
