"""`foldline design`: sample sizes, power, and what contradicts what."""

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foldline.cli.noun import noun
from foldline.cli.options import AsJson
from foldline.cli.output import print_json
from foldline.errors import DefinitionError, InputError

if TYPE_CHECKING:
    from foldline.experiments.design import Design
    from foldline.experiments.metrics import Metric

app = noun()

METRICS = ("proportion", "mean", "ratio")
ALPHA, POWER = 0.05, 0.9


@app.command()
def design(
    metric: Annotated[str, typer.Option(help=f"{', '.join(METRICS)}.")] = "proportion",
    baseline: Annotated[
        float | None, typer.Option(help="The control's rate, mean or ratio; of a proportion needed.")
    ] = None,
    effect: Annotated[
        float | None, typer.Option(help="Absolute difference to find; -0.01 for a fall of one point.")
    ] = None,
    relative: Annotated[
        float | None, typer.Option(help="The same as a share of the baseline, in its place.")
    ] = None,
    alpha: Annotated[
        float | None, typer.Option(help=f"Chance of a false win; {ALPHA} unless the rest is given.")
    ] = None,
    power: Annotated[
        float | None, typer.Option(help=f"Chance to find the effect; {POWER} unless the rest is given.")
    ] = None,
    sample_size: Annotated[
        int | None, typer.Option(help="Units of the control, where power, effect or alpha is asked for.")
    ] = None,
    alternative: Annotated[str, typer.Option(help="two_sided, greater or less.")] = "two_sided",
    method: Annotated[
        str | None, typer.Option(help="Of proportions: fleiss_cc, fleiss, unpooled or arcsine.")
    ] = None,
    sd: Annotated[float | None, typer.Option(help="Standard deviation of a unit's value.")] = None,
    numerator: Annotated[
        str | None, typer.Option(metavar="MEAN,SD", help="Of a ratio: a unit's value above the line.")
    ] = None,
    denominator: Annotated[
        str | None, typer.Option(metavar="MEAN,SD", help="Of a ratio: a unit's value below the line.")
    ] = None,
    correlation: Annotated[float, typer.Option(help="Of a ratio: of both, over units.")] = 0.0,
    covariate: Annotated[
        float, typer.Option(help="Correlation with a value known before exposure (CUPED); of mean and ratio.")
    ] = 0.0,
    margin: Annotated[
        float, typer.Option(help="Non-inferiority: how much worse is good enough; one-sided, effect 0.")
    ] = 0.0,
    weights: Annotated[
        str, typer.Option(metavar="W,W,…", help="Units of control and each challenger, in proportion.")
    ] = "1,1",
    traffic: Annotated[float | None, typer.Option(help="New eligible units a day, for the duration.")] = None,
    coverage: Annotated[float, typer.Option(help="Share of them enrolled, 0 to 1.")] = 1.0,
    max_days: Annotated[float | None, typer.Option(help="The longest the test may run.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Draw the power curve into a PNG or SVG file; needs the extra plots.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Size a test: of alpha, power, effect and sample size, three give the fourth.

    Values that contradict each other are refused with status 2, and the nearest that do not are named.

    Example: foldline design --baseline 0.07 --effect 0.04 --power 0.9 --traffic 400

    Revenue: foldline design --metric mean --sd 15 --effect 0.7

    Clicks per session, by user: foldline design --metric ratio --numerator 0.6,1.2 --denominator 3,2 --correlation
    0.5 --effect 0.01

    What 500 units can show: foldline design --baseline 0.07 --sample-size 500

    Two challengers, half of all units to the control: foldline design --baseline 0.07 --effect 0.04 --weights 2,1,1

    Not worse by two points: foldline design --baseline 0.07 --margin 0.02 --alternative greater
    """
    from foldline.experiments.design import design as solve
    from foldline.experiments.power_curve import always_valid_curve, duration_days, power_curve
    from foldline.stats.tails import check_alternative

    alternative = alternative.replace("-", "_")
    check_alternative(alternative)
    measured = _metric(metric, baseline, sd, method, margin, numerator, denominator, correlation, covariate)
    absolute = _absolute(measured, effect, relative)
    if margin and absolute is None and (power is None or sample_size is None):
        absolute = 0.0
    if alpha is None and (power is None or absolute is None or sample_size is None):
        alpha = ALPHA
    if power is None and (absolute is None or sample_size is None):
        power = POWER
    plan = solve(
        measured,
        alpha=alpha,
        power=power,
        effect=absolute,
        sample_size=sample_size,
        alternative=alternative,  # type: ignore[arg-type]  # checked above
        weights=_weights(weights),
        margin=margin,
    )
    if max_days is not None and traffic is None:
        raise InputError(
            "input.invalid", "max_days is given without traffic; give the units a day too", field="traffic"
        )
    if coverage != 1.0 and traffic is None:
        raise InputError(
            "input.invalid", "coverage is given without traffic; give the units a day too", field="traffic"
        )
    days = None if traffic is None else duration_days(plan, traffic, coverage=coverage, max_days=max_days)
    others = _other_methods(plan)
    if out is not None:
        from foldline.cli.power_plot import draw_power

        draw_power(plan, out)
    if json:
        points = [[point.sample_size, point.power] for point in power_curve(plan)]
        peeked = [[point.sample_size, point.power] for point in always_valid_curve(plan)]
        print_json(
            plan.as_json()
            | {
                "duration_days": days,
                "other_methods": others,
                "power_curve": points,
                "always_valid_curve": peeked,
            }
        )
    else:
        _show(plan, days, others, out)


def _metric(
    kind: str,
    baseline: float | None,
    sd: float | None,
    method: str | None,
    margin: float,
    numerator: str | None,
    denominator: str | None,
    correlation: float,
    covariate: float,
) -> "Metric":
    from foldline.experiments.metrics import MeanMetric, ProportionMetric
    from foldline.stats.ratio import ratio_sd

    if kind not in METRICS:
        raise InputError(
            "input.invalid", f"metric {kind!r}; expected one of {', '.join(METRICS)}", field="metric"
        )
    if kind != "ratio" and (numerator is not None or denominator is not None or correlation):
        raise InputError(
            "input.invalid",
            f"numerator, denominator and correlation are of a ratio; leave them out of a {kind}, or give metric ratio",
            field="metric",
        )
    if kind == "proportion":
        if sd is not None or covariate:
            raise InputError(
                "input.invalid",
                "a proportion's deviation follows from its baseline; leave out sd and covariate",
            )
        if baseline is None:
            raise InputError(
                "input.invalid", "a proportion needs its baseline, such as 0.07", field="baseline"
            )
        chosen = method or ("unpooled" if margin else "fleiss_cc")
        return ProportionMetric(baseline, chosen)  # type: ignore[arg-type]  # checked there
    if method not in (None, "welch"):
        raise InputError(
            "input.invalid", f"method {method!r} is of proportions; a {kind} has welch", field="method"
        )
    if kind == "ratio" and (numerator is not None or denominator is not None):
        if numerator is None or denominator is None or sd is not None:
            raise InputError(
                "input.invalid",
                "a ratio needs both numerator and denominator, each as MEAN,SD of a unit's sum, or sd alone",
                field="sd",
            )
        above, below = _pair("numerator", numerator), _pair("denominator", denominator)
        spread = ratio_sd(*above, *below, correlation)
        return MeanMetric(spread, above[0] / below[0] if baseline is None else baseline, covariate, "ratio")
    if sd is None:
        parts = "numerator and denominator, each as MEAN,SD of a unit's sum, or " if kind == "ratio" else ""
        raise InputError(
            "input.invalid",
            f"a {kind} needs {parts}sd, the standard deviation of a unit's value",
            field="sd",
        )
    if correlation:
        raise InputError(
            "input.invalid",
            "correlation is of numerator and denominator; give them in the place of sd",
            field="correlation",
        )
    return MeanMetric(sd, baseline, covariate, "ratio" if kind == "ratio" else "mean")


def _absolute(metric: "Metric", effect: float | None, relative: float | None) -> float | None:
    if relative is None:
        return effect
    if effect is not None:
        raise InputError(
            "input.invalid", f"effect {effect!r} and relative {relative!r} say the same; give one"
        )
    if not metric.baseline:
        raise InputError("input.invalid", f"relative {relative!r} is a share of the baseline; give it too")
    return relative * abs(metric.baseline)


def _pair(name: str, text: str) -> tuple[float, float]:
    try:
        mean, sd = (float(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            "input.invalid", f"{name} is {text!r}; expected MEAN,SD, such as 3,2", field=name
        ) from None
    return mean, sd


def _weights(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InputError(
            "input.invalid", f"weights {text!r}; expected integers, such as 1,1 or 2,1,1", field="weights"
        ) from None


def _other_methods(plan: "Design") -> dict[str, float]:
    """What was solved for, by the other methods for proportions: what another calculator may say."""
    from foldline.experiments.design import design as solve
    from foldline.experiments.metrics import ProportionMetric
    from foldline.stats.sample_size import PROPORTION_METHODS

    if not isinstance(plan.metric, ProportionMetric) or plan.margin:
        return {}
    solved = plan.solved or "sample_size"
    given = {
        "alpha": plan.alpha,
        "power": plan.power,
        "effect": plan.effect,
        "sample_size": plan.sample_size_per_variant,
    }
    found: dict[str, float] = {}
    for method in PROPORTION_METHODS:
        if method == plan.metric.method:
            continue
        metric = ProportionMetric(plan.metric.baseline, method)
        # A method that has no answer to the question is left out.
        with contextlib.suppress(DefinitionError):
            other = solve(
                metric,
                **{name: value for name, value in given.items() if name != solved},  # type: ignore[arg-type]  # by name
                alternative=plan.alternative,
                weights=plan.weights,
            )
            found[method] = (
                other.sample_size_per_variant if solved == "sample_size" else getattr(other, solved)
            )
    return found


def _show(plan: "Design", days: int | None, others: dict[str, float], out: Path | None) -> None:
    from foldline.cli.power_plot import power_lines
    from foldline.experiments.power_curve import always_valid_curve

    metric = plan.metric
    print(_question(plan))
    sizes = " + ".join(map(str, plan.sample_sizes))
    rows: list[tuple[str, Any]] = [
        ("alpha", f"{plan.alpha:.6g}" + _solved(plan, "alpha") + _per_comparison(plan)),
        ("power", f"{plan.power:.6g}" + _solved(plan, "power") + _more_power(plan)),
        ("effect", f"{plan.effect:.6g}" + _relative(plan) + _solved(plan, "effect")),
        ("sample size", f"{sizes} = {plan.sample_size_total}" + _solved(plan, "sample_size")),
        ("method", f"{metric.method}, to be analysed by {metric.analysis}" + _exact(plan)),
    ]
    if others:
        which = "" if plan.solved in (None, "sample_size") else f"{plan.solved}: "
        found = ", ".join(f"{method} {value:.6g}" for method, value in others.items())
        rows.append(("by others", which + found))
    peeked = [point.power for point in always_valid_curve(plan)]
    half = peeked[len(peeked) // 2 - 1]
    rows.append(("always valid", f"found in {half:.2f} by this sample, in {peeked[-1]:.2f} by twice as many"))
    if days is not None:
        rows.append(("duration", f"{days} days"))
    if out is not None:
        rows.append(("drawn in", out))
    for name, value in rows:
        print(f"  {name:<13}{value}")
    print(*power_lines(plan), sep="\n")


def _question(plan: "Design") -> str:
    metric, sides = plan.metric, plan.alternative.replace("_", "-")
    spread = "" if metric.kind == "proportion" else f", sd {metric.sd:g}"  # type: ignore[union-attr]  # of a mean
    base = metric.baseline
    if plan.margin:
        than = "" if base is None else f" than {base:g}"
        return (
            f"{metric.kind}: not worse{than} by {plan.margin:g}, expected {plan.effect:+g}{spread}, {sides}"
        )
    way = "" if base is None else f" from {base:g} to {base + plan.effect:g}"
    return f"{metric.kind}: a difference of {plan.effect:.6g}{way}{spread}, {sides}"


def _solved(plan: "Design", name: str) -> str:
    return "  <- solved" if plan.solved == name else ""


def _more_power(plan: "Design") -> str:
    reached = plan.power_at(plan.sample_size_per_variant)
    return f" ({reached:.4g} with this sample size)" if plan.solved is None else ""


def _per_comparison(plan: "Design") -> str:
    return "" if len(plan.weights) == 2 else f", {plan.alpha_per_comparison:.6g} a comparison"


def _relative(plan: "Design") -> str:
    return "" if plan.effect_relative is None else f" ({100 * plan.effect_relative:+.4g} % of the baseline)"


def _exact(plan: "Design") -> str:
    exact = plan.exact_power()
    return "" if exact is None else f" (exact power {exact:.4f})"
