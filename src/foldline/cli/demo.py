"""`foldline demo`: the shipped demos."""

import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foldline.cli.bars import progress
from foldline.cli.demo_fraud import fraud
from foldline.cli.noun import noun
from foldline.cli.options import AsJson
from foldline.cli.output import print_json, print_table

if TYPE_CHECKING:
    from foldline.demos.news import Settings, View, Visits
    from foldline.demos.news_served import Way
    from foldline.demos.news_summary import Delivery, Summary
    from foldline.simulation.worlds import NewsWorld

FIGURE_POINTS = 200

app = noun("The shipped demos.", "foldline demo news --headless")


@app.callback()
def demo() -> None:
    """The shipped demos: each one readable file under foldline/demos."""


app.command("fraud")(fraud)


@app.command("news")
def news(
    steps: Annotated[int, typer.Option(min=1, help="Readers; one a simulated second.")] = 11_000,
    apps: Annotated[int, typer.Option(min=1, max=64, help="Processes that decide.")] = 8,
    policy: Annotated[
        str, typer.Option(metavar="KIND[:name=value,…]", help="See `foldline policies list`.")
    ] = "epsilon_greedy",
    drift: Annotated[
        bool,
        typer.Option(
            "--drift", help="At step 8,000 all articles fall to a fifth and a middle one jumps to 0.15."
        ),
    ] = False,
    world: Annotated[
        Path | None,
        typer.Option(help='Articles: JSON {"articles": [{"article_id", "click_probability"}, …]}.'),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws; the first of several.")] = 0,
    seeds: Annotated[
        int,
        typer.Option(min=1, help="More than 1 runs the policy this many times in memory, learning at once."),
    ] = 1,
    rate: Annotated[
        float, typer.Option(min=0, help="Outcomes a second over all apps; 0 for as fast as it goes.")
    ] = 0,
    central: Annotated[
        bool, typer.Option("--central", help="Apps ask a service over HTTP, which decides.")
    ] = False,
    edge: Annotated[
        bool,
        typer.Option(
            "--edge", help="Apps decide by themselves and report over HTTP; some are cut off for a while."
        ),
    ] = False,
    log: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Keep the run on this log; a temporary file by default."),
    ] = None,
    headless: Annotated[bool, typer.Option("--headless", help="No live display.")] = False,
    json: AsJson = False,
    out: Annotated[
        Path | None, typer.Option(help="Write both figures (PNG) and the run (Parquet) here.")
    ] = None,
) -> None:
    """Twenty articles, many apps, one loop that learns which article to show.

    Example: foldline demo news --drift --policy discounted --out figures

    Example: foldline demo news --seeds 100 --policy thompson --json

    Example: foldline demo news --edge --rate 1000
    """
    from foldline.demos.news import Settings
    from foldline.errors import InputError
    from foldline.policies.registry import parse_policy
    from foldline.simulation.worlds import NewsWorld

    setting = NewsWorld.from_file(world) if world is not None else NewsWorld.evenly_spaced()
    if drift:
        setting = setting.drifting()
    settings = Settings(parse_policy(policy), setting, steps, apps, seed, rate)
    quiet = headless or json or not sys.stderr.isatty()
    if (central, edge, seeds > 1).count(True) > 1:
        raise InputError(
            "input.invalid", "--central, --edge and --seeds exclude each other; give one of them"
        )
    if seeds > 1:
        _print(_in_memory(settings, seeds, quiet), setting, json)
        return
    summary, files = _on_a_log(settings, log, quiet, out, "central" if central else "edge" if edge else None)
    _print(summary, setting, json)
    if not json:
        for path in files:
            print(f"wrote {path}")


def _in_memory(settings: "Settings", seeds: int, quiet: bool) -> "Summary":
    import time

    from foldline.demos.news_summary import PolicyAge, Summary
    from foldline.simulation.many_runs import simulate_many

    began = time.monotonic()
    with nullcontext() if quiet else progress() as bars:
        task = bars.add_task("runs", total=seeds) if bars is not None else None

        def done(count: int) -> None:
            if bars is not None and task is not None:
                bars.update(task, completed=count)

        which = range(settings.seed, settings.seed + seeds)
        runs = simulate_many(settings.policy, settings.world, settings.steps, which, progress=done)
    return Summary(
        policy=runs.policy,
        steps=runs.steps,
        seeds=seeds,
        mean_reward=runs.mean_reward,
        standard_error=runs.standard_error,
        baseline_reward=runs.baseline_reward,
        lift=runs.lift,
        regret=runs.regret,
        best_action_share=runs.best_action_share,
        median_recovery=runs.median_recovery,
        never_recovered=runs.never_recovered,
        decisions_per_second=seeds * runs.steps / (time.monotonic() - began),
        policy_age_ms=PolicyAge(None, None),
    )


