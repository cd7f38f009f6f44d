"""Mutual exclusion: a layer's slots are shared out among experiments, so that a unit is in at most one of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from foldline.errors import DefinitionError

SIZE = 10_000
"""Slots of a layer unless told otherwise: its experiments' shares are multiples of 0.01 %."""


@dataclass(frozen=True, slots=True)
class LayerRange:
    """What an experiment has of a layer.

    Attributes:
        salt: the layer's, the same for all its experiments.
        slots: ascending pairs (from, to), `to` excluded.
        size: slots of the layer.
    """

    salt: str
    slots: tuple[tuple[int, int], ...]
    size: int = SIZE

    def __post_init__(self) -> None:
        edges = [edge for pair in self.slots for edge in pair]
        if not self.salt or not edges or edges != sorted(set(edges)) or edges[0] < 0 or edges[-1] > self.size:
            raise DefinitionError(
                "definition.incoherent",
                f"layer {self.salt!r} gives the slots {self.slots!r} of {self.size}; expected ascending pairs from "
                f"0 to {self.size} that do not touch",
            )


@dataclass(frozen=True, slots=True)
class Holdout:
    """Units that no experiment naming it touches, to measure what all experiments together bring.

    Attributes:
        salt: the holdout's, the same for all experiments that name it.
        share: of all units, 0 to 1.
    """

    salt: str
    share: float

    def __post_init__(self) -> None:
        if not self.salt or not 0.0 <= self.share <= 1.0:
            raise DefinitionError(
                "definition.incoherent",
                f"holdout {self.salt!r} of {self.share!r}; expected a name and 0 to 1",
            )


@dataclass(frozen=True, slots=True)
class Layer:
    """Who has which slots. Freed ones may be given again: each experiment splits them by a hash of its own.

    Attributes:
        salt: name, and salt of the hash from unit to slot.
        size: number of slots.
        taken: pairs (from, to) by experiment.

    Raises:
        DefinitionError: `definition.incoherent` where two experiments have the same slot.

    Example:
        >>> layer = Layer("checkout").give("a", 0.3).give("b", 0.5)
        >>> layer.range_of("b").slots
        ((3000, 8000),)
        >>> layer.free("a").give("c", 0.4).range_of("c").slots
        ((0, 3000), (8000, 9000))
    """

    salt: str
    size: int = SIZE
    taken: Mapping[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.size < 1:
            raise DefinitionError(
                "definition.incoherent", f"layer {self.salt!r} has size {self.size!r}; expected >= 1"
            )
        upto = 0
        for low, high, experiment in sorted(
            (*pair, name) for name, pairs in self.taken.items() for pair in pairs
        ):
            if low < upto or high > self.size or low >= high:
                raise DefinitionError(
                    "definition.incoherent",
                    f"layer {self.salt!r} gives {experiment!r} the slots {low} to {high}, but those before end at "
                    f"{upto} and the layer at {self.size}; give each slot once",
                )
            upto = high

    @property
    def free_slots(self) -> int:
        """How many slots nobody has."""
        return self.size - sum(high - low for pairs in self.taken.values() for low, high in pairs)

    def give(self, experiment: str, share: float) -> "Layer":
        """With the first free slots given to an experiment.

        Raises:
            DefinitionError: `definition.incoherent` where it has some already or too few are free.
        """
        wanted = round(share * self.size)
        if experiment in self.taken or not 0 < wanted <= self.free_slots:
            raise DefinitionError(
                "definition.incoherent",
                f"layer {self.salt!r} cannot give {experiment!r} {wanted} of {self.size} slots: "
                + ("it has some already" if experiment in self.taken else f"{self.free_slots} are free"),
            )
        found: list[tuple[int, int]] = []
        upto = 0
        taken = sorted(pair for pairs in self.taken.values() for pair in pairs)
        for low, high in [*taken, (self.size, self.size)]:
            room = min(low - upto, wanted)
            if room > 0:
                found.append((upto, upto + room))
                wanted -= room
            upto = high
        return Layer(self.salt, self.size, {**self.taken, experiment: tuple(found)})

    def free(self, experiment: str) -> "Layer":
        """Without an experiment's slots."""
        return Layer(
            self.salt, self.size, {name: pairs for name, pairs in self.taken.items() if name != experiment}
        )

    def range_of(self, experiment: str) -> LayerRange:
        """What an experiment has; slots that touch are one range."""
        if experiment not in self.taken:
            raise DefinitionError(
                "definition.incoherent",
                f"layer {self.salt!r} has no experiment {experiment!r}; give it slots first",
            )
        merged: list[tuple[int, int]] = []
        for low, high in sorted(self.taken[experiment]):
            if merged and merged[-1][1] == low:
                merged[-1] = (merged[-1][0], high)
            else:
                merged.append((low, high))
        return LayerRange(self.salt, tuple(merged), self.size)
