"""Posterior distributions of an action's mean reward, tabulated: nodes, and the probability of being below each.

A posterior is tabulated on its own nodes, close where it is narrow, far apart in its tails; between them the
probability is a cubic (Hermite) through values and densities. Everything is computed with `stats.portable`, so
that the same parameters give the same bits on every machine.

Beta posteriors stand on the log-odds scale y = log(x / (1 - x)), where their density x^a (1 - x)^b is smooth and
has one peak for every a, b > 0. The order of two actions is the same on either scale.
"""

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from foldline.kernels import numeric
from foldline.stats.portable import exp, log, log1p

Floats = npt.NDArray[np.float64]

NODES = 129
"""Nodes of a tabulated posterior."""

_HALF = 64
_DROP = 24.0
"""The outermost nodes stand where the log-density has fallen by this much: 7 standard deviations of a normal,
4e-12 of its mass beyond."""


_NEGLIGIBLE = 1e-4


class Posterior(NamedTuple):
    """A tabulated posterior.

    Attributes:
        table: (3, `NODES`) float64: ascending values, probability below each, density there.
        start: the last node with a probability below it of at most 1e-4.
        end: the last node.
        width: the standard deviation of the normal with the curvature of the peak.
    """

    table: Floats
    start: float
    end: float
    width: float


@lru_cache(maxsize=4096)
def beta_posterior(alpha: float, beta: float) -> Posterior:
    """The posterior of Beta(alpha, beta), both above 0, on the log-odds scale. About 12 us; cached."""
    return _posterior(_beta(alpha, beta), math.sqrt((alpha + beta) / (alpha * beta)))


@lru_cache(maxsize=4096)
def student_posterior(location: float, scale: float, freedom: float) -> Posterior:
    """The posterior of location + scale · Student-t(freedom); scale and freedom above 0. About 12 us; cached.

    A scale below 2^-40 of the location is taken as that: float64 could not tell its nodes apart.
    """
    scale = max(scale, abs(location) * 2.0**-40)
    return _posterior(_student(location, scale, freedom), scale)


def _posterior(table: Floats, width: float) -> Posterior:
    table.flags.writeable = False
    start = max(0, int(table[1].searchsorted(_NEGLIGIBLE)) - 1)
    return Posterior(table, float(table[0, start]), float(table[0, NODES - 1]), width)


@numeric
def _softplus(y: Any) -> Any:
    """log(1 + e^y)."""
    return y + log1p(exp(-y)) if y > 0.0 else log1p(exp(y))


@numeric
def _beta_edge(alpha: Any, beta: Any, peak: Any, top: Any, direction: Any) -> Any:
    """Where the log-density, concave, has fallen by `_DROP`: doubling steps, then bisection to 1 % of the way."""
    reach = math.sqrt((alpha + beta) / (alpha * beta))
    inner = 0.0
    while (
        top - (alpha * (peak + direction * reach) - (alpha + beta) * _softplus(peak + direction * reach))
        < _DROP
    ):
        inner = reach
        reach *= 2.0
    while reach - inner > 0.01 * reach:
        middle = 0.5 * (inner + reach)
        y = peak + direction * middle
        if top - (alpha * y - (alpha + beta) * _softplus(y)) < _DROP:
            inner = middle
        else:
            reach = middle
    return reach


@numeric
def _beta(alpha: Any, beta: Any) -> Any:
    table = np.zeros((3, NODES))
    slope = np.empty(NODES)
    total = alpha + beta
    peak = log(alpha / beta)
    top = alpha * peak - total * _softplus(peak)
    left = _beta_edge(alpha, beta, peak, top, -1.0)
    right = _beta_edge(alpha, beta, peak, top, 1.0)
    for j in range(NODES):
        step = (j - _HALF) / _HALF
        y = peak + step * (right if j > _HALF else left)
        density = exp(alpha * y - total * _softplus(y) - top)
        table[0, j] = y
        table[2, j] = density
        # The derivative of the log-density: alpha - (alpha + beta) x, with x the probability at log-odds y.
        slope[j] = density * (alpha - total / (1.0 + exp(-y)))
    _accumulate(table, slope)
    return table


@numeric
def _student(location: Any, scale: Any, freedom: Any) -> Any:
    table = np.zeros((3, NODES))
    slope = np.empty(NODES)
    power = 0.5 * (freedom + 1.0)
    # Nodes at sinh of equal steps: even in the middle, geometric in the tails, however heavy.
    edge = math.sqrt(freedom * (exp(_DROP / power) - 1.0))
    reach = log(edge + math.sqrt(edge * edge + 1.0))
    for j in range(NODES):
        grown = exp(reach * ((j - _HALF) / _HALF))
        t = 0.5 * (grown - 1.0 / grown)
        density = exp(-power * log1p(t * t / freedom))
        table[0, j] = location + scale * t
        table[2, j] = density / scale
        slope[j] = density / scale * (-2.0 * power * t / (freedom + t * t)) / scale
    _accumulate(table, slope)
    return table


@numeric
def _accumulate(table: Any, slope: Any) -> Any:
    """Probabilities by the trapezium rule with end corrections, normalised by their own sum: no gamma function."""
    y, below, density = table[0], table[1], table[2]
    for j in range(1, NODES):
        h = y[j] - y[j - 1]
        mass = 0.5 * h * (density[j - 1] + density[j]) + h * h / 12.0 * (slope[j - 1] - slope[j])
        below[j] = below[j - 1] + max(mass, 0.0)
    whole = below[NODES - 1]
    for j in range(NODES):
        below[j] /= whole
        density[j] /= whole


@numeric
def fill_log_below(table: Any, nodes: Any, row: Any) -> Any:
    """Write the logarithm of the probability below each of the ascending `nodes` into `row`.

    At least -690 (a probability of 1e-300), where it is as good as zero.
    """
    y, below, density = table[0], table[1], table[2]
    j = 0
    for i in range(len(nodes)):
        x = nodes[i]
        if x <= y[0]:
            row[i] = -690.0
        elif x >= y[NODES - 1]:
            row[i] = 0.0
        else:
            while y[j + 1] < x:
                j += 1
            h = y[j + 1] - y[j]
            t = (x - y[j]) / h
            u = 1.0 - t
            value = (
                u * u * (1.0 + 2.0 * t) * below[j]
                + t * t * (3.0 - 2.0 * t) * below[j + 1]
                + h * t * u * (u * density[j] - t * density[j + 1])
            )
            row[i] = log(min(max(value, 1e-300), 1.0))
