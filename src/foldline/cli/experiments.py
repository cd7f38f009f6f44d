"""`foldline experiments`: define, start and stop tests; what is known of them, now or at any point of the log."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foldline.cli.experiment_segments import print_segments
from foldline.cli.experiment_text import print_definition, print_results
from foldline.cli.experiment_tokens import revoke, token, tokens
from foldline.cli.experiment_units import aa, actions, export
from foldline.cli.logs import open_existing
from foldline.cli.noun import noun
from foldline.cli.options import DEFAULT_LOG, AsJson, LogUrl
from foldline.cli.output import print_json, print_table

if TYPE_CHECKING:
    from foldline.engine.experimenting import Change
    from foldline.experiments.catalogue import ExperimentCatalogue
    from foldline.experiments.definition import ExperimentDefinition
    from foldline.log.protocol import Log
    from foldline.loops.catalogue import Catalogue

app = noun("Tests of policies against each other.", "foldline experiments list --log sqlite:///shop.db")

Name = Annotated[str, typer.Argument(metavar="NAME", help="The experiment's.")]


@contextmanager
def _opened(log: str) -> "Iterator[tuple[Log, Catalogue, ExperimentCatalogue]]":
    from foldline.engine.defining import read_catalogue
    from foldline.engine.experimenting import read_experiments
    from foldline.experiments.catalogue import ExperimentCatalogue
    from foldline.loops.catalogue import Catalogue

    with open_existing(log) as opened:
        loops, experiments = Catalogue(), ExperimentCatalogue()
        read_catalogue(opened, loops)
        read_experiments(opened, experiments)
        yield opened, loops, experiments


@app.command("create")
def create(
    name: Name,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Its settings, .toml or .json.")],
    loop: Annotated[str, typer.Option("--loop", metavar="LOOP", help="Whose decisions it takes part in.")],
    log: LogUrl = DEFAULT_LOG,
    json: AsJson = False,
) -> None:
    """Define an experiment as a draft, or refuse it and say what contradicts what.

    Example: foldline experiments create ctr ctr.toml --loop news --log sqlite:///news.db
    """
    import uuid

    from foldline.errors import DefinitionError, InputError
    from foldline.experiments.settings import read_settings

    try:
        settings = read_settings(file.read_bytes(), "json" if file.suffix == ".json" else "toml")
    except OSError as error:
        raise InputError("input.unreadable", f"FILE {str(file)!r}: {error.strerror}", field="file") from error

    def change(old: "ExperimentDefinition | None") -> "ExperimentDefinition":
        if old is not None:
            raise DefinitionError(
                "definition.conflict",
                f"experiment {name!r} stands on the log already; give another name",
                field="name",
            )
        return settings.settle(name, loop, salt=uuid.uuid4().hex, now=_now())

    _change(name, log, json, change)


@app.command("list")
def list_experiments(log: LogUrl = DEFAULT_LOG, json: AsJson = False) -> None:
    """List experiments: loop, state, rule, how far they are, and the verdict.

    Example: foldline experiments list --log sqlite:///news.db
    """
    from foldline.engine.examining import read_results

    listed = []
    with _opened(log) as (opened, loops, experiments):
        for one in map(experiments.one, experiments.names()):
            found = read_results(opened, loops.one(one.loop), one)
            listed.append(
                {
                    "experiment": one.name,
                    "loop": one.loop,
                    "state": one.state,
                    "rule": one.rule,
                    "progress": round(found.progress, 4),
                    "verdict": found.verdict.result if found.verdict is not None else None,
                }
            )
    if json:
        print_json(listed)
        return
    headers = ["experiment", "loop", "state", "rule", "progress", "verdict"]
    print_table(headers, [[one[header] for header in headers] for one in listed])


@app.command("show")
def show(name: Name, log: LogUrl = DEFAULT_LOG, json: AsJson = False) -> None:
    """Show an experiment's definition.

    Example: foldline experiments show ctr --log sqlite:///news.db
    """
    with _opened(log) as (_, _, experiments):
        _show(experiments.one(name), json)


@app.command("start")
def start(name: Name, log: LogUrl = DEFAULT_LOG, json: AsJson = False) -> None:
    """Start an experiment, or go on after a pause.

    Example: foldline experiments start ctr --log sqlite:///news.db
    """
    from foldline.engine.experimenting import started

    _change(name, log, json, lambda old: started(_there(old, name), _now()))


@app.command("pause")
def pause(name: Name, log: LogUrl = DEFAULT_LOG, json: AsJson = False) -> None:
    """Assign nobody for now; units keep maturing.

    Example: foldline experiments pause ctr --log sqlite:///news.db
    """
    from foldline.engine.experimenting import paused

    _change(name, log, json, lambda old: paused(_there(old, name)))


@app.command("stop")
def stop(name: Name, log: LogUrl = DEFAULT_LOG, json: AsJson = False) -> None:
    """End an experiment by hand; without a verdict before, it is inconclusive.

    Example: foldline experiments stop ctr --log sqlite:///news.db
    """
    from foldline.engine.experimenting import ended

    _change(name, log, json, lambda old: ended(_there(old, name), _now()))


@app.command("ramp")
def ramp(
    name: Name,
    coverage: Annotated[float, typer.Argument(metavar="SHARE", help="Of all eligible units, up to 1.")],
    log: LogUrl = DEFAULT_LOG,
    json: AsJson = False,
) -> None:
    """Enrol a larger share of the eligible units; nobody changes the variant.

    Example: foldline experiments ramp ctr 0.5 --log sqlite:///news.db
    """
    from foldline.engine.experimenting import ramped

    _change(name, log, json, lambda old: ramped(_there(old, name), coverage))


@app.command("reweight")
def reweight(
    name: Name,
    weights: Annotated[str, typer.Argument(metavar="WEIGHTS", help="In the variants' order, such as 1,1.")],
    coverage: Annotated[
        float | None, typer.Option("--coverage", metavar="SHARE", help="Enrolled with them, up to 1.")
    ] = None,
    log: LogUrl = DEFAULT_LOG,
    json: AsJson = False,
) -> None:
    """Give units enrolled from now on other weights; those enrolled keep their variants. Of a sticky experiment.

    Example: foldline experiments reweight ctr 1,1 --coverage 0.5 --log sqlite:///news.db
    """
    from foldline.errors import InputError
    from foldline.experiments.succession import reweighted

    try:
        wanted = [int(each) for each in weights.split(",")]
    except ValueError as error:
        raise InputError(
            "input.invalid", f"WEIGHTS is {weights!r}; expected whole numbers, such as 1,1", field="weights"
        ) from error
    _change(name, log, json, lambda old: reweighted(_there(old, name), wanted, coverage))


@app.command("promote")
def promote(
    name: Name,
    variant: Annotated[
        str | None, typer.Option(metavar="KEY", help="Which; the verdict's winner by default.")
    ] = None,
    share: Annotated[float, typer.Option(help="Of the eligible units; below 1 while it runs.")] = 1.0,
    log: LogUrl = DEFAULT_LOG,
    json: AsJson = False,
) -> None:
    """Give the winner to a share of the units, which only rises; or to all: its policy becomes the loop's.

    Example: foldline experiments promote ctr --share 0.2 --log sqlite:///news.db
    """
    from foldline.engine.promoting import promote as act

    with _opened(log) as (opened, _, _):
        _show(act(opened, name, variant=variant, share=share, holder=_holder(), now=_now()), json)


@app.command("rollback")
def rollback(name: Name, log: LogUrl = DEFAULT_LOG, json: AsJson = False) -> None:
    """Take a promotion back; the loop gets the policy that it had.

    Example: foldline experiments rollback ctr --log sqlite:///news.db
    """
    from foldline.engine.promoting import roll_back

    with _opened(log) as (opened, _, _):
        _show(roll_back(opened, name, holder=_holder(), now=_now()), json)


@app.command("results")
def results(
    name: Name,
    at: Annotated[
        str | None,
        typer.Option(
            "--at", metavar="CUT|TIME", help="Fold the log again to 0:1500,1:1498, or to an ISO 8601 time."
        ),
    ] = None,
    segment: Annotated[
        str | None,
        typer.Option("--segment", help="By a declared attribute of the context: exploratory; reads the log."),
    ] = None,
    log: LogUrl = DEFAULT_LOG,
    json: AsJson = False,
) -> None:
    """Show what is known of an experiment: units, effects, shares, guardrails, verdict.

    Example: foldline experiments results ctr --at 2026-03-01T12:00 --log sqlite:///news.db
    """
    import msgspec

    from foldline.engine.announcer import read_announcements
    from foldline.engine.cuts import cut_of
    from foldline.engine.examining import read_results

    with _opened(log) as (opened, loops, experiments):
        one = experiments.one(name)
        loop = loops.one(one.loop)
        cut = cut_of(opened, loop, at) if at is not None else None
        if segment is not None:
            print_segments(opened, loop, one, segment, cut, json)
            return
        found = read_results(opened, loop, one, at=cut)
        said = read_announcements(opened, loop, name)
    if json:
        print_json({**msgspec.to_builtins(found), "announced": msgspec.to_builtins(said)})
        return
    print_results(found)


@app.command("check")
def check(name: Name, log: LogUrl = DEFAULT_LOG, json: AsJson = False) -> None:
    """Recompute the variant of every decision logged in an experiment; exit status 1 where one differs.

    Example: foldline experiments check ctr --log sqlite:///news.db
    """
    from foldline.engine.examining import check_assignments

    with _opened(log) as (opened, loops, experiments):
        one = experiments.one(name)
        found = check_assignments(opened, loops.one(one.loop), experiments.versions(name))
    fields = ("partition", "offset", "unit", "logged", "recomputed")
    rows = [(partition, offset, *rest) for offset, partition, *rest in found.differ]
    if json:
        differ = [dict(zip(fields, row, strict=True)) for row in rows]
        print_json(
            {"decisions": found.decisions, "agree": found.agree, "chosen": found.chosen, "differ": differ}
        )
    else:
        print(
            f"{found.agree:,} of {found.decisions:,} decisions have the variant that their unit's hash gives"
        )
        if rows:
            print_table(fields, rows)
    if found.agree < found.decisions:
        raise typer.Exit(1)


def _now() -> int:
    return time.time_ns() // 1_000_000


def _show(one: "ExperimentDefinition", as_json: bool) -> None:
    import msgspec

    if as_json:
        print_json(msgspec.to_builtins(one))
    else:
        print_definition(one)


def _there(old: "ExperimentDefinition | None", name: str) -> "ExperimentDefinition":
    from foldline.experiments.catalogue import ExperimentCatalogue

    return old if old is not None else ExperimentCatalogue().one(name)


def _holder() -> str:
    import uuid

    return f"cli:{uuid.uuid4().hex[:8]}"


def _change(name: str, log: str, as_json: bool, change: "Change") -> None:
    from foldline.engine.experimenting import change_experiment, create_experiments

    with _opened(log) as (opened, loops, experiments):
        create_experiments(opened)
        made = change_experiment(opened, experiments, loops, name, change, holder=_holder(), now=_now())
    _show(made, as_json)


app.command("aa")(aa)
app.command("actions")(actions)
app.command("export")(export)
app.command("token")(token)
app.command("tokens")(tokens)
app.command("revoke")(revoke)
