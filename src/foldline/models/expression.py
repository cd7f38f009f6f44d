"""A model by name with its parameters: what stands in a definition, and what is typed at a prompt.

A name with a dot is River's (`tree.HoeffdingTreeClassifier`), one without is ours (`HoeffdingTree`). Several in a row
are a pipeline, each fed by the one before. A parameter that is itself a model is written as an object with `model`.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from foldline.errors import InputError

Given = str | dict[str, Any] | list[Any]
"""As JSON has it: a name or text, an object with `model` and `parameters`, or an array of those."""


class Step(msgspec.Struct, frozen=True):
    """One model, or one part of a pipeline.

    Attributes:
        model: its name.
        parameters: by name; JSON values, or steps (a pipeline is a tuple of them).
    """

    model: str
    parameters: dict[str, Any] = {}


Expression = tuple[Step, ...]
"""At least one step."""


def parse_model(text: str) -> Expression:
    """The model of `NAME[:name=value,…]`, or of several with `|` between.

    Values are JSON where they read as such, and text otherwise.

    Raises:
        InputError: `input.invalid`, naming the part that cannot be read.

    Example:
        >>> parse_model("preprocessing.StandardScaler|linear_model.LogisticRegression:l2=0.1")[1].parameters
        {'l2': 0.1}
    """
    return tuple(_parse_step(part, text) for part in text.split("|"))


def model_from(given: Given, parameters: dict[str, Any] | None = None) -> Expression:
    """The model as a definition has it.

    Args:
        given: see `Given`.
        parameters: of the last step, besides those that `given` names.

    Raises:
        InputError: `input.invalid` where it is no such value.

    Example:
        >>> model_from("tree.HoeffdingTreeClassifier", {"max_depth": 10})
        (Step(model='tree.HoeffdingTreeClassifier', parameters={'max_depth': 10}),)
    """
    match given:
        case str():
            steps = parse_model(given)
        case {"model": inner, **rest} if not rest.keys() - {"parameters"}:
            own = rest.get("parameters") or {}
            if not isinstance(own, dict):
                raise _invalid(given, "parameters as an object")
            steps = model_from(inner, own)
        case list() if given:
            steps = tuple(step for part in given for step in model_from(part))
        case _:
            raise _invalid(given, "a name, an object with `model`, or an array of those")
    if not parameters:
        return steps
    last = Step(steps[-1].model, {**steps[-1].parameters, **_nested(parameters)})
    return (*steps[:-1], last)


def model_text(expression: Expression) -> str:
    """The model as `parse_model` reads it, for people: nested models stand as JSON.

    Example:
        >>> model_text(parse_model("anomaly.HalfSpaceTrees:seed=42"))
        'anomaly.HalfSpaceTrees:seed=42'
    """
    return "|".join(_step_text(step) for step in expression)


def model_values(expression: Expression) -> list[dict[str, Any]]:
    """The model as JSON values: equal for equal models, whichever way they were given."""
    return [
        {
            "model": step.model,
            "parameters": {name: _plain(step.parameters[name]) for name in sorted(step.parameters)},
        }
        for step in expression
    ]


def _parse_step(part: str, text: str) -> Step:
    name, _, rest = part.strip().partition(":")
    if not name:
        raise _invalid(text, "NAME[:name=value,…], several with | between")
    parameters: dict[str, Any] = {}
    for piece in _split(rest):
        key, equals, value = (side.strip() for side in piece.partition("="))
        if not (key and equals):
            raise _invalid(text, f"name=value in place of {piece!r}")
        if key in parameters:
            raise _invalid(text, f"{key!r} once")
        try:
            parameters[key] = msgspec.json.decode(value)
        except msgspec.DecodeError:
            parameters[key] = value
    return Step(name, _nested(parameters))


def _split(rest: str) -> Sequence[str]:
    """At commas outside brackets, so that a value may be JSON."""
    pieces, depth, start = [], 0, 0
    for at, char in enumerate(rest):
        depth += (char in "[{") - (char in "]}")
        if char == "," and depth == 0:
            pieces.append(rest[start:at])
            start = at + 1
    return [*pieces, rest[start:]] if rest else []


def _nested(parameters: dict[str, Any]) -> dict[str, Any]:
    return {
        name: model_from(value) if isinstance(value, dict) and "model" in value else value
        for name, value in parameters.items()
    }


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return model_values(value) if len(value) > 1 else model_values(value)[0]
    return value


def _step_text(step: Step) -> str:
    pieces = [
        f"{name}={value if isinstance(value, str) else msgspec.json.encode(_plain(value)).decode()}"
        for name, value in step.parameters.items()
    ]
    return step.model + (":" + ",".join(pieces) if pieces else "")


def _invalid(given: Any, expected: str) -> InputError:
    return InputError(
        "input.invalid", f"model {given!r:.200}: expected {expected}", field="model", value=given
    )
