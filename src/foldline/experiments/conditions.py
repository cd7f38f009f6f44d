"""Who is eligible: conditions over a context, as data.

A condition is a JSON object in the language of GrowthBook (itself close to MongoDB's): `{"country": "DE"}`,
`{"age": {"$gte": 18}}`, `{"$or": [{"plan": "pro"}, {"tags": {"$in": ["beta"]}}]}`. It cannot call, import or loop;
regular expressions are bounded (`check_condition`), and what cannot be compared does not match, so evaluating never
raises.
"""

import json
import math
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from foldline.errors import DefinitionError
from foldline.experiments.patterns import longest_text, pattern_fault

Groups = Mapping[str, list[Any]]
"""Lists of values by name, for `$inGroup` and `$notInGroup`."""

_DEEPEST = 16


def matches(condition: Mapping[str, Any], context: Mapping[str, Any], groups: Groups | None = None) -> bool:
    """Whether the context fulfils the condition; every entry must hold, and the empty condition holds always.

    Args:
        condition: see the module; a key is an attribute, with dots a path, or `$and`, `$or`, `$nor`, `$not`.
        context: the attributes; a missing one is null.
        groups: named lists.

    Example:
        >>> matches({"address.country": {"$in": ["DE", "AT"]}}, {"address": {"country": "AT"}})
        True
    """
    return _holds(condition, context, groups or {})


def check_condition(condition: object, groups: Groups | None = None) -> None:
    """Refuse a condition that could not mean what it says: unknown operators, wrong operands, unbounded patterns.

    Raises:
        DefinitionError: `definition.incoherent`, naming the place.

    Example:
        >>> check_condition({"age": {"$gte": 18}})
    """
    for fault in _faults(condition, "condition", groups, 0):
        raise DefinitionError("definition.incoherent", fault, field="condition", value=condition)


def _holds(condition: Any, context: Any, groups: Groups) -> bool:
    if not isinstance(condition, Mapping):
        return False
    return all(_entry_holds(key, value, context, groups) for key, value in condition.items())


def _entry_holds(key: str, value: Any, context: Any, groups: Groups) -> bool:
    if key in ("$or", "$nor", "$and"):
        if not isinstance(value, list):
            return False
        parts = [_holds(part, context, groups) for part in value]
        return all(parts) if key == "$and" else (not parts or any(parts)) == (key == "$or")
    if key == "$not":
        return not _holds(value, context, groups)
    return _fits(value, _at_path(context, key), groups)


def _fits(wanted: Any, actual: Any, groups: Groups, *, fold_case: bool = False) -> bool:
    """Whether a value fulfils what stands under its attribute."""
    if isinstance(wanted, str):
        return bool(_cased(wanted, fold_case) == _cased(_text(actual), fold_case))
    if wanted is None:
        return actual is None
    if isinstance(wanted, bool):
        return actual is not None and _truth(actual) == wanted
    if isinstance(wanted, int | float):
        return _number(actual) == wanted
    if isinstance(wanted, Mapping) and _is_operators(wanted):
        return all(_operator_holds(name, operand, actual, groups) for name, operand in wanted.items())
    return _json(actual) == _json(wanted)


def _operator_holds(name: str, operand: Any, actual: Any, groups: Groups) -> bool:
    if name == "$not":
        return not _fits(operand, actual, groups)
    if name == "$size":
        return isinstance(actual, list) and _fits(operand, len(actual), groups)
    if name == "$elemMatch":
        if not isinstance(actual, list):
            return False
        if isinstance(operand, Mapping) and not _is_operators(operand):
            return any(_holds(operand, item, groups) for item in actual)
        return any(_fits(operand, item, groups) for item in actual)
    if name in ("$all", "$alli"):
        if not isinstance(actual, list) or not isinstance(operand, list):
            return False
        folded = name == "$alli"
        return all(any(_fits(part, item, groups, fold_case=folded) for item in actual) for part in operand)
    if name in ("$inGroup", "$notInGroup"):
        listed = isinstance(operand, str) and _is_in(actual, groups.get(operand, []), fold_case=False)
        return listed == (name == "$inGroup")
    operator = _OPERATORS.get(name)
    return operator is not None and operator(actual, operand)


def _member(fold_case: bool, wanted: bool) -> Callable[[Any, Any], bool]:
    def holds(actual: Any, operand: Any) -> bool:
        return isinstance(operand, list) and _is_in(actual, operand, fold_case=fold_case) == wanted

    return holds


def _is_in(actual: Any, listed: list[Any], *, fold_case: bool) -> bool:
    values = actual if isinstance(actual, list) else [actual]
    return any(
        _same(_cased(value, fold_case), _cased(item, fold_case)) for value in values for item in listed
    )


