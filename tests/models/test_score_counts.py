"""Score counts: counted, and merged, they are what counting one by one gives."""

from collections import Counter

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from foldline.kernels import as_it_stands, lose_patience
from foldline.models import score_counts
from foldline.models.score_counts import ScoreCounts, counted, grouped, merged

_SCORES = st.one_of(
    st.sampled_from([-np.inf, -1.0, -5e-324, 0.0, 5e-324, 0.5, 1.0, np.inf]), st.floats(allow_nan=False)
)
_DOUBLES = st.lists(st.tuples(_SCORES, st.booleans()), max_size=30)
_BINS: st.SearchStrategy[list[tuple[float, bool]]] = st.lists(
    st.tuples(st.integers(-3, 9).map(float), st.booleans()), max_size=30
)


def _told(found: ScoreCounts) -> dict[tuple[float, int], int]:
    key, of = found
    assert sorted(set(key.tolist())) == key.tolist(), "keys are different and rise"
    return {
        (score, one): count
        for score, counts in zip(key.tolist(), of.tolist(), strict=True)
        for one, count in enumerate(counts)
        if count
    }


def _counted(rows: list[tuple[float, bool]], dtype: type) -> ScoreCounts:
    key: npt.NDArray[np.generic] = np.array([score + 0.0 for score, _ in rows], dtype)  # no zero below 0
    return counted(key, np.array([positive for _, positive in rows], np.bool_))


@pytest.mark.parametrize("plain", [False, True])
@given(data=st.data(), dtype=st.sampled_from([np.float64, np.int64]))
def test_two_parts_merged_are_all_of_them_counted(plain: bool, data: st.DataObject, dtype: type) -> None:
    """Whatever the scores, ties among them, in one part or in both."""
    lose_patience()
    rows: list[list[tuple[float, bool]]]
    rows = [data.draw(_DOUBLES if dtype is np.float64 else _BINS) for _ in range(2)]
    parts = [_counted(each, dtype) for each in rows]
    with pytest.MonkeyPatch.context() as patch:
        if plain:
            patch.setattr(score_counts, "_merge", score_counts._merge_plainly)
        found = merged(*parts[0], *parts[1])
    expected = Counter((score + 0.0, int(positive)) for score, positive in rows[0] + rows[1])
    assert _told(found) == expected
    assert found[0].dtype == dtype or not len(found[0])
    both, of = (np.concatenate([part[half] for part in parts]) for half in (0, 1))
    assert _told(grouped(both, of)) == expected


def test_the_kernel_as_it_stands_is_the_compiled_one() -> None:
    """Line by line in Python, too."""
    key, more = np.array([1, 4, 9]), np.array([0, 4, 10])
    of, of_more = np.array([[1, 0], [0, 2], [3, 3]]), np.array([[5, 5], [1, 1], [0, 1]])
    found = []
    for merge in (score_counts._merge, as_it_stands(score_counts._merge), score_counts._merge_plainly):
        out, out_of = np.zeros(6, np.int64), np.zeros((6, 2), np.int64)
        count = merge(key, of, more, of_more, out, out_of)
        found.append((out[:count].tolist(), out_of[:count].tolist()))
    assert found == 3 * [([0, 1, 4, 9, 10], [[5, 5], [1, 0], [1, 3], [3, 3], [0, 1]])]