def _on_a_log(
    settings: "Settings", log: str | None, quiet: bool, out: Path | None, way: "Way | None"
) -> tuple["Summary", list[Path]]:
    from tempfile import TemporaryDirectory

    from foldline.demos.news_summary import read_bundles, summarise

    with TemporaryDirectory(prefix="foldline-news-") as folder:
        url = log or f"sqlite:///{folder}/news.db"
        with nullcontext() if quiet else progress() as bars:
            task = bars.add_task("starting apps", total=settings.steps) if bars is not None else None

            def watch(view: "View") -> None:
                if bars is not None and task is not None:
                    bars.update(task, completed=view.decisions, description=_described(view, settings.world))

            visits, delivery = _run(settings, url, way, watch)
        bundles, estimates = read_bundles(url, settings, FIGURE_POINTS if out is not None else 0)
        files = _write(out, settings.world, visits, estimates) if out is not None else []
        return summarise(settings.policy, settings.world, visits, bundles, delivery), files


def _run(
    settings: "Settings", url: str, way: "Way | None", watch: Callable[["View"], None]
) -> tuple["Sequence[Visits]", "Delivery | None"]:
    """In processes that share the log, or over HTTP."""
    if way is None:
        from foldline.demos.news import run

        return run(settings, url, watch), None
    from foldline.demos.news_delivery import read_delivery
    from foldline.demos.news_served import run_served

    visits = run_served(settings, way, url, watch)
    return visits, read_delivery(url, settings, way, visits)


def _write(
    out: Path, world: "NewsWorld", visits: "Sequence[Visits]", estimates: tuple[list[int], list[list[float]]]
) -> list[Path]:
    from foldline.demos.news_figures import write_figures, write_parquet

    return [*write_figures(out, world, visits, *estimates), write_parquet(out, world, visits)]


def _described(view: "View", world: "NewsWorld") -> str:
    baseline = world.uniform_reward(max(view.decisions, 1))
    average = view.reward / view.decisions if view.decisions else 0.0
    return (
        f"reward {average:.4f} (at random {baseline:.4f})  best article {view.best_share:.0%}  "
        f"policy {view.policy_age_s:.2f} s old"
    )


def _print(summary: "Summary", world: "NewsWorld", as_json: bool) -> None:
    import msgspec

    if as_json:
        print_json(msgspec.to_builtins(summary))
        return
    policy = dict(summary.policy)
    kind = policy.pop("kind")
    rows: list[tuple[str, str]] = [
        ("policy", f"{kind} ({', '.join(f'{k} {v}' for k, v in policy.items())})" if policy else kind),
        ("steps", f"{summary.steps:,}" + (f", {summary.seeds} runs" if summary.seeds > 1 else "")),
        ("mean reward", _with_error(summary.mean_reward, summary.standard_error)),
        ("articles at random", f"{summary.baseline_reward:.4f}"),
        ("lift", f"{summary.lift:+.1%}"),
        ("regret", f"{summary.regret:.1f} clicks"),
        ("best article shown", f"{summary.best_action_share:.1%}"),
        ("decisions", f"{summary.decisions_per_second:,.0f} a second"),
    ]
    if world.drift_at is not None and summary.seeds > 1:
        never = (
            f"{summary.never_recovered:.0%} never"
            if summary.never_recovered is not None
            else "nothing drifted"
        )
        rows.append(("recovery after drift", f"median {summary.median_recovery or 'none'} steps, {never}"))
    age = summary.policy_age_ms
    if age.p50 is not None:
        rows.append(("policy age", f"p50 {age.p50:.0f} ms, p99 {age.p99:.0f} ms"))
    if summary.delivery is not None:
        rows += _delivered(summary.delivery)
    print_table(["", ""], rows)


def _delivered(delivery: "Delivery") -> list[tuple[str, str]]:
    rows = [("decided", "by the service" if delivery.way == "central" else "in the apps")]
    if delivery.apps_cut_off:
        waited = f"up to {delivery.most_waiting:,} events waited in an app"
        rows.append(
            (
                "cut off",
                f"{delivery.apps_cut_off} apps, {delivery.decided_offline:,} decisions meanwhile, {waited}",
            )
        )
    rows.append(("lost, counted twice", f"{delivery.lost}, {delivery.counted_twice}"))
    return rows


def _with_error(mean: float, error: float | None) -> str:
    return f"{mean:.4f}" if error is None else f"{mean:.4f} ± {error:.4f} (standard error)"
