"""Settings become definitions: new, changed, the same, refused."""

import math
from typing import Any

import pytest

from foldline.errors import FoldlineError
from foldline.loops.definition import LoopDefinition
from foldline.loops.settings import LoopSettings

NOW = 1_700_000_000_000


def _new(**given: Any) -> LoopDefinition:
    return LoopSettings(**{"actions": ("a", "b"), **given}).settle("news", None, salt="salt", now=NOW)


def test_a_new_loop_has_the_defaults() -> None:
    """Version 1, one partition, everything learnt at once with the default reward."""
    made = _new()
    assert (made.version, made.time, made.salt, made.partitions) == (1, NOW, "salt", 1)
    assert (made.policy["kind"], made.policy["epsilon"]) == ("epsilon_greedy", 0.1)
    assert (made.reward.name, made.reward.wait_ms, made.reward.correction_ms) == ("reward", 0, 3_600_000)
    assert (made.low, made.high, made.complete) == (0.0, 1.0, False)


def test_every_setting_arrives() -> None:
    """In the definition or its reward rule; seconds become milliseconds."""
    made = _new(
        policy={"kind": "random"},
        reward="click",
        reward_wait_s=0.0015,
        correction_s=2,
        default_reward=0.5,
        aggregation="max",
        activation=True,
        complete=True,
        low=-1,
        high=2,
        unit_bits=20,
        partitions=3,
        salt="mine",
    )
    rule = made.reward
    assert (rule.name, rule.wait_ms, rule.correction_ms, rule.default) == ("click", 2, 2_000, 0.5)
    assert (rule.aggregation, rule.activation, rule.unit_bits) == ("max", True, 20)
    assert (made.policy, made.complete, made.low, made.high) == ({"kind": "random"}, True, -1, 2)
    assert (made.partitions, made.salt) == (3, "mine")


def test_what_is_left_out_stays_and_nothing_new_is_the_same_object() -> None:
    """So that a definition given again writes nothing."""
    old = _new(reward_wait_s=5, high=10)
    later: dict[str, Any] = {"salt": "other", "now": NOW + 1}
    assert LoopSettings().settle("news", old, **later) is old
    assert LoopSettings(actions=("a", "b"), high=10, reward_wait_s=5).settle("news", old, **later) is old
    new = LoopSettings(actions=("c",)).settle("news", old, **later)
    assert (new.version, new.time, new.salt) == (2, NOW + 1, "salt")
    assert (new.actions, new.high, new.reward) == (("c",), 10, old.reward)


@pytest.mark.parametrize(
    ("given", "code", "field"),
    [
        ({"actions": None}, "input.no_action", "actions"),
        ({"reward_wait_s": math.nan}, "input.invalid", "reward_wait_s"),
        ({"correction_s": math.inf}, "input.invalid", "correction_s"),
        ({"reward_wait_s": -1}, "definition.incoherent", "reward_wait_s"),
        ({"correction_s": 0}, "definition.incoherent", "correction_s"),
        ({"reward": ""}, "definition.incoherent", "reward"),
        ({"default_reward": math.inf}, "definition.incoherent", "default_reward"),
        ({"aggregation": "median"}, "definition.incoherent", "aggregation"),
        ({"unit_bits": 53}, "definition.incoherent", "unit_bits"),
        ({"low": math.nan}, "input.not_finite", "low"),
        ({"high": math.inf}, "input.not_finite", "high"),
        ({"high": 2.0**31}, "definition.incoherent", "high"),
        ({"low": -1e300}, "definition.incoherent", "low"),
    ],
)
def test_what_cannot_be_names_the_setting_given(given: dict[str, Any], code: str, field: str) -> None:
    """By the name the caller knows, not the rule's."""
    with pytest.raises(FoldlineError) as caught:
        _new(**given)
    assert (caught.value.code, caught.value.field) == (code, field)


def test_a_large_range_has_room_in_coarser_units() -> None:
    """What 32 bits after the point do not hold, 10 do."""
    assert _new(high=2.0**40, unit_bits=10).high == 2.0**40
