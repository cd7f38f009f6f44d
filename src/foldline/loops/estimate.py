"""What a loop has learnt, for people: an estimate per action, and counts."""

import msgspec

from foldline.fold.counters import Counter
from foldline.loops.bundle import active_columns
from foldline.policies.fold import Known, PolicyFold


class Estimate(msgspec.Struct, frozen=True):
    """One action.

    Attributes:
        action: its name.
        pulls: how many of its decisions were learnt (for decayed policies the weight, rounded).
        mean: average reward, None where nothing was learnt.
    """

    action: str
    pulls: int
    mean: float | None


class Counts(msgspec.Struct, frozen=True):
    """What was folded and what became of it; see `fold.counters.Counter` for each."""

    values: dict[str, int]
    reward_sum: float

    def __getitem__(self, name: str) -> int:
        return self.values[name]

    @property
    def waiting(self) -> int:
        """Decisions that wait for their rewards."""
        settled = self["learnt"] + self["unactivated"]
        return self["decisions"] + self["outcomes"] - settled

    @property
    def duplicates(self) -> int:
        """Records dropped because they had come before."""
        return sum(count for name, count in self.values.items() if name.startswith("duplicate_"))


def estimates_of(fold: PolicyFold, known: Known) -> list[Estimate]:
    """An estimate per active action, in the definition's order."""
    columns = active_columns(known)
    table = fold.policy.estimates(
        known.arrays, columns, as_of=known.stream_time, unit_bits=fold.rule.unit_bits
    )
    return [
        Estimate(action, round(float(pulls)), None if mean != mean else float(mean))
        for action, pulls, mean in zip(
            known.vocabulary.active, table["pulls"].tolist(), table["mean"].tolist(), strict=True
        )
    ]


def counts_of(known: Known, unit_bits: int) -> Counts:
    """The counters by name."""
    values = {counter.name.lower(): int(known.counts[counter]) for counter in Counter}
    return Counts(values, values.pop("reward_units") / 2.0**unit_bits)
