"""Experiments, and what is known of them, as text."""

from typing import TYPE_CHECKING

from foldline.cli.output import print_table
from foldline.loops.instants import format_instant

if TYPE_CHECKING:
    from foldline.experiments.definition import ExperimentDefinition
    from foldline.experiments.effects import Effect
    from foldline.experiments.results import Results
    from foldline.experiments.revision import Figure, Revision


def print_definition(one: "ExperimentDefinition") -> None:
    """What it is, for people."""
    print(f"{one.name}, version {one.version}, of loop {one.loop}: {one.state}")
    margin = f", not worse by {one.goal.margin:g}" if one.goal.margin else ""
    sided = "" if one.goal.alternative == "two_sided" else ", one-sided"
    print(
        f"goal {one.goal.name} ({one.goal.kind}), effect {one.goal.effect:g}, {one.goal.direction}{sided}{margin}"
    )
    if one.promoted is not None:
        print(f"promoted: {one.promoted}, to {one.promoted_share:g} of all units")
    print(f"assigned by {one.hash}, salt {one.salt}")
    if one.bands:
        kept = one.bands[-1].coverage
        print(
            f"in phase {one.phase}; {kept:g} of all units keep their variants from before, and are not counted"
        )
    print(f"decided by {one.rule}, alpha {one.alpha:g}, power {one.power:g}, coverage {one.coverage:g}")
    rows = [
        (variant.key, variant.policy["kind"], variant.learns, variant.weight, size)
        for variant, size in zip(one.variants, one.sample_sizes, strict=True)
    ]
    print_table(["variant", "policy", "learns", "weight", "planned"], rows)


def print_results(found: "Results") -> None:
    """What is known of it, for people."""
    print(f"{found.experiment}, {found.state}, decided by {found.rule}, as of {format_instant(found.time)}")
    headers = [
        "variant",
        "policy",
        "learns",
        "decisions",
        "enrolled",
        "matured",
        "planned",
        "in two variants",
    ]
    rows = [
        (v.key, v.policy, v.learns, v.decisions, v.enrolled, v.matured, v.planned, v.mixed)
        for v in found.variants
    ]
    print_table(headers, rows)
    print()
    for effect in found.effects:
        print(_sentence(effect))
    for effect in found.guardrails:
        print(f"guardrail {_sentence(effect)}")
    for breach in found.breaches:
        print(
            f"breached {breach.effect.metric} with {breach.effect.challenger} at {format_instant(breach.time)}"
        )
    print(f"shares: p = {found.sample_ratio_p:.3g}")
    verdict = found.verdict
    if verdict is None:
        print(f"no verdict yet; {found.progress:.1%} of the planned sample")
    else:
        print(
            f"verdict at {format_instant(verdict.time)}: {verdict.result.replace('_', ' ')} ({verdict.reason})"
        )
    for revision in found.revisions:
        print(_revised(revision))


def _revised(revision: "Revision") -> str:
    """What came late, in one line."""
    result = revision.verdict.result.replace("_", " ")
    changed = "; ".join(
        f"{name} {_figure(was)} -> {_figure(now)}" for name, (was, now) in revision.changed.items()
    )
    return f"revised at {format_instant(revision.time)} by what came late: {result}; {changed or 'as it was'}"


def _figure(figure: "Figure") -> str:
    return f"{figure:.6g}" if isinstance(figure, float) else str(figure)


def _sentence(effect: "Effect") -> str:
    if effect.difference is None:
        return f"{effect.metric}, {effect.challenger}: {effect.reason}"
    lift = "" if effect.lift is None else f", {effect.lift:+.1%}"
    estimator = "" if effect.estimator == "plain" else f" of {effect.estimator}"
    note = "" if effect.note is None else f"; {effect.note}"
    side = "at least" if effect.alternative == "greater" else "at most"
    bound = "" if effect.bound is None else f", one-sided {side} {effect.bound:+.5g} against {effect.null:g}"
    return (
        f"{effect.metric}, {effect.challenger}: {effect.difference:+.5g} "
        f"[{effect.low:.5g}, {effect.high:.5g}]{lift}, {effect.method}{estimator}{bound}{note}"
    )
