"""The fold that runs a model over a partition's examples: each is predicted, then learnt when its label is known.

The inference of record is the one made here, by a state that is a function of the prefix, before the label was learnt.
Metrics move as labels come; inferences, and labels that came late, are output records.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np

from foldline.fold.outputs import Outputs
from foldline.fold.protocol import Applied, Dump
from foldline.models.definition import ModelDefinition
from foldline.models.inference import Held, Inference, Labelled, named
from foldline.models.join import Join
from foldline.models.known import Count, KnownModel, dump_known, load_known, merged, nothing
from foldline.models.measuring import Measured, measure
from foldline.models.online import Predictions, Steps
from foldline.models.signing import Secret, no_secret
from foldline.models.stepping import Step, take
from foldline.records.columns import Columns

_NAN: Final = float("nan")
_ENCODE = msgspec.json.Encoder().encode


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

    version = 1
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
        outputs = self._work(known, taken.steps) if taken.steps else None
        for sequence in taken.expired:
            known.held.pop(sequence, None)
        return Applied(changed=bool(taken.steps) or bool(taken.counts.any()), outputs=outputs)

    def merge_all(self, parts: Sequence[KnownModel]) -> KnownModel:
        """Counts and metrics of a cut, in partition order; models stay with their partitions."""
        return merged(self.definition, list(parts))

    def dump(self, state: ModelState, *, pending: bool = True) -> Dump:
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

    def _work(self, known: KnownModel, steps: list[Step]) -> Outputs:
        """Predict, learn, measure; what is told of it."""
        lines: list[bytes] = []
        measured = Measured()
        predictions = self._run(known, steps)
        learns_all = self.model.task == "anomaly"
        learnt, cold = int(known.counts[Count.LEARNT]), predictions.cold
        for at, step in enumerate(steps):
            error = predictions.failures.get(at) if predictions.failures else None
            if step.predicts:
                inference = self._inference(predictions, at, step, learnt, error)
                lines.append(_ENCODE(inference))
                held = self._held(predictions, at, step.example.sequence)
                known.counts[Count.COLD] += cold is not None and cold[at]
                if step.y is None:
                    known.held[held.sequence] = held
            else:
                held = known.held.pop(step.example.sequence)
                lines.append(_ENCODE(self._labelled(step, held, error)))
            if step.y is not None:
                score = _NAN if held.score is None else held.score
                measured.add(
                    step.y, held.value, score, held.likelihood(step.y, self.definition.positive), step.at
                )
            learnt += error is None and (step.predicts if learns_all else step.y is not None)
        known.counts[Count.EXAMPLES] += sum(step.predicts for step in steps)
        known.counts[Count.FAILURES] += len(predictions.failures)
        known.counts[Count.LEARNT] = learnt
        measure(known, measured, self.model.task)
        return Outputs(b"\n".join(lines), np.array([step.row for step in steps], np.int64))

    def _run(self, known: KnownModel, steps: list[Step]) -> Predictions:
        """Each group's steps by its own model."""
        if self.definition.groups == 1:
            return self._run_group(known, 0, steps)
        places: dict[int, list[int]] = {}
        for at, step in enumerate(steps):
            places.setdefault(step.example.group, []).append(at)
        whole = Predictions([None] * len(steps))
        for group in sorted(places):
            part = self._run_group(known, group, [steps[at] for at in places[group]])
            for name in ("values", "probabilities", "scores", "cold"):
                column = getattr(part, name)
                if column is not None:
                    if getattr(whole, name) is None:
                        setattr(whole, name, [None] * len(steps))
                    for at, each in zip(places[group], column, strict=True):
                        getattr(whole, name)[at] = each
            whole.failures.update({places[group][at]: text for at, text in part.failures.items()})
        return whole

    def _run_group(self, known: KnownModel, group: int, steps: list[Step]) -> Predictions:
        state = known.states.get(group)
        if state is None:
            state = known.states[group] = self.model.empty()
        wanted = Steps([s.example.x for s in steps], [s.y for s in steps], [s.predicts for s in steps])
        return self.model.run(state, wanted)

    def _inference(
        self, predictions: Predictions, at: int, step: Step, learnt: int, error: str | None
    ) -> Inference:
        example = step.example
        probabilities = predictions.probabilities[at] if predictions.probabilities is not None else None
        return Inference(
            id=f"{example.id}/{self.name}",
            example=example.id,
            unit=example.unit,
            at=step.at,
            learnt=learnt,
            value=predictions.values[at],
            probabilities=named(probabilities) if probabilities else None,
            score=predictions.scores[at] if predictions.scores is not None else None,
            cold=predictions.cold is not None and predictions.cold[at],
            truth=step.y,
            error=error,
        )

    def _held(self, predictions: Predictions, at: int, sequence: int) -> Held:
        value = predictions.values[at]
        if predictions.scores is not None:
            return Held(sequence, value, predictions.scores[at], None)
        probabilities = predictions.probabilities[at] if predictions.probabilities is not None else None
        if not probabilities:
            return Held(sequence, value, None, None)
        score = probabilities.get(self.definition.positive, 0.0)
        return Held(sequence, value, score, tuple(probabilities.items()))

    def _labelled(self, step: Step, held: Held, error: str | None) -> Labelled:
        example, truth = step.example, step.y
        return Labelled(
            id=f"{example.id}/{self.name}",
            example=example.id,
            unit=example.unit,
            at=step.at,
            truth=truth if truth is not None else "",
            value=held.value,
            score=held.score,
            error=error,
        )
