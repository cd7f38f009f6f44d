"""River's models by name: any classifier, regressor, anomaly detector, and pipelines that end in one.

A state is the model object. It dumps as a pickle, whose loading runs code: so it is signed with the deployment's
secret and loaded only where the signature is good. Bits are promised on one machine and build of River only; the
release is part of the identity, so that another one folds anew. A model that draws at random draws from a seed: where
none is given, from `SEED`.
"""

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from itertools import chain
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from foldline.errors import FoldError, InputError, MissingExtra
from foldline.models.class_table import MOST, ClassTable
from foldline.models.expression import Expression, Step, model_text, model_values
from foldline.models.online import Features, Predictions, Steps, Task, chosen, most_probable
from foldline.models.pickling import Reduce, pickled, restored, unpickled
from foldline.models.signing import Secret, no_secret, sign, verified
from foldline.records.categorical import Categorical

ROOMS: Final = (
    "anomaly", "cluster", "compose", "drift", "dummy", "ensemble", "facto", "feature_extraction", "feature_selection",
    "forest", "imblearn", "linear_model", "metrics", "misc", "multiclass", "naive_bayes", "neighbors", "optim",
    "preprocessing", "rules", "sketch", "stats", "tree",
)  # fmt: skip
"""The modules of River from which names are taken."""

_AT_A_TIME: Final = 256
"""Steps whose probabilities are objects at a time: they are still in the processor's cache when they are read."""

SEED: Final = 1
"""Of models that draw at random and were given no seed."""


class RiverModel:
    """A model of River's. See `OnlineModel`.

    Args:
        expression: by name.
        secret: gives the deployment's; asked for when a state is dumped or loaded.

    Raises:
        MissingExtra: River is not installed.
        InputError: `input.unknown_model` where River has no such class; `input.invalid` where it does not take the
            parameters, or is none that predicts and learns example by example.

    Example:
        >>> from foldline.models.expression import parse_model
        >>> RiverModel(parse_model("tree.HoeffdingTreeClassifier:max_depth=10")).task
        'classification'
    """

    portable = False
    slower_once_dumped = True

    def __init__(self, expression: Expression, secret: Secret = no_secret) -> None:
        self._expression = expression
        self._secret = secret
        self._base = _river("base")
        model = self.empty()
        last = _last(model)
        self.task: Task = self._task_of(last)
        self._run: Callable[[Any, Steps], Predictions] = {
            "classification": self._classify,
            "regression": _regress,
            "anomaly": _score,
        }[self.task]
        kind = type(last)
        self._has_labels = (
            self.task == "classification" and kind.predict_one is not self._base.Classifier.predict_one
        )
        self._has_probabilities = (
            self.task == "classification"
            and kind.predict_proba_one is not self._base.Classifier.predict_proba_one
        )

    def identity(self) -> dict[str, Any]:
        """See `OnlineModel.identity`: the names, the parameters and River's release."""
        return {"model": model_values(self._expression), "river": _river("").__version__}

    def empty(self) -> Any:
        """See `OnlineModel.empty`."""
        steps = [_build(step) for step in self._expression]
        return steps[0] if len(steps) == 1 else _river("compose").Pipeline(*steps)

    def run(self, state: Any, steps: Steps) -> Predictions:
        """See `OnlineModel.run`. What the model raises is told by step, and the others go on."""
        return self._run(state, steps)

    def predict(self, state: Any, x: Features) -> Predictions:
        """See `OnlineModel.predict`."""
        steps = Steps([x], [None], [True])
        return _score(state, steps, learns=False) if self.task == "anomaly" else self._run(state, steps)

    def dump(self, state: Any) -> bytes:
        """See `OnlineModel.dump`; signed.

        Raises:
            FoldError: `fold.unsigned` without a secret.
        """
        return sign(pickled(state, _reduced()), self._key(), self._purpose())

    def load(self, data: bytes) -> Any:
        """See `OnlineModel.load`; `fold.unsigned` where the signature is not this deployment's."""
        plain = verified(data, self._key(), self._purpose())
        try:
            return unpickled(plain)
        except Exception as error:
            raise FoldError(
                "fold.damaged_root", f"loading a model of {len(plain)} bytes: {error!r}"
            ) from error

    def _key(self) -> bytes:
        secret = self._secret()
        if secret is None:
            raise FoldError(
                "fold.unsigned",
                f"the state of {model_text(self._expression)} is kept signed, and this process has no secret: "
                "set FOLDLINE_SECRET, alike for every process on this log",
            )
        return secret

    def _purpose(self) -> bytes:
        return f"river {_river('').__version__} {model_text(self._expression)}".encode()

    def _task_of(self, last: Any) -> Task:
        anomaly = self._base
        if isinstance(last, anomaly.AnomalyDetector):
            return "anomaly"
        if isinstance(last, anomaly.AnomalyFilter) and isinstance(
            last.anomaly_detector, anomaly.AnomalyDetector
        ):
            return "anomaly"
        several = isinstance(last, self._base.MultiTargetRegressor | self._base.MultiLabelClassifier)
        if isinstance(last, self._base.Classifier) and not several:
            return "classification"
        if isinstance(last, self._base.Regressor) and not several:
            return "regression"
        raise InputError(
            "input.invalid",
            f"{model_text(self._expression)} is a {type(last).__name__}; expected a classifier, a regressor or an "
            "anomaly detector, or a pipeline that ends in one",
            field="model",
        )

    def _classify(self, model: Any, steps: Steps) -> Predictions:
        parts = [
            self._classify_some(
                model,
                Steps(
                    steps.x[start : start + _AT_A_TIME],
                    steps.y[start : start + _AT_A_TIME],
                    steps.predicts[start : start + _AT_A_TIME],
                ),
            )
            for start in range(0, max(len(steps), 1), _AT_A_TIME)
        ]
        return _joined(parts)

    def _classify_some(self, model: Any, steps: Steps) -> Predictions:
        learn = model.learn_one
        probable = model.predict_proba_one if self._has_probabilities else None
        label = model.predict_one if self._has_labels or probable is None else None
        values: list[Any] = [None] * len(steps)
        probabilities: list[Mapping[Any, float] | None] = [None] * len(steps)
        failures: dict[int, str] = {}
        for at, (x, y, predicts) in enumerate(zip(steps.x, steps.y, _listed(steps.predicts), strict=True)):
            try:
                if predicts:
                    if probable is not None:
                        probabilities[at] = probable(x)
                    if label is not None:
                        values[at] = label(x)
                if y is not None:
                    learn(x, y)
            except Exception as error:  # noqa: BLE001 - told with the example, and counted
                failures[at] = repr(error)
        if probable is None:
            return Predictions(values, failures=failures)
        table = ClassTable.from_mappings(probabilities)
        if table is None:
            return Predictions(
                chosen(probabilities) if label is None else values, probabilities, failures=failures
            )
        if label is not None:
            return Predictions(values, table, failures=failures)
        best = table.most_probable()
        # Of equal ones the first that the model names, which another example may name second.
        for at in table.ties():
            best.codes[at] = table.classes.index(most_probable(probabilities[at] or {}))
        return Predictions(best, table, failures=failures)


