"""Who of a group works on which partitions of a topic: a matter of even work, never of safety, which leases hold."""

from collections.abc import Mapping
from typing import Protocol


class Share(Protocol):
    """One member's share of a topic. Thread-safe."""

    def partitions(self) -> frozenset[int] | None:
        """The partitions to work on now; None for any that is free. Changes at every moment."""
        ...

    def reached(self, offsets: Mapping[int, int]) -> None:
        """Note how far some partitions were worked off, for tools that show lag. Never read back."""
        ...

    def close(self) -> None:
        """Leave the group. Idempotent."""
        ...


class FirstCome:
    """The share of a log that has no groups: whoever comes first takes what is free."""

    def partitions(self) -> frozenset[int] | None:
        """See `Share.partitions`."""
        return None

    def reached(self, offsets: Mapping[int, int]) -> None:
        """See `Share.reached`; the roots say it already."""

    def close(self) -> None:
        """See `Share.close`."""
