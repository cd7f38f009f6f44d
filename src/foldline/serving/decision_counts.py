"""Decisions by reason, and units refused: integers added up on the path of a request."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, Metric

from foldline.errors import FoldlineError
from foldline.experiments.reasons import AssignmentError


class DecisionCounts:
    """Counts of one process since it started."""

    def __init__(self) -> None:
        self._decided: dict[tuple[str, str], int] = {}
        self._refused: dict[tuple[str, str], int] = {}

    def decided(self, loop: str, reason: str) -> None:
        """A decision was made."""
        key = (loop, reason)
        self._decided[key] = self._decided.get(key, 0) + 1

    def refused(self, loop: str, error: FoldlineError) -> None:
        """A report was refused; counted where it was for its unit."""
        if error.field == "unit":
            missing = error.value is None or error.value == ""
            self.refused_unit(
                loop, AssignmentError.TARGETING_KEY_MISSING if missing else AssignmentError.INVALID_CONTEXT
            )

    def refused_unit(self, loop: str, error: AssignmentError) -> None:
        """A unit was refused."""
        key = (loop, error.value)
        self._refused[key] = self._refused.get(key, 0) + 1

    def metrics(self) -> Iterator[Metric]:
        """As Prometheus wants them."""
        decisions = CounterMetricFamily(
            "foldline_decisions", "decisions made, by loop and reason", labels=["loop", "reason"]
        )
        for labels, count in tuple(self._decided.items()):
            decisions.add_metric(labels, count)
        yield decisions
        refused = CounterMetricFamily(
            "foldline_refused_units",
            "decisions and reports refused because the unit's id was missing, or no usable text",
            labels=["loop", "error"],
        )
        for labels, count in tuple(self._refused.items()):
            refused.add_metric(labels, count)
        yield refused
