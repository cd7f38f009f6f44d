"""Metrics of a model's fold against River's own evaluation, and against the published figures of every stream."""

import json
from pathlib import Path
from typing import Any

import pytest
from river import anomaly, compose, evaluate, linear_model, preprocessing, tree
from river import metrics as river_metrics

from foldline.models.classification_metrics import ClassificationReport
from foldline.models.definition import model_definition
from foldline.models.fold import ModelFold
from foldline.models.known import KnownModel
from foldline.models.report import metrics_of
from foldline.records.codec import decode, encode_lines
from foldline.records.types import Example, Value
from foldline.simulation.readers.labelled_table import LabelledTable, read_table

metrics: Any = river_metrics  # not typed
progressive_val_score: Any = evaluate.progressive_val_score

BINARY = ("phishing", "elec2", "sea_abrupt", "creditcard_sample", "url_phishing")

REGRESSION = "preprocessing.StandardScaler|linear_model.LogisticRegression"
TREE = "tree.HoeffdingTreeClassifier"


def _rows(table: LabelledTable, rows: int | None = None) -> list[tuple[dict[str, Any], Value]]:
    """Features as floats; labels as booleans, or as texts where there are more than two."""
    binary = table.is_binary
    return [
        ({name: float(cell) for name, cell in x.items()}, bool(y) if binary else table.classes[y])
        for x, y in table.rows(0, rows)
    ]


def _folded(model: str, rows: list[tuple[dict[str, Any], Value]]) -> KnownModel:
    fold = ModelFold(model_definition({"name": "m", "model": model}))
    state = fold.empty()
    for start in range(0, len(rows), 2_000):
        part = enumerate(rows[start : start + 2_000], start)
        lines = encode_lines(Example(time=i, id=f"0.0.{i}", unit="u", x=x, y=y) for i, (x, y) in part)
        fold.apply(state, decode(lines))
    return state.known


def _report(known: KnownModel) -> ClassificationReport:
    report = metrics_of(known, "classification")
    assert isinstance(report, ClassificationReport)
    return report


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("model", [REGRESSION, TREE])
def test_binary_streams(shared_data: Path, name: str, model: str) -> None:
    """Accuracy, F1, recall and River's ROC AUC to the last digit; the published accuracy, F1 and exact ROC AUC."""
    table = read_table(shared_data / f"streams/{name}.csv.gz")
    rows = _rows(table)
    known = _folded(model, rows)
    theirs = [metrics.Accuracy(), metrics.F1(), metrics.Recall(), metrics.ROCAUC(), metrics.LogLoss()]
    made: Any = (
        tree.HoeffdingTreeClassifier()
        if model == TREE
        else compose.Pipeline(preprocessing.StandardScaler(), linear_model.LogisticRegression())
    )
    progressive_val_score(rows, made, metrics.base.Metrics(theirs))
    left_out = known.classification.report(missing=False)
    assert [left_out.accuracy, left_out.f1, left_out.recall, left_out.roc_auc_river] == [
        each.get() for each in theirs[:4]
    ]
    assert left_out.log_loss == pytest.approx(theirs[4].get(), abs=1e-9)
    published = json.loads((shared_data / f"streams/{name}.reference.json").read_text())["prequential"]
    key = "hoeffding_tree (" if model == TREE else "scaled_logistic_default"
    figures = next(value for label, value in published.items() if label.startswith(key))
    report = _report(known)
    assert report.roc_auc_error == 0.0
    assert [report.accuracy, report.f1, report.roc_auc, report.kappa] == pytest.approx(
        [figures[each] for each in ("accuracy", "f1_positive", "roc_auc_of_scores", "kappa")], abs=1e-6
    )


def test_a_stream_of_seven_classes(shared_data: Path) -> None:
    """The published accuracy and kappa, River's macro F1 to the last digits."""
    rows = _rows(read_table(shared_data / "streams/covtype_sample.csv.gz"))
    known = _folded(TREE, rows)
    theirs = [metrics.Accuracy(), metrics.MacroF1(), metrics.CrossEntropy()]
    progressive_val_score(rows, tree.HoeffdingTreeClassifier(), metrics.base.Metrics(theirs))
    left_out = known.classification.report(missing=False)
    assert left_out.accuracy == theirs[0].get()
    assert left_out.macro_f1 == pytest.approx(theirs[1].get(), abs=1e-12)
    published = json.loads((shared_data / "streams/covtype_sample.reference.json").read_text())["prequential"]
    figures = published["hoeffding_tree (tree.HoeffdingTreeClassifier())"]
    report = _report(known)
    assert [report.accuracy, report.kappa] == pytest.approx([figures["accuracy"], figures["kappa"]], abs=1e-6)
    assert report.roc_auc is None
    assert report.recall is None


@pytest.mark.parametrize("name", ["phishing", "creditcard_sample"])
def test_anomaly_scores(shared_data: Path, name: str) -> None:
    """River's ROC AUC of scores to the last digit, from River's trees and from ours."""
    rows = _rows(read_table(shared_data / f"streams/{name}.csv.gz"), 2_000)
    theirs = metrics.ROCAUC()
    progressive_val_score(rows, anomaly.HalfSpaceTrees(seed=42), theirs)
    for model in ("anomaly.HalfSpaceTrees:seed=42", "HalfSpaceTrees:seed=42"):
        report = metrics_of(_folded(model, rows), "anomaly")
        assert isinstance(report, ClassificationReport)
        assert report.roc_auc_river == theirs.get()
        assert report.accuracy is None
