"""Every public name is documented with an example that runs."""

import inspect

import pytest

import foldline as fl


@pytest.mark.parametrize("name", fl.__all__)
def test_documented_with_an_example(name: str) -> None:
    """The docstring holds a doctest; doctests run with the tests."""
    assert ">>>" in (inspect.getdoc(getattr(fl, name)) or ""), f"foldline.{name} has no example"
