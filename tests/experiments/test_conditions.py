"""Targeting conditions against GrowthBook's cases."""

import json
from pathlib import Path
from typing import Any

import pytest

from foldline.errors import DefinitionError
from foldline.experiments.conditions import check_condition, matches
from foldline.experiments.patterns import longest_text, pattern_fault


def growthbook(shared_data: Path, section: str) -> list[list[Any]]:
    """One section of the published cases."""
    cases: list[list[Any]] = json.loads((shared_data / "growthbook" / "cases.json").read_text())[section]
    assert cases
    return cases


def test_growthbook_conditions(shared_data: Path) -> None:
    """All 124 published cases."""
    cases = growthbook(shared_data, "evalCondition")
    wrong = [case[0] for case in cases if matches(case[1], case[2], *case[4:5]) is not case[3]]
    assert wrong == []
    assert len(cases) == 124


@pytest.mark.parametrize(
    ("condition", "place"),
    [
        ([], "condition is []"),
        ({"$or": {"a": 1}}, "condition.$or"),
        ({"$and": [{"a": {"$like": 1}}]}, "condition.$and[0].a.$like is no operator"),
        ({"a": {"$in": "x"}}, "condition.a.$in is 'x'; expected a list"),
        ({"a": {"$not": {"$regex": "("}}}, "condition.a.$not.$regex"),
        ({"a": {"$regex": 5}}, "it is no text"),
        ({"a": {"$regex": "(a+)+$"}}, "a repetition or a choice inside a repetition"),
        ({"a": {"$elemMatch": {"b": {"$nope": 1}}}}, "condition.a.$elemMatch.b.$nope is no operator"),
        ({"a": {"$inGroup": "staff"}}, "names the group 'staff'"),
        ({"a": {"$gt": [1]}}, "condition.a.$gt is [1]; expected a number or text"),
        ({"a": {"$type": "date"}}, "condition.a.$type is 'date'"),
        ({"a": {"$gt": 1, "b": 2}}, "operators and names beside each other"),
    ],
)
def test_conditions_that_cannot_mean_what_they_say(condition: object, place: str) -> None:
    """Refused when the experiment is defined, with the place at fault; evaluated they would match nothing."""
    with pytest.raises(DefinitionError) as refused:
        check_condition(condition, {"beta": [1]})
    assert place in str(refused.value)


def test_deep_conditions_are_refused() -> None:
    """Nesting is bounded."""
    condition: dict[str, Any] = {"a": 1}
    for _ in range(40):
        condition = {"$not": condition}
    with pytest.raises(DefinitionError):
        check_condition(condition)


def test_published_conditions_are_accepted(shared_data: Path) -> None:
    """But for those that are faulty on purpose."""
    refused = []
    for case in growthbook(shared_data, "evalCondition"):
        try:
            check_condition(case[1])
        except DefinitionError:
            refused.append(case[0])
    assert refused == ["$nin - not array", "$ini - not array", "$regex invalid - pass"]


@pytest.mark.parametrize(
    ("pattern", "fine"),
    [
        ("^[a-z]+@example\\.com$", True),
        ("(Mobile|Tablet)", True),
        ("a{1,20}b", True),
        ("(a|b)*c", True),
        ("^(\\d{1,3}\\.){3}\\d{1,3}$", True),
        ("(?:www\\.)?example\\.[a-z]+/.*", True),
        ("^a*a*a*b", True),
        ("a*a*a*b", False),
        ("(a|aa)*b", False),
        ("(foo|bar)+", False),
        ("(a{0,9}){9}b", False),
        ("a{0,60}a{0,60}a{0,60}a{0,60}a{0,60}b", False),
        ("(a*)*", False),
        ("(a{1,}){2,}", False),
        ("(x+x+)+y", False),
        ("(a)\\1", False),
        ("a*a*a*a*b", False),
        ("x" * 300, False),
        ("(", False),
    ],
)
def test_patterns_are_bounded(pattern: str, fine: bool) -> None:
    """No repetition inside another, few beside each other, no back references."""
    assert (pattern_fault(pattern) is None) is fine


@pytest.mark.timeout(20)
@pytest.mark.parametrize("pattern", ["a*a*b", "^a*a*a*b", "a{0,60}a{0,60}b", "(a?){12}b", "a*b"])
def test_the_worst_texts_are_searched_in_time(pattern: str) -> None:
    """The longest text that a pattern may see, made for backtracking; one character more matches nothing."""
    longest = longest_text(pattern)
    assert longest >= 256
    assert not matches({"a": {"$regex": pattern}}, {"a": "a" * longest})
    assert not matches({"a": {"$notRegex": pattern}}, {"a": "a" * (longest + 1)})


def test_an_unbounded_pattern_matches_nothing() -> None:
    """Even if nobody checked it: this one would take 2^40 steps."""
    assert not matches({"a": {"$regex": "(a+)+$"}}, {"a": "a" * 40 + "b"})


@pytest.mark.parametrize(
    "condition",
    [
        {"$or": 5},
        {"$and": {"a": 1}},
        {"$not": 5},
        {"a": {"$gt": []}},
        {"a": {"$in": None}},
        {"a": {"$size": "x"}},
        {"$or": [5]},
        {"a": {"$what": 1}},
        {"a.b.c": 1},
    ],
)
@pytest.mark.parametrize("value", [None, "x", 5, True, [], {}, [1, "2"], {"b": 1}, float("nan")])
def test_evaluation_never_raises(condition: dict[str, Any], value: Any) -> None:
    """What cannot be compared does not match."""
    assert matches(condition, {"a": value}) in (True, False)
