"""Lines that are still strands: they are written once, when all that belongs in them is known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from foldline.records.weaving import Strand, lines_of, same, weave


@dataclass(frozen=True, slots=True, eq=False)
class Woven:
    """JSON objects, one a line, to which fields can be added at the end.

    Attributes:
        strands: of the lines without their closing braces.
        count: of those lines.
        among: further lines, written and closed, by their places among all; none is the first.

    Example:
        >>> lines = Woven.of(b'{"a":1}\\n{"a":2}')
        >>> lines.text(), len(lines)
        (b'{"a":1}\\n{"a":2}', 2)
    """

    strands: Sequence[Strand]
    count: int
    among: Mapping[int, bytes] = field(default_factory=dict)

    @classmethod
    def of(cls, text: bytes) -> "Woven":
        """Lines that are written already."""
        lines = lines_of(text)
        return cls([lines._replace(ends=lines.ends - 1)], len(lines.starts))

    def __len__(self) -> int:
        return self.count + len(self.among)

    def text(self) -> bytes:
        """The lines as they are."""
        return weave(self.closed([same(b"}")], self.among))

    def closed(self, ends: Sequence[Strand], among: Mapping[int, bytes]) -> list[Strand]:
        """The strands of all lines.

        Args:
            ends: what closes the lines.
            among: as the attribute: the same places, lines as they are to be written.
        """
        if not among:
            return [*self.strands, *ends]
        starts, stops = np.zeros(self.count, np.int64), np.zeros(self.count, np.int64)
        parts: list[bytes] = []
        size = 0
        for before, place in enumerate(sorted(among)):
            line = place - before - 1
            if not stops[line]:
                starts[line] = size
            parts += [b"\n", among[place]]
            size += len(among[place]) + 1
            stops[line] = size
        return [*self.strands, *ends, Strand(b"".join(parts), starts, stops)]
