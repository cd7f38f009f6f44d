"""`foldline replay`: fold a log again to any point and compare with the roots that stand on it."""

from contextlib import nullcontext
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foldline.cli.logs import open_existing
from foldline.cli.noun import noun
from foldline.cli.options import DEFAULT_LOG, AsJson, LogUrl
from foldline.cli.output import print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Callable

    from foldline.engine.replay import Replay
    from foldline.loops.definition import LoopDefinition

app = noun()


@app.command()
def replay(
    loop: Annotated[
        str | None, typer.Argument(metavar="[LOOP]", help="Which loop; needed where there are several.")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(metavar="CUT", help="A cut such as 0:1500,1:1498, or a time; the log's end by default."),
    ] = None,
    audit: Annotated[
        bool,
        typer.Option(
            "--audit", help="Recompute every bundle from its cut and every decision from its bundle."
        ),
    ] = False,
    findings: Annotated[
        int,
        typer.Option(min=0, metavar="N", help="With --audit: list the first N findings; all are counted."),
    ] = 20,
    batch: Annotated[
        int, typer.Option(min=1, help="Records a micro-batch; the result does not depend on it.")
    ] = 10_000,
    log: LogUrl = DEFAULT_LOG,
    json: AsJson = False,
) -> None:
    """Fold a loop's events again from offset 0 and say whether the roots on the log agree.

    With --audit: recompute each bundle from the cut it names, and each decision's action and propensity from its
    bundle and id, and say where the log says otherwise.

    Exit status 1 if anything differs.

    Example: foldline replay news --at 0:1500,1:1498 --log sqlite:///news.db

    Example: foldline replay news --audit --log sqlite:///news.db
    """
    import sys

    from foldline.cli.audits import print_audit
    from foldline.engine.audit import audit as audit_loop
    from foldline.engine.cuts import cut_of
    from foldline.engine.defining import read_catalogue
    from foldline.engine.replay import replay as fold_again
    from foldline.errors import InputError
    from foldline.loops.catalogue import Catalogue

    with open_existing(log) as opened:
        catalogue = Catalogue()
        read_catalogue(opened, catalogue)
        names = catalogue.names()
        if loop is None and len(names) != 1:
            raise InputError(
                "input.unknown_loop", f"the log holds the loops {names!r}; name one", field="loop"
            )
        definition = catalogue.one(loop if loop is not None else names[0])
        cut = None
        if at is not None:
            cut = cut_of(opened, definition, at)
        with nullcontext() if json or not sys.stderr.isatty() else _progress() as progress:
            done = _advance(progress)
            if audit:
                audited = audit_loop(
                    opened, catalogue, definition.name, cut, batch=batch, keep=findings, progress=done
                )
            else:
                result = fold_again(
                    opened, definition, cut, batch=batch, progress=lambda count: done("folding", count)
                )
    if audit:
        print_audit(audited, as_json=json)
        agree = audited.agree
    else:
        _print(definition, result, json)
        agree = all(comparison.agrees for comparison in result.comparisons)
    if not agree:
        raise typer.Exit(1)


def _progress() -> Any:
    from rich.console import Console
    from rich.progress import Progress, TextColumn, TimeElapsedColumn

    columns = [TextColumn("{task.description} {task.completed:,.0f} records"), TimeElapsedColumn()]
    return Progress(*columns, console=Console(stderr=True), transient=True)


def _advance(progress: Any) -> "Callable[[str, int], None]":
    """Shows what is being done, and how many records of it are; does nothing without a display."""
    if progress is None:
        return lambda _phase, _count: None
    tasks: dict[str, Any] = {}

    def done(phase: str, count: int) -> None:
        if phase not in tasks:
            tasks[phase] = progress.add_task(phase, total=None)
        progress.advance(tasks[phase], count)

    return done


def _print(definition: "LoopDefinition", result: "Replay", as_json: bool) -> None:
    import msgspec

    from foldline.loops.cut import format_cut
    from foldline.loops.estimate import counts_of, estimates_of

    counts = counts_of(result.known, definition.reward.unit_bits)
    estimates = estimates_of(definition.fold(), result.known)
    agree = all(c.agrees for c in result.comparisons) if result.comparisons else None
    if as_json:
        print_json(
            {
                "loop": definition.name,
                "definition": result.known.vocabulary.version,
                "cut": format_cut(result.cut),
                "roots_agree": agree,
                "roots": [
                    {"partition": c.partition, "n": c.n, "known": c.known, "pending": c.pending}
                    for c in result.comparisons
                ],
                "counts": counts.values | {"reward_sum": counts.reward_sum},
                "estimates": msgspec.to_builtins(estimates),
            }
        )
        return
    print_table(
        ["action", "pulls", "mean reward"],
        [(e.action, e.pulls, None if e.mean is None else f"{e.mean:.4f}") for e in estimates],
    )
    print(f"\nfolded {definition.name} to {format_cut(result.cut)}")
    for c in result.comparisons:
        verdict = "agrees" if c.agrees else "DIFFERS"
        print(f"partition {c.partition}: the root at {c.n} {verdict}")
    if not result.comparisons:
        print("no root lies at or below the cut: nothing to compare with")
