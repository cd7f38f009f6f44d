"""Forks: every open log lets go of its file before one, and takes it up again on both sides."""

import os
import weakref
from typing import Protocol


class Forkable(Protocol):
    """What must be told of forks."""

    def before_fork(self) -> None:
        """Close files and take the locks."""
        ...

    def after_fork(self, *, child: bool) -> None:
        """Let go of the locks; in the child, replace them."""
        ...


_open: "weakref.WeakSet[Forkable]" = weakref.WeakSet()
_held: list[Forkable] = []


def watch(log: Forkable) -> None:
    """Tell `log` of every fork for as long as it lives."""
    _open.add(log)


def _before() -> None:
    for log in list(_open):
        log.before_fork()
        _held.append(log)


def _after(*, child: bool) -> None:
    while _held:
        _held.pop().after_fork(child=child)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before,
        after_in_parent=lambda: _after(child=False),
        after_in_child=lambda: _after(child=True),
    )
