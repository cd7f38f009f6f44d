"""What models say now: from the newest snapshots, of the unit's partition or of all, without learning anything."""

import os
import stat
from pathlib import Path

import numpy as np
import pytest

import foldline as fl
from foldline.app.secret import DeploymentSecret
from foldline.engine.model_replica import ModelReplica
from foldline.errors import FoldError, InputError
from foldline.loops.folds import attached_folds
from foldline.models.known import Count
from foldline.models.signing import no_secret
from foldline.records.hashing import partition_of

MODELS = [
    fl.Model(name="own", model="LogisticRegression:lr=0.3", snapshot_every_s=0),
    fl.Model(name="all", model="LogisticRegression:lr=0.3", serve="ensemble", snapshot_every_s=0),
    fl.Model(
        name="river",
        model="tree.HoeffdingTreeRegressor:grace_period=20",
        serve="ensemble",
        snapshot_every_s=0,
    ),
    fl.Model(name="hidden", model="HalfSpaceTrees", shadow=True, snapshot_every_s=0),
]


def test_one_partition_answers_or_all_do(tmp_path: Path) -> None:
    """The mean of the partitions' probabilities, or of their numbers; asking changes nothing."""
    with fl.open(f"sqlite:///{tmp_path}/cards.db") as app:
        cards = app.loop("cards", models=MODELS, partitions=2)
        with cards.batch():
            for n in range(300):
                cards.example({"a": n % 10 / 10}, unit=f"card-{n % 20}", y=n % 10 > 4)
        cards.catch_up()
        secret = DeploymentSecret(f"sqlite:///{tmp_path}/cards.db")
        replica = ModelReplica(app.log, cards.definition, secret)
        x = {"a": 0.9, "nothing": None}
        units = [next(u for u in map(str, range(99)) if partition_of(u, 2) == p) for p in (0, 1)]
        told = [{one.model: one for one in replica.predict(unit, x)} for unit in units]
        assert list(told[0]) == ["own", "all", "river"]
        alone = [np.array(list((one["own"].probabilities or {}).values())) for one in told]
        assert not np.array_equal(alone[0], alone[1])
        for one in told:
            np.testing.assert_allclose(
                list((one["all"].probabilities or {}).values()), (alone[0] + alone[1]) / 2, rtol=1e-12
            )
            assert one["all"].learnt == 300
            assert isinstance(one["river"].value, float)
        assert sum(one["own"].learnt for one in told) == 300
        again = [{one.model: one for one in replica.predict(unit, x)} for unit in units]
        assert again == told
        counts = cards.models()["own"].counts
        assert counts["examples"] == 300
        with pytest.raises(FoldError) as refused:
            ModelReplica(app.log, cards.definition, no_secret).predict(units[0], x)
        assert refused.value.code == "fold.unsigned"


def test_a_replica_that_follows_reads_nothing_when_it_is_asked() -> None:
    """It says what was there when it last followed; what is wrong with a snapshot, until it is right again."""
    secrets: list[bytes | None] = [None]
    with fl.open("memory://") as app:
        cards = app.loop("cards", models=MODELS[:1])
        cards.example({"a": 1.0}, unit="u", y=True)
        cards.catch_up()
        replica = ModelReplica(app.log, cards.definition, no_secret)
        replica.follow()
        assert [one.learnt for one in replica.predict("u", {"a": 1.0})] == [1]
        cards.example({"a": 0.0}, unit="u", y=False)
        cards.catch_up()
        assert [one.learnt for one in replica.predict("u", {"a": 1.0})] == [1]
        replica.models["own"].report()
        replica.follow()
        assert [one.learnt for one in replica.predict("u", {"a": 1.0})] == [2]
        river = app.loop("rivers", models=[MODELS[2]])
        river.example({"a": 1.0}, unit="u", y=0.5)
        river.catch_up()
        later = ModelReplica(app.log, river.definition, lambda: secrets[0])
        later.follow()
        with pytest.raises(FoldError) as refused:
            later.predict("u", {"a": 1.0})
        assert refused.value.code == "fold.unsigned"
        secrets[0] = app._secret()
        later.follow()
        assert [one.learnt for one in later.predict("u", {"a": 1.0})] == [1]


def test_before_the_first_snapshot_nothing_is_made_up() -> None:
    """No value, no probability, nothing learnt."""
    with fl.open("memory://", learn=False) as app:
        cards = app.loop("cards", models=MODELS[:2])
        for one in ModelReplica(app.log, cards.definition, no_secret).predict("u", {"a": 1.0}):
            assert (one.value, one.probabilities, one.score, one.learnt) == (None, None, None, 0)


def test_the_deployments_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the environment, or beside the file, made once and for its owner only; long enough, or refused."""
    monkeypatch.delenv("FOLDLINE_SECRET", raising=False)
    url = f"sqlite:///{tmp_path}/cards.db"
    first = DeploymentSecret(url)()
    assert first is not None
    assert len(first) >= 32
    assert DeploymentSecret(url)() == first
    file = tmp_path / "cards.db.secret"
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["cards.db.secret"]
    assert DeploymentSecret("kafka://localhost:1/x")() is None
    assert DeploymentSecret("memory://")() != DeploymentSecret("memory://")()
    monkeypatch.setenv("FOLDLINE_SECRET", "in the environment, and long enough")
    assert DeploymentSecret(url)() == b"in the environment, and long enough"
    monkeypatch.setenv("FOLDLINE_SECRET", "short")
    with pytest.raises(InputError, match="16 or more"):
        DeploymentSecret(url)()


def test_a_partition_without_the_secret_stops_and_says_why() -> None:
    """On a log that has none, a model of River's cannot be kept; the others go on."""
    with fl.open("memory://") as app:
        app._host._folds = attached_folds
        cards = app.loop("cards", models=[MODELS[0], MODELS[2]])
        cards.example({"a": 1.0}, unit="u", y=True)
        with pytest.raises(FoldError, match="FOLDLINE_SECRET"):
            cards.catch_up(30.0)
        learner = app._host._hosted["cards"].attached["river"]
        assert [error.code for error in learner.failed.values()] == ["fold.unsigned"]
        assert (
            int(app._host._hosted["cards"].attached["own"].workers[0].state.known.counts[Count.EXAMPLES]) == 1
        )
