"""Cuts as people write them."""

import pytest

from foldline.errors import InputError
from foldline.loops.cut import format_cut, parse_cut


def test_round_trip() -> None:
    """What is formatted parses to itself, in any order of partitions."""
    assert parse_cut(format_cut((3, 0, 7)), 3) == (3, 0, 7)
    assert parse_cut("1:5, 0:2", 2) == (2, 5)


@pytest.mark.parametrize("text", ["", "0:1", "0:1,0:2", "0:1,2:2", "0:-1,1:2", "a:b,1:1", "0:1,1:2,2:3"])
def test_anything_else_is_refused(text: str) -> None:
    """Missing, doubled, unknown or malformed partitions are named in the error."""
    with pytest.raises(InputError, match="expected an offset for each of 2 partitions"):
        parse_cut(text, 2)
