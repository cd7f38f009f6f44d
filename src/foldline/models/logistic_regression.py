"""Logistic regression on features scaled as they come, by stochastic gradient descent.

The scaler keeps mean and variance of each feature by Welford's recurrence (1962); the regression takes a step of
Robbins and Monro (1951) down the logarithmic loss for each labelled example. Predictions use the scaler as of the
examples learnt before. Parameters and order of the steps are those of River's `StandardScaler | LogisticRegression`
(0.26), with which probabilities agree to 1e-12; the exponential is `stats.portable`'s, so that the bits are the same
on every machine.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from foldline.errors import InputError
from foldline.fold.arrays import Arrays
from foldline.kernels import numeric
from foldline.models.protocol import Table
from foldline.stats.portable import exp


class LogisticRegression:
    """Probabilities of two classes, false and true.

    Args:
        features: names of the columns.
        lr: learning rate of the weights, above 0.
        l2: pull of the weights of an example's features towards 0, at least 0.
        intercept_lr: learning rate of the intercept, at least 0.
        scaled: whether features are scaled to mean 0 and deviation 1.

    Example:
        >>> model = LogisticRegression(["x"], lr=0.1)
        >>> state = model.empty()
        >>> x, y = np.array([[0.0], [1.0]] * 50), np.array([0.0, 1.0] * 50)
        >>> model.learn(state, x, y)
        >>> model.predict(state, np.array([[0.0], [1.0]])).round(2).tolist()
        [[0.9, 0.1], [0.1, 0.9]]
    """

    outputs = 2

    def __init__(
        self,
        features: Sequence[str],
        *,
        lr: float = 0.01,
        l2: float = 0.0,
        intercept_lr: float = 0.01,
        scaled: bool = True,
    ) -> None:
        for name, given, least in (("lr", lr, 1e-300), ("l2", l2, 0.0), ("intercept_lr", intercept_lr, 0.0)):
            if not least <= given < np.inf:
                above = "above 0" if least else "at least 0"
                raise InputError(
                    "input.invalid", f"{name} is {given!r}; expected {above}", field=name, value=given
                )
        self.features = tuple(features)
        self.lr, self.l2, self.intercept_lr, self.scaled = lr, l2, intercept_lr, scaled

    def empty(self) -> Arrays:
        """See `Model.empty`: the scaler's counts, means and variances; weights; the intercept."""
        width = len(self.features)
        return {
            "count": np.zeros(width, np.int64),
            "mean": np.zeros(width),
            "variance": np.zeros(width),
            "weights": np.zeros(width),
            "intercept": np.zeros(1),
        }

    def predict(self, state: Arrays, x: Table) -> Table:
        """See `Model.predict`; O(features) a row."""
        return self._run(state, x, np.full(len(x), np.nan), np.ones(len(x), np.bool_))

    def learn(self, state: Arrays, x: Table, y: npt.NDArray[np.float64]) -> None:
        """See `Model.learn`; rows without a label are passed over, by the scaler too."""
        self._run(state, x, y, np.zeros(len(x), np.bool_))

    def predict_learn(
        self,
        state: Arrays,
        x: Table,
        y: npt.NDArray[np.float64],
        predicts: npt.NDArray[np.bool_] | None = None,
    ) -> Table:
        """See `Model.predict_learn`."""
        return self._run(state, x, y, np.ones(len(x), np.bool_) if predicts is None else predicts)

    def _run(
        self, state: Arrays, x: Table, y: npt.NDArray[np.float64], predicts: npt.NDArray[np.bool_]
    ) -> Table:
        out = np.full((len(x), 2), np.nan)
        _pass(
            np.ascontiguousarray(x, np.float64),
            np.ascontiguousarray(y, np.float64),
            state["count"],
            state["mean"],
            state["variance"],
            state["weights"],
            state["intercept"],
            self.lr,
            self.l2,
            self.intercept_lr,
            self.scaled,
            predicts,
            np.zeros(len(self.features)),
            out,
        )
        return out


@numeric
def _scale(x: Any, row: Any, mean: Any, variance: Any, scaled: Any, out: Any) -> None:
    """The example's features as the regression sees them; 0 where one is absent or never varied."""
    for column in range(len(out)):
        value = x[row, column]
        if value != value:
            out[column] = 0.0
        elif not scaled:
            out[column] = value
        elif variance[column] > 0.0:
            out[column] = (value - mean[column]) / np.sqrt(variance[column])
        else:
            out[column] = 0.0


@numeric
def _pass(
    x: Any,
    y: Any,
    count: Any,
    mean: Any,
    variance: Any,
    weights: Any,
    intercept: Any,
    lr: Any,
    l2: Any,
    intercept_lr: Any,
    scaled: Any,
    predicts: Any,
    z: Any,
    out: Any,
) -> None:
    width = len(weights)
    for row in range(len(x)):
        if predicts[row]:
            _scale(x, row, mean, variance, scaled, z)
            total = 0.0
            for column in range(width):
                total += weights[column] * z[column]
            total += intercept[0]
            out[row, 1] = 1.0 / (1.0 + exp(-total))
            out[row, 0] = 1.0 - out[row, 1]
        if y[row] != y[row]:
            continue
        for column in range(width):
            value = x[row, column]
            if value == value:
                count[column] += 1
                before = mean[column]
                mean[column] += (value - before) / count[column]
                spread = (value - before) * (value - mean[column])
                variance[column] += (spread - variance[column]) / count[column]
        _scale(x, row, mean, variance, scaled, z)
        total = 0.0
        for column in range(width):
            total += weights[column] * z[column]
        total += intercept[0]
        sign = 1.0 if y[row] > 0.0 else -1.0
        margin = total * sign
        # Far from the edge the loss is a line, or its exponential alone.
        if margin > 18.0:
            slope = exp(-margin) * -sign
        elif margin < -18.0:
            slope = -sign
        else:
            slope = -sign / (exp(margin) + 1.0)
        intercept[0] -= intercept_lr * slope
        for column in range(width):
            if x[row, column] == x[row, column]:
                weights[column] -= lr * (z[column] * slope + l2 * weights[column])
