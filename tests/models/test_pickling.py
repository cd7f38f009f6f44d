"""Objects come back whole, whatever way their classes have of being restored."""

from dataclasses import dataclass
from typing import Any

import pytest

from foldline.models.pickling import pickled, restored, unpickled


class Plain:
    """Its attributes are all there is of it."""

    def __init__(self, **attributes: Any) -> None:
        vars(self).update(attributes)


class Guarded:
    """Sets one attribute by a property, which counts."""

    def __init__(self) -> None:
        self.set = 0
        self.level = 1

    @property
    def level(self) -> int:
        """As last set."""
        return int(vars(self)["level"])

    @level.setter
    def level(self, value: int) -> None:
        self.set += 1
        vars(self)["level"] = value


class Slotted:
    """Has slots, and a dictionary beside them."""

    __slots__ = ("__dict__", "one")

    def __init__(self) -> None:
        self.one, self.two = 1, 2


class Counted:
    """Says itself how it is restored."""

    def __init__(self) -> None:
        self.times = 0

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.times = state["times"] + 1


@dataclass
class Data:
    """Compares by value."""

    name: str
    inner: Plain


def test_attributes_come_back_in_their_order() -> None:
    """And what several share is shared again."""
    inner = Plain(b=1.5, a="text")
    first, second = unpickled(pickled([Data("x", inner), Data("y", inner)]))
    assert list(vars(first.inner).items()) == [("b", 1.5), ("a", "text")]
    assert first.inner is second.inner
    assert (first.name, second.name) == ("x", "y")


def test_what_refers_to_itself_comes_back() -> None:
    """A tree's node knows its parent."""
    parent = Plain()
    vars(parent)["child"] = Plain(parent=parent)
    back = unpickled(pickled(parent))
    assert back.child.parent is back


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (Guarded(), {"set": 1, "level": 1}),
        (Counted(), {"times": 1}),
        (Plain(**{"not a name": 1}), {"not a name": 1}),
    ],
    ids=["property", "setstate", "odd names"],
)
def test_classes_are_restored_in_their_own_way(made: Any, expected: dict[str, Any]) -> None:
    """No property is called, no method of theirs passed over."""
    assert vars(unpickled(pickled(made))) == expected


def test_slots_come_back() -> None:
    """Beside the dictionary."""
    back = unpickled(pickled(Slotted()))
    assert (back.one, back.two) == (1, 2)


def test_equal_objects_have_equal_bytes_once_restored() -> None:
    """So that a snapshot does not tell whether there was a restart."""
    made = Data("x", Plain(a=str(b"text", "ascii"), b="text"))
    data = pickled(made)
    assert pickled(unpickled(data)) == data


class Older:
    """Stands for a `Plain` in the way of older snapshots: with a dictionary of its attributes."""

    def __reduce__(self) -> Any:
        return Plain, (), {"a": 1, "b": "text"}, None, None, restored


def test_older_snapshots_are_read() -> None:
    """Names went with every object before they stood together."""
    back = unpickled(pickled([Older(), Older()]))
    assert [vars(each) for each in back] == [{"a": 1, "b": "text"}] * 2
