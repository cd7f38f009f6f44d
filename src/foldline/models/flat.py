"""Our own models, on tables of numbers, as folds use them: features by name, labels as they stand on the log.

The columns are those of `features`, or the features of the first example. Features that come later are not looked at
and counted by nobody: name them all, or let the first example have them. Numbers and booleans stand in the table;
a text is absent.
"""

from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import msgspec
import numpy as np
import numpy.typing as npt

from foldline.errors import FoldError, InputError
from foldline.fold.arrays import Arrays, dump_arrays, load_arrays
from foldline.models.class_table import ClassTable
from foldline.models.expression import Expression, model_text, model_values
from foldline.models.half_space_trees import HalfSpaceTrees
from foldline.models.hoeffding_tree import HoeffdingTree
from foldline.models.logistic_regression import LogisticRegression
from foldline.models.mersenne import Mersenne
from foldline.models.online import Features, Predictions, Steps, Task
from foldline.models.protocol import Model, Table
from foldline.records.categorical import Categorical
from foldline.records.examples import FeatureTable
from foldline.records.types import Value

Build = Callable[..., Model]


def _logistic_regression(features: Sequence[str], classes: int, **parameters: Any) -> Model:
    if classes != 2:
        raise InputError(
            "input.invalid", f"LogisticRegression tells 2 classes apart, got {classes}", field="classes"
        )
    return LogisticRegression(features, **parameters)


def _half_space_trees(features: Sequence[str], _classes: int, *, seed: int = 1, **parameters: Any) -> Model:
    limits = {name: tuple(ends) for name, ends in (parameters.pop("limits", None) or {}).items()}
    return HalfSpaceTrees(features, Mersenne(seed), limits=limits, **parameters)


@dataclass(frozen=True, slots=True)
class FlatKind:
    """A model of ours.

    Attributes:
        task: what it predicts.
        summary: one line.
        make: makes it of features and parameters.
        parameters: name and default of each.
    """

    task: Task
    summary: str
    make: Build
    parameters: tuple[tuple[str, str], ...]


KINDS: Final[dict[str, FlatKind]] = {
    "HalfSpaceTrees": FlatKind(
        "anomaly",
        "How much emptier a place is than usual: River's scores for the same seed.",
        _half_space_trees,
        (("n_trees", "10"), ("height", "8"), ("window_size", "250"), ("limits", "{}"), ("seed", "1")),
    ),
    "HoeffdingTree": FlatKind(
        "classification",
        "A tree that splits where enough examples say so: the predictions of River's HoeffdingTreeClassifier.",
        HoeffdingTree,
        (
            ("grace_period", "200"),
            ("max_depth", "None"),
            ("delta", "1e-07"),
            ("tau", "0.05"),
            ("leaf_prediction", "'nba'"),
            ("min_branch_fraction", "0.01"),
            ("max_share_to_split", "0.99"),
        ),
    ),
    "LogisticRegression": FlatKind(
        "classification",
        "Two classes by a line through scaled features, by gradient descent.",
        _logistic_regression,
        (("lr", "0.01"), ("l2", "0.0"), ("intercept_lr", "0.01"), ("scaled", "True")),
    ),
}
"""By name."""


@dataclass(slots=True)
class FlatState:
    """What a flat model has learnt: the model made for its columns, its arrays, and the classes in their order."""

    features: tuple[str, ...] = ()
    classes: tuple[Value, ...] = ()
    model: Model | None = None
    arrays: Arrays | None = None


