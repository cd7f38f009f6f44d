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
    from foldline.policies.protocol import Policy
    from foldline.simulation.evaluation import Evaluation
    from foldline.simulation.readers.source import LoggedSource

METHODS = ("replay", "ips", "snips")

app = noun()


@app.command()
def evaluate(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="A published log of decisions and rewards, plain or gzipped; or an event log's URL.",
        ),
    ],
    policy: Annotated[str, typer.Option(metavar="KIND[:name=value,…]", help="See `foldline policies list`.")],
    method: Annotated[str, typer.Option(help=f"How: {', '.join(METHODS)}.")] = "replay",
    format: Annotated[
        str, typer.Option(help="r6a (Yahoo R6A lines), obd (Open Bandit CSV) or auto.")
    ] = "auto",
    loop: Annotated[
        str | None,
        typer.Option(metavar="LOOP", help="Of an event log: whose decisions; the only one by default."),
    ] = None,
    propensity: Annotated[
        str,
        typer.Option(
            metavar="own|mixture",
            help="Of decisions in an experiment: of the variant's policy, or over all its variants.",
        ),
    ] = "own",
    seed: Annotated[int, typer.Option(min=0, help="Of the policy's draws.")] = 0,
    skip_bad: Annotated[
        bool,
        typer.Option("--skip-bad", help="Pass over and count bad lines; the first one is an error else."),
    ] = False,
    json: AsJson = False,
) -> None:
    """Value a policy on a log of another policy's decisions.

    Method replay, of published logs: the policy chooses among the actions of each event, and the events in which it
    chooses what was shown count and are learnt; unbiased where the log chose uniformly at random.

    Methods ips and snips, of an event log: every decision is weighted with its logged propensity; for policies that
    do not learn (fixed, random, split).

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
    if "://" in source:
        _evaluate_own(source, loop, chosen, policy, method, propensity, json)
        return
    if method != "replay":
        raise InputError(
            "input.invalid",
            f"method {method!r} is for an event log, such as sqlite:///news.db; {source!r} is valued by replay",
            field="method",
        )
    opened = open_logged(Path(source), format, skip_bad=skip_bad)
    with _progress(opened, shown=sys.stderr.isatty() and not json) as progress:
        result = evaluate_by_replay(opened, chosen, seed=seed, progress=progress)
    if isinstance(result, NotEstimable):
        raise InputError("input.not_estimable", f"evaluating on {str(source)!r}: {result.reason}")
    if json:
        print_json(_as_json(result, opened))
        return
    _print(result, opened, policy)


def _evaluate_own(
    url: str, loop: str | None, policy: "Policy", text: str, method: str, propensity: str, as_json: bool
) -> None:
    from foldline.cli.logs import open_existing
    from foldline.engine.defining import read_catalogue
    from foldline.engine.experimenting import read_experiments
    from foldline.experiments.catalogue import ExperimentCatalogue
    from foldline.loops.catalogue import Catalogue
    from foldline.simulation.off_policy import Estimator, Propensities, evaluate_off_policy
    from foldline.simulation.own_log import own_decisions
    from foldline.stats.not_estimable import NotEstimable

    methods: dict[str, Estimator] = {"ips": "ips", "snips": "snips"}
    kinds: dict[str, Propensities] = {"own": "own", "mixture": "mixture"}
    if method not in methods or propensity not in kinds:
        raise InputError(
            "input.invalid",
            f"--method {method!r} --propensity {propensity!r}: of an event log expected ips or snips, own or mixture",
            field="method" if method not in methods else "propensity",
        )
    with open_existing(url) as log:
        loops, experiments = Catalogue(), ExperimentCatalogue()
        read_catalogue(log, loops)
        read_experiments(log, experiments)
        names = loops.names()
        if loop is None and len(names) != 1:
            raise InputError("input.unknown_loop", f"--loop: name one of {names!r}", field="loop")
        definition = loops.one(loop or names[0])
        decisions = list(own_decisions(log, definition))
    result = evaluate_off_policy(
        decisions,
        definition,
        policy,
        method=methods[method],
        propensity=kinds[propensity],
        experiments={name: experiments.one(name) for name in experiments.names(definition.name)},
    )
    if isinstance(result, NotEstimable):
        raise InputError("input.not_estimable", f"evaluating on {url!r}: {result.reason}")
    if as_json:
        import msgspec

        print_json(msgspec.to_builtins(result))
        return
    row = [
        text,
        result.decisions,
        f"{result.effective_size:.1f}",
        f"{result.mean_logged:.5f}",
        f"{result.estimate:.5f}",
        f"{result.low:.5f}",
        f"{result.high:.5f}",
    ]
    print_table(["policy", "decisions", "effective", "logged", "estimate", "95 % low", "95 % high"], [row])


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
