"""Assignment as PlanOut does it: each parameter is drawn by the SHA-1 of its own salt and the unit."""

import hashlib
from collections.abc import Sequence
from typing import TypeVar

from foldline.errors import InputError

_T = TypeVar("_T")

PlanOutUnit = str | int | Sequence[str | int]
"""One id, or several, whose combination is randomised."""

SCALE = 0xFFFFFFFFFFFFFFF
"""The greatest hash: 15 hexadecimal digits."""


class PlanOutDraw:
    """Random values of one parameter for one unit.

    Args:
        salt: `experiment_salt.parameter`.
        unit: id or ids.

    Example:
        >>> draw = PlanOutDraw("exp.x", "1")
        >>> draw.integer(), round(draw.uniform(), 9)
        (715933475252549315, 0.620973303)
    """

    __slots__ = ("_appended", "_parts", "_salt")

    def __init__(self, salt: str, unit: PlanOutUnit) -> None:
        several = not isinstance(unit, str | int)
        parts = [str(part) for part in unit] if isinstance(unit, Sequence) and several else [str(unit)]
        if not parts or "" in parts:
            raise InputError(
                "input.invalid", f"unit {unit!r}; expected an id, or several, none empty", field="unit"
            )
        self._salt, self._parts, self._appended = salt, parts, several

    def integer(self, *more: object) -> int:
        """The hash, 0 to `SCALE`; `more` are further parts of the unit."""
        text = ".".join([self._salt, *self._parts, *map(str, more)])
        return int(hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()[:15], 16)

    def uniform(self, low: float = 0.0, high: float = 1.0, *more: object) -> float:
        """RandomFloat."""
        return low + (high - low) * (self.integer(*more) / float(SCALE))

    def random_integer(self, low: int, high: int) -> int:
        """RandomInteger, both ends included."""
        return low + self.integer() % (high - low + 1)

    def bernoulli(self, p: float) -> int:
        """BernoulliTrial: 1 with probability p, else 0."""
        return int(self.uniform() <= p)

    def choice(self, choices: Sequence[_T]) -> _T:
        """UniformChoice."""
        return choices[self.integer() % len(choices)]

    def weighted_choice(self, choices: Sequence[_T], weights: Sequence[float]) -> _T:
        """WeightedChoice: the first whose cumulative weight reaches the draw."""
        upto, edges = 0.0, []
        for weight in weights:
            upto += weight
            edges.append(upto)
        at = self.uniform(0.0, upto)
        return next(choice for choice, edge in zip(choices, edges, strict=True) if at <= edge)

    def kept(self, choices: Sequence[_T], p: float) -> list[_T]:
        """BernoulliFilter: each choice by itself with probability p."""
        return [choice for choice in choices if self.uniform(0.0, 1.0, choice) <= p]

    def sample(self, choices: Sequence[_T], draws: int, *, fast: bool = False) -> list[_T]:
        """Sample and FastSample: so many of the choices, without replacement, in random order."""
        left = list(choices)
        added: list[object] = []
        for i in range(len(left) - 1, 0, -1):
            # PlanOut appends to a list of units in place: each step's hash has all earlier ones in it too.
            added = [*added, i] if self._appended else [i]
            j = self.integer(*added) % (i + 1)
            left[i], left[j] = left[j], left[i]
            if fast and i == len(left) - draws:
                return left[i:]
        return left[:draws]
