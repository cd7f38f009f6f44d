"""Predicting with a Hoeffding tree and learning examples, one after another; the order of steps is River's (0.26).

A leaf keeps the weight of each class, and a normal distribution of each feature in each class (Gama, Medas and Rocha
2004; moments by Welford's recurrence, West 1979). It predicts by the majority or by naive Bayes, whichever was right
more often there (Holmes, Kirkby and Pfahringer 2005). Every so many examples the best two splits are compared under
Hoeffding's bound (Domingos and Hulten 2000).
"""

from typing import Any, Final

import numpy as np

from foldline.kernels import inlined, kernel, part
from foldline.models.hoeffding_layout import LEAF
from foldline.models.hoeffding_splitting import forget, split, weight_of
from foldline.stats.portable import exp, log

MAJORITY: Final = 0
BAYES: Final = 1
ADAPTIVE: Final = 2

UNKNOWN: Final = -1.0
"""The probability of a class never seen."""

_HALF_LOG_TAU = 0.91893853320467274178
_INF = np.inf


@inlined
def _majority(tree: Any, leaf: Any, out: Any) -> None:
    """Shares of the classes."""
    total = weight_of(tree, leaf)
    for turn in range(tree.class_count[leaf]):
        c = tree.class_order[leaf, turn]
        out[c] = tree.weight[leaf, c] / total if total != 0.0 else tree.weight[leaf, c]


@inlined
def _bayes(tree: Any, leaf: Any, x: Any, out: Any) -> Any:
    """Naive Bayes over the features observed; whether there is any class."""
    total = weight_of(tree, leaf)
    if total == 0.0:
        return False
    most = -_INF
    for turn in range(tree.class_count[leaf]):
        c = tree.class_order[leaf, turn]
        weight = tree.weight[leaf, c]
        vote = 0.0
        if weight > 0.0:
            vote = log(weight / total)
            for place in range(tree.feature_count[leaf]):
                f = tree.feature_order[leaf, place]
                if x[f] == x[f] and tree.observed[leaf, f, c, 5] != 0.0:
                    apart = x[f] - tree.observed[leaf, f, c, 1]
                    density = apart * apart / tree.observed[leaf, f, c, 5]
                    vote += density - _HALF_LOG_TAU - tree.observed[leaf, f, c, 6]
        out[c] = vote
        most = max(most, vote)
    summed = 0.0
    for turn in range(tree.class_count[leaf]):
        summed += exp(out[tree.class_order[leaf, turn]] - most)
    shift = most + log(summed)
    for turn in range(tree.class_count[leaf]):
        c = tree.class_order[leaf, turn]
        out[c] = exp(out[c] - shift)
    return True


@inlined
def _best(values: Any, order: Any, count: Any) -> Any:
    """The class of the greatest value, of equals the one that came first; -1 of none."""
    best = -1
    for turn in range(count):
        c = order[turn]
        if best < 0 or values[c] > values[best]:
            best = c
    return best


@part
def _weight_below(tree: Any, node: Any, stack: Any) -> Any:
    """All the weight in the leaves below a node."""
    total = 0.0
    depth = 1
    stack[0] = node
    while depth > 0:
        depth -= 1
        at = stack[depth]
        if tree.feature[at] == LEAF:
            total += weight_of(tree, at)
        else:
            stack[depth], stack[depth + 1] = tree.right[at], tree.left[at]
            depth += 2
    return total


@inlined
def _descend(tree: Any, x: Any, stack: Any) -> Any:
    """The leaf of a row, and whether a feature on the way was absent: then the heavier side is taken."""
    node, lacking = 0, False
    while tree.feature[node] != LEAF:
        value = x[tree.feature[node]]
        if value != value:
            lacking = True
            left, right = tree.left[node], tree.right[node]
            lighter = _weight_below(tree, left, stack) < _weight_below(tree, right, stack)
            node = right if lighter else left
        elif value <= tree.threshold[node]:
            node = tree.left[node]
        else:
            node = tree.right[node]
    return node, lacking


@inlined
def _answer(tree: Any, leaf: Any, x: Any, mode: Any, out: Any) -> None:
    """Probabilities as the leaf has them; 0 for other classes seen."""
    for c in range(len(out)):
        out[c] = 0.0 if tree.known[c] else UNKNOWN
    if leaf < 0:
        return
    bayes = mode == BAYES or (mode == ADAPTIVE and tree.correct[leaf, 1] >= tree.correct[leaf, 0])
    if bayes and tree.active[leaf]:
        _bayes(tree, leaf, x, out)
    else:
        _majority(tree, leaf, out)


