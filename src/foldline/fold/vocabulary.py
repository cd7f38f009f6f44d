"""The vocabulary of a loop: its actions and the range of its rewards, as definition markers have set them."""

import msgspec

from foldline.errors import FoldError
from foldline.records.types import Definition


class Vocabulary(msgspec.Struct, frozen=True):
    """What the markers up to some offset have said.

    Attributes:
        version: the newest definition version seen, 0 before the first marker.
        actions: every action ever allowed, by first appearance; an action's index never changes.
        active: the actions of the newest version, in its order.
        low: least reward allowed.
        high: greatest reward allowed.
    """

    version: int = 0
    actions: tuple[str, ...] = ()
    active: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 1.0

    def after(self, marker: Definition) -> "Vocabulary":
        """The vocabulary from this marker on; a version not newer than the last changes nothing."""
        if marker.version <= self.version:
            return self
        known = set(self.actions)
        added = tuple(a for a in dict.fromkeys(marker.actions) if a not in known)
        return Vocabulary(
            marker.version, self.actions + added, tuple(marker.actions), marker.low, marker.high
        )


def joined(left: Vocabulary, right: Vocabulary) -> Vocabulary:
    """The vocabulary of a merge: the newer one, of which the older one's actions must be the beginning.

    Markers reach every partition in version order, so a shorter list of actions is a prefix.

    Raises:
        FoldError: `fold.not_mergeable` where they name their actions in different orders.
    """
    older, newer = sorted((left, right), key=lambda vocabulary: vocabulary.version)
    if newer.actions[: len(older.actions)] != older.actions:
        raise FoldError(
            "fold.not_mergeable",
            f"partitions name their actions in different orders: {older.actions!r} against "
            f"{newer.actions!r}; definition markers must reach every partition in the same order",
        )
    return newer
