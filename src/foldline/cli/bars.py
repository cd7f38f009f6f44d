"""Progress of long work, on standard error."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


def progress(*, transient: bool = False) -> Any:
    """Bars on standard error, a description beside each; use it in a `with` statement.

    Args:
        transient: whether they are gone in the end.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = [
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
        TimeRemainingColumn(),
    ]
    return Progress(*columns, console=Console(stderr=True), transient=transient)


@contextmanager
def bar(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A progress bar on standard error, for as long as the block runs."""
    with progress(transient=True) as bars:
        task = bars.add_task(what, total=total)
        yield lambda done: bars.update(task, completed=done)
