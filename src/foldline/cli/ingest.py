"""`foldline ingest`: copy foreign topics onto loops."""

import json
import logging
import sys
from contextlib import nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from foldline.cli.noun import noun
from foldline.cli.options import AsJson
from foldline.cli.output import print_json, print_table
from foldline.cli.roles import ConfigFile, LogForm, LogOption, settle
from foldline.errors import InputError
from foldline.log.shown_url import shown_url

if TYPE_CHECKING:
    from foldline.engine.ingest import IngestCounts
    from foldline.engine.ingest_again import AgainCounts
    from foldline.loops.mapping_settings import MappingSettings

app = noun()


@app.command()
def ingest(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME]...", help="Which of the configuration's; all by default."),
    ] = None,
    config: ConfigFile = None,
    log: LogOption = None,
    topic: Annotated[
        str | None,
        typer.Option(help="The source topic of an ingest that no configuration has; needs one NAME."),
    ] = None,
    loop: Annotated[str | None, typer.Option(help="The loop that takes its records.")] = None,
    form: Annotated[
        str,
        typer.Option(
            "--type", metavar="TYPE", help="record, reward, outcome, decision, activation or observation."
        ),
    ] = "record",
    field: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FIELD=SOURCE", help="Where a field stands: a path, @key, @time or @header.NAME."
        ),
    ] = None,
    where: Annotated[
        str | None, typer.Option(metavar="JSON", help="Pass over messages that do not fulfil this condition.")
    ] = None,
    source: Annotated[
        str | None, typer.Option(metavar="URL", help="The log that has the topic; the event log by default.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="Copy what stands there now, and stop.")] = False,
    dead: Annotated[
        bool,
        typer.Option(
            "--dead", help="Copy the dead letters again, as the mapping and the loop are now, and stop."
        ),
    ] = False,
    log_format: LogForm = None,
    json: AsJson = False,
) -> None:
    """Copy records of other topics onto the loops they belong to, by unit, each once, until Ctrl-C or SIGTERM.

    How far a source was copied stands on the log with the copies, so a run goes on where the last one ended, however
    it ended. What cannot be used goes to the loop's dead letters, and with --dead from there. Several may run; they
    share the partitions out.

    Example: foldline ingest orders --topic shop.orders --loop news --type reward --field unit=customer.id --field
    value=total --once
    """
    from foldline.app.ingesting import ingest as run
    from foldline.app.ingesting import ingest_dead, ingest_once

    settings, url = settle(config, log, log_format)
    if topic is not None:
        if loop is None or names is None or len(names) != 1:
            raise InputError("input.invalid", "--topic needs one NAME and --loop", field="topic")
        ingests = {names[0]: _one(topic, loop, form, field or [], where, source)}
    else:
        ingests = _chosen(settings.ingest, names or [])
    if dead:
        _print_again(ingest_dead(url, ingests, loops=settings.loops), json)
        return
    if once:
        with _progress() if sys.stderr.isatty() and not json else nullcontext() as bar:
            done = ingest_once(url, ingests, loops=settings.loops, told=_shower(bar))
        _print(done, json)
        return

    def ready() -> None:
        if json:
            print_json({"log": shown_url(url), "ingests": sorted(ingests)})
        else:
            print(f"copying {', '.join(sorted(ingests))} to {shown_url(url)}; stop with Ctrl-C", flush=True)

    run(url, ingests, loops=settings.loops, ready=ready)
    logging.getLogger("foldline.cli").info("stopped; what was copied is on the log")


def _chosen(known: "dict[str, MappingSettings]", names: list[str]) -> "dict[str, MappingSettings]":
    if not known:
        raise InputError(
            "input.invalid",
            "no ingest is configured: give --config with [ingest.NAME], or --topic",
            field="config",
        )
    for name in names:
        if name not in known:
            raise InputError(
                "input.invalid",
                f"no ingest {name!r} is configured; there are {sorted(known)!r}",
                field="name",
            )
    return {name: known[name] for name in names or known}


def _one(
    topic: str, loop: str, form: str, fields: list[str], where: str | None, source: str | None
) -> "MappingSettings":
    import msgspec

    from foldline.loops.mapping_settings import Form, MappingSettings

    forms = get_args(Form)
    if form not in forms:
        raise InputError(
            "input.invalid",
            f"--type {form!r}: expected one of {', '.join(forms)}",
            field="type",
            value=form,
        )
    given: dict[str, Any] = {"topic": topic, "loop": loop, "type": form, "source": source, "fields": {}}
    for each in fields:
        name, sign, path = each.partition("=")
        if not (name and sign and path):
            raise InputError(
                "input.invalid", f"--field {each!r}: expected FIELD=SOURCE", field="field", value=each
            )
        given["fields"][name] = path
    if where is not None:
        try:
            given["where"] = json.loads(where)
        except ValueError as error:
            raise InputError(
                "input.invalid", f"--where {where!r} is not JSON: {error}", field="where"
            ) from error
    try:
        return msgspec.convert(given, MappingSettings)
    except msgspec.ValidationError as error:
        raise InputError("input.invalid", f"the ingest: {error}") from error


def _print(done: "dict[str, IngestCounts]", as_json: bool) -> None:
    if as_json:
        print_json([{"ingest": name, **asdict(counts)} for name, counts in done.items()])
        return
    rows = [[name, c.copied, c.passed, c.dead, c.left] for name, c in done.items()]
    print_table(["ingest", "copied", "passed over", "dead", "left"], rows)


def _print_again(done: "dict[str, AgainCounts]", as_json: bool) -> None:
    if as_json:
        print_json([{"ingest": name, **asdict(counts)} for name, counts in done.items()])
        return
    rows = [[name, c.copied, c.passed, c.dead, c.before] for name, c in done.items()]
    print_table(["ingest", "copied", "passed over", "still dead", "copied before"], rows)


def _progress() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )


def _shower(bar: Any) -> Any:
    tasks: dict[str, Any] = {}

    def show(name: str, counts: "IngestCounts") -> None:
        if bar is None:
            return
        done = counts.copied + counts.passed + counts.dead
        if name not in tasks:
            tasks[name] = bar.add_task(name)
        bar.update(tasks[name], completed=done, total=done + counts.left)

    return show
