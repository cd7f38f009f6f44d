"""What a policy is: parameters and a rule, with a state that learns, and a compiled form that decides.

A policy is a frozen struct; its `kind` is its name in TOML, HTTP and on the command line. Its state is a dict of
arrays, one entry per action (by the fold's action index, which never changes; removed actions keep theirs).
Compiling reads the state and gives `Parameters`, the part of a bundle from which every reader, in any language,
derives the same probabilities.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from foldline.fold.arrays import Arrays
from foldline.fold.emits import Emits

Law = Literal["exact", "approximate", "none"]

Parameters = dict[str, Any]
"""A compiled policy as JSON values (numbers, strings, lists); lists of per-action numbers follow the bundle's
actions."""

WHOLE = 1 << 53
"""Probabilities are integers over 2^53 that sum to it exactly, so that they are exact as float64 too."""


class Policy(msgspec.Struct, frozen=True, kw_only=False, tag_field="kind", omit_defaults=False):
    """Base of all policies. Parameters are the struct's fields, each with default, unit, range and doc.

    Attributes:
        merge_law: `exact`: merging equals learning any interleaving, bit for bit; `approximate`: to 1e-9;
            `none`: refused on more than one partition.
        correction_law: the same for replacing a learnt reward by the truth.
        dials: fields that change only the compiled form and may be turned at any time; all others are learning
            parameters, part of the fold's identity.
        summary: one line for listings.
    """

    merge_law: ClassVar[Law] = "exact"
    correction_law: ClassVar[Law] = "exact"
    dials: ClassVar[frozenset[str]] = frozenset()
    summary: ClassVar[str] = ""

    def empty(self, actions: int) -> Arrays:
        """The state before anything was learnt, for that many actions."""
        raise NotImplementedError

    def learn(self, state: Arrays, emits: Emits, *, unit_bits: int) -> bool:
        """Fold the emits into `state`, in place and in order; True if the state changed.

        Rewards are integers in units of 2^-unit_bits. Batches of any size give the same bits.
        """
        raise NotImplementedError

    def grow(self, state: Arrays, actions: int) -> Arrays:
        """The state with new, unlearnt actions appended."""
        raise NotImplementedError

    def merge(self, left: Arrays, right: Arrays) -> Arrays:
        """One state that has learnt what both have; neither argument changes."""
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
        """Per action, for people: `pulls` (n,), `mean` (n,) with NaN where nothing was learnt."""
        raise NotImplementedError
