"""The catalogue fold: the newest definition of each loop, and every version of it."""

import msgspec

from foldline.errors import FoldError, InputError
from foldline.loops.definition import LoopDefinition

_LINES = msgspec.json.Decoder(LoopDefinition)


class Catalogue:
    """What the catalogue topic says up to some offset."""

    def __init__(self) -> None:
        self.offset = 0
        self._versions: dict[str, list[LoopDefinition]] = {}

    def apply(self, payload: bytes, end: int) -> None:
        """Fold a batch of definitions that ends at offset `end`. A version once set is never overwritten."""
        for line in payload.split(b"\n"):
            try:
                definition = _LINES.decode(line)
            except msgspec.MsgspecError as error:
                raise FoldError(
                    "fold.damaged_root", f"reading the catalogue before offset {end}: {error}"
                ) from error
            versions = self._versions.setdefault(definition.name, [])
            if definition.version == len(versions) + 1:
                versions.append(definition)
        self.offset = end

    def names(self) -> list[str]:
        """Every loop, by name."""
        return sorted(self._versions)

    def get(self, name: str) -> LoopDefinition | None:
        """The newest version of a loop, or None."""
        versions = self._versions.get(name)
        return versions[-1] if versions else None

    def at(self, name: str, version: int) -> LoopDefinition:
        """A version of a loop.

        Raises:
            InputError: `input.unknown_loop`.
        """
        versions = self._versions.get(name, [])
        if not 1 <= version <= len(versions):
            raise InputError(
                "input.unknown_loop",
                f"no version {version} of loop {name!r} stands in the catalogue; it has {len(versions)}",
            )
        return versions[version - 1]

    def actions(self, name: str) -> frozenset[str]:
        """Every action that any version of a loop has had."""
        return frozenset(a for version in self._versions.get(name, ()) for a in version.actions)

    def one(self, name: str) -> LoopDefinition:
        """The newest version of a loop that must be there.

        Raises:
            InputError: `input.unknown_loop`, with the loops there are.
        """
        definition = self.get(name)
        if definition is None:
            names = ", ".join(map(repr, self.names()))
            others = f"expected one of {names}, or define it" if names else "nor any other: define it"
            raise InputError(
                "input.unknown_loop", f"no loop {name!r} stands on this log, {others} with its actions"
            )
        return definition
