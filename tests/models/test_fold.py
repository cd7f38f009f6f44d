"""The fold of a model: the laws of folds, the order of predicting and learning, labels of every kind."""

from typing import Any

import msgspec
import numpy as np
import pytest

from foldline.errors import DefinitionError, FoldError
from foldline.models.definition import ModelDefinition, model_definition
from foldline.models.fold import ModelFold
from foldline.models.known import Count
from foldline.records.types import Example, Label, Record, Tick
from foldline.testing.check_fold import check_fold
from tests.models.streams import columns_of, messy

SECRET = b"0123456789abcdef"

MODELS: dict[str, dict[str, Any]] = {
    "our regression": {"model": "LogisticRegression", "label_window_s": 1},
    "our Hoeffding tree": {"model": "HoeffdingTree:grace_period=20", "label_window_s": 1, "groups": 2},
    "our trees": {"model": "HalfSpaceTrees:window_size=20,n_trees=3,height=4", "label_window_s": 1},
    "missing is false": {"model": "LogisticRegression", "label_window_s": 1, "missing": False, "groups": 3},
    "Hoeffding tree": {"model": "tree.HoeffdingTreeClassifier:grace_period=20", "label_window_s": 1, "groups": 2},
    "pipeline": {"model": "preprocessing.StandardScaler|linear_model.LogisticRegression", "window": 50},
    "forest": {"model": "forest.ARFClassifier:n_models=3,seed=42", "label_window_s": 1},
    "detector": {"model": "anomaly.HalfSpaceTrees:seed=42,window_size=20,height=4", "label_window_s": 1},
    "labels only": {"model": "ensemble.VotingClassifier", "parameters": {"models": [
        {"model": "naive_bayes.GaussianNB"}, {"model": "tree.HoeffdingTreeClassifier"}]}},
}  # fmt: skip


def fold_of(**values: Any) -> ModelFold:
    """A fold of a model so defined."""
    return ModelFold(model_definition({"name": "m", **values}), lambda: SECRET)


def told(fold: ModelFold, records: list[Record], state: Any = None) -> list[dict[str, Any]]:
    """The outputs of the records."""
    outputs = fold.apply(fold.empty() if state is None else state, columns_of(records)).outputs
    return [] if outputs is None else [msgspec.json.decode(line) for line in outputs.split()]


@pytest.mark.parametrize("name", MODELS)
def test_the_laws_hold(name: str) -> None:
    """Batches, restarts, a lagging pending half and outputs: all alike."""
    check_fold(fold_of(**MODELS[name]), columns_of(messy(300, 1)))


@pytest.mark.parametrize(
    "model", ["tree.HoeffdingTreeRegressor", "preprocessing.StandardScaler|linear_model.LinearRegression"]
)
def test_the_laws_hold_for_regressors(model: str) -> None:
    """Labels are numbers there."""
    records = messy(300, 2, (0.5, 1.5, 4.0))
    check_fold(fold_of(model=model, label_window_s=1), columns_of(records))


def test_an_example_is_predicted_before_it_is_learnt() -> None:
    """The first of a class is predicted without knowing it; its version counts what was learnt before."""
    fold = fold_of(model="naive_bayes.GaussianNB")
    made = told(fold, [Example(time=i, id=f"0.0.{i}", unit="u", x={"a": 1.0}, y=True) for i in range(3)])
    assert [(each.get("value"), each["learnt"]) for each in made] == [(None, 0), (True, 1), (True, 2)]
    assert made[1]["probabilities"] == {"true": 1.0}
    assert made[1]["id"] == "0.0.1/m"


