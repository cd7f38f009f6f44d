"""`foldline models` and `foldline demo fraud`: listings, a loop's models, runs compared."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

import foldline as fl
from tests.cli.conftest import Ran

Run = Callable[..., Ran]


def test_models_are_listed(run: Run) -> None:
    """Ours and River's, by task; each can be shown with its parameters."""
    listed = json.loads(run("models", "list", "--json").out)
    names = {each["model"]: each["task"] for each in listed}
    assert names["HoeffdingTree"] == names["tree.HoeffdingTreeClassifier"] == "classification"
    assert names["HalfSpaceTrees"] == names["anomaly.HalfSpaceTrees"] == "anomaly"
    assert names["linear_model.LinearRegression"] == "regression"
    only = run("models", "list", "--task", "anomaly").out
    assert "HalfSpaceTrees" in only
    assert "HoeffdingTree" not in only
    shown = json.loads(run("models", "show", "tree.HoeffdingTreeClassifier", "--json").out)
    assert shown["parameters"]["grace_period"] == "200"
    assert "lr" in run("models", "show", "LogisticRegression").out
    refused = run("models", "show", "tree.None")
    assert (refused.status, "foldline models list" in refused.err) == (2, True)
    assert run("models", "list", "--task", "magic").status == 2


def test_a_loops_models_are_inspected(run: Run, tmp_path: Path) -> None:
    """By partition, from the snapshots; nothing that runs code is loaded for it."""
    url = f"sqlite:///{tmp_path}/cards.db"
    models = [
        fl.Model(name="tree", model="tree.HoeffdingTreeClassifier", snapshot_every_s=0),
        fl.Model(name="detector", model="HalfSpaceTrees:window_size=500", shadow=True, snapshot_every_s=0),
    ]
    with fl.open(url) as app:
        cards = app.loop("cards", models=models, partitions=2)
        with cards.batch():
            for n in range(60):
                cards.example({"a": n % 10}, unit=f"card-{n % 7}", y=n % 10 > 5)
        cards.catch_up()
    (tmp_path / "cards.db.secret").unlink()
    told = run("models", "inspect", "cards", "--log", url).out
    assert "tree.HoeffdingTreeClassifier (classification)" in told
    assert "in shadow" in told
    assert "give a smaller window_size" in told
    found = json.loads(run("models", "inspect", "cards", "--log", url, "--json").out)
    assert [each["counts"]["examples"] for each in found] == [60, 60]
    assert len(found[0]["partitions"]) == 2
    assert run("models", "inspect", "none", "--log", url).status == 2


@pytest.mark.timeout(500)
def test_the_demo_says_what_came_of_it(run: Run, tmp_path: Path) -> None:
    """One object with every figure; half-space trees get a window that a partition fills, and that is said."""
    arguments = ["demo", "fraud", "--dataset", "phishing", "--partitions", "4", "--headless"]
    told = json.loads(
        run(
            *arguments,
            "--model",
            "HalfSpaceTrees:seed=42",
            "--consumers",
            "2",
            "--json",
            "--out",
            str(tmp_path),
        ).out
    )
    assert told["dataset"] == "phishing"
    assert "window_size is 31" in told["note"]
    assert told["overall"]["count"] == 1_250
    assert told["overall"]["roc_auc"] != 0.5
    assert len(told["consumers"]) == 2
    for part in (told["overall"], *told["consumers"]):
        assert {"count", "accuracy", "roc_auc", "f1", "recall", "log_loss", "latency_ms"} <= set(part)
        assert set(part["latency_ms"]) == {"mean", "p50", "p99", "max"}
    assert {file.name for file in tmp_path.iterdir()} == {"accuracy.png", "latency.png", "consumers.csv"}


@pytest.mark.timeout(500)
def test_runs_are_compared(run: Run, tmp_path: Path) -> None:
    """Every model with every number of consumers, in one table."""
    file = tmp_path / "small.csv"
    file.write_text("a,label\n" + "".join(f"{n % 10},{int(n % 10 > 5)}\n" for n in range(120)))
    told = run(
        "models", "compare", "--model", "LogisticRegression", "--model", "HoeffdingTree", "--consumers", "1,2",
        "--dataset", str(file), "--partitions", "2",
    ).out  # fmt: skip
    lines = [line.split() for line in told.splitlines()]
    assert [line[:3] for line in lines[1:]] == [
        ["LogisticRegression", "1", "120"],
        ["LogisticRegression", "2", "120"],
        ["HoeffdingTree", "1", "120"],
        ["HoeffdingTree", "2", "120"],
    ]
    assert lines[1][3:7] == lines[2][3:7]
    assert run("models", "compare", "--consumers", "9").status == 2
