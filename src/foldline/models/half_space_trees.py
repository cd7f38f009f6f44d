"""Half-space trees: how much emptier a place is than the last window of examples has it.

Tan, Ting and Liu 2011 (Fast anomaly detection for streaming data, IJCAI): trees that halve the space at random count
the examples of each node over a window; the score of an example is low where the last window's counts, weighted by
2^depth, are high. Splits keep 15 % of a node's width from its edges, and a search ends at nodes with less than a tenth
of the window, as River 0.26 has it, with whose scores those here agree bit for bit for one generator.

Until the first window is full there is nothing to compare with: every score is 0, and `is_warm` says so.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from foldline.errors import InputError
from foldline.fold.arrays import Arrays
from foldline.kernels import inlined, kernel
from foldline.models.protocol import Table

PADDING = 0.15
SMALL = 0.1
DEEPEST = 20

_ABREAST = 256
"""Rows that go down a tree together: what is noted of each stays in the processor's first cache."""


class Generator(Protocol):
    """What trees are drawn with; `random.Random(seed)` is one."""

    def choices(self, population: Sequence[int], weights: Sequence[float]) -> list[int]:
        """One of the population, by weight, in a list."""
        ...

    def uniform(self, a: float, b: float) -> float:
        """A number between."""
        ...


class HalfSpaceTrees:
    """Scores from 0, usual, to 1, never seen.

    Args:
        features: names of the columns. Trees are drawn over them in the order of their names.
        rng: draws the trees, once, here.
        n_trees: how many.
        height: of each, at most 20; a tree has 2^(height + 1) - 1 nodes.
        window_size: examples whose counts are compared with.
        limits: least and greatest value of a feature, by name; 0 and 1 for those not named.

    Example:
        >>> import random
        >>> model = HalfSpaceTrees(["x"], random.Random(42), n_trees=5, height=3, window_size=3)
        >>> state = model.empty()
        >>> x = np.array([[0.5], [0.45], [0.43], [0.44], [0.445], [0.45]])
        >>> model.learn(state, x, np.full(6, np.nan))
        >>> model.predict(state, np.array([[0.5], [0.0]])).round(3).ravel().tolist()
        [0.178, 0.853]
    """

    outputs = 1

    def __init__(
        self,
        features: Sequence[str],
        rng: Generator,
        *,
        n_trees: int = 10,
        height: int = 8,
        window_size: int = 250,
        limits: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        for name, given, most in (
            ("n_trees", n_trees, 10_000),
            ("height", height, DEEPEST),
            ("window_size", window_size, 1 << 40),
        ):
            if not 1 <= given <= most:
                raise InputError(
                    "input.invalid", f"{name} is {given!r}; expected 1 to {most}", field=name, value=given
                )
        self.features = tuple(features)
        self.window_size = window_size
        self._height = height
        self._rng = rng
        self._shape = n_trees, (1 << height) - 1
        self._limits = dict(limits or {})
        for name, ends in self._limits.items():
            if len(ends) != 2 or not -np.inf < ends[0] <= ends[1] < np.inf:
                raise InputError(
                    "input.invalid",
                    f"limits of {name!r} are {ends!r}; expected the least and the greatest number",
                    field="limits",
                )

    @cached_property
    def _splits(self) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]:
        """(trees, nodes) the column and the threshold of each; drawn when first asked for, which takes some ms."""
        feature, threshold = np.zeros(self._shape, np.int32), np.zeros(self._shape)
        order = sorted(range(len(self.features)), key=lambda column: self.features[column])
        limits = {}
        for column in order:
            low, high = self._limits.get(self.features[column], (0.0, 1.0))
            limits[column] = low, high
        for tree in range(self._shape[0]):
            self._draw(limits, feature[tree], threshold[tree], 0, self._height)
        return feature, threshold

    def empty(self) -> Arrays:
        """See `Model.empty`: of each node the counts of the last window and of the one that fills; examples seen."""
        trees, nodes = self._shape
        shape = trees, 2 * nodes + 1, 2
        return {"counts": np.zeros(shape, np.int64), "seen": np.zeros(1, np.int64)}

    def is_warm(self, state: Arrays) -> bool:
        """Whether a window was full once, so that scores say something."""
        return bool(state["seen"][0] >= self.window_size)

    def predict(self, state: Arrays, x: Table) -> Table:
        """See `Model.predict`; O(trees · height) a row."""
        return self._run(state, x, score=True, learn=False)

    def learn(self, state: Arrays, x: Table, y: npt.NDArray[np.float64]) -> None:
        """See `Model.learn`; labels are not used."""
        self._run(state, x, score=False, learn=True)

    def predict_learn(
        self,
        state: Arrays,
        x: Table,
        y: npt.NDArray[np.float64],
        predicts: npt.NDArray[np.bool_] | None = None,
    ) -> Table:
        """See `Model.predict_learn`."""
        if predicts is None or predicts.all():
            return self._run(state, x, score=True, learn=True)
        scores = np.full((len(x), 1), np.nan)
        scores[predicts] = self._run(state, x[predicts], score=True, learn=True)
        return scores

    def _run(self, state: Arrays, x: Table, *, score: bool, learn: bool) -> Table:
        scores = np.zeros((len(x), 1))
        _pass(
            np.ascontiguousarray(x, np.float64),
            *self._splits,
            self._height,
            self.window_size,
            state["counts"],
            state["seen"],
            score,
            learn,
            scores,
            np.empty(_ABREAST, np.int64),
            np.empty((2, _ABREAST)),
        )
        return scores

    def _draw(
        self, limits: dict[int, tuple[float, float]], feature: Any, threshold: Any, node: int, height: int
    ) -> None:
        """The node and all below, left before right; the limits are those of its half of the space."""
        if height == 0:
            return
        column = self._rng.choices(list(limits), [high - low for low, high in limits.values()])[0]
        low, high = limits[column]
        at = self._rng.uniform(low + PADDING * (high - low), high - PADDING * (high - low))
        feature[node], threshold[node] = column, at
        for child, half in ((2 * node + 1, (low, at)), (2 * node + 2, (at, high))):
            limits[column] = half
            self._draw(limits, feature, threshold, child, height - 1)
        limits[column] = (low, high)


