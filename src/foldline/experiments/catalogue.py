"""The catalogue fold of experiments: the newest definition of each, and every version of it."""

import msgspec

from foldline.errors import FoldError, InputError
from foldline.experiments.definition import ExperimentDefinition

EXPERIMENTS = "foldline.experiments"
"""The topic of every version of every experiment's definition, kept for ever."""

_LINES = msgspec.json.Decoder(ExperimentDefinition)


class ExperimentCatalogue:
    """What the topic says up to some offset."""

    def __init__(self) -> None:
        self.offset = 0
        self._versions: dict[str, list[ExperimentDefinition]] = {}

    def apply(self, payload: bytes, end: int) -> None:
        """Fold a batch of definitions that ends at offset `end`. A version once set is never overwritten."""
        for line in payload.split(b"\n"):
            try:
                definition = _LINES.decode(line)
            except msgspec.MsgspecError as error:
                raise FoldError(
                    "fold.damaged_root", f"reading the experiments before offset {end}: {error}"
                ) from error
            versions = self._versions.setdefault(definition.name, [])
            if definition.version == len(versions) + 1:
                versions.append(definition)
        self.offset = end

    def names(self, loop: str | None = None) -> list[str]:
        """Every experiment, or those of a loop, by name."""
        return sorted(name for name, versions in self._versions.items() if loop in (None, versions[0].loop))

    def in_order(self, loop: str) -> list[ExperimentDefinition]:
        """A loop's experiments in the order in which they are asked for a unit: as they were started, then by name.

        So one that starts later takes nobody away from those that run.
        """
        newest = [self.one(name) for name in self.names(loop)]
        return sorted(newest, key=lambda each: (each.started is None, each.started or 0, each.name))

    def get(self, name: str) -> ExperimentDefinition | None:
        """The newest version of an experiment, or None."""
        versions = self._versions.get(name)
        return versions[-1] if versions else None

    def versions(self, name: str) -> list[ExperimentDefinition]:
        """Every version of an experiment, the oldest first."""
        return list(self._versions.get(name, ()))

    def one(self, name: str) -> ExperimentDefinition:
        """The newest version of an experiment that must be there.

        Raises:
            InputError: `input.unknown_experiment`, with those there are.
        """
        definition = self.get(name)
        if definition is None:
            names = ", ".join(map(repr, self.names()))
            others = f"expected one of {names}, or define it" if names else "nor any other: define it"
            raise InputError(
                "input.unknown_experiment",
                f"no experiment {name!r} stands on this log, {others}",
                field="experiment",
                value=name,
            )
        return definition
