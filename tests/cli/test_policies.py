"""`foldline policies`."""

import json
from collections.abc import Callable

from foldline.policies.registry import POLICIES
from tests.cli.conftest import Ran

Run = Callable[..., Ran]


def test_list_shows_every_kind(run: Run) -> None:
    """One line a registered policy, in the registry's order."""
    kinds = [line.split()[0] for line in run("policies", "list").out.splitlines()[1:]]
    assert kinds == [str(policy.__struct_config__.tag) for policy in POLICIES]


def test_list_as_json(run: Run) -> None:
    """JSON lists kind and summary."""
    listed = json.loads(run("policies", "list", "--json").out)
    assert {"kind", "summary"} == set(listed[0])
    assert len(listed) == len(POLICIES)


def test_show_tells_default_and_range(run: Run) -> None:
    """A parameter's row holds its default and range."""
    row = next(
        line
        for line in run("policies", "show", "epsilon_greedy").out.splitlines()
        if line.startswith("epsilon ")
    )
    assert row.split()[1:5] == ["0.1", "0", "to", "1"]


def test_show_as_json(run: Run) -> None:
    """JSON holds the same."""
    shown = json.loads(run("policies", "show", "epsilon_greedy", "--json").out)
    assert shown["kind"] == "epsilon_greedy"
    assert shown["parameters"][0]["name"] == "epsilon"
    assert shown["parameters"][0]["dial"] is True