def test_labels_that_come_late_early_never_and_twice() -> None:
    """Each is counted for what it is, and only the inference of record is measured."""
    fold = fold_of(model="LogisticRegression", label_window_s=1)
    state = fold.empty()
    records: list[Record] = [
        Example(time=0, id="0.0.a", unit="u", x={"f": 1.0}),
        Example(time=0, id="0.0.b", unit="u", x={"f": 0.0}),
        Example(time=1, id="0.0.a", unit="u", x={"f": 5.0}),
        Label(time=2, example="0.0.a", y=True),
        Label(time=3, example="0.0.a", y=False),
        Label(time=4, example="0.0.c", y=True),
        Example(time=5, id="0.0.c", unit="u", x={"f": 2.0}),
        Label(time=6, example="0.0.nobody", y=True),
        Tick(time=2_000),
        Label(time=2_001, example="0.0.b", y=True),
    ]
    made = told(fold, records, state)
    assert [(each["type"], each["example"]) for each in made] == [
        ("inference", "0.0.a"), ("inference", "0.0.b"), ("labelled", "0.0.a"), ("inference", "0.0.c"),
    ]  # fmt: skip
    counts = {name.name: int(state.known.counts[name]) for name in Count if state.known.counts[name]}
    assert counts == {
        "EXAMPLES": 3, "DUPLICATES": 1, "LEARNT": 2, "LABELLED": 2, "LABELS_AGAIN": 1, "UNMATCHED": 1, "MISSING": 1,
    }  # fmt: skip
    assert state.known.classification.report().confusion == ((0, 2, 0), (0, 0, 0)) or (
        state.known.classification.count == 2
    )
    assert fold.due(state) is None


def test_a_missing_label_is_what_was_declared() -> None:
    """And nothing else: without a declaration it is no negative."""
    records: list[Record] = [Example(time=0, id="0.0.a", unit="u", x={"f": 1.0}), Tick(time=1_000)]
    for missing, learnt in ((None, 0), (False, 1)):
        fold = fold_of(model="LogisticRegression", label_window_s=1, missing=missing)
        state = fold.empty()
        made = told(fold, records, state)
        assert (int(state.known.counts[Count.MISSING]), int(state.known.counts[Count.LEARNT])) == (1, learnt)
        assert [each["type"] for each in made] == ["inference", "labelled"][: 1 + learnt]


def test_what_a_model_raises_is_told_and_the_others_go_on() -> None:
    """A text where the scaler wants numbers: that example fails, the next is predicted and learnt."""
    fold = fold_of(model="preprocessing.StandardScaler|linear_model.LogisticRegression")
    state = fold.empty()
    made = told(fold, [
        Example(time=0, id="0.0.a", unit="u", x={"f": 1.0}, y=True),
        Example(time=0, id="0.0.b", unit="u", x={"f": "much"}, y=True),
        Example(time=0, id="0.0.c", unit="u", x={"f": 2.0}, y=True),
    ], state)  # fmt: skip
    assert ["error" in each for each in made] == [False, True, False]
    assert (int(state.known.counts[Count.FAILURES]), int(state.known.counts[Count.LEARNT])) == (1, 2)


def test_a_detector_says_when_it_is_cold() -> None:
    """Until its window is full once, every score is 0 and marked."""
    for model in (
        "anomaly.HalfSpaceTrees:seed=1,window_size=5,height=3",
        "HalfSpaceTrees:seed=1,window_size=5,height=3",
    ):
        fold = fold_of(model=model)
        made = told(fold, [Example(time=i, id=f"0.0.{i}", unit="u", x={"f": i * 0.37 % 1}) for i in range(7)])
        assert [each.get("cold", False) for each in made] == [True] * 5 + [False] * 2
        assert [each["score"] > 0 for each in made] == [False] * 5 + [True] * 2, model


def test_units_of_a_group_meet_one_model() -> None:
    """As many models as groups; a unit's examples all go to one."""
    fold = fold_of(model="LogisticRegression", groups=4)
    state = fold.empty()
    told(
        fold,
        [Example(time=i, id=f"0.0.{i}", unit=f"u{i % 50}", x={"f": 0.5}, y=True) for i in range(100)],
        state,
    )
    assert sorted(state.known.states) == [0, 1, 2, 3]
    seen = [int(each.arrays["count"][0]) for _, each in sorted(state.known.states.items())]
    assert sum(seen) == 100
    assert all(count % 2 == 0 for count in seen)


def test_only_signed_states_are_loaded() -> None:
    """Another secret, a changed byte, another model: refused, before anything is unpickled."""
    fold = fold_of(model="tree.HoeffdingTreeClassifier")
    state = fold.empty()
    told(fold, [Example(time=0, id="0.0.a", unit="u", x={"f": 1.0}, y=True)], state)
    dump = fold.dump(state)
    assert fold.load(dump).known.counts.tolist() == state.known.counts.tolist()
    other = ModelFold(fold.definition, lambda: b"another secret, long enough")
    with pytest.raises(FoldError) as refused:
        other.load(dump)
    assert refused.value.code == "fold.unsigned"
    with pytest.raises(FoldError, match="bears no signature"):
        fold_of(model="tree.HoeffdingTreeClassifier:max_depth=3").load(dump)
    with pytest.raises(FoldError, match="FOLDLINE_SECRET"):
        ModelFold(fold.definition).dump(fold.load(dump))


