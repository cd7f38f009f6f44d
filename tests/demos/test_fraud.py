"""The fraud demo: any number of consumers learn the same, and the summary says what stands on the log."""

import os
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest

import foldline as fl
from foldline.demos.fraud import LOOP, Settings, View, run
from foldline.demos.fraud_data import Stream, read_stream
from foldline.demos.fraud_figures import write_figures
from foldline.demos.fraud_summary import read_inferences, summarise, write_csv
from foldline.errors import InputError

MODEL = fl.Model(name="model", model="tree.HoeffdingTreeClassifier:max_depth=10", snapshot_every_s=0.2)


def stream(rows: int) -> Stream:
    """Made-up transactions of 40 cards; the larger ones of some shops are fraud."""
    rng = np.random.default_rng(5)
    made: list[tuple[dict[str, Any], Any]] = []
    for _ in range(rows):
        amount, shop = round(float(rng.exponential(50)), 2), int(rng.integers(4))
        made.append(({"amount": amount, "shop": shop}, bool(amount > 60 and shop != 2)))
    return Stream("made-up", made, [f"card-{n % 40}" for n in range(rows)])


@pytest.mark.timeout(500)
def test_consumers_share_the_partitions_and_learn_the_same(tmp_path: Path) -> None:
    """One consumer and three: the same metrics on every partition, as many inferences, figures and a table."""
    found = []
    for consumers in (1, 3):
        url = f"sqlite:///{tmp_path}/{consumers}.db"
        settings = Settings(MODEL, stream(900), partitions=4, consumers=consumers)
        views: list[View] = []
        done = run(settings, url, views.append)
        assert done.produced == 900
        assert sorted(p for share in done.consumers for p in share) == [0, 1, 2, 3]
        assert len(done.consumers) == consumers
        assert all(done.consumers)
        assert views[-1].predicted == 900
        inferences = read_inferences(settings, url)
        assert len(inferences.latency_ms) == 900
        summary = summarise(settings, url, done, inferences)
        assert summary.overall.count == sum(part.count for part in summary.consumers) == 900
        found.append(summary.overall)
        with fl.open(url, learn=False) as app:
            report = app.loop(LOOP).models()["model"]
        assert report.counts["examples"] == report.counts["learnt"] == 900
    one, three = found
    assert (one.accuracy, one.roc_auc, one.f1, one.log_loss) == (
        three.accuracy,
        three.roc_auc,
        three.f1,
        three.log_loss,
    )
    assert one.accuracy is not None
    assert one.accuracy > 0.8
    files = [
        *write_figures(tmp_path / "out", settings, url, inferences),
        write_csv(tmp_path / "out", summary),
    ]
    assert all(file.stat().st_size > 200 for file in files)
    assert (tmp_path / "out" / "consumers.csv").read_text().count("\n") == 5
    with pytest.raises(InputError, match="already"):
        run(settings, url)


def test_a_rate_is_kept(tmp_path: Path) -> None:
    """No sooner than asked for: 100 examples at 200 a second take half a second."""
    settings = Settings(MODEL, stream(100), partitions=2, consumers=1, rate=200.0)
    done = run(settings, f"sqlite:///{tmp_path}/rate.db")
    assert done.produced == 100
    assert done.seconds >= 0.49


def test_a_run_leaves_the_environment_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log on SQLite keeps its own secret beside it, so that its snapshots can be read after the run."""
    monkeypatch.delenv("FOLDLINE_SECRET", raising=False)
    before = dict(os.environ)
    run(Settings(MODEL, stream(20), partitions=1, consumers=1), f"sqlite:///{tmp_path}/kept.db")
    assert dict(os.environ) == before
    assert (tmp_path / "kept.db.secret").is_file()


def test_data_by_name_and_by_path(tmp_path: Path) -> None:
    """What River brings, and any table: the label is the last column, or the one named; a unit may be a column."""
    phishing = read_stream("phishing", rows=10)
    assert (phishing.name, len(phishing.rows), len(set(phishing.units))) == ("phishing", 10, 10)
    assert isinstance(phishing.rows[0][1], bool)
    assert len(read_stream("bananas", rows=5).rows) == 5
    file = tmp_path / "cards.csv"
    file.write_text("card,kind,amount\nc1,good,12.5\nc2,bad,900\nc1,good,3\nc2,,1\n")
    cards = read_stream(str(file), target="kind", positive="bad", unit="card")
    assert cards.rows == [({"amount": 12.5}, False), ({"amount": 900.0}, True), ({"amount": 3.0}, False)]
    assert cards.units == ["c1", "c2", "c1"]
    assert cards.unlabelled == 1
    with pytest.raises(InputError, match="no column 'shop'"):
        read_stream(str(file), target="kind", unit="shop")
    with pytest.raises(InputError, match="http"):
        read_stream("ftp://example.org/a.csv")
    with pytest.raises(InputError, match=r"no file .* one of phishing"):
        read_stream(str(tmp_path / "none.csv"))


def test_a_regressor_predicts_numbers(tmp_path: Path) -> None:
    """Labels are numbers then, and errors are told in their unit; a label that is none is refused."""
    rows = [({"a": n % 10 / 10}, str(n % 10)) for n in range(300)]
    numbers = Stream("made-up", [(dict(x), y) for x, y in rows], ["u"] * 300).with_numbers()
    assert numbers.rows[7] == ({"a": 0.7}, 7.0)
    model = fl.Model(name="model", model="linear_model.LinearRegression")
    settings = Settings(model, numbers, partitions=1)
    url = f"sqlite:///{tmp_path}/numbers.db"
    done = run(settings, url)
    inferences = read_inferences(settings, url)
    overall = summarise(settings, url, done, inferences).overall
    assert (overall.accuracy, overall.count) == (None, 300)
    assert overall.mae is not None
    assert 0 < overall.mae < 3
    assert write_figures(tmp_path, settings, url, inferences)[0].name == "error.png"
    with pytest.raises(InputError, match="'fraud' of 'x' is no number"):
        Stream("x", [({"a": 1.0}, "fraud")], ["u"]).with_numbers()


def test_data_by_url(tmp_path: Path) -> None:
    """A table fetched over HTTP is the same stream as its file; one that is not there says so."""
    (tmp_path / "cards.csv").write_text("amount,kind\n12.5,good\n900,bad\n")
    serve = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        Thread(target=server.serve_forever).start()
        try:
            url = f"http://127.0.0.1:{server.server_port}"
            assert read_stream(f"{url}/cards.csv") == read_stream(str(tmp_path / "cards.csv"))
            with pytest.raises(InputError, match="404"):
                read_stream(f"{url}/none.csv")
        finally:
            server.shutdown()
