"""The form of the design page: texts by the names of its fields, read into the settings of an experiment.

A field is named for where its value stands in the request that defines the experiment, `goal.effect` or
`variants[1].policy`; so whatever refuses a value names the field that shows it.
"""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec

from foldline.errors import FoldlineError, InputError, within
from foldline.experiments.design import design
from foldline.experiments.measure import Goal
from foldline.experiments.metrics import Metric, ProportionMetric
from foldline.experiments.settings import ExperimentSettings, settings_of
from foldline.policies.registry import parse_policy
from foldline.stats.ratio import ratio_sd

FOUR: Final = ("alpha", "power", "effect", "sample_size")
"""Of which three give the fourth: the field left empty."""

NUMBERS: Final = (
    "alpha", "power", "max_days", "coverage", "window_s", "maturity_s", "late_s", "traffic",
    "baseline", "sd", "effect", "margin", "covariate_correlation", "cap[0]", "cap[1]",
)  # fmt: skip
WHOLE: Final = ("sample_size", "weight")
RATIO: Final = ("numerator_mean", "numerator_sd", "denominator_mean", "denominator_sd")
CORRELATION: Final = "correlation"

_BESIDE: Final = ("name", "loop", "traffic", "question", "more")
"""Fields that are not settings of the experiment."""

_NAME: Final = re.compile(
    r"(alpha|power|sample_size|rule|max_days|coverage|window_s|maturity_s|late_s|condition|segments)"
    r"|(goal|ratio|(variants|guardrails)\[\d{1,2}\])\.[a-z_]+(\[[01]\])?"
)
_PART: Final = re.compile(r"\w+")


class Refusals(Exception):
    """What cannot be, one or several, each with its field."""

    def __init__(self, faults: list[FoldlineError]) -> None:
        super().__init__(f"{len(faults)} values cannot be")
        self.faults = faults


@dataclass(frozen=True, slots=True)
class Asked:
    """What a form asks for.

    Attributes:
        settings: as `experiments.settings` reads them, the solved value among them.
        solved: the one of alpha, power, effect and sample_size that was left empty; None where all were given.
        traffic: new units a day; None where not given.
    """

    settings: dict[str, Any]
    solved: str | None
    traffic: float | None


def read_form(given: Mapping[str, str]) -> Asked:
    """The settings of a form's values.

    Args:
        given: texts by the field's name; empty ones are as if not there.

    Raises:
        Refusals: values that are no numbers, policies or JSON: all of them.
        InputError, DefinitionError: a value cannot be, or some contradict each other; with what would be possible.
    """
    texts = {name: text.strip() for name, text in given.items() if text.strip()}
    for name in texts:
        if name not in _BESIDE and not _NAME.fullmatch(name):
            raise InputError("input.invalid", f"{name!r} is no field of this form")
    values, faults = {}, []
    for name, text in texts.items():
        try:
            values[name] = _READERS.get(name.rpartition(".")[2], _text)(name, text)
        except FoldlineError as error:
            # A policy's own parameter has no field of its own.
            error.field = name
            faults.append(error)
    if faults:
        raise Refusals(faults)
    settings = _grown({name: value for name, value in values.items() if name not in _BESIDE})
    ratio, goal = settings.pop("ratio", {}), settings.setdefault("goal", {})
    _add_further(settings, values.get("more", {}))
    if ratio and "sd" not in goal:
        goal |= _of_ratio(ratio, goal)
    goal |= _of_question(values.get("question", "differs"), goal)
    return Asked(settings, _solve(settings), values.get("traffic"))


def _solve(settings: dict[str, Any]) -> str | None:
    """Put the value in that follows from three others; the sample size is left to the settings."""
    goal = settings["goal"]
    if goal.get("margin") and "effect" not in goal and "sample_size" not in settings:
        goal["effect"] = 0.0
    given = {name: (goal if name == "effect" else settings).get(name) for name in FOUR}
    missing = [name for name in FOUR if given[name] is None]
    if len(missing) > 1:
        raise InputError(
            "input.invalid",
            f"{' and '.join(missing).replace('_', ' ')} are empty; of alpha, power, effect and units leave one empty, "
            "and it is solved for",
            field="goal.effect" if "effect" in missing else missing[0],
        )
    if missing in ([], ["sample_size"]):
        return missing[0] if missing else None
    found = _found(settings_of({**settings, "goal": {"effect": 1.0, **goal}}), missing[0])
    (goal if missing[0] == "effect" else settings)[missing[0]] = found
    return missing[0]