@inlined
def _observe(tree: Any, leaf: Any, x: Any, y: Any) -> None:
    for f in range(len(x)):
        value = x[f]
        if value != value:
            continue
        if not tree.has_feature[leaf, f]:
            tree.has_feature[leaf, f] = 1
            tree.feature_order[leaf, tree.feature_count[leaf]] = f
            tree.feature_count[leaf] += 1
        seen = tree.observed[leaf, f, y]
        if seen[0] == 0.0:
            tree.pair_order[leaf, f, tree.pair_count[leaf, f]] = y
            tree.pair_count[leaf, f] += 1
            seen[3] = seen[4] = value
        seen[3] = min(seen[3], value)
        seen[4] = max(seen[4], value)
        before = seen[1]
        seen[0] += 1.0
        seen[1] += (1.0 / seen[0]) * (value - before)
        seen[2] += (value - before) * (value - seen[1])
        if seen[0] > 1.0:
            variance = seen[2] / (seen[0] - 1.0)
            if variance > 0.0:
                seen[5], seen[6] = -2.0 * variance, 0.5 * log(variance)
            else:
                seen[5] = seen[6] = 0.0


@part
def _learn(
    tree: Any, leaf: Any, lacking: Any, x: Any, y: Any, mode: Any, grace: Any, delta: Any, tau: Any, least: Any,
    purest: Any, deepest: Any, told: Any, votes: Any, sides: Any, orders: Any, counts: Any,
) -> None:  # fmt: skip
    """Learn a row at its leaf; `told` is what naive Bayes has said of it just now, negative where it was not asked."""
    count = tree.class_count[leaf]
    if tree.active[leaf] and mode == ADAPTIVE:
        # The greatest share is that of the greatest weight.
        if count == 0 or _best(tree.weight[leaf], tree.class_order[leaf], count) == y:
            tree.correct[leaf, 0] += 1.0
        if told[0] < 0.0 and not _bayes(tree, leaf, x, votes):
            count = 0
        if count and _best(votes if told[0] < 0.0 else told, tree.class_order[leaf], count) == y:
            tree.correct[leaf, 1] += 1.0
    if not tree.has_class[leaf, y]:
        tree.has_class[leaf, y] = 1
        tree.class_order[leaf, tree.class_count[leaf]] = y
        tree.class_count[leaf] += 1
    tree.weight[leaf, y] += 1.0
    if not tree.active[leaf]:
        return
    _observe(tree, leaf, x, y)
    if lacking:
        return
    if tree.depth[leaf] >= deepest:
        tree.active[leaf] = 0
        forget(tree, leaf)
        return
    weight = weight_of(tree, leaf)
    if weight - tree.tried[leaf] >= grace:
        split(tree, leaf, weight, delta, tau, least, purest, deepest, sides, orders, counts)
        tree.tried[leaf] = weight


@kernel
def run(
    tree: Any, x: Any, y: Any, predicts: Any, learns: Any, mode: Any, grace: Any, delta: Any, tau: Any, least: Any,
    purest: Any, deepest: Any, start: Any, out: Any, stack: Any, votes: Any, told: Any, sides: Any, orders: Any,
    counts: Any,
) -> Any:  # fmt: skip
    """Go through rows from `start` on; the first row that was not gone through, for want of room for nodes.

    Args:
        tree: see `Tree`; changed in place.
        x: (n, f) float64, NaN where a feature is absent.
        y: (n,) float64 place of the class, NaN for none: such rows are not learnt.
        predicts: (n,) whether to predict each.
        learns: whether to learn.
        mode: `MAJORITY`, `BAYES` or `ADAPTIVE`.
        grace: examples between two attempts to split a leaf.
        delta: of Hoeffding's bound.
        tau: a bound below it decides between equals.
        least: share of the weight that either side of a split must have.
        purest: share of one class from which a leaf is not split.
        deepest: depth of a leaf that is not split.
        start: first row.
        out: (n, c) float64, written; `UNKNOWN` for a class never seen.
        stack: (nodes + 2,) int64, scratch.
        votes: (c,) float64, scratch; likewise `told`.
        told: see `votes`.
        sides: (2, c) float64, scratch.
        orders: (2, c) int32, scratch.
        counts: (2,) int32, scratch.
    """
    nodes, classes = tree.weight.shape
    for row in range(start, len(x)):
        if learns and tree.count[0] + 2 > nodes:
            return row
        leaf, lacking = -1, False
        if tree.count[0] > 0:
            leaf, lacking = _descend(tree, x[row], stack)
        if predicts[row]:
            _answer(tree, leaf, x[row], mode, out[row])
        if not learns or y[row] != y[row]:
            continue
        label = int(y[row])
        told[0] = UNKNOWN
        if leaf < 0:
            tree.count[0], tree.active[0], leaf = 1, 1, 0
        elif (
            predicts[row]
            and mode == ADAPTIVE
            and tree.active[leaf]
            and tree.correct[leaf, 1] >= tree.correct[leaf, 0]
        ):
            for c in range(classes):
                told[c] = max(out[row, c], 0.0)
        tree.known[label] = 1
        _learn(
            tree, leaf, lacking, x[row], label, mode, grace, delta, tau, least, purest, deepest, told, votes, sides,
            orders, counts,
        )  # fmt: skip
    return len(x)
