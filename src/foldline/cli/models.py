"""`foldline models`: what predicts and learns."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from foldline.cli.demo_fraud import (
    CLASSES,
    DEFAULT_MODEL,
    NUMBERS,
    Dataset,
    Partitions,
    Positive,
    Rate,
    Rows,
    Target,
    UnitColumn,
    fitted_model,
    run_fraud,
)
from foldline.cli.noun import noun
from foldline.cli.options import DEFAULT_LOG, AsJson, LogUrl
from foldline.cli.output import print_json, print_table

if TYPE_CHECKING:
    from foldline.demos.fraud_summary import Summary

app = noun("Online models: what there is, how they compare, how a loop's do.", "foldline models list")


@app.command("list")
def list_models(
    task: Annotated[
        str | None, typer.Option(metavar="classification|regression|anomaly", help="Only those of a task.")
    ] = None,
    json: AsJson = False,
) -> None:
    """List the models by name: ours, and River's where it is installed.

    Example: foldline models list --task anomaly
    """
    from foldline.errors import InputError
    from foldline.models.shelf import shelf

    if task not in (None, "classification", "regression", "anomaly"):
        raise InputError(
            "input.invalid", f"--task {task!r}: expected classification, regression or anomaly", field="task"
        )
    found = [each for each in shelf() if task in (None, each.task)]
    if json:
        print_json([{**each._asdict(), "parameters": dict(each.parameters)} for each in found])
    else:
        print_table(["model", "task", "summary"], [[e.model, e.task, e.summary] for e in found])


@app.command("show")
def show_model(
    model: Annotated[str, typer.Argument(metavar="NAME", help="As `foldline models list` names it.")],
    json: AsJson = False,
) -> None:
    """Show a model's parameters with their defaults.

    Example: foldline models show tree.HoeffdingTreeClassifier
    """
    from foldline.errors import InputError
    from foldline.models.shelf import shelf

    found = next((each for each in shelf() if each.model == model.removeprefix("river.")), None)
    if found is None:
        raise InputError(
            "input.unknown_model",
            f"there is no model {model!r}; `foldline models list` shows those there are",
            field="model",
        )
    if json:
        print_json({**found._asdict(), "parameters": dict(found.parameters)})
        return
    print(f"{found.model} ({found.task}): {found.summary}")
    if found.parameters:
        print()
        print_table(["parameter", "default"], [[name, default or None] for name, default in found.parameters])


@app.command("inspect")
def inspect_models(
    loop: Annotated[str, typer.Argument(metavar="LOOP", help="Its name.")],
    log: LogUrl = DEFAULT_LOG,
    json: AsJson = False,
) -> None:
    """Show how a loop's models do, by partition, as of their newest snapshots.

    Example: foldline models inspect fraud --log sqlite:///fraud.db
    """
    import msgspec

    from foldline.cli.logs import open_existing
    from foldline.engine.defining import read_catalogue
    from foldline.engine.model_replica import ModelReplica
    from foldline.loops.catalogue import Catalogue
    from foldline.models.signing import no_secret

    with open_existing(log) as opened:
        catalogue = Catalogue()
        read_catalogue(opened, catalogue)
        replica = ModelReplica(opened, catalogue.one(loop), no_secret)
        reports = [states.report() for states in replica.models.values()]
    if json:
        print_json(msgspec.to_builtins(reports))
        return
    for report in reports:
        shadow = ", in shadow" if report.shadow else ""
        print(f"{report.name}: {report.model} ({report.task}{shadow})")
        names = ["accuracy", "roc_auc", "f1", "recall", "log_loss", "mae", "rmse", "r2"]
        shown = [name for name in names if getattr(report.metrics, name, None) is not None]
        lines = [("all", report.counts, report.metrics, sum(part.bytes for part in report.partitions))]
        lines += [(str(part.partition), part.counts, part.metrics, part.bytes) for part in report.partitions]
        print_table(
            ["partition", "examples", "labelled", "missing", "failures", *shown, "KB"],
            [
                [
                    who, counts["examples"], counts["labelled"], counts["missing"], counts["failures"],
                    *(_figure(getattr(metrics, name)) for name in shown), f"{size / 1024:,.0f}",
                ]
                for who, counts, metrics, size in lines
            ],
        )  # fmt: skip
        if report.note:
            print(f"note: {report.note}")
        print()


@app.command("compare")
def compare_models(
    model: Annotated[
        list[str] | None, typer.Option(metavar="NAME[:name=value,…]", help="Give it once for each model.")
    ] = None,
    consumers: Annotated[str, typer.Option(metavar="N,N,…", help="Numbers of consumers.")] = "1,2,4,8",
    dataset: Dataset = "phishing",
    target: Target = None,
    positive: Positive = None,
    unit: UnitColumn = None,
    rows: Rows = None,
    partitions: Partitions = 8,
    rate: Rate = 0,
    json: AsJson = False,
) -> None:
    """Run every model with every number of consumers on one data set, and print one table.

    Example: foldline models compare --model tree.HoeffdingTreeClassifier:max_depth=10 --model LogisticRegression
    """
    import msgspec

    from foldline.cli.bars import bar
    from foldline.demos.fraud import Settings
    from foldline.demos.fraud_data import read_stream
    from foldline.errors import InputError

    models = model or [DEFAULT_MODEL, "anomaly.HalfSpaceTrees:seed=42"]
    try:
        numbers = [int(each) for each in consumers.split(",")]
    except ValueError as error:
        raise InputError(
            "input.invalid", f"--consumers {consumers!r}: expected numbers, as 1,2,4", field="consumers"
        ) from error
    if not all(1 <= number <= 8 for number in numbers):
        raise InputError(
            "input.invalid", f"--consumers {consumers!r}: expected 1 to 8 each", field="consumers"
        )
    stream = read_stream(dataset, target=target, positive=positive, unit=unit, rows=rows)
    found: list[tuple[int, Summary]] = []
    with bar("comparing", len(models) * len(numbers)) as done:
        for text in models:
            chosen, labelled, note = fitted_model(text, stream, partitions)
            for number in numbers:
                settings = Settings(chosen, labelled, partitions, number, rate)
                found.append((number, run_fraud(settings, None, None, quiet=True, note=note)[0]))
                done(len(found))
    if json:
        print_json([{"number_of_consumers": n, **msgspec.to_builtins(summary)} for n, summary in found])
        return
    regressors = [summary.overall.mae is not None for _, summary in found]
    columns = {**({} if all(regressors) else CLASSES), **(NUMBERS if any(regressors) else {})}
    rows_: list[list[object]] = []
    for number, summary in found:
        overall, latency = summary.overall, summary.overall.latency_ms
        rows_.append([
            summary.model, number, overall.count, *(_figure(getattr(overall, name)) for name in columns),
            f"{summary.per_second:,.0f}",
            *map(_milliseconds, (latency.mean, latency.p50, latency.p99, latency.max)),
        ])  # fmt: skip
    print_table([
        "model", "consumers", "count", *columns.values(), "a second", "mean ms", "median ms", "p99 ms", "max ms",
    ], rows_)  # fmt: skip
    for note in dict.fromkeys(summary.note for _, summary in found if summary.note):
        print(f"note: {note}", file=sys.stderr)


def _figure(value: float | None) -> str | None:
    return None if value is None else f"{value:.4f}"


def _milliseconds(value: float | None) -> str | None:
    return None if value is None else f"{value:.1f}"
