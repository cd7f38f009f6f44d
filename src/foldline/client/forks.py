"""Forks: SQLite must not be carried over one, and threads are not.

Everything that is open lets go of its files before a fork; both sides open them again when they next need them.
"""

import os
import weakref
from typing import Protocol


class Forkable(Protocol):
    """What must be told of forks."""

    def before_fork(self) -> None:
        """Take the locks and close the files."""
        ...

    def after_fork(self, *, child: bool) -> None:
        """Let go of the locks; in the child, replace them."""
        ...


_open: "weakref.WeakSet[Forkable]" = weakref.WeakSet()
_held: list[Forkable] = []


def watch(one: Forkable) -> None:
    """Tell it of every fork for as long as it lives."""
    _open.add(one)


def _before() -> None:
    for one in list(_open):
        one.before_fork()
        _held.append(one)


def _after(*, child: bool) -> None:
    while _held:
        _held.pop().after_fork(child=child)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before,
        after_in_parent=lambda: _after(child=False),
        after_in_child=lambda: _after(child=True),
    )
