"""Targeting conditions against GrowthBook's cases."""

import json
from pathlib import Path
from typing import Any

import pytest

from foldline.errors import DefinitionError
from foldline.experiments.conditions import check_condition, matches
from foldline.experiments.patterns import pattern_fault


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
