"""Tables of labelled rows: kinds of columns, classes, what is refused."""

import gzip
import json
from pathlib import Path

import numpy as np
import pytest

from foldline.errors import InputError
from foldline.simulation.readers.labelled_table import LabelledTable, read_table


def _table(tmp_path: Path, text: str, **given: str) -> LabelledTable:
    file = tmp_path / "t.csv"
    file.write_text(text)
    return read_table(file, **given)


def test_empty_cells_are_absent_features(tmp_path: Path) -> None:
    """A number column with gaps stays one of numbers; a row without a label has the index -1."""
    table = _table(tmp_path, "a,b,y\n1,x,no\n,,yes\n2.5,z,\n")
    assert table.features == ("a", "b")
    assert table.classes == ("no", "yes")
    assert list(table.rows()) == [({"a": 1.0, "b": "x"}, 0), ({}, 1), ({"a": 2.5, "b": "z"}, -1)]
    assert list(table.rows(2)) == list(table.rows())[2:]
    assert list(table.head(1).rows()) == list(table.rows())[:1]


@pytest.mark.parametrize(
    ("labels", "given", "classes", "indexes"),
    [
        ("1 0 1", {}, ("0", "1"), [1, 0, 1]),
        ("UP DOWN UP", {}, ("DOWN", "UP"), [1, 0, 1]),
        ("good bad good", {"positive": "bad"}, ("good", "bad"), [0, 1, 0]),
        ("b a c", {}, ("b", "a", "c"), [0, 1, 2]),
        ("b a c", {"positive": "a"}, ("not a", "a"), [0, 1, 0]),
    ],
)
def test_classes(
    tmp_path: Path, labels: str, given: dict[str, str], classes: tuple[str, ...], indexes: list[int]
) -> None:
    """Of two the positive one stands last; one named against all others makes two."""
    table = _table(tmp_path, "x,y\n" + "".join(f"1,{label}\n" for label in labels.split()), **given)
    assert (table.classes, table.labels.tolist()) == (classes, indexes)
    assert table.is_binary == (len(classes) == 2)


@pytest.mark.parametrize(
    ("text", "given", "says"),
    [
        ("x,y\n", {}, "no rows"),
        ("x,y\n1,0\n1\n", {}, "line 3 has 1 fields, the header has 2"),
        ("x,y\n1,0\n", {"target": "z"}, "'z' among them"),
        ("x,x\n1,0\n", {}, "expected each once"),
        ("x,y\n1,0\n2,0\n", {}, "expected two or more"),
        ("x,y\n1,0\n2,1\n", {"positive": "2"}, "no row of 't' has y '2'"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, text: str, given: dict[str, str], says: str) -> None:
    """With what was found and what was expected."""
    with pytest.raises(InputError, match=says):
        _table(tmp_path, text, **given)


@pytest.mark.parametrize("name", ["elec2", "phishing", "creditcard_sample", "sea_abrupt"])
def test_published_streams_are_read(shared_data: Path, name: str) -> None:
    """Rows, features, positives and means as their collection states them."""
    said = json.loads((shared_data / f"streams/{name}.reference.json").read_text())
    table = read_table(shared_data / f"streams/{name}.csv.gz", said["target"])
    assert (len(table), list(table.features)) == (said["rows"], said["features"])
    assert int(np.sum(table.labels)) == said["positives"]
    for feature, column in zip(table.features, table.columns, strict=True):
        np.testing.assert_allclose(
            column.astype(np.float64).mean(), said["mean"][feature], rtol=1e-9, atol=1e-12
        )


def test_zipped_and_plain_are_alike(tmp_path: Path) -> None:
    """Told by the first bytes."""
    text = "x,y\n1,0\n2,1\n"
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(text.encode()))
    zipped = read_table(tmp_path / "t.csv.gz")
    assert list(zipped.rows()) == list(_table(tmp_path, text).rows())
