"""Definitions of experiments: what is refused, what may change, how the catalogue keeps them."""

from typing import Any

import msgspec
import pytest

from foldline.errors import DefinitionError, FoldlineError, InputError
from foldline.experiments.catalogue import ExperimentCatalogue
from foldline.experiments.definition import ExperimentDefinition, checked
from foldline.experiments.settings import ExperimentSettings, read_settings
from foldline.experiments.succession import check_successor

FIELDS: dict[str, Any] = {
    "max_days": 28,
    "variants": [
        {"key": "control", "policy": {"kind": "fixed", "action": "a"}},
        {"key": "b", "policy": {"kind": "thompson"}, "learns": "own"},
    ],
    "goal": {"name": "click", "baseline": 0.07, "effect": 0.04},
}


def _settled(**changes: Any) -> ExperimentDefinition:
    settings = msgspec.convert({**FIELDS, **changes}, ExperimentSettings)
    return checked(settings.settle("ctr", "news", salt="s", now=5))


def test_the_sample_size_follows_from_the_design() -> None:
    """7 % to 11 % with power 0.9: 1,124 a variant by Fleiss with continuity correction."""
    made = _settled()
    assert (made.sample_sizes, made.power, made.state, made.version) == ((1124, 1124), 0.9, "draft", 1)
    assert _settled(goal={"name": "revenue", "kind": "mean", "sd": 15, "effect": 0.7}).sample_sizes == (
        9650,
        9650,
    )


def test_a_decrease_is_designed_downwards() -> None:
    """Of 7 % to 3 %, where less is better."""
    falling = {"name": "error", "baseline": 0.07, "effect": 0.04, "direction": "decrease"}
    assert _settled(goal=falling).sample_sizes == (671, 671)


@pytest.mark.parametrize(
    ("changes", "says", "field"),
    [
        ({"variants": FIELDS["variants"][:1]}, "two or more", "variants"),
        ({"variants": [FIELDS["variants"][0]] * 2}, "each key once", "variants"),
        ({"sample_size": 500, "power": 0.9}, "at least 1124", "sample_size"),
        ({"goal": {"name": "click", "effect": 0.04}}, "baseline", "goal.baseline"),
        ({"goal": {"name": "x", "kind": "mean", "effect": 1}}, "sd", "goal.sd"),
        ({"goal": {"name": "x", "kind": "ratio", "effect": 1, "sd": 1}}, "per", "goal.per"),
        (
            {"goal": {"name": "x", "kind": "mean", "effect": 1, "sd": 1, "covariate": "x"}},
            "its own covariate",
            "goal.covariate",
        ),
        ({"goal": {**FIELDS["goal"], "cap": [0, 1]}}, "cap", "goal.cap"),
        ({"goal": {**FIELDS["goal"], "effect": -0.04}}, "above 0", "goal.effect"),
        ({"max_days": 1, "window_s": 90_000}, "longer max_days", "window_s"),
        (
            {"variants": [FIELDS["variants"][0], {"key": "b", "policy": {"kind": "nonsense"}}]},
            "nonsense",
            "variants[1].policy.kind",
        ),
        ({"condition": {"country": {"$regex": "(a+)+$"}}}, "condition", "condition"),
        ({"forced": {"u1": "nobody"}}, "nobody", None),
        ({"guardrails": [{"name": "click", "alpha": 0.01}]}, "the same twice", "guardrails"),
        ({"guardrails": [{"name": "seconds", "kind": "ratio"}]}, "per", "guardrails[0].per"),
    ],
)
def test_incoherent_definitions_are_refused(changes: dict[str, Any], says: str, field: str | None) -> None:
    """The message names what contradicts what, and the error the field, where it stands."""
    with pytest.raises(FoldlineError, match=r"(?s)" + says.replace("+", r"\+")) as refused:
        _settled(**changes)
    assert refused.value.field == field


def test_settings_are_read_strictly() -> None:
    """Unknown fields, wrong types and broken texts are named."""
    with pytest.raises(InputError, match="max_dais"):
        read_settings(msgspec.json.encode({**FIELDS, "max_dais": 1}), "json")
    with pytest.raises(InputError, match="variants"):
        read_settings(msgspec.json.encode({**FIELDS, "variants": 1}), "json")
    nameless = [FIELDS["variants"][0], {"key": "b"}]
    with pytest.raises(InputError) as misplaced:
        read_settings(msgspec.json.encode({**FIELDS, "variants": nameless}), "json")
    assert misplaced.value.field == "variants[1].policy"
    with pytest.raises(InputError) as caught:
        read_settings(b"max_days = ", "toml")
    assert caught.value.code == "input.unreadable"


def test_once_started_only_state_and_coverage_change() -> None:
    """A ramp only rises; another window or split is another experiment."""
    draft = _settled(coverage=0.1)
    running = msgspec.structs.replace(draft, version=2, state="running", started=9)
    check_successor(draft, running)
    check_successor(running, msgspec.structs.replace(running, version=3, coverage=0.5))
    for change in ({"coverage": 0.05}, {"window_ms": 1}, {"salt": "t"}, {"state": "draft"}):
        with pytest.raises(DefinitionError) as caught:
            check_successor(running, msgspec.structs.replace(running, version=3, **change))
        assert caught.value.code == "definition.conflict"


def test_what_has_ended_stays_ended() -> None:
    """An ended experiment cannot be started again."""
    ended = msgspec.structs.replace(_settled(), state="ended", started=1, ended=2)
    with pytest.raises(DefinitionError, match="ended"):
        check_successor(ended, msgspec.structs.replace(ended, version=2, state="running"))


def test_the_catalogue_keeps_the_first_of_each_version() -> None:
    """A version once set is never overwritten; others count up."""
    catalogue, draft = ExperimentCatalogue(), _settled()
    other = msgspec.structs.replace(draft, alpha=0.01)
    running = msgspec.structs.replace(draft, version=2, state="running")
    catalogue.apply(b"\n".join(map(msgspec.json.encode, (draft, other, running))), 7)
    assert catalogue.one("ctr") == running
    assert catalogue.versions("ctr") == [draft, running]
    assert (catalogue.names("news"), catalogue.names("else"), catalogue.offset) == (["ctr"], [], 7)
    with pytest.raises(InputError) as caught:
        catalogue.one("nothing")
    assert caught.value.code == "input.unknown_experiment"
