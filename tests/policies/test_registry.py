"""Policies by name: from JSON, from the command line, for help pages; and clear refusals."""

from typing import Any

import msgspec
import pytest

from foldline.errors import DefinitionError, InputError
from foldline.policies.discounted import Discounted
from foldline.policies.epsilon_greedy import EpsilonGreedy
from foldline.policies.fixed import Fixed
from foldline.policies.mixture import Mixture
from foldline.policies.protocol import Policy
from foldline.policies.random import Random
from foldline.policies.registry import POLICIES, describe, parse_policy, policy_from
from foldline.policies.split import Split
from foldline.policies.thompson import Thompson


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("random", Random()),
        ("fixed:action=b", Fixed("b")),
        ("fixed:action=1", Fixed("1")),
        ("split:a=0.9,b=.1", Split({"a": 0.9, "b": 0.1})),
        ("epsilon_greedy", EpsilonGreedy()),
        ("epsilon_greedy:epsilon=0.05,ties=first", EpsilonGreedy(0.05, ties="first")),
        ("discounted:half_life_s=200", Discounted(half_life_s=200.0)),
        ("thompson:half_life_s=null, prior_count = 2", Thompson(prior_count=2.0)),
        ("mixture:policy=thompson,share=0.2", Mixture({"kind": "thompson"}, share=0.2)),
    ],
)
def test_policies_are_parsed(text: str, expected: Policy) -> None:
    """What `--policy` accepts."""
    assert parse_policy(text) == expected


@pytest.mark.parametrize("policy", [Random(), Split({"a": 1.0}), Thompson(half_life_s=5.0)], ids=repr)
def test_policies_survive_json(policy: Policy) -> None:
    """A policy is its JSON, given as a mapping, text or bytes."""
    encoded = msgspec.json.encode(policy)
    assert policy_from(encoded) == policy
    assert policy_from(encoded.decode()) == policy
    assert policy_from(msgspec.to_builtins(policy)) == policy


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("epsilon_gredy", "input.unknown_policy", "did you mean 'epsilon_greedy'?"),
        ("", "input.unknown_policy", "expected one of random, fixed"),
        ("epsilon_greedy:epsilom=1", "input.invalid", "did you mean 'epsilon'?"),
        ("epsilon_greedy:epsilon=2", "input.invalid", "<= 1.0"),
        ("epsilon_greedy:epsilon=nan", "input.invalid", "epsilon=nan"),
        ("epsilon_greedy:epsilon=inf", "input.invalid", "epsilon=inf"),
        ("epsilon_greedy:epsilon=much", "input.invalid", "Expected `float`"),
        ("epsilon_greedy:epsilon", "input.invalid", "is not name=value"),
        ("epsilon_greedy:epsilon=0,epsilon=1", "input.invalid", "given twice"),
        ("epsilon_greedy:ties=last", "input.invalid", "ties='last'"),
        ("fixed", "input.invalid", "needs action"),
        ("mixture:policy=random", "input.unknown_policy", "expected one of epsilon_greedy, constant_step"),
        ("mixture:policy=mixture", "input.unknown_policy", "policy 'mixture' is not known"),
        ("mixture:policy=thompson,share=0", "input.invalid", "> 0"),
        ("split", "input.invalid", "shares"),
        ("split:a=0", "input.invalid", "at least one above 0"),
        ("split:a=-1", "input.invalid", ">= 0.0"),
        ("discounted:half_life_s=0", "input.invalid", ">= 0.001"),
    ],
)
def test_bad_policies_are_refused(text: str, code: str, says: str) -> None:
    """The error names the value, the rule, and the nearest name."""
    with pytest.raises(InputError) as caught:
        parse_policy(text)
    assert caught.value.code == code
    assert says in str(caught.value)


@pytest.mark.parametrize("source", ["[]", "{", {"epsilon": 0.1}, {"kind": 3}])
def test_what_is_no_policy_is_refused(source: Any) -> None:
    """JSON of another form has no kind."""
    with pytest.raises(InputError):
        policy_from(source)


def test_construction_checks_too() -> None:
    """A policy that cannot be never comes to be; whole numbers become floats."""
    with pytest.raises(InputError, match="epsilon=2"):
        EpsilonGreedy(2)
    assert isinstance(EpsilonGreedy(1).epsilon, float)


def test_every_parameter_is_described() -> None:
    """Help pages have a default, a range and a doc for each parameter of each kind."""
    described = [
        parameter for policy in POLICIES for parameter in describe(str(policy.__struct_config__.tag))
    ]
    assert len(described) >= 20
    assert all(p.default and p.range and p.doc for p in described)
    assert {p.unit for p in described if p.name.endswith("_s")} == {"s"}


@pytest.mark.parametrize("policy", [Fixed("z"), Split({"z": 1.0})], ids=repr)
def test_a_loop_without_the_action_named_is_refused(policy: Policy) -> None:
    """Checked when the loop is defined, not when it decides."""
    with pytest.raises(DefinitionError, match="'z'"):
        policy.check(["a", "b"], 0.0, 1.0)