@inlined
def _below(x: Any, row: Any, column: Any, threshold: Any, counts: Any, tree: Any, node: Any) -> Any:
    """The child on the example's side; where it lacks the feature, that with more of the window that fills."""
    value = x[row, column]
    left = 2 * node + 1
    if value != value:
        return left + 1 if counts[tree, left, 1] < counts[tree, left + 1, 1] else left
    # Added, not branched upon: no processor could foresee which way.
    return left + np.int64(value >= threshold)


@inlined
def _walk(
    x: Any,
    first: Any,
    last: Any,
    feature: Any,
    threshold: Any,
    height: Any,
    small: Any,
    counts: Any,
    more: Any,
    out: Any,
    place: Any,
    sums: Any,
) -> None:
    """Some rows down one tree, a level at a time; none lacks a feature."""
    for at in range(last - first):
        place[at], sums[0, at], sums[1, at] = 0, 1.0, 0.0
    for _ in range(height):
        for at in range(last - first):
            node, power = place[at], sums[0, at]
            mass = np.float64(counts[node, 0])
            sums[1, at] += mass * power
            sums[0, at] = power * (2.0 * np.float64(mass >= small))
            counts[node, 1] += more
            place[at] = 2 * node + 1 + np.int64(x[first + at, feature[node]] >= threshold[node])
    for at in range(last - first):
        node = place[at]
        out[first + at, 0] += sums[1, at] + counts[node, 0] * sums[0, at]
        counts[node, 1] += more


@kernel
def _pass(
    x: Any,
    feature: Any,
    threshold: Any,
    height: Any,
    window: Any,
    counts: Any,
    seen: Any,
    score: Any,
    learn: Any,
    out: Any,
    place: Any,
    sums: Any,
) -> None:
    """One walk down a tree scores and learns: learning changes no count that the way further down depends on.

    Tree after tree over all rows of a window, so that a tree stays in the processor's cache. Rows go down abreast, a
    level at a time, so that none waits for another's memory; those that lack a feature, whose way depends on the counts
    that the rows before them left, one after another.

    Args:
        x: (n, features).
        feature: (trees, inner nodes) the columns of the splits.
        threshold: likewise.
        height: of the trees.
        window: examples of a window.
        counts: (trees, nodes, 2) of the last window and of the one that fills, changed.
        seen: (1,) examples, changed.
        score: whether to score.
        learn: whether to learn.
        out: (n, 1) zeros, written.
        place: (_ABREAST,) room for the node of each row.
        sums: (2, _ABREAST) room for the weight and the sum of each.
    """
    trees, nodes, _ = counts.shape
    small, more = SMALL * window, np.int64(learn)
    most = np.float64(trees) * np.float64(window) * (np.float64(2 << height) - 1.0)
    start = 0
    while start < len(x):
        warm = score and seen[0] >= window
        stop = len(x)
        if learn:
            stop = min(stop, start + window - seen[0] % window)
        lacks = False
        for row in range(start, stop):
            for column in range(x.shape[1]):
                lacks |= x[row, column] != x[row, column]
        for tree in range(trees):
            if not lacks:
                for first in range(start, stop, _ABREAST):
                    last = min(first + _ABREAST, stop)
                    _walk(
                        x, first, last, feature[tree], threshold[tree], height, small, counts[tree], more, out,
                        place, sums,
                    )  # fmt: skip
                continue
            for row in range(start, stop):
                # 2^depth while the search goes on, then 0: multiplied, not branched upon.
                node, power, of_tree = 0, 1.0, 0.0
                for _ in range(height):
                    mass = np.float64(counts[tree, node, 0])
                    of_tree += mass * power
                    power *= 2.0 * np.float64(mass >= small)
                    counts[tree, node, 1] += more
                    node = _below(x, row, feature[tree, node], threshold[tree, node], counts, tree, node)
                of_tree += counts[tree, node, 0] * power
                counts[tree, node, 1] += more
                out[row, 0] += of_tree
        for row in range(start, stop):
            out[row, 0] = 1.0 - out[row, 0] / most if warm else 0.0
        if learn:
            seen[0] += stop - start
            if seen[0] % window == 0:
                for tree in range(trees):
                    for node in range(nodes):
                        counts[tree, node, 0] = counts[tree, node, 1]
                        counts[tree, node, 1] = 0
        start = stop
