"""What a policy is: parameters and a rule, with a state that learns, and a compiled form that decides.

A policy is a frozen struct; its `kind` is its name in TOML, HTTP and on the command line. Its state is a dict of
arrays, one entry per action (by the fold's action index, which never changes; removed actions keep theirs).
Compiling reads the state and gives `Parameters`, the part of a bundle from which every reader, in any language,
derives the same probabilities.

A new policy is one file: a subclass with these methods, listed in `registry.POLICIES`, that passes
`foldline.testing.check_policy`.
"""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, ClassVar, Literal, get_type_hints

import msgspec
import numpy as np
import numpy.typing as npt

from foldline.errors import InputError
from foldline.fold.arrays import Arrays
from foldline.fold.emits import Emits

Law = Literal["exact", "approximate", "none"]

Parameters = dict[str, Any]
"""A compiled policy as JSON values (numbers, strings, lists); lists of per-action numbers follow the bundle's
actions. A reader adds the bundle's action names as `actions` (see `Compiled`), for rules that name one."""

WHOLE = 1 << 53
"""Probabilities are integers over 2^53 that sum to it exactly, so that they are exact as float64 too."""


class Policy(msgspec.Struct, frozen=True, kw_only=False, tag_field="kind", omit_defaults=False):
    """Base of all policies. Parameters are the struct's fields, each with default, unit, range and doc.

    They are checked on construction too, not only when decoded: `EpsilonGreedy(2)` is refused.

    Attributes:
        dials: fields that change only the compiled form and may be turned at any time; all others are learning
            parameters, part of the fold's identity.
        summary: one line for listings.

    Raises:
        InputError: `input.invalid` where a parameter has the wrong type or lies outside its range.

    Example:
        >>> import foldline as fl
        >>> policy = fl.Thompson(prior_mean=0.03)
        >>> isinstance(policy, fl.Policy), policy.kind, policy.merge_law
        (True, 'thompson', 'exact')
    """

    dials: ClassVar[frozenset[str]] = frozenset()
    summary: ClassVar[str] = ""

    def __post_init__(self) -> None:
        for name, annotation in field_types(type(self)).items():
            value = getattr(self, name)
            try:
                checked = msgspec.convert(value, annotation)
            except msgspec.ValidationError as error:
                raise InputError(
                    "input.invalid", f"policy {self.kind!r}: {name}={value!r}: {error}", field=name
                ) from error
            if isinstance(checked, float) and checked in (float("inf"), float("-inf")):
                raise InputError(
                    "input.invalid",
                    f"policy {self.kind!r}: {name}={value!r}: expected a finite number",
                    field=name,
                )
            if type(checked) is not type(value):
                msgspec.structs.force_setattr(self, name, checked)

    @property
    def kind(self) -> str:
        """The policy's name in TOML, HTTP and on the command line."""
        return str(self.__struct_config__.tag)

    @property
    def merge_law(self) -> Law:
        """`exact`: merging equals learning any interleaving, bit for bit; `approximate`: to 1e-9; `none`: refused.

        A policy whose law is `none` learns on one partition only.
        """
        return "exact"

    @property
    def correction_law(self) -> Law:
        """The same for replacing a learnt reward by the truth; where `none`, CORRECTED emits change nothing."""
        return "exact"

    def learning(self) -> dict[str, Any]:
        """The learning parameters, as JSON values with `kind`: all but the dials. Part of the fold's identity."""
        return {name: value for name, value in msgspec.to_builtins(self).items() if name not in self.dials}

    def floor(self, actions: int, decisions: int) -> float:
        """The least probability that any of so many allowed actions has, whatever was learnt of so many decisions.

        0 where there is none: then effects between actions cannot be estimated from what it logs.
        """
        return 0.0

    def check(self, actions: Sequence[str], low: float, high: float) -> None:
        """Refuse a loop whose actions or range this policy cannot serve; by default it serves all.

        Raises:
            DefinitionError: `definition.incoherent`.
        """

    def empty(self, actions: int) -> Arrays:
        """The state before anything was learnt: arrays whose first axis is the action, for that many actions."""
        raise NotImplementedError

    def learn(self, state: Arrays, emits: Emits, *, unit_bits: int) -> bool:
        """Fold the emits into `state`, in place and in order; True if the state changed.

        Rewards are integers in units of 2^-unit_bits. Batches of any size give the same bits. A state on which
        this raised is spent: it may have learnt a part of the emits.

        Raises:
            FoldError: `fold.overflow` where an exact sum would leave its 64 bits.
        """
        raise NotImplementedError

    def grow(self, state: Arrays, actions: int) -> Arrays:
        """The state with new, unlearnt actions appended; `actions` counts all of them, old and new."""
        grown = self.empty(actions)
        for name, array in state.items():
            grown[name][: len(array)] = array
        return grown

    def merge(self, left: Arrays, right: Arrays) -> Arrays:
        """One state that has learnt what both have; neither argument changes.

        Raises:
            FoldError: `fold.not_mergeable` where `merge_law` is `none`; `fold.overflow`.
        """
        raise NotImplementedError

    def compile(
        self, state: Arrays, columns: Sequence[int], *, as_of: int, unit_bits: int, low: float, high: float
    ) -> Parameters:
        """The parameters that decide.

        Args:
            state: a (merged) state; not changed.
            columns: state index of each action of the bundle, in the bundle's order.
            as_of: the bundle's stream time, milliseconds; decay is evaluated at it only.
            unit_bits: rewards in the state are in units of 2^-unit_bits.
            low: least reward allowed by the definition.
            high: greatest reward allowed.
        """
        raise NotImplementedError

    @staticmethod
    def weights(parameters: Parameters, allowed: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.int64]:
        """(n,) int64 probabilities over `WHOLE` that sum to it, zero where not allowed.

        A pure function of the bundle's parameters and the mask (at least one True; None allows all): what a
        reader decides with and what an audit recomputes.
        """
        raise NotImplementedError

    def estimates(
        self, state: Arrays, columns: Sequence[int], *, as_of: int, unit_bits: int
    ) -> Mapping[str, npt.NDArray[np.float64]]:
        """Per action, for people: `pulls` (n,), `mean` (n,) with NaN where nothing was learnt.

        Where the policy knows how rewards are distributed, also `low` and `high` (n,), a 95 % interval of the
        mean, NaN where there is none.
        """
        raise NotImplementedError


@cache
def field_types(policy: type[Policy]) -> dict[str, Any]:
    """The type of each parameter of a policy, with its range and doc (`msgspec.Meta`)."""
    hints = get_type_hints(policy, include_extras=True)
    return {field.name: hints[field.name] for field in msgspec.structs.fields(policy)}
