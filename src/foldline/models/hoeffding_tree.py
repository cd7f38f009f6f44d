"""A Hoeffding tree: splits where enough examples say that they would always be split there.

Domingos and Hulten 2000 (Mining high-speed data streams, KDD), with River's parameters and order of steps: its
`HoeffdingTreeClassifier` (0.26) predicts the same classes on every stream it was tried on. (Below a split weights are
sums of fractions: where one misses `grace_period` by a rounding, a split may be tried one example sooner or later.)
Features are numbers. Limits of memory, which River looks
after every million examples, are not kept; `max_depth` bounds a tree.
"""

import sys
from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from foldline.errors import InputError
from foldline.fold.arrays import Arrays
from foldline.models.hoeffding_kernel import ADAPTIVE, BAYES, MAJORITY, UNKNOWN, run
from foldline.models.hoeffding_layout import empty, tree_of, widen
from foldline.models.protocol import Table

MODES: Final = {"mc": MAJORITY, "nb": BAYES, "nba": ADAPTIVE}


class HoeffdingTree:
    """Probabilities of classes.

    Args:
        features: names of the columns.
        classes: how many.
        grace_period: examples a leaf sees between two attempts to split it.
        max_depth: of a leaf; none by default.
        delta: one less the confidence that a split is the best.
        tau: splits between which the bound cannot tell any better are equals.
        leaf_prediction: `mc` the majority class, `nb` naive Bayes, `nba` whichever was right more often.
        min_branch_fraction: share of the weight either side of a split must have.
        max_share_to_split: a leaf with more of one class is not split.

    Example:
        >>> model = HoeffdingTree(["x"], 2, grace_period=50)
        >>> state = model.empty()
        >>> x = np.linspace(0, 1, 200)[:, None]
        >>> told = model.predict_learn(state, x[::-1], (x[::-1, 0] > 0.5).astype(float))
        >>> model.predict(state, np.array([[0.1], [0.9]])).argmax(axis=1).tolist()
        [0, 1]
    """

    def __init__(
        self,
        features: Sequence[str],
        classes: int = 2,
        *,
        grace_period: int = 200,
        max_depth: int | None = None,
        delta: float = 1e-7,
        tau: float = 0.05,
        leaf_prediction: Literal["mc", "nb", "nba"] = "nba",
        min_branch_fraction: float = 0.01,
        max_share_to_split: float = 0.99,
    ) -> None:
        for name, given, right in (
            ("grace_period", grace_period, grace_period >= 1),
            ("max_depth", max_depth, max_depth is None or max_depth >= 0),
            ("delta", delta, 0.0 < delta < 1.0),
            ("tau", tau, tau >= 0.0),
            ("leaf_prediction", leaf_prediction, leaf_prediction in MODES),
            ("min_branch_fraction", min_branch_fraction, 0.0 <= min_branch_fraction < 0.5),
            ("max_share_to_split", max_share_to_split, 0.0 <= max_share_to_split <= 1.0),
        ):
            if not right:
                raise InputError(
                    "input.invalid", f"{name} is {given!r}, out of its range", field=name, value=given
                )
        self.features = tuple(features)
        self.outputs = classes
        self._mode = MODES[leaf_prediction]
        self._limits = (float(grace_period), delta, tau, min_branch_fraction, max_share_to_split)
        self._deepest = sys.maxsize if max_depth is None else max_depth

    def empty(self) -> Arrays:
        """See `Model.empty`: no node yet."""
        return empty(len(self.features), self.outputs)

    def predict(self, state: Arrays, x: Table) -> Table:
        """See `Model.predict`; -1 for a class never seen. O(depth + features · classes) a row."""
        return self._run(state, x, np.full(len(x), np.nan), np.ones(len(x), np.bool_), learns=False)

    def learn(self, state: Arrays, x: Table, y: npt.NDArray[np.float64]) -> None:
        """See `Model.learn`; rows without a label are passed over."""
        self._run(state, x, y, np.zeros(len(x), np.bool_), learns=True)

    def predict_learn(
        self,
        state: Arrays,
        x: Table,
        y: npt.NDArray[np.float64],
        predicts: npt.NDArray[np.bool_] | None = None,
    ) -> Table:
        """See `Model.predict_learn`."""
        chosen = np.ones(len(x), np.bool_) if predicts is None else predicts
        return self._run(state, x, y, chosen, learns=True)

    def _run(
        self,
        state: Arrays,
        x: Table,
        y: npt.NDArray[np.float64],
        predicts: npt.NDArray[np.bool_],
        *,
        learns: bool,
    ) -> Table:
        out = np.full((len(x), self.outputs), UNKNOWN)
        rows, labels = np.ascontiguousarray(x, np.float64), np.ascontiguousarray(y, np.float64)
        grace, delta, tau, least, purest = self._limits
        classes, done = self.outputs, 0
        scratch = (
            np.zeros(classes), np.full(classes, UNKNOWN), np.zeros((2, classes)), np.zeros((2, classes), np.int32),
            np.zeros(2, np.int32),
        )  # fmt: skip
        while done < len(rows):
            stack = np.empty(len(state["feature"]) + 2, np.int64)
            done = run(
                tree_of(state), rows, labels, predicts, learns, self._mode, grace, delta, tau, least, purest,
                self._deepest, done, out, stack, *scratch,
            )  # fmt: skip
            if done < len(rows):
                widen(state)
        return out
