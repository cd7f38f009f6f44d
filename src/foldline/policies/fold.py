"""The policy fold: attribution joins decisions with rewards, the policy learns what comes out of it.

Known are the policy's arrays, the counters and the vocabulary (actions and range, as the last marker set them).
"""

from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from foldline.errors import FoldError
from foldline.fold.arrays import Arrays, dump_arrays, load_arrays
from foldline.fold.counters import Counter
from foldline.fold.event_fold import EventFold, EventState, Told
from foldline.fold.rule import RewardRule
from foldline.fold.vocabulary import Vocabulary, joined
from foldline.policies.protocol import Policy


@dataclass(slots=True)
class Known:
    """The half of the state that merges.

    Attributes:
        arrays: the policy's state, one entry per action of the vocabulary.
        counts: (len(Counter),) int64.
        vocabulary: actions and range.
        stream_time: running maximum of record times, milliseconds; 0 before the first record.
    """

    arrays: Arrays
    counts: npt.NDArray[np.int64]
    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    stream_time: int = 0


PolicyState = EventState[Known]
"""Known and pending halves of a policy fold."""


class PolicyFold(EventFold[Known]):
    """Folds an event topic's partition into a policy's state."""

    name = "policy"
    version = 3

    def __init__(self, policy: Policy, rule: RewardRule, *, complete: bool = False) -> None:
        super().__init__(rule, complete=complete)
        self.policy = policy

    def parameters(self) -> dict[str, Any]:
        """The learning parameters: the policy without its dials, and the reward rule."""
        return {"policy": self.policy.learning(), **super().parameters()}

    def nothing(self) -> Known:
        """See `EventFold.nothing`."""
        return Known(self.policy.empty(0), np.zeros(len(Counter), np.int64))

    def learn(self, known: Known, told: Told) -> bool:
        """See `EventFold.learn`."""
        changed = False
        if len(told.emits):
            changed = self.policy.learn(known.arrays, told.emits, unit_bits=self.rule.unit_bits)
        if told.counts.any():
            known.counts += told.counts
            changed = True
        return changed

    def adopt(self, known: Known, vocabulary: Vocabulary) -> None:
        """See `EventFold.adopt`."""
        known.arrays = self.policy.grow(known.arrays, len(vocabulary.actions))
        known.vocabulary = vocabulary

    def merge(self, left: Known, right: Known) -> Known:
        """See `EventFold.merge`."""
        vocabulary = joined(left.vocabulary, right.vocabulary)
        aligned = [self._aligned(known, vocabulary) for known in (left, right)]
        return Known(
            self.policy.merge(*aligned),
            _summed(left.counts, right.counts),
            vocabulary,
            max(left.stream_time, right.stream_time),
        )

    def dump_known(self, known: Known) -> bytes:
        """See `EventFold.dump_known`."""
        head = msgspec.json.encode((known.vocabulary, known.stream_time))
        arrays: Arrays = {f"policy.{name}": array for name, array in known.arrays.items()}
        arrays["counts"] = known.counts
        arrays["vocabulary"] = np.frombuffer(head, np.uint8)
        return dump_arrays(arrays)

    def load_known(self, data: bytes) -> Known:
        """See `EventFold.load_known`."""
        arrays = load_arrays(data)
        try:
            head = arrays.pop("vocabulary").tobytes()
            counts = arrays.pop("counts").astype(np.int64, copy=False)
            vocabulary, stream_time = msgspec.json.decode(head, type=tuple[Vocabulary, int])
        except (KeyError, msgspec.DecodeError) as error:
            raise FoldError("fold.damaged_root", f"loading a policy's known half: {error}") from error
        policy = {name.removeprefix("policy."): array for name, array in arrays.items()}
        return Known(policy, counts, vocabulary, stream_time)

    def _aligned(self, known: Known, vocabulary: Vocabulary) -> Arrays:
        if len(known.vocabulary.actions) == len(vocabulary.actions):
            return known.arrays
        return self.policy.grow(known.arrays, len(vocabulary.actions))


def _summed(left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    total: npt.NDArray[np.int64] = left + right
    # Only a sum of two of one sign can leave 64 bits, and it then has the other sign.
    if (((left ^ total) & (right ^ total)) < 0).any():
        raise FoldError(
            "fold.overflow",
            "merging the counts of two partitions leaves 64 bits; declare a coarser reward unit in a new loop",
        )
    return total
