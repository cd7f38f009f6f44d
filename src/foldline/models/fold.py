"""The fold that runs a model over a partition's examples: each is predicted, then learnt when its label is known.

The inference of record is the one made here, by a state that is a function of the prefix, before the label was learnt.
Metrics move as labels come; inferences, and labels that came late, are output records.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np

from foldline.fold.outputs import Outputs
from foldline.fold.protocol import Applied, Dump
from foldline.models.definition import ModelDefinition
from foldline.models.held import Held
from foldline.models.inference import Inference, Labelled, Names, WindowMetrics, likelihood
from foldline.models.inference_columns import InferenceColumns
from foldline.models.join import Join
from foldline.models.known import Count, KnownModel, dump_known, load_known, merged, nothing
from foldline.models.measuring import Measured, measure
from foldline.models.online import Predictions, Steps
from foldline.models.signing import Secret, no_secret
from foldline.models.stepping import take
from foldline.models.taken import Taken
from foldline.models.window import WindowReport
from foldline.records.categorical import Categorical
from foldline.records.columns import Columns
from foldline.records.examples import FeatureTable
from foldline.records.types import Value

_NAN: Final = float("nan")


def _plain(value: Any) -> Any:
    """Numbers as numpy has them, which a model may give, as JSON has them."""
    if isinstance(value, np.generic):
        return value.item()
    raise NotImplementedError


_ENCODE = msgspec.json.Encoder(enc_hook=_plain).encode


@dataclass(slots=True)
class ModelState:
    """What is known, and the join in progress, which is pending."""

    known: KnownModel
    join: Join


class ModelFold:
    """Folds a partition of an event topic with one of a loop's models. See `Fold`.

    Args:
        definition: the model's.
        secret: gives the deployment's, with which River's states are signed.

    Attributes:
        definition: as given.
        model: as built.
    """

    version = 3
    has_outputs = True

    def __init__(self, definition: ModelDefinition, secret: Secret = no_secret) -> None:
        self.definition = definition
        self.name = definition.name
        self.model = definition.build(secret)

    def parameters(self) -> dict[str, Any]:
        """See `Fold.parameters`: all that some prefix could fold differently with."""
        chosen = self.definition
        return {
            **self.model.identity(),
            "label_window_ms": chosen.label_window_ms,
            "missing": chosen.missing,
            "groups": chosen.groups,
            "positive": chosen.positive,
            "window": chosen.window,
            "exact_scores": chosen.exact_scores,
        }

    def nothing(self) -> KnownModel:
        """The identity of the merge."""
        return nothing(self.definition)

    def empty(self) -> ModelState:
        """See `Fold.empty`."""
        return ModelState(self.nothing(), Join(self.definition.label_window_ms))

    def due(self, state: ModelState) -> int | None:
        """See `Fold.due`: when an example's window passes without a label."""
        return state.join.due()

    def apply(self, state: ModelState, columns: Columns, *, muted: bool = False) -> Applied:
        """See `Fold.apply`. Costs what the model does, and some microseconds an example."""
        taken = take(state.join, columns, self.definition.groups, self.definition.missing)
        if muted:
            return Applied()
        known = state.known
        known.stream_time = state.join.stream_time
        known.counts = known.counts + taken.counts
        outputs = self._work(known, taken) if len(taken) else None
        known.held.discard(taken.expired)
        return Applied(changed=len(taken) > 0 or bool(taken.counts.any()), outputs=outputs)

    def merge_all(self, parts: Sequence[KnownModel]) -> KnownModel:
        """Counts and metrics of a cut, in partition order; models stay with their partitions."""
        return merged(self.definition, list(parts))

    def dump(self, state: ModelState, *, pending: bool = True, standing: Collection[str] = ()) -> Dump:
        """See `Fold.dump`."""
        return Dump(dump_known(state.known, self.model), state.join.dump() if pending else [])

    def load_known(self, data: bytes) -> KnownModel:
        """The known half, its models as bytes: enough to look at."""
        return load_known(self.definition, data, self.model.task)

    def load(self, dump: Dump) -> ModelState:
        """See `Fold.load`; `fold.unsigned` where a model's bytes are not of this deployment."""
        known = self.load_known(dump.known)
        known.states = {group: self.model.load(data) for group, data in known.saved.items()}
        known.saved = {}
        window = self.definition.label_window_ms
        return ModelState(known, Join.load(window, dump.pending) if dump.pending else Join(window))

    def _work(self, known: KnownModel, taken: Taken) -> Outputs:
        """Predict, learn, measure; what is told of it."""
        predictions = self._run(known, taken)
        known.counts[Count.EXAMPLES] += np.count_nonzero(taken.predicts)
        known.counts[Count.COLD] += sum(predictions.cold or ())
        known.counts[Count.FAILURES] += len(predictions.failures)
        columns = InferenceColumns.of(taken, predictions, known.held, self.definition.positive)
        if columns is None:
            return self._tell_each(known, taken, predictions)
        return self._tell_columns(known, taken, columns)

    def _tell_columns(self, known: KnownModel, taken: Taken, columns: InferenceColumns) -> Outputs:
        """As `_tell_each`, where it fits into columns."""
        before = int(known.counts[Count.LEARNT])
        known.counts[Count.LEARNT] += np.count_nonzero(columns.learns())
        points = measure(known, columns.measured(self.definition.positive), self.model.task)
        after = {line - 1: self._point(*point) for line, point in points}
        rows = taken.row
        return Outputs(
            columns.lines(self.name, before, after),
            np.insert(rows, [at + 1 for at in after], rows[list(after)]),
        )

    def _tell_each(self, known: KnownModel, taken: Taken, predictions: Predictions) -> Outputs:
        """The output lines, one after another; the metrics move."""
        count = len(taken)
        nothing = [None] * count
        failures, cold = predictions.failures, predictions.cold or [False] * count
        probabilities, scores = predictions.probabilities or nothing, predictions.scores or nothing
        lines: list[bytes] = []
        measured: list[tuple[Value, Value | None, float, float, int, int]] = []
        positive, suffix, names = self.definition.positive, f"/{self.name}", Names()
        sequences = taken.sequence.tolist()
        learns_all = self.model.task == "anomaly"
        learnt = int(known.counts[Count.LEARNT])
        for at, (time, id, unit, y, predicts, value, table, score) in enumerate(zip(
            taken.at.tolist(), taken.id, taken.unit, taken.y, taken.predicts.tolist(), predictions.values,
            probabilities, scores, strict=True,
        )):  # fmt: skip
            error, sequence = failures.get(at), sequences[at]
            if predicts:
                rank = table.get(positive, 0.0) if table else score
                named = names.of(table) if table else None
                told = Inference(id + suffix, id, unit, time, learnt, value, named, score, cold[at], y, error)
                lines.append(_ENCODE(told))
                if y is None:
                    known.held.add(Held.of(sequence, value, rank, table))
                else:
                    chance = likelihood(table, y, positive) if table else _NAN
                    measured.append((y, value, _NAN if rank is None else rank, chance, time, len(lines)))
            elif y is not None:
                held = known.held.pop(sequence)
                lines.append(_ENCODE(Labelled(id + suffix, id, unit, time, y, held.value, held.score, error)))
                rank = _NAN if held.score is None else held.score
                measured.append((y, held.value, rank, held.likelihood(y, positive), time, len(lines)))
            if error is None and (predicts if learns_all else y is not None):
                learnt += 1
        known.counts[Count.LEARNT] = learnt
        rows = taken.row.tolist()
        for line, point in reversed(measure(known, _measured(measured), self.model.task)):
            lines.insert(line, self._point(*point))
            rows.insert(line, rows[line - 1])
        return Outputs(b"\n".join(lines), np.array(rows, np.int64))

    def _point(self, time: int, labelled: int, window: WindowReport) -> bytes:
        """A point of the course as an output line."""
        return _ENCODE(WindowMetrics(f"{self.name}/{labelled}", time, labelled, window))

    def _run(self, known: KnownModel, taken: Taken) -> Predictions:
        """Each group's steps by its own model."""
        if self.definition.groups == 1:
            return self._run_group(known, 0, Steps(taken.x, taken.y, taken.predicts))
        places: dict[int, list[int]] = {}
        for at, group in enumerate(taken.group.tolist()):
            places.setdefault(group, []).append(at)
        whole = Predictions([None] * len(taken))
        for group in sorted(places):
            chosen = places[group]
            x = (
                taken.x[np.array(chosen)]
                if isinstance(taken.x, FeatureTable)
                else [taken.x[at] for at in chosen]
            )
            y = (
                taken.y[np.array(chosen)]
                if isinstance(taken.y, Categorical)
                else [taken.y[at] for at in chosen]
            )
            part = self._run_group(known, group, Steps(x, y, taken.predicts[np.array(chosen)]))
            for name in ("values", "probabilities", "scores", "cold"):
                column = getattr(part, name)
                if column is not None:
                    if getattr(whole, name) is None:
                        setattr(whole, name, [None] * len(taken))
                    for at, each in zip(chosen, column, strict=True):
                        getattr(whole, name)[at] = each
            whole.failures.update({chosen[at]: text for at, text in part.failures.items()})
        return whole

    def _run_group(self, known: KnownModel, group: int, steps: Steps) -> Predictions:
        state = known.states.get(group)
        if state is None:
            data = known.saved.pop(group, None)
            state = known.states[group] = self.model.empty() if data is None else self.model.load(data)
        return self.model.run(state, steps)


def _measured(rows: list[tuple[Value, Value | None, float, float, int, int]]) -> Measured:
    truth, value, score, likelihoods, time, line = zip(*rows, strict=True) if rows else ((),) * 6
    return Measured(truth, value, np.array(score, np.float64), np.array(likelihoods, np.float64), time, line)