def _joined(parts: list[Predictions]) -> Predictions:
    """What came of a classifier's steps, one part after another."""
    if len(parts) == 1:
        return parts[0]
    failures: dict[int, str] = {}
    for at, part in enumerate(parts):
        failures.update({at * _AT_A_TIME + step: text for step, text in part.failures.items()})
    columns = [part.values for part in parts if isinstance(part.values, Categorical)]
    tables = [part.probabilities for part in parts if isinstance(part.probabilities, ClassTable)]
    values: Sequence[Any] = (
        Categorical.joined(columns)
        if len(columns) == len(parts)
        else list(chain.from_iterable(part.values for part in parts))
    )
    if parts[0].probabilities is None:
        return Predictions(values, failures=failures)
    table = ClassTable.joined(tables) if len(tables) == len(parts) else None
    if table is not None and len(table.classes) <= MOST:
        return Predictions(values, table, failures=failures)
    return Predictions(
        values, list(chain.from_iterable(part.probabilities or () for part in parts)), failures=failures
    )


def _listed(given: list[bool] | npt.NDArray[np.bool_]) -> list[bool]:
    return given.tolist() if isinstance(given, np.ndarray) else given


def _regress(model: Any, steps: Steps) -> Predictions:
    values: list[Any] = []
    failures: dict[int, str] = {}
    for at, (x, y, predicts) in enumerate(zip(steps.x, steps.y, _listed(steps.predicts), strict=True)):
        value = None
        try:
            if predicts:
                value = model.predict_one(x)
            if y is not None:
                model.learn_one(x, y)
        except Exception as error:  # noqa: BLE001 - told with the example, and counted
            failures[at] = repr(error)
        values.append(value)
    return Predictions(values, failures=failures)