def _compared(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    """By text where both are text, else as numbers; null is 0, and what is no number compares with nothing."""

    def holds(actual: Any, operand: Any) -> bool:
        if isinstance(actual, str) and isinstance(operand, str):
            return test(actual, operand)
        a, b = _number(actual), _number(operand)
        return not math.isnan(a) and not math.isnan(b) and test(a, b)

    return holds


def _versions(test: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda actual, operand: test(_padded(actual), _padded(operand))


def _matched(flags: int, wanted: bool) -> Callable[[Any, Any], bool]:
    def holds(actual: Any, operand: Any) -> bool:
        pattern, text = _pattern(operand, flags) if isinstance(operand, str) else None, _text(actual)
        if pattern is None or len(text) > longest_text(pattern.pattern):
            return False
        return (pattern.search(text) is not None) == wanted

    return holds


@lru_cache(maxsize=1024)
def _pattern(source: str, flags: int) -> "re.Pattern[str] | None":
    """Compiled, or None where it is faulty or unbounded: it then matches nothing."""
    return None if pattern_fault(source) else re.compile(source, flags)


def _at_path(context: Any, path: str) -> Any:
    for name in path.split("."):
        if not isinstance(context, Mapping) or name not in context:
            return None
        context = context[name]
    return context


def _is_operators(value: Mapping[str, Any]) -> bool:
    return bool(value) and all(str(key).startswith("$") for key in value)


def _same(a: Any, b: Any) -> bool:
    """Equal and of one JSON type: 1 is not true, and "1" is not 1."""
    return _kind(a) == _kind(b) and bool(a == b)


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object" if isinstance(value, Mapping) else "unknown"


def _number(value: Any) -> float:
    """As JavaScript's unary plus, which the language's cases expect: null is 0, text is read, all else is NaN."""
    if value is None:
        return 0
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        try:
            return float(value) if value.strip() else 0
        except ValueError:
            return math.nan
    return math.nan


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return _json(value) if value is None or isinstance(value, bool) else str(value)


def _truth(value: Any) -> bool:
    return bool(value) or isinstance(value, list | dict)


def _cased(value: Any, fold_case: bool) -> Any:
    return value.lower() if fold_case and isinstance(value, str) else value


def _json(value: Any) -> str:
    return json.dumps(value, default=str)


def _padded(version: Any) -> str:
    """A version as text that compares like it: numbers padded, a release after its pre-releases, build left out."""
    text = _text(version) if isinstance(version, str | int | float) else "0"
    parts = re.split(r"[-.]", re.sub(r"^v|\+.*$", "", text))
    if len(parts) == 3:
        parts.append("~")
    return "-".join(part.rjust(5) if re.fullmatch(r"[0-9]+", part) else part for part in parts)


def _faults(condition: Any, place: str, groups: Groups | None, depth: int) -> list[str]:
    """What is wrong with a condition, in words."""
    if not isinstance(condition, Mapping):
        return [f"{place} is {condition!r}; expected an object such as {{'country': 'DE'}}"]
    if depth > _DEEPEST:
        return [f"{place} is nested more than {_DEEPEST} deep; write it flatter"]
    faults: list[str] = []
    for key, value in condition.items():
        here = f"{place}.{key}"
        if key in ("$and", "$or", "$nor"):
            if not isinstance(value, list):
                faults.append(f"{here} is {value!r}; expected a list of conditions")
                continue
            for i, part in enumerate(value):
                faults += _faults(part, f"{here}[{i}]", groups, depth + 1)
        elif key == "$not":
            faults += _faults(value, here, groups, depth + 1)
        elif isinstance(value, Mapping) and any(str(name).startswith("$") for name in value):
            if not _is_operators(value):
                faults.append(f"{here} has operators and names beside each other; give either")
            faults += _operator_faults(value, here, groups, depth + 1)
    return faults


def _operator_faults(
    operators: Mapping[str, Any], place: str, groups: Groups | None, depth: int
) -> list[str]:
    faults: list[str] = []
    for name, operand in operators.items():
        here = f"{place}.{name}"
        if name not in _OPERATORS and name not in _NESTING:
            faults.append(f"{here} is no operator; there are {', '.join(sorted([*_OPERATORS, *_NESTING]))}")
        elif name in _COMPARING and not isinstance(operand, str | int | float):
            faults.append(f"{here} is {operand!r}; expected a number or text")
        elif name == "$type" and operand not in _KINDS:
            faults.append(f"{here} is {operand!r}; expected one of {', '.join(_KINDS)}")
        elif name in ("$in", "$nin", "$ini", "$nini", "$all", "$alli") and not isinstance(operand, list):
            faults.append(f"{here} is {operand!r}; expected a list")
        elif name.lower().endswith(("regex", "regexi")):
            fault = pattern_fault(operand) if isinstance(operand, str) else "it is no text"
            if fault:
                faults.append(f"{here} is {operand!r}: {fault}")
        elif name in ("$inGroup", "$notInGroup") and groups is not None and operand not in groups:
            faults.append(f"{here} names the group {operand!r}; there are {sorted(groups)!r}")
        elif name in ("$not", "$size", "$elemMatch") and isinstance(operand, Mapping):
            nested = _operator_faults if _is_operators(operand) else _faults
            faults += nested(operand, here, groups, depth + 1)
    return faults


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "$eq": _same,
    "$ne": lambda actual, operand: not _same(actual, operand),
    "$lt": _compared(lambda a, b: a < b),
    "$lte": _compared(lambda a, b: a <= b),
    "$gt": _compared(lambda a, b: a > b),
    "$gte": _compared(lambda a, b: a >= b),
    "$veq": _versions(lambda a, b: a == b),
    "$vne": _versions(lambda a, b: a != b),
    "$vlt": _versions(lambda a, b: a < b),
    "$vlte": _versions(lambda a, b: a <= b),
    "$vgt": _versions(lambda a, b: a > b),
    "$vgte": _versions(lambda a, b: a >= b),
    "$in": _member(False, True),
    "$nin": _member(False, False),
    "$ini": _member(True, True),
    "$nini": _member(True, False),
    "$exists": lambda actual, operand: (actual is not None) == _truth(operand),
    "$type": lambda actual, operand: _kind(actual) == operand,
    "$regex": _matched(0, True),
    "$notRegex": _matched(0, False),
    "$regexi": _matched(re.IGNORECASE, True),
    "$notRegexi": _matched(re.IGNORECASE, False),
}

_COMPARING = ("$lt", "$lte", "$gt", "$gte", "$vlt", "$vlte", "$vgt", "$vgte", "$veq", "$vne")

_KINDS = ("null", "boolean", "number", "string", "array", "object")

_NESTING = ("$not", "$size", "$elemMatch", "$all", "$alli", "$inGroup", "$notInGroup")
