"""Splitting a leaf of a Hoeffding tree: the information each threshold would gain, and the bound that decides.

Order of steps and of sums is River's (0.26); see `foldline.models.hoeffding_kernel`.
"""

from typing import Any, Final

import numpy as np

from foldline.kernels import inlined, part
from foldline.models.hoeffding_layout import LEAF
from foldline.stats.portable import log
from foldline.stats.portable_erf import normal_cdf

SPLITS: Final = 10
"""Points of a feature tried as thresholds, evenly apart."""

_LN2 = 0.69314718055994530942
_INF = np.inf


@inlined
def total_of(weight: Any, order: Any, count: Any) -> Any:
    """The sum over classes, in the order in which they came."""
    total = 0.0
    for turn in range(count):
        total += weight[order[turn]]
    return total


@inlined
def weight_of(tree: Any, leaf: Any) -> Any:
    """All the weight of a leaf."""
    return total_of(tree.weight[leaf], tree.class_order[leaf], tree.class_count[leaf])


@inlined
def forget(tree: Any, leaf: Any) -> None:
    """Let go what a leaf has observed of the features."""
    tree.has_feature[leaf] = 0
    tree.feature_order[leaf] = 0
    tree.feature_count[leaf] = 0
    tree.pair_order[leaf] = 0
    tree.pair_count[leaf] = 0
    tree.observed[leaf] = 0.0


@inlined
def _entropy(weight: Any, order: Any, count: Any) -> Any:
    """Bits, of the classes in the order in which they came."""
    entropy = summed = 0.0
    for turn in range(count):
        w = weight[order[turn]]
        if w > 0.0:
            entropy -= w * (log(w) / _LN2)
            summed += w
    return (entropy + summed * (log(summed) / _LN2)) / summed if summed > 0.0 else 0.0


@part
def _divide(tree: Any, leaf: Any, f: Any, threshold: Any, sides: Any, orders: Any, counts: Any) -> None:
    """The weight of each class to the left and right of a threshold, with the order in which each side has them."""
    sides[:] = 0.0
    orders[:] = 0
    counts[:] = 0
    for turn in range(tree.pair_count[leaf, f]):
        c = tree.pair_order[leaf, f, turn]
        seen = tree.observed[leaf, f, c]
        goes_left = not threshold < seen[3]
        goes_right = not (goes_left and threshold >= seen[4])
        if goes_left and goes_right:
            spread = np.sqrt(seen[2] / (seen[0] - 1.0)) if seen[0] > 1.0 else 0.0
            below = normal_cdf((threshold - seen[1]) / spread) if spread != 0.0 else 0.0
            sides[0, c] = below * seen[0]
            sides[1, c] = seen[0] - sides[0, c]
        else:
            sides[int(goes_right), c] = seen[0]
        for side in range(2):
            if (goes_left, goes_right)[side]:
                orders[side, counts[side]] = c
                counts[side] += 1


@inlined
def _merit(before: Any, sides: Any, orders: Any, counts: Any, least: Any) -> Any:
    """The information gained by a split; none where a side has too little."""
    left, right = total_of(sides[0], orders[0], counts[0]), total_of(sides[1], orders[1], counts[1])
    total = left + right
    if not (total > 0.0 and left / total > least and right / total > least):
        return -_INF
    after = left * _entropy(sides[0], orders[0], counts[0]) + right * _entropy(sides[1], orders[1], counts[1])
    return before - after / total


@part
def _candidate(
    tree: Any, leaf: Any, f: Any, before: Any, least: Any, sides: Any, orders: Any, counts: Any
) -> Any:
    """The best merit of a feature, and its threshold."""
    low, high = _INF, -_INF
    for turn in range(tree.pair_count[leaf, f]):
        seen = tree.observed[leaf, f, tree.pair_order[leaf, f, turn]]
        low, high = min(low, seen[3]), max(high, seen[4])
    best, at = -_INF, 0.0
    if low < _INF:
        step = (high - low) / (SPLITS + 1.0)
        for i in range(SPLITS):
            threshold = low + (step * (i + 1))
            if low < threshold < high:
                _divide(tree, leaf, f, threshold, sides, orders, counts)
                merit = _merit(before, sides, orders, counts, least)
                if merit > best:
                    best, at = merit, threshold
    return best, at


@part
def split(
    tree: Any, leaf: Any, weight: Any, delta: Any, tau: Any, least: Any, purest: Any, deepest: Any, sides: Any,
    orders: Any, counts: Any,
) -> None:  # fmt: skip
    """Split a leaf where the bound says that its best split is the best; where none gains, forget the features."""
    several = 0
    greatest = 0.0
    for c in range(tree.weight.shape[1]):
        several += tree.weight[leaf, c] != 0.0
        greatest = max(greatest, tree.weight[leaf, c])
    if several < 2:
        return
    best, second, feature, at = -_INF, -_INF, -1, 0.0
    candidates = 1
    if not (greatest and greatest / weight > purest):
        before = _entropy(tree.weight[leaf], tree.class_order[leaf], tree.class_count[leaf])
        for place in range(tree.feature_count[leaf]):
            f = tree.feature_order[leaf, place]
            candidates += 1
            merit, threshold = _candidate(tree, leaf, f, before, least, sides, orders, counts)
            # Sorted by merit, of equals the one that came last is the best.
            if merit >= best:
                second = best
                best, at = merit, threshold
                feature = f if merit > -_INF else -1
            else:
                second = max(second, merit)
    if candidates > 1:
        reach = log(float(max(tree.class_count[leaf], 2))) / _LN2
        bound = np.sqrt((reach * reach * log(1.0 / delta)) / (2.0 * weight))
        if not (best - second > bound or bound < tau):
            return
    if feature >= 0:
        _divide(tree, leaf, feature, at, sides, orders, counts)
        for side in range(2):
            made = int(tree.count[0])
            tree.count[0] += 1
            tree.depth[made] = tree.depth[leaf] + 1
            tree.active[made] = 1
            tree.class_count[made] = counts[side]
            for turn in range(counts[side]):
                c = orders[side, turn]
                tree.class_order[made, turn] = c
                tree.has_class[made, c] = 1
                tree.weight[made, c] = sides[side, c]
            tree.tried[made] = weight_of(tree, made)
            if side == 0:
                tree.left[leaf] = made
            else:
                tree.right[leaf] = made
        tree.feature[leaf], tree.threshold[leaf] = feature, at
        tree.active[leaf] = 0
    forget(tree, leaf)
    # Whatever was given up is taken up again at every split, save at the greatest depth.
    for node in range(int(tree.count[0])):
        if tree.feature[node] == LEAF and not tree.active[node] and tree.depth[node] < deepest:
            tree.active[node] = 1
