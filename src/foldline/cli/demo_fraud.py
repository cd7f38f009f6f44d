"""`foldline demo fraud`: a model that predicts, then learns, on a partitioned stream."""

import sys
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foldline.cli.bars import progress
from foldline.cli.options import AsJson
from foldline.cli.output import print_json, print_table

if TYPE_CHECKING:
    from foldline.demos.fraud import Run, Settings, View
    from foldline.demos.fraud_data import Stream
    from foldline.demos.fraud_summary import Part, Summary
    from foldline.models.definition import ModelDefinition

DEFAULT_MODEL = "tree.HoeffdingTreeClassifier:max_depth=10"

WINDOW = 250
"""Examples of a window of half-space trees, where none is given."""

Dataset = Annotated[
    str,
    typer.Option(
        metavar="NAME|PATH|URL",
        help="phishing, bananas, elec2 or creditcard, as River has them; or any table as CSV, plain or gzipped.",
    ),
]
Target = Annotated[str | None, typer.Option(metavar="COLUMN", help="The label; the last column by default.")]
Positive = Annotated[
    str | None, typer.Option(metavar="VALUE", help="A label that is fraud; all others are not.")
]
UnitColumn = Annotated[
    str | None, typer.Option("--unit", metavar="COLUMN", help="Whose a row is; by default a row is its own.")
]
Rows = Annotated[int | None, typer.Option(min=1, help="Only the first rows.")]
Partitions = Annotated[int, typer.Option(min=1, max=64, help="Of the log; a model in each.")]
Rate = Annotated[float, typer.Option(min=0, help="Examples a second; 0 for as fast as it goes.")]
LogOption = Annotated[
    str | None,
    typer.Option("--log", metavar="URL", help="Keep the run on this log; a temporary file by default."),
]


def fraud(
    model: Annotated[
        str, typer.Option(metavar="NAME[:name=value,…]", help="See `foldline models list`.")
    ] = DEFAULT_MODEL,
    dataset: Dataset = "phishing",
    target: Target = None,
    positive: Positive = None,
    unit: UnitColumn = None,
    rows: Rows = None,
    partitions: Partitions = 8,
    consumers: Annotated[int, typer.Option(min=1, max=8, help="Processes that predict and learn.")] = 1,
    rate: Rate = 0,
    log: LogOption = None,
    headless: Annotated[bool, typer.Option("--headless", help="No live display.")] = False,
    json: AsJson = False,
    out: Annotated[
        Path | None, typer.Option(help="Write the figures (PNG) and the table (CSV) here.")
    ] = None,
) -> None:
    """A model predicts each example of a stream, then learns its label; consumers share the partitions out.

    Example: foldline demo fraud --consumers 2

    Example: foldline demo fraud --model anomaly.HalfSpaceTrees:seed=42 --dataset cards.csv.gz --target Class

    Example: foldline demo fraud --model HalfSpaceTrees:seed=42 --rate 500 --json
    """
    from foldline.demos.fraud import Settings
    from foldline.demos.fraud_data import read_stream

    stream = read_stream(dataset, target=target, positive=positive, unit=unit, rows=rows)
    chosen, stream, note = fitted_model(model, stream, partitions)
    if stream.unlabelled:
        note = "; ".join(
            filter(None, (note, f"left out for want of a label: {stream.unlabelled:,} of the table's rows"))
        )
    settings = Settings(chosen, stream, partitions, consumers, rate)
    quiet = headless or json or not sys.stderr.isatty()
    summary, files = run_fraud(settings, log, out, quiet=quiet, note=note)
    if json:
        import msgspec

        print_json(msgspec.to_builtins(summary))
        return
    print_summary(summary)
    for path in files:
        print(f"wrote {path}")