class FlatModel:
    """A model of ours by name. See `OnlineModel`.

    Args:
        expression: one step.
        features: names of the columns; those of the first example if none are named.
        classes: what labels may be, the positive one last; false and true by default.

    Raises:
        InputError: `input.unknown_model`; `input.invalid` where it does not take the parameters.

    Example:
        >>> from foldline.models.expression import parse_model
        >>> model = FlatModel(parse_model("LogisticRegression:lr=0.1"))
        >>> steps = Steps()
        >>> for x in (0.0, 1.0) * 50:
        ...     steps.add({"x": x}, x > 0.5, predicts=True)
        >>> list(model.run(model.empty(), steps).values[-2:])
        [False, True]
    """

    portable = True
    slower_once_dumped = False

    def __init__(
        self,
        expression: Expression,
        *,
        features: Sequence[str] = (),
        classes: Sequence[Value] = (False, True),
    ) -> None:
        if len(expression) > 1:
            raise InputError(
                "input.invalid",
                f"{model_text(expression)}: our own models stand alone, not in a pipeline",
                field="model",
            )
        self._step = expression[0]
        if self._step.model not in KINDS:
            raise InputError(
                "input.unknown_model",
                f"there is no model {self._step.model!r}; ours are {', '.join(sorted(KINDS))}, River's have a dot",
                field="model",
                value=self._step.model,
            )
        kind = KINDS[self._step.model]
        self.task, self._make = kind.task, kind.make
        self._expression = expression
        self._features = tuple(features)
        self._classes = tuple(classes)
        self._built(("x",))

    def identity(self) -> dict[str, Any]:
        """See `OnlineModel.identity`."""
        return {
            "model": model_values(self._expression), "features": self._features, "classes": self._classes,
        }  # fmt: skip

    def empty(self) -> FlatState:
        """See `OnlineModel.empty`."""
        return self._opened(FlatState(classes=self._classes), self._features)

    def run(self, state: FlatState, steps: Steps) -> Predictions:
        """See `OnlineModel.run`: in one pass."""
        if state.model is None and len(steps):
            self._opened(state, tuple(sorted(steps.x[0])))
        y, failures = self._labels(steps.y)
        predicts = np.asarray(steps.predicts, np.bool_)
        cold = np.zeros(len(steps), np.bool_)
        if state.model is None or state.arrays is None:
            return self._told(state, np.full((len(steps), 0), np.nan), cold, predicts, failures)
        if isinstance(state.model, HalfSpaceTrees):
            left = state.model.window_size - int(state.arrays["seen"][0])
            cold = predicts & (np.cumsum(predicts) <= left)
        out = state.model.predict_learn(state.arrays, _table(steps.x, state.features), y, predicts)
        return self._told(state, out, cold, predicts, failures)

    def predict(self, state: FlatState, x: Features) -> Predictions:
        """See `OnlineModel.predict`; nothing before the first example."""
        steps = Steps([x], [None], [True])
        if state.model is None or state.arrays is None:
            return Predictions([None], cold=[True])
        cold = np.array([isinstance(state.model, HalfSpaceTrees) and not state.model.is_warm(state.arrays)])
        out = state.model.predict(state.arrays, _table(steps.x, state.features))
        return self._told(state, out, cold, np.ones(1, np.bool_), {})

    def dump(self, state: FlatState) -> bytes:
        """See `OnlineModel.dump`."""
        head = np.frombuffer(msgspec.json.encode((state.features, state.classes)), np.uint8)
        arrays: Arrays = {f"model.{name}": array for name, array in (state.arrays or {}).items()}
        return dump_arrays({**arrays, "head": head})

    def load(self, data: bytes) -> FlatState:
        """See `OnlineModel.load`."""
        arrays = load_arrays(data)
        try:
            features, classes = msgspec.json.decode(
                arrays.pop("head").tobytes(), type=tuple[tuple[str, ...], tuple[Value, ...]]
            )
        except (KeyError, msgspec.MsgspecError) as error:
            raise FoldError("fold.damaged_root", f"loading {self._step.model}: {error}") from error
        state = self._opened(FlatState(classes=classes), features)
        if state.model is not None:
            state.arrays = {name.removeprefix("model."): array for name, array in arrays.items()}
        return state

    def _built(self, features: tuple[str, ...]) -> Model:
        try:
            return self._make(features, len(self._classes), **self._step.parameters)
        except TypeError as error:
            raise InputError(
                "input.invalid",
                f"model {self._step.model!r} with {self._step.parameters!r:.200}: {error}",
                field="parameters",
            ) from error

    def _opened(self, state: FlatState, features: tuple[str, ...]) -> FlatState:
        if features:
            state.features, state.model = features, self._built(features)
            state.arrays = state.model.empty()
        return state

    def _labels(self, given: Sequence[Value | None]) -> tuple[npt.NDArray[np.float64], dict[int, str]]:
        if self.task != "classification":
            return np.full(len(given), np.nan), {}
        if isinstance(given, Categorical) and set(self._classes).issuperset(given.categories):
            at = given.places({each: at for at, each in enumerate(self._classes)})
            return np.where(at < 0, np.nan, at), {}
        place: dict[Value | None, float | None] = {each: float(at) for at, each in enumerate(self._classes)}
        found = list(map(place.get, given))
        failures = {
            at: f"label {label!r} is none of the classes {list(self._classes)!r}: not learnt"
            for at, (label, y) in enumerate(zip(given, found, strict=True))
            if y is None and label is not None
        }
        return np.array(found, np.float64), failures  # None is NaN

    def _told(
        self,
        state: FlatState,
        out: Table,
        cold: npt.NDArray[np.bool_],
        predicts: npt.NDArray[np.bool_],
        failures: dict[int, str],
    ) -> Predictions:
        if self.task == "anomaly":
            scores: list[float | None] = out[:, 0].tolist() if out.shape[1] else [None] * len(out)
            for at in np.flatnonzero(~predicts).tolist():
                scores[at] = None
            nothing = Categorical((), np.full(len(out), -1, np.int64))
            return Predictions(nothing, scores=scores, cold=cold.tolist(), failures=failures)
        classes = state.classes
        # Classes that the model has not seen are left out, and without any there is no prediction.
        table = ClassTable(classes, np.where(out < 0.0, np.nan, out))
        return Predictions(table.most_probable(), table, failures=failures)


def _table(x: list[Features] | FeatureTable, features: tuple[str, ...]) -> Table:
    """(n, features) numbers, NaN where one is absent or a text."""
    if isinstance(x, FeatureTable):
        return x.numbers(features)
    nan = float("nan")
    try:
        # An array of doubles refuses texts, which numpy would read as numbers.
        numbers = array("d", cast("list[float]", [each.get(name, nan) for each in x for name in features]))
    except (TypeError, OverflowError):
        numbers = array("d", [_number(each.get(name)) for each in x for name in features])
    return np.frombuffer(numbers, np.float64).reshape(len(x), len(features))


def _number(value: Value | None) -> float:
    if value is None or isinstance(value, str):
        return float("nan")
    try:
        return float(value)
    except OverflowError:
        return float("nan")
