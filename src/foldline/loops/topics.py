"""The topics of a loop, by name, with their cleanup."""

from dataclasses import dataclass

from foldline.loops.definition import LoopDefinition

CATALOGUE = "foldline.loops"
"""Every version of every loop's definition, kept for ever."""

POLICY = ".policy"
"""What the topic of a loop's newest bundle ends with."""


@dataclass(frozen=True, slots=True)
class LoopTopics:
    """Topic names of one loop.

    Attributes:
        events: decisions, rewards, ticks and markers, keyed by unit; partitioned.
        dead: events that could not be used, with their errors.
        roots: the folds' states with the offset they cover; compacted.
        bundles: a header of every bundle ever published.
        policy: the newest bundle whole; compacted.
        stem: what all of them begin with.
    """

    events: str
    dead: str
    roots: str
    bundles: str
    policy: str
    stem: str

    def outputs(self, fold: str) -> str:
        """The output records of a fold; partitioned as the events."""
        return f"{self.stem}.{fold}"


def topics_of(definition: LoopDefinition) -> LoopTopics:
    """The topics of the loop's present generation."""
    name = definition.name
    stem = f"{name}.g{definition.generation}" if definition.generation else name
    own = stem + definition.branch
    return LoopTopics(
        f"{stem}.events", f"{stem}.events.dlq", f"{own}.roots", f"{own}.bundles", f"{own}{POLICY}", own
    )


def verdicts_of(definition: LoopDefinition, experiment: str) -> str:
    """The topic of an experiment's verdicts, kept for ever."""
    return topics_of(definition).events.removesuffix("events") + f"{experiment}.verdicts"
