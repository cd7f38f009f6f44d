"""The compiled form chooses by the published draw, and refuses what it cannot serve."""

import numpy as np
import pytest

from foldline.errors import DefinitionError, FoldlineError, InputError
from foldline.policies.compiled import Compiled
from foldline.policies.protocol import WHOLE
from foldline.records.hashing import draw

ACTIONS = ("a", "b", "c")
GREEDY = {"epsilon": 0.3, "ties": "random", "values": [0.1, 0.3, 0.2]}


@pytest.fixture
def compiled() -> Compiled:
    """A greedy table of three actions."""
    return Compiled("epsilon_greedy", ACTIONS, GREEDY, "salt")


def test_choose_is_decide_at_the_draw_of_the_id(compiled: Compiled) -> None:
    """The hot path and the general one agree on action and propensity, decision for decision."""
    for d in range(500):
        id = f"0.3.unité-{d}"
        index, propensity = compiled.choose(id)
        assert compiled.decide(None, draw("salt", "action", id), None) == (ACTIONS[index], propensity)
        assert propensity == int(compiled.weights[index]) / WHOLE


def test_every_draw_falls_on_an_action_with_weight() -> None:
    """The first and the last draw, and those beside each boundary, choose by the cumulative table."""
    compiled = Compiled("split", ACTIONS, {"weights": {"b": 1.0, "c": 1.0}}, "salt")
    half = WHOLE // 2
    chosen = [compiled.decide(None, d, None)[0] for d in (0, half - 1, half, WHOLE - 1)]
    assert chosen == ["b", "b", "c", "c"]


def test_a_mask_changes_the_propensities(compiled: Compiled) -> None:
    """Propensity is that among the available actions, whatever their order or kind of collection."""
    for available in (["a", "c"], ("c", "a"), {"a", "c"}):
        weights = compiled.weights_among(available)
        assert weights[1] == 0
        assert compiled.decide(None, 0, available) == ("a", int(weights[0]) / WHOLE)
    assert np.array_equal(compiled.weights_among(None), compiled.weights)


@pytest.mark.parametrize(
    ("available", "code"),
    [([], "input.no_action"), (["a", "z"], "input.unknown_action"), ("abz", "input.unknown_action")],
)
def test_a_mask_that_cannot_be_is_refused(compiled: Compiled, available: list[str], code: str) -> None:
    """Unknown names and empty masks are the caller's errors, and say which."""
    with pytest.raises(InputError) as caught:
        compiled.decide(None, 0, available)
    assert caught.value.code == code


@pytest.mark.parametrize("number", [-1, WHOLE])
def test_a_draw_outside_its_range_is_refused(compiled: Compiled, number: int) -> None:
    """A draw has 53 bits."""
    with pytest.raises(InputError, match="draw="):
        compiled.decide(None, number, None)


@pytest.mark.parametrize(
    ("kind", "actions", "parameters", "error"),
    [
        ("randon", ACTIONS, {"n": 3}, InputError),
        ("random", (), {"n": 0}, InputError),
        ("fixed", ACTIONS, {"action": "z"}, DefinitionError),
        ("split", ACTIONS, {"weights": {"z": 1.0}}, DefinitionError),
    ],
)
def test_what_cannot_decide_is_refused(
    kind: str, actions: tuple[str, ...], parameters: dict[str, object], error: type[FoldlineError]
) -> None:
    """A reader never decides by a table that does not fit its actions."""
    with pytest.raises(error):
        Compiled(kind, actions, parameters, "salt")


def test_a_fixed_action_that_is_not_available_leaves_the_others_equal() -> None:
    """Also where all available weights of a split are zero."""
    for kind, parameters in (("fixed", {"action": "b"}), ("split", {"weights": {"b": 1.0}})):
        compiled = Compiled(kind, ACTIONS, parameters, "salt")
        assert compiled.weights_among(["a", "c"]).tolist() == [WHOLE // 2, 0, WHOLE // 2]
