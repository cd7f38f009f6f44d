"""How a Hoeffding tree lies in arrays: a row a node, and what a leaf has observed of each feature and class."""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from foldline.fold.arrays import Arrays

START: Final = 16
"""Nodes there is room for at first; doubled when they are used up."""

LEAF: Final = -1
"""The feature of a node that does not split."""

SEEN: Final = 7
"""Numbers kept of a feature in a class: count, mean, sum of squared deviations, least and greatest value; and of the
variance, as densities need it, -2 times it and half its logarithm, 0 where there is none yet."""


class Tree(NamedTuple):
    """The arrays of a tree, with room for n nodes, f features and c classes.

    Orders say in which order classes and features came to a leaf, the first so many entries of a row: where River has
    equals it takes the first or the last by that order, and it sums in it.
    """

    feature: Any
    """(n,) int32 column a node splits on, `LEAF` for none."""
    threshold: Any
    """(n,) float64; up to it a row goes left."""
    left: Any
    """(n,) int32 node."""
    right: Any
    """(n,) int32 node."""
    depth: Any
    """(n,) int32, 0 at the root."""
    active: Any
    """(n,) int8, whether a leaf observes features."""
    weight: Any
    """(n, c) float64 examples of each class."""
    has_class: Any
    """(n, c) int8."""
    class_order: Any
    """(n, c) int32."""
    class_count: Any
    """(n,) int32."""
    correct: Any
    """(n, 2) float64 how often the majority class was right, and naive Bayes."""
    tried: Any
    """(n,) float64 weight at the last attempt to split."""
    has_feature: Any
    """(n, f) int8."""
    feature_order: Any
    """(n, f) int32."""
    feature_count: Any
    """(n,) int32."""
    pair_order: Any
    """(n, f, c) int32, classes within a feature."""
    pair_count: Any
    """(n, f) int32."""
    observed: Any
    """(n, f, c, SEEN) float64."""
    known: Any
    """(c,) int8, whether a class was ever seen."""
    count: Any
    """(1,) int64 nodes in use."""


def empty(features: int, classes: int) -> Arrays:
    """A tree without a node."""
    n, f, c = START, features, classes
    return {
        "feature": np.full(n, LEAF, np.int32),
        "threshold": np.zeros(n),
        "left": np.zeros(n, np.int32),
        "right": np.zeros(n, np.int32),
        "depth": np.zeros(n, np.int32),
        "active": np.zeros(n, np.int8),
        "weight": np.zeros((n, c)),
        "has_class": np.zeros((n, c), np.int8),
        "class_order": np.zeros((n, c), np.int32),
        "class_count": np.zeros(n, np.int32),
        "correct": np.zeros((n, 2)),
        "tried": np.zeros(n),
        "has_feature": np.zeros((n, f), np.int8),
        "feature_order": np.zeros((n, f), np.int32),
        "feature_count": np.zeros(n, np.int32),
        "pair_order": np.zeros((n, f, c), np.int32),
        "pair_count": np.zeros((n, f), np.int32),
        "observed": np.zeros((n, f, c, SEEN)),
        "known": np.zeros(c, np.int8),
        "count": np.zeros(1, np.int64),
    }


def tree_of(state: Arrays) -> Tree:
    """The arrays as kernels take them."""
    return Tree(*(state[name] for name in Tree._fields))


def widen(state: Arrays) -> None:
    """Room for twice as many nodes."""
    fresh = empty(state["has_feature"].shape[1], len(state["known"]))
    for name in Tree._fields:
        if name in ("known", "count"):
            continue
        old: npt.NDArray[Any] = state[name]
        grown = np.empty((2 * len(old), *old.shape[1:]), old.dtype)
        grown[: len(old)] = old
        grown[len(old) :] = fresh[name][0]
        state[name] = grown