def _found(settings: ExperimentSettings, name: str) -> float:
    """Alpha, power or effect, from the other three."""
    goal = settings.goal
    with within("goal"):
        metric = _mirrored(goal.metric(), goal.better)
    try:
        plan = design(
            metric,
            alpha=None if name == "alpha" else settings.alpha,
            power=settings.power,
            effect=None if name == "effect" else goal.effect if goal.margin else abs(goal.effect),
            sample_size=settings.sample_size,
            alternative="two_sided" if goal.alternative == "two_sided" else "greater",
            weights=tuple(variant.weight for variant in settings.variants),
            margin=goal.margin,
        )
    except FoldlineError as error:
        if error.field in Goal.__struct_fields__:
            error.field = f"goal.{error.field}"
        raise
    return float(getattr(plan, name))


def _mirrored(metric: Metric, better: int) -> Metric:
    """The metric whose rise is as hard to find as this one's fall: failures for successes."""
    if better > 0 or not isinstance(metric, ProportionMetric):
        return metric
    return replace(metric, baseline=1.0 - metric.baseline)


def _of_ratio(ratio: dict[str, float], goal: dict[str, Any]) -> dict[str, float]:
    """Deviation and baseline of a ratio metric from what is known of its two sums."""
    for name in RATIO:
        if name not in ratio:
            raise InputError(
                "input.invalid",
                f"{name.replace('_', ' ')} is empty; a ratio's deviation follows from mean and deviation of both sums",
                field=f"ratio.{name}",
            )
    with within("ratio"):
        sd = ratio_sd(**{name: ratio[name] for name in RATIO}, correlation=ratio.get(CORRELATION, 0.0))
    return {"sd": sd, "baseline": goal.get("baseline", ratio["numerator_mean"] / ratio["denominator_mean"])}


def _of_question(question: str, goal: dict[str, Any]) -> dict[str, Any]:
    """How many sides the test has, and what a margin goes with."""
    if question == "differs":
        return {}
    if question not in ("better", "not_worse"):
        raise InputError(
            "input.invalid", f"question {question!r}; expected differs, better or not_worse", field="question"
        )
    one_sided = {"alternative": "less" if goal.get("direction") == "decrease" else "greater"}
    if question == "better":
        return one_sided
    if not goal.get("margin"):
        raise InputError(
            "input.invalid",
            "how much worse is good enough is empty or 0; give the margin, on the metric's own scale",
            field="goal.margin",
        )
    if goal.get("kind", "proportion") == "proportion":
        one_sided["method"] = "unpooled"
    return one_sided


def _add_further(settings: dict[str, Any], further: object) -> None:
    if not isinstance(further, dict):
        raise InputError("input.invalid", "further settings are no JSON object, such as {}", field="more")
    for name in further:
        if name in settings:
            raise InputError(
                "input.invalid", f"{name!r} stands in the form and in the further settings", field="more"
            )
    settings |= further


def _grown(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by path as the objects and lists that they stand in; list places count up without gaps."""
    tree: dict[str, Any] = {}
    for name, value in values.items():
        *path, leaf = _PART.findall(name)
        at = tree
        for part in path:
            at = at.setdefault(part, {})
            if not isinstance(at, dict):
                raise InputError(
                    "input.invalid", f"{name!r} is no field of this form beside what it is part of"
                )
        at[leaf] = value
    return _listed(tree)  # type: ignore[no-any-return]  # a name is no number


def _listed(tree: Any) -> Any:
    if not isinstance(tree, dict):
        return tree
    parts = {name: _listed(value) for name, value in tree.items()}
    if parts and all(name.isdigit() for name in parts):
        return [parts[name] for name in sorted(parts, key=int)]
    return parts


def _number(name: str, text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise InputError("input.invalid", f"{_short(name)} is {text!r}; expected a number")
    return found


def _whole(name: str, text: str) -> int:
    found = _number(name, text)
    if found != int(found):
        raise InputError("input.invalid", f"{_short(name)} is {text!r}; expected a whole number")
    return int(found)


def _policy(_name: str, text: str) -> dict[str, Any]:
    return msgspec.to_builtins(parse_policy(text))  # type: ignore[no-any-return]  # of a struct


def _json(name: str, text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise InputError("input.invalid", f"{_short(name)} is no JSON: {error}") from error


def _names(_name: str, text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def _text(_name: str, text: str) -> str:
    return text


def _short(name: str) -> str:
    return name.rpartition(".")[2].replace("_", " ")


_READERS: Final[dict[str, Callable[[str, str], Any]]] = {
    **dict.fromkeys((*NUMBERS, *RATIO, CORRELATION), _number),
    **dict.fromkeys(WHOLE, _whole),
    "policy": _policy,
    "condition": _json,
    "more": _json,
    "segments": _names,
}
