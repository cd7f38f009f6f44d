"""`foldline evaluate`: what would this policy have earned on what was logged?"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foldline.cli.noun import noun
from foldline.cli.options import AsJson
from foldline.cli.output import print_json, print_table
from foldline.errors import InputError

if TYPE_CHECKING:
    from foldline.simulation.evaluation import Evaluation
    from foldline.simulation.readers.source import LoggedSource

METHODS = ("replay",)

app = noun()


@app.command()
def evaluate(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="A log of decisions and rewards, plain or gzipped.")
    ],
    policy: Annotated[str, typer.Option(metavar="KIND[:name=value,…]", help="See `foldline policies list`.")],
    method: Annotated[str, typer.Option(help=f"How: {', '.join(METHODS)}.")] = "replay",
    format: Annotated[
        str, typer.Option(help="r6a (Yahoo R6A lines), obd (Open Bandit CSV) or auto.")
    ] = "auto",
    seed: Annotated[int, typer.Option(min=0, help="Of the policy's draws.")] = 0,
    skip_bad: Annotated[
        bool,
        typer.Option("--skip-bad", help="Pass over and count bad lines; the first one is an error else."),
    ] = False,
    json: AsJson = False,
) -> None:
    """Value a policy on a published log of another policy's decisions.

    Method replay: the policy chooses among the actions of each event, and the events in which it chooses what was
    shown count and are learnt; unbiased where the log chose uniformly at random.

    Example: foldline evaluate r6a.txt.gz --policy epsilon_greedy:epsilon=0.05
    """
    from foldline.policies.registry import parse_policy
    from foldline.simulation.evaluation import evaluate_by_replay
    from foldline.simulation.readers.source import open_logged
    from foldline.stats.not_estimable import NotEstimable

    if method not in METHODS:
        raise InputError(
            "input.invalid", f"method {method!r}; expected one of {', '.join(METHODS)}", field="method"
        )
    chosen = parse_policy(policy)
    opened = open_logged(source, format, skip_bad=skip_bad)
    with _progress(opened, shown=sys.stderr.isatty() and not json) as progress:
        result = evaluate_by_replay(opened, chosen, seed=seed, progress=progress)
    if isinstance(result, NotEstimable):
        raise InputError("input.not_estimable", f"evaluating on {str(source)!r}: {result.reason}")
    if json:
        print_json(_as_json(result, opened))
        return
    _print(result, opened, policy)


@contextmanager
def _progress(source: "LoggedSource", *, shown: bool) -> Iterator[Callable[["LoggedSource", int], None]]:
    """A bar on standard error over the bytes of the file."""
    if not shown:
        yield lambda _source, _events: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(bar_width=24),
        TaskProgressColumn(),
        TextColumn("{task.description}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("reading", total=source.size)
        yield lambda at, events: bar.update(task, completed=at.read, description=f"{events:,} events")


def _as_json(result: "Evaluation", source: "LoggedSource") -> dict[str, Any]:
    import msgspec

    figures: dict[str, Any] = msgspec.to_builtins(result)
    bad = msgspec.to_builtins(source.bad)
    return {"source": str(source.path), "format": source.format, **figures, "bad": bad}


def _print(result: "Evaluation", source: "LoggedSource", policy: str) -> None:
    print_table(
        ["policy", "events", "matched", "mean reward", "95 % low", "95 % high", "interval"],
        [
            [
                policy,
                result.events,
                result.matched,
                f"{result.mean_reward:.5f}",
                f"{result.low:.5f}",
                f"{result.high:.5f}",
                result.interval,
            ]
        ],
    )
    if result.warning:
        print(f"warning: {result.warning}", file=sys.stderr)
    if result.bad_lines:
        print(f"warning: {result.bad_lines} bad lines were passed over, first:", file=sys.stderr)
        for bad in source.bad:
            print(f"  line {bad.number} {bad.reason}", file=sys.stderr)
