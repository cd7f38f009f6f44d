"""A column of few values tells what the list of them does."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foldline.models.classification_metrics import ClassificationMetrics
from foldline.records.categorical import Categorical, labels
from foldline.records.examples import form_of
from foldline.records.examples import given as as_given
from foldline.records.weaving import numbers, weave

columns = st.one_of(
    st.lists(st.sampled_from([None, True, False]), min_size=1, max_size=40),
    st.lists(st.sampled_from([None, 0, 1, 7, -3]), min_size=1, max_size=40),
    st.lists(st.sampled_from([None, 0, True, 1.5]), min_size=1, max_size=40),
)


def _typed(values: Any) -> list[tuple[type, Any]]:
    return [(type(value), value) for value in values]


def _column(values: list[Any]) -> Any:
    forms = np.array([0 if value is None else form_of(value) for value in values], np.uint8)
    return labels(np.array(values, np.float64), forms), forms


@given(columns)
def test_it_is_the_list(values: list[Any]) -> None:
    """As a sequence, in parts, joined again, woven, as an array, and as places of classes."""
    column, forms = _column(values)
    assert _typed(column) == _typed(as_given(np.array(values, np.float64), forms)) == _typed(values)
    if not isinstance(column, Categorical):
        return
    half = len(values) // 2
    assert _typed([column[0], *column[1:]]) == _typed(values)
    assert _typed(Categorical.joined([column[half:], column[:half]])) == _typed(values[half:] + values[:half])
    assert column.known.tolist() == [value is not None for value in values]
    assert _typed(column.objects()) == _typed(values)
    assert weave([numbers(column)]) == weave([numbers(values)])
    first, second = ClassificationMetrics(), ClassificationMetrics()
    assert first.index(column).tolist() == second.index(values).tolist()
    assert list(first.classes) == list(second.classes)


def test_many_different_numbers_stay_a_list() -> None:
    """And so do numbers with a fraction."""
    assert not isinstance(_column(list(range(65)))[0], Categorical)
    assert not isinstance(_column([0.5])[0], Categorical)


@pytest.mark.parametrize("joined", [(True, 1), (1, True)])
def test_what_is_equal_but_written_differently_stays_apart(joined: tuple[Any, Any]) -> None:
    """True is 1 to Python, and not to JSON."""
    parts = [Categorical((value,), np.zeros(1, np.int64)) for value in joined]
    assert _typed(Categorical.joined(parts)) == _typed(joined)
