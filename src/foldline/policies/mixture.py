"""A bandit mixed with even choice: a least probability for every action, so that effects of actions can be tested."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, cast

import msgspec
import numpy as np
import numpy.typing as npt
from msgspec import Meta

from foldline.fold.arrays import Arrays
from foldline.fold.emits import Emit, Emits
from foldline.policies.bandits import BANDITS, by_kind, class_among, made_of
from foldline.policies.protocol import Law, Parameters, Policy
from foldline.policies.table import everything, mixed
from foldline.stats.exact_sums import add_sums

_LEARNT = "mixture_learnt"
_KINDS = by_kind(BANDITS)


class Mixture(Policy, frozen=True, tag="mixture"):
    """Chooses evenly with probability `share`, else as a bandit does (Liang and Bojinov 2023, mixture adaptive design).

    Every allowed action then has a probability of at least share / n, whatever the bandit has learnt, and the mixture
    is what is logged. So the effect between two actions can be estimated without bias, with limits that hold at every
    moment (`foldline experiments actions`). With the decay `fourth_root` the share is share / t^(1/4) after t rewards
    learnt: regret falls as the bandit's, and the limits still close.

    Example:
        >>> mixture = Mixture({"kind": "thompson"}, share=0.2)
        >>> mixture.floor(4, 0)
        0.05
    """

    policy: Annotated[
        dict[str, Any],
        Meta(description="the bandit, as JSON values", extra={"range": "any kind that learns but this"}),
    ]
    share: Annotated[
        float, Meta(gt=0.0, le=1.0, description="probability of choosing evenly among all allowed actions")
    ] = 0.1
    decay: Annotated[
        Literal["none", "fourth_root"],
        Meta(description="how the share falls with the number of rewards learnt"),
    ] = "none"

    dials: ClassVar[frozenset[str]] = frozenset({"share", "decay"})
    summary: ClassVar[str] = "a bandit mixed with even choice, so that effects of its actions can be tested"

    def __post_init__(self) -> None:
        super().__post_init__()
        whole = msgspec.to_builtins(made_of(_KINDS, self.policy))
        msgspec.structs.force_setattr(self, "policy", whole)

    @property
    def bandit(self) -> Policy:
        """The policy that is mixed."""
        return made_of(_KINDS, self.policy)

    @property
    def merge_law(self) -> Law:
        """The bandit's."""
        return self.bandit.merge_law

    @property
    def correction_law(self) -> Law:
        """The bandit's."""
        return self.bandit.correction_law

    def learning(self) -> dict[str, Any]:
        """See `Policy.learning`: turning a dial of the bandit starts no new fold either."""
        return {"kind": self.kind, "policy": self.bandit.learning()}

    def floor(self, actions: int, decisions: int) -> float:
        """See `Policy.floor`."""
        return self._share(decisions) / actions

    def check(self, actions: Sequence[str], low: float, high: float) -> None:
        """See `Policy.check`."""
        self.bandit.check(actions, low, high)

    def empty(self, actions: int) -> Arrays:
        """The bandit's, and how many rewards were learnt of each action. See `Policy.empty`."""
        return {**self.bandit.empty(actions), _LEARNT: np.zeros(actions, np.int64)}

    def learn(self, state: Arrays, emits: Emits, *, unit_bits: int) -> bool:
        """See `Policy.learn`."""
        inner = _of_bandit(state)
        changed = self.bandit.learn(inner, emits, unit_bits=unit_bits)
        state.update(inner)
        learnt = emits.action[emits.kind == Emit.LEARNT]
        np.add.at(_learnt(state), learnt, 1)
        return changed or bool(len(learnt))

    def grow(self, state: Arrays, actions: int) -> Arrays:
        """See `Policy.grow`."""
        learnt = np.zeros(actions, np.int64)
        learnt[: len(_learnt(state))] = _learnt(state)
        return {**self.bandit.grow(_of_bandit(state), actions), _LEARNT: learnt}

    def merge(self, left: Arrays, right: Arrays) -> Arrays:
        """See `Policy.merge`."""
        merged = self.bandit.merge(_of_bandit(left), _of_bandit(right))
        return {**merged, _LEARNT: add_sums(_learnt(left), _learnt(right))}

    def compile(
        self, state: Arrays, columns: Sequence[int], *, as_of: int, unit_bits: int, low: float, high: float
    ) -> Parameters:
        """The share now, and kind and parameters of the bandit. See `Policy.compile`."""
        inner = self.bandit.compile(
            _of_bandit(state), columns, as_of=as_of, unit_bits=unit_bits, low=low, high=high
        )
        share = self._share(int(_learnt(state).sum()))
        return {"share": share, "kind": self.bandit.kind, "policy": inner}

    @staticmethod
    def weights(parameters: Parameters, allowed: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.int64]:
        """See `Policy.weights`."""
        inner = {**parameters["policy"], "actions": parameters["actions"]}
        weights = class_among(_KINDS, parameters["kind"]).weights(inner, allowed)
        return mixed(weights, parameters["share"], everything(allowed, len(weights)))

    def estimates(
        self, state: Arrays, columns: Sequence[int], *, as_of: int, unit_bits: int
    ) -> Mapping[str, npt.NDArray[np.float64]]:
        """See `Policy.estimates`; the bandit's."""
        return self.bandit.estimates(_of_bandit(state), columns, as_of=as_of, unit_bits=unit_bits)

    def _share(self, learnt: int) -> float:
        """Square roots, not powers: they have the same bits everywhere."""
        if self.decay == "none" or learnt < 1:
            return self.share
        return self.share / float(np.sqrt(np.sqrt(float(learnt))))


def _of_bandit(state: Arrays) -> Arrays:
    return {name: array for name, array in state.items() if name != _LEARNT}


def _learnt(state: Arrays) -> npt.NDArray[np.int64]:
    return cast("npt.NDArray[np.int64]", state[_LEARNT])
