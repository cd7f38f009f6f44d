"""`foldline experiments aa`, `actions`, `export`: what is made of the units and decisions that a log holds."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from foldline.cli.bars import bar
from foldline.cli.logs import open_existing
from foldline.cli.options import DEFAULT_LOG, AsJson, LogUrl
from foldline.cli.output import print_json, print_table

if TYPE_CHECKING:
    from foldline.experiments.catalogue import ExperimentCatalogue
    from foldline.experiments.definition import ExperimentDefinition
    from foldline.experiments.fake_split import FakeRun, FakeSplit
    from foldline.log.protocol import Log
    from foldline.loops.catalogue import Catalogue
    from foldline.loops.cut import Cut
    from foldline.loops.definition import LoopDefinition

At = Annotated[
    str | None,
    typer.Option(
        "--at", metavar="CUT|TIME", help="Up to 0:1500,1:1498, or to an ISO 8601 time; default: the end."
    ),
]
_INTERRUPTED = 130


def aa(
    name: Annotated[str, typer.Argument(metavar="NAME", help="An experiment's, or a loop's.")],
    salts: Annotated[int, typer.Option("--salts", min=1, help="Splits to try.")] = 200,
    metric: Annotated[
        str | None,
        typer.Option("--metric", help="Of a loop: the reward or observation (default: the loop's)."),
    ] = None,
    kind: Annotated[
        Literal["proportion", "mean"], typer.Option("--kind", help="Of a loop: what of it counts.")
    ] = "mean",
    window_s: Annotated[
        float, typer.Option("--window-s", min=0, help="Of a loop: seconds in which it counts.")
    ] = 3600,
    salt: Annotated[str, typer.Option("--salt", help="What every split's salt begins with.")] = "aa",
    at: At = None,
    log: LogUrl = DEFAULT_LOG,
    json: AsJson = False,
) -> None:
    """Split the units logged by chance, many times, and count false alarms; exit status 1 where there are too many.

    An experiment's goal, window, weights and levels are used; of a loop, a metric is named. Every decision of the
    loop is an exposure. Nothing is written. Interrupted, it tells of the splits it has made.

    Example: foldline experiments aa news --salts 500 --window-s 600 --log sqlite:///news.db
    """
    from foldline.experiments.fake_split import FakeSplit, alarm_rates

    with _opened(log) as (opened, loops, experiments):
        if experiments.get(name) is not None:
            wanted = experiments.one(name)
        else:
            wanted = _of_loop(loops.one(name), metric, kind, window_s)
        loop = loops.one(wanted.loop)
        table = _fake_units(opened, loop, wanted, _cut(opened, loop, at))
    matured = int(table.matured.sum())
    if matured < 4:
        _refuse_few(wanted, len(table), matured)
    runs, interrupted = _split(FakeSplit(wanted, table), [f"{salt}-{i}" for i in range(salts)])
    if runs and not any(run.tested for run in runs):
        _refuse_untestable(wanted, matured)
    rates = alarm_rates(wanted, runs)
    if json:
        import msgspec

        print_json(
            {
                "units": len(table),
                "matured": matured,
                "salts": len(runs),
                "alarms": msgspec.to_builtins(rates),
            }
        )
    else:
        print(
            f"{matured:,} of {len(table):,} units matured; {wanted.goal.name} ({wanted.goal.kind}), {len(runs)} splits"
        )
        headers = ["test", "alarms", "share", "level", "at most by chance", "holds"]
        print_table(
            headers,
            [
                (
                    r.test,
                    r.alarms,
                    f"{r.share:.4f}",
                    f"{r.nominal:g}",
                    f"{r.most:.4f}",
                    "yes" if r.holds else "no",
                )
                for r in rates
            ],
        )
    if interrupted:
        raise typer.Exit(_INTERRUPTED)
    if not all(rate.holds for rate in rates):
        raise typer.Exit(1)


def actions(
    name: Annotated[str, typer.Argument(metavar="NAME", help="An experiment's, or a loop's.")],
    variant: Annotated[
        str | None, typer.Option(metavar="KEY", help="Of an experiment; the one that learns by default.")
    ] = None,
    control: Annotated[
        str | None, typer.Option(metavar="ACTION", help="Compared with; the loop's first by default.")
    ] = None,
    planned: Annotated[
        int, typer.Option(min=2, help="Decisions at which the limits shall be narrowest.")
    ] = 10_000,
    confidence: Annotated[float, typer.Option(help="That all limits hold, at every moment.")] = 0.95,
    log: LogUrl = DEFAULT_LOG,
    json: AsJson = False,
) -> None:
    """Compare the actions of a bandit: a loop's, or that of an experiment's variant, by its logged probabilities.

    Means of a bandit's actions are biased. Here each decision is weighted by its probability, and the limits hold at
    every moment. The policy must guarantee every action a least probability: random, epsilon-greedy, or a mixture.

    Example: foldline experiments actions news --control a --log sqlite:///news.db
    """
    from foldline.errors import InputError
    from foldline.policies.registry import policy_from
    from foldline.simulation.action_effects import action_effects
    from foldline.simulation.own_log import own_decisions
    from foldline.stats.not_estimable import NotEstimable

    with _opened(log) as (opened, loops, experiments):
        one = experiments.get(name)
        loop = loops.one(name if one is None else one.loop)
        key = None if one is None else _learning(one, variant)
        policy = policy_from(loop.policy if one is None or key is None else one.variant(key).policy)
        wanted = (None, None) if one is None else (one.name, key)
        made = [each for each in own_decisions(opened, loop) if (each.experiment, each.variant) == wanted]
    found = action_effects(made, loop, policy, control=control, planned=planned, confidence=confidence)
    if isinstance(found, NotEstimable):
        raise InputError("input.not_estimable", f"comparing the actions of {name!r}: {found.reason}")
    if json:
        import msgspec

        print_json(
            {"loop": loop.name, "variant": key, "decisions": len(made), "effects": msgspec.to_builtins(found)}
        )
        return
    print(
        f"{len(made):,} decisions of {policy.kind}, against {found[0].control!r}; limits hold at every moment"
    )
    rows = [
        (
            each.action,
            each.chosen,
            each.reason if each.estimate is None else f"{each.estimate:+.5g}",
            "" if each.low is None else f"[{each.low:.5g}, {each.high:.5g}]",
            "" if each.least_propensity is None else f"{each.least_propensity:.3g}",
        )
        for each in found
    ]
    print_table(["action", "chosen", "difference", "limits", "least propensity"], rows)


def _learning(one: "ExperimentDefinition", variant: str | None) -> str:
    from foldline.errors import InputError

    if variant is not None:
        return one.variant(variant).key
    learning = [key for key, adapts in zip(one.keys, one.adaptive, strict=True) if adapts]
    if len(learning) != 1:
        raise InputError(
            "input.invalid",
            f"experiment {one.name!r}: {len(learning)} variants learn; give --variant, one of {', '.join(one.keys)}",
            field="variant",
        )
    return learning[0]


def export(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The experiment's.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to, made if need be.")],
    at: At = None,
    log: LogUrl = DEFAULT_LOG,
    json: AsJson = False,
) -> None:
    """Write an experiment's units as Parquet, one row each: variant, first exposure, whether it matured, its values.

    The matured rows add up to the tally, integer by integer. Needs the extra `parquet`.

    Example: foldline experiments export ctr --out ctr --log sqlite:///news.db
    """
    from foldline.engine.unit_export import export_units

    with _opened(log) as (opened, loops, experiments):
        one = experiments.one(name)
        loop = loops.one(one.loop)
        with bar("records", None) as progress:
            made = export_units(opened, loop, one, _cut(opened, loop, at), out, progress=progress)
    if json:
        print_json({"file": str(made.file), "units": made.units, "cut": list(made.cut)})
    else:
        print(f"{made.file}: {made.units:,} units")


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


def _cut(log: "Log", loop: "LoopDefinition", at: str | None) -> "Cut":
    from foldline.engine.cuts import cut_of
    from foldline.loops.topics import topics_of

    if at is not None:
        return cut_of(log, loop, at)
    events = topics_of(loop).events
    return tuple(log.offsets(events, partition)[1] for partition in range(loop.partitions))


def _of_loop(
    loop: "LoopDefinition", metric: str | None, kind: Literal["proportion", "mean"], window_s: float
) -> "ExperimentDefinition":
    """What is measured of a loop on which no experiment is defined yet; its design plays no part."""
    from foldline.experiments.definition import ExperimentDefinition, Variant
    from foldline.experiments.measure import Goal

    return ExperimentDefinition(
        name=loop.name,
        version=1,
        time=0,
        loop=loop.name,
        variants=tuple(Variant(key=key, policy={"kind": "random"}) for key in ("control", "challenger")),
        goal=Goal(name=metric or loop.reward.name, kind=kind, effect=1.0, sd=1.0, baseline=0.5),
        sample_sizes=(2, 2),
        max_duration_ms=400 * 86_400_000,
        window_ms=round(window_s * 1000),
        salt="aa",
        unit_bits=loop.reward.unit_bits,
    )


def _refuse_few(wanted: "ExperimentDefinition", units: int, matured: int) -> None:
    from foldline.errors import InputError

    raise InputError(
        "input.invalid",
        f"{matured} of {units} units have matured, {wanted.window_ms / 1000:g} s after their first decision; expected "
        "at least 4: take a shorter window, or a log that is longer",
        field="window_s",
    )


def _refuse_untestable(wanted: "ExperimentDefinition", matured: int) -> None:
    from foldline.errors import InputError

    goal = wanted.goal
    below = f", or of {goal.per!r}," if goal.per is not None else ""
    raise InputError(
        "input.invalid",
        f"no split of {matured} matured units could be tested: too few have a value of {goal.name!r}{below} within the "
        "window; see how the metric is named, or take a log that is longer",
        field="metric",
    )


def _fake_units(log: "Log", loop: "LoopDefinition", wanted: "ExperimentDefinition", cut: "Cut") -> Any:
    from foldline.engine.fake_units import fake_units

    with bar("records", None) as progress:
        return fake_units(log, loop, wanted, cut, progress=progress)


def _split(split: "FakeSplit", salts: list[str]) -> "tuple[list[FakeRun], bool]":
    """The runs made, and whether somebody interrupted them."""
    runs: list[FakeRun] = []
    with bar("splits", len(salts)) as progress:
        try:
            for run in split.runs(salts):
                runs.append(run)
                progress(len(runs))
        except KeyboardInterrupt:
            return runs, True
    return runs, False