def _score(model: Any, steps: Steps, *, learns: bool = True) -> Predictions:
    """Detectors learn each example when it comes: they need no label."""
    last = _last(model)
    detector = getattr(last, "anomaly_detector", last)
    filters = detector is not last
    has_window = hasattr(detector, "_first_window")
    score_one, learn_one = model.score_one, model.learn_one
    count, is_cold = len(steps), has_window
    values: list[Any] = [None] * count
    scores: list[float | None] = [None] * count
    cold = [False] * count
    failures: dict[int, str] = {}
    for at, (x, predicts) in enumerate(zip(steps.x, _listed(steps.predicts), strict=True)):
        if is_cold:  # once it is not, it stays so
            is_cold = cold[at] = bool(detector._first_window)  # noqa: SLF001 - River says it nowhere else
        if not predicts:
            continue
        try:
            scores[at] = score = float(score_one(x))
            if filters:
                values[at] = last.classify(score)
            if learns:
                learn_one(x)
        except Exception as error:  # noqa: BLE001 - told with the example, and counted
            failures[at] = repr(error)
    return Predictions(values, scores=scores, cold=cold, failures=failures)


@cache
def _reduced() -> dict[type[Any], Reduce]:
    """Distributions are kept without their generators, which only sampling from them would use.

    River seeds those from the machine where it makes the distribution itself: they would make equal states differ, and
    are nine tenths of a tree's bytes.
    """
    found = {kind for kind in vars(_river("proba")).values() if inspect.isclass(kind)}
    return {kind: _without_generator for kind in found if issubclass(kind, _river("proba").base.Distribution)}


def _without_generator(distribution: Any) -> tuple[Any, ...]:
    state = {name: value for name, value in vars(distribution).items() if name != "_rng"}
    return _with_generator, (type(distribution), state)


def _with_generator(kind: type[Any], state: dict[str, Any]) -> Any:
    made: Any = object.__new__(kind)
    restored(made, state)
    made._rng = _river("proba.base").random.Random(state.get("seed") or SEED)  # noqa: SLF001 - as its constructor does
    return made


def _river(room: str) -> Any:
    try:
        return importlib.import_module(f"river.{room}" if room else "river")
    except ImportError as error:
        raise MissingExtra("river", "a model of River's") from error


def _last(model: Any) -> Any:
    """The last step of a pipeline, of a pipeline in it, and so on."""
    pipeline = _river("compose").Pipeline
    while isinstance(model, pipeline):
        model = list(model.steps.values())[-1]
    return model


def _build(step: Step) -> Any:
    kind = _class_of(step.model)
    parameters = {name: _value(value) for name, value in step.parameters.items()}
    try:
        takes = inspect.signature(kind).parameters
        for name, value in parameters.items():
            _check_type(step.model, name, value, takes.get(name))
        if "seed" in takes and parameters.get("seed") is None:
            parameters["seed"] = SEED
        return kind(**parameters)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            "input.invalid",
            f"model {step.model!r} with {step.parameters!r:.200}: {error}",
            field="parameters",
            value=repr(step.parameters),
        ) from error


_PLAIN: Final[dict[str, tuple[type[Any], ...]]] = {
    "int": (int,), "float": (int, float), "bool": (bool,), "str": (str,), "None": (type(None),),
}  # fmt: skip


def _check_type(model: str, name: str, value: Any, takes: inspect.Parameter | None) -> None:
    """Refuse what a parameter's annotation rules out, where that names plain types only: River looks at none itself."""
    names = str(takes.annotation).split(" | ") if takes is not None else [""]
    if not _PLAIN.keys() >= set(names):
        return
    allowed = {kind for each in names for kind in _PLAIN[each]}
    if type(value) not in allowed and not (takes is not None and value is takes.default):
        raise InputError(
            "input.invalid",
            f"model {model!r}: {name} is {value!r}, expected {' or '.join(names)}",
            field="parameters",
            value=repr(value),
        )


def _value(value: Any) -> Any:
    if isinstance(value, tuple):
        steps = [_build(step) for step in value]
        return steps[0] if len(steps) == 1 else _river("compose").Pipeline(*steps)
    if isinstance(value, list):
        return [_value(each) for each in value]
    return value


def _class_of(name: str) -> type[Any]:
    *rooms, last = name.removeprefix("river.").split(".")
    if (
        rooms
        and rooms[0] in ROOMS
        and all(room.isidentifier() and not room.startswith("_") for room in rooms)
    ):
        try:
            found = getattr(importlib.import_module("river." + ".".join(rooms)), last, None)
        except ImportError:
            _river("")
            found = None
        if inspect.isclass(found) and not last.startswith("_") and found.__module__.startswith("river."):
            return found
    raise InputError(
        "input.unknown_model",
        f"River has no model {name!r}; expected a name such as 'tree.HoeffdingTreeClassifier', its module one of "
        f"{', '.join(ROOMS)}",
        field="model",
        value=name,
    )