def fitted_model(text: str, stream: "Stream", partitions: int) -> tuple["ModelDefinition", "Stream", str]:
    """The model asked for, with labels as it takes them; half-space trees with a window that a partition fills."""
    from foldline.models.definition import ModelDefinition, model_definition, model_values_of
    from foldline.models.expression import parse_model

    steps = parse_model(text)
    last, note = steps[-1], ""
    parameters: dict[str, Any] = {}
    each = len(stream.rows) // partitions
    if last.model.rpartition(".")[2] == "HalfSpaceTrees" and "window_size" not in last.parameters:
        fit = max(10, each // 10)
        if fit < WINDOW:
            parameters["window_size"] = fit
            note = (
                f"window_size is {fit}, fitted to some {each:,} examples a partition; River's own is {WINDOW}"
            )
    made = ModelDefinition(name="model", model=text, parameters=parameters)
    if made.build().task == "regression":
        return model_definition(model_values_of(made)), stream.with_numbers(), note
    classes = sorted({y for _, y in stream.rows}, key=str)
    made = ModelDefinition(name="model", model=text, parameters=parameters, classes=tuple(classes))
    return model_definition(model_values_of(made)), stream, note


def run_fraud(
    settings: "Settings", log: str | None, out: Path | None, *, quiet: bool, note: str = ""
) -> tuple["Summary", list[Path]]:
    """Run, and read what came of it."""
    import msgspec

    from foldline.demos.fraud import run
    from foldline.demos.fraud_summary import read_inferences, summarise, write_csv

    with TemporaryDirectory(prefix="foldline-fraud-") as folder:
        url = log or f"sqlite:///{folder}/fraud.db"
        with nullcontext() if quiet else progress() as bars:
            total = len(settings.stream.rows)
            task = bars.add_task("starting consumers", total=total) if bars is not None else None

            def watch(view: "View") -> None:
                if bars is not None and task is not None:
                    bars.update(task, completed=view.predicted, description=_described(view))

            done: Run = run(settings, url, watch)
        inferences = read_inferences(settings, url)
        summary = summarise(settings, url, done, inferences)
        notes = "; ".join(filter(None, (note, summary.note)))
        summary = msgspec.structs.replace(summary, note=notes)
        files = []
        if out is not None:
            from foldline.demos.fraud_figures import write_figures

            files = [*write_figures(out, settings, url, inferences), write_csv(out, summary)]
        return summary, files


def print_summary(summary: "Summary") -> None:
    """For people."""
    print(
        f"{summary.model} on {summary.dataset}, {summary.partitions} partitions: {summary.overall.count:,} inferences"
    )
    print(f"in {summary.seconds:.1f} s, {summary.per_second:,.0f} a second")
    print()
    chosen = NUMBERS if summary.overall.mae is not None else CLASSES
    rows = [_row(f"consumer {number}", part, chosen) for number, part in enumerate(summary.consumers)]
    print_table(
        ["", "partitions", "count", *chosen.values(), "mean ms", "median ms", "p99 ms", "max ms", "model KB"],
        [*rows, _row("all", summary.overall, chosen)],
    )
    if summary.note:
        print()
        print(f"note: {summary.note}")


CLASSES = {"accuracy": "accuracy", "roc_auc": "ROC AUC", "f1": "F1", "recall": "recall"}
"""Figures of a classifier or a detector that people see, and their headers."""

NUMBERS = {"mae": "MAE", "rmse": "RMSE", "r2": "R²"}
"""Those of a regressor."""


def _row(who: str, part: "Part", chosen: dict[str, str]) -> list[object]:
    latency = part.latency_ms
    figures = [_figure(getattr(part, name), 4) for name in chosen]
    times = [_figure(value, 1) for value in (latency.mean, latency.p50, latency.p99, latency.max)]
    where = ",".join(map(str, part.partitions)) if who != "all" else ""
    return [who, where, part.count, *figures, *times, f"{part.memory_bytes / 1024:,.0f}"]


def _figure(value: float | None, digits: int) -> str | None:
    return None if value is None else f"{value:.{digits}f}"


def _described(view: "View") -> str:
    pieces = [f"{view.produced:,} on the log"]
    if view.accuracy is not None:
        pieces.append(f"accuracy {view.accuracy:.4f}")
    if view.roc_auc is not None:
        pieces.append(f"ROC AUC {view.roc_auc:.4f}")
    return "  ".join(pieces)