def test_parts_merge_to_the_whole() -> None:
    """Counts and metrics of two partitions are those of both, in either order."""
    fold = fold_of(model="HalfSpaceTrees:window_size=20", exact_scores=50, label_window_s=1)
    parts = []
    for seed in (1, 2, 3):
        state = fold.empty()
        told(fold, messy(400, seed), state)
        parts.append(fold.load_known(fold.dump(state).known))
    one, other = fold.merge_all(parts), fold.merge_all(parts[::-1])
    assert one.counts.tolist() == other.counts.tolist()
    report, reverse = one.classification.report(), other.classification.report()
    assert (report.roc_auc, report.log_loss, report.count) == (
        reverse.roc_auc,
        reverse.log_loss,
        reverse.count,
    )
    assert report.count == sum(part.classification.count for part in parts)
    assert report.roc_auc_error > 0


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"model": "tree.NoSuchTree"}, "NoSuchTree"),
        ({"model": "os.system"}, "os.system"),
        ({"model": "NoModel"}, "NoModel"),
        ({"model": "preprocessing.StandardScaler"}, "expected a classifier"),
        ({"model": "tree.HoeffdingTreeClassifier:depth=3"}, "depth"),
        ({"model": "tree.HoeffdingTreeClassifier:max_depth=x"}, "max_depth is 'x', expected int or None"),
        ({"model": "LogisticRegression:lr=-1"}, "lr is -1"),
        ({"model": "LogisticRegression", "windows": 3}, "windows"),
        ({"model": "anomaly.GaussianScorer"}, "expected a classifier"),
    ],
)
def test_a_model_that_cannot_be_is_refused(values: dict[str, Any], said: str) -> None:
    """When it is defined, not when the first example comes."""
    with pytest.raises(DefinitionError, match=said):
        model_definition({"name": "m", **values})


def test_the_course_has_points_at_multiples() -> None:
    """Evenly apart, at most 256 of them, whatever the batches."""
    fold = fold_of(model="LogisticRegression", window=100)
    state = fold.empty()
    for start in range(0, 30_000, 777):
        stop = min(start + 777, 30_000)
        told(fold, [
            Example(time=i, id=f"0.0.{i}", unit="u", x={"f": (i % 7) / 7}, y=i % 7 > 3) for i in range(start, stop)
        ], state)  # fmt: skip
    course = state.known.course
    assert course.every == 200
    np.testing.assert_array_equal(course.points[:, 1], np.arange(200, 30_001, 200))
    assert (course.points[-1, 2:] == 1.0).all()


def test_definitions_have_defaults_that_say_what_they_mean() -> None:
    """A definition is JSON values; equal models are one identity however they were written."""
    one = model_definition({"name": "m", "model": "tree.HoeffdingTreeClassifier:max_depth=10"})
    other = model_definition(
        {"name": "m", "model": {"model": "tree.HoeffdingTreeClassifier"}, "parameters": {"max_depth": 10}}
    )
    assert isinstance(one, ModelDefinition)
    assert ModelFold(one).parameters() == ModelFold(other).parameters()


def test_the_window_is_told_now_and_then() -> None:
    """A record of metrics after every 50 labelled examples, whatever the batches, after the last one's inference."""
    fold = fold_of(model="LogisticRegression", window=50)
    examples: list[Record] = [
        Example(time=i, id=f"0.0.{i}", unit="u", x={"f": i % 2}, y=i % 2 == 1) for i in range(700)
    ]
    whole = told(fold, examples)
    places = [place for place, each in enumerate(whole) if each["type"] == "metrics"]
    assert [whole[place]["labelled"] for place in places] == list(range(50, 701, 50))
    assert [whole[place - 1]["example"] for place in places[:2]] == ["0.0.49", "0.0.99"]
    assert whole[places[-1]]["window"]["accuracy"] == 1.0
    state = fold.empty()
    assert [
        each for start in range(0, 700, 37) for each in told(fold, examples[start : start + 37], state)
    ] == whole
