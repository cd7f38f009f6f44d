"""What does a model cost on the log, beside the model alone?

Question: how much CPU does a consumer take for an example that it reads from the log, predicts, measures, puts an
    inference out for, and learns; against the bare loop of predicting and learning? With `--late`, labels are
    records of their own that come so many examples later.
Workload: 100,000 made-up examples of 6 features, labelled by a line that moves once, on one partition, put there
    before: some seconds of work, so that snapshots come in between. The consumer is a host with all that `foldline
    learn` runs for a loop: the model's fold, the leading fold, the timeline, snapshots at the pace of the definition,
    in a process of its own; CPU of the whole process. River's loop and the consumer of River's model take turns at
    every micro-batch, so that both meet the machine's fast and slow times alike; the process stands still meanwhile.
    The others alternate by rounds. Medians.
Peer: River's own loop, `evaluate.progressive_val_score` with accuracy and ROC AUC (a detector: ROC AUC); and the model
    alone, `predict_proba_one` (or `score_one`) and `learn_one` and nothing measured; both over dictionaries made
    beforehand. On Kafka besides, a plain consumer: confluent-kafka, JSON read by msgspec, the model, the same metrics,
    an inference produced for each example, one a message; it keeps no state and promises nothing.
Ratio: CPU of the consumer over CPU of River's loop, of the model alone, and of the plain consumer. Bar: 1.15 of the
    first two. For our own models: examples/s, ours over River's, both from JSON on the log, over River's loop, and
    over River's model alone. Bar: 5 of each.
Command: `python -m benchmarks.models [--examples 100000] [--rounds 3] [--late 300] [--kafka] [--only MODEL]
    [--json]`
"""

import argparse
import json
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

import foldline as fl
from benchmarks.peers.turns import Pause, Turns
from foldline.app.foldline import wall_clock
from foldline.engine.host import Host
from foldline.log.open import open_log
from foldline.loops.folds import attached_folds
from foldline.models.definition import ModelDefinition
from foldline.models.known import Count
from tools.kafka.sharing import shared_cluster

FEATURES = [f"f{n}" for n in range(6)]
SECRET = b"a secret of the benchmark"

TURN = 2_000
"""Examples of River's loop at a time."""

RIVER = {
    "Hoeffding tree": "tree.HoeffdingTreeClassifier:max_depth=10",
    "scaler | logistic regression": "preprocessing.StandardScaler|linear_model.LogisticRegression",
    "half-space trees": "anomaly.HalfSpaceTrees:seed=42",
}
"""The models compared, as River has them."""

OURS = {
    "Hoeffding tree": "HoeffdingTree:max_depth=10",
    "scaler | logistic regression": "LogisticRegression",
    "half-space trees": "HalfSpaceTrees:seed=42",
}
"""The same, ours."""


def data(count: int) -> list[tuple[dict[str, float], bool]]:
    """Examples with their labels."""
    rng = np.random.default_rng(1)
    x = rng.random((count, len(FEATURES)))
    weights = np.where(np.arange(count)[:, None] < count // 2, rng.normal(size=6), rng.normal(size=6))
    y = ((x - 0.5) * weights).sum(axis=1) + rng.normal(size=count) * 0.2 > 0
    return [
        (dict(zip(FEATURES, row, strict=True)), bool(label)) for row, label in zip(x.tolist(), y, strict=True)
    ]


def bare(text: str, rows: list[tuple[dict[str, float], bool]]) -> float:
    """CPU seconds of the model alone."""
    built = ModelDefinition(name="m", model=text).build()
    model: Any = built.empty()
    anomaly = built.task == "anomaly"
    predict = model.score_one if anomaly else model.predict_proba_one
    began = time.process_time()
    for x, y in rows:
        predict(x)
        if anomaly:
            model.learn_one(x)
        else:
            model.learn_one(x, y)
    return time.process_time() - began


class Evaluated:
    """River's own loop, which stops after every `TURN` examples.

    Attributes:
        spent: CPU seconds of its thread.
    """

    def __init__(self, text: str, rows: list[tuple[dict[str, float], bool]]) -> None:
        from river import evaluate

        built = ModelDefinition(name="m", model=text).build()
        loop: Any = evaluate.iter_progressive_val_score
        self._turns = iter(loop(rows, built.empty(), _river_metrics(built.task), step=TURN))
        self._count = len(rows)
        self._done = 0
        self.spent = 0.0

    def follow(self, count: int) -> None:
        """Go on until so many examples are done, if there are as many."""
        began = time.thread_time()
        while self._done < min(count, self._count):
            next(self._turns, None)
            self._done += TURN
        self.spent += time.thread_time() - began


def _river_metrics(task: str) -> Any:
    from river import metrics as river_metrics

    metrics: Any = river_metrics
    return metrics.ROCAUC() if task == "anomaly" else metrics.Accuracy() + metrics.ROCAUC()


def put(url: str, text: str, rows: list[tuple[dict[str, float], bool]], late: int) -> None:
    """The examples on a log, labelled at once, or so many examples later."""
    with fl.open(url, learn=False) as app:
        cards = app.loop("cards", models=[fl.Model(name="m", model=text, features=tuple(FEATURES))])
        for start in range(0, len(rows) + late, 200):
            with cards.batch():
                for number in range(start, min(start + 200, len(rows) + late)):
                    if number < len(rows):
                        x, y = rows[number]
                        cards.example(x, unit="u", y=None if late else y, id=f"row-{number}")
                    if late and number >= late:
                        cards.label(f"row-{number - late}", rows[number - late][1], unit="u")


def consumed(url: str, count: int, pause: Pause = lambda _: None) -> float:
    """CPU seconds of a host that learns what stands there; it pauses after each micro-batch.

    Its clock pauses too: otherwise snapshots would be due twice as often, measured by its own work.
    """
    stood_ms = 0
    with open_log(url) as log:
        host = Host(
            log, holder="bench", learn=True, clock=lambda: wall_clock() - stood_ms, every_loop=True,
            folds=lambda loop: attached_folds(loop, lambda: SECRET),
        )  # fmt: skip
        began = time.process_time()
        host.round()
        deadline = time.monotonic() + 240
        while True:
            folded = host.round()
            learner = host._hosted["cards"].attached["m"]  # noqa: SLF001 - to see that it is through
            worker = learner.workers.get(0)
            done = int(worker.state.known.counts[Count.LABELLED]) if worker is not None else 0
            stopped = time.monotonic()
            pause(done)
            stood_ms += round((time.monotonic() - stopped) * 1e3)
            if done == count:
                break
            if not folded:
                time.sleep(0.001)
            assert time.monotonic() < deadline, "the consumer did not come to the end"
        host.close()
        return time.process_time() - began


def plain(bootstrap: str, text: str, rows: list[tuple[dict[str, float], bool]]) -> float:
    """CPU seconds of a consumer as one writes it by hand; its examples are put on a topic of their own before."""
    from confluent_kafka import Consumer, Producer
    from confluent_kafka.admin import AdminClient, NewTopic
    from river import metrics as river_metrics

    metrics: Any = river_metrics
    topic, told = f"plain-{uuid.uuid4().hex[:8]}", f"told-{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": bootstrap})
    made = admin.create_topics([NewTopic(topic, 1, 1), NewTopic(told, 1, 1)])
    for future in made.values():
        future.result()
    producer = Producer({"bootstrap.servers": bootstrap, "linger.ms": 5})
    for number, (x, y) in enumerate(rows):
        producer.produce(topic, msgspec.json.encode({"id": number, "x": x, "y": y}), on_delivery=None)
        if number % 1_000 == 0:
            producer.poll(0)
    producer.flush()
    built = ModelDefinition(name="m", model=text).build()
    model: Any = built.empty()
    anomaly = built.task == "anomaly"
    accuracy, area = metrics.Accuracy(), metrics.ROCAUC()
    consumer = Consumer(
        {"bootstrap.servers": bootstrap, "group.id": uuid.uuid4().hex, "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic])
    messages = consumer.consume(1, 30)
    began, done = time.process_time(), 0
    while done < len(rows):
        for message in messages:
            example = msgspec.json.decode(message.value() or b"")
            x, y = example["x"], example["y"]
            if anomaly:
                score = model.score_one(x)
                model.learn_one(x)
            else:
                table = model.predict_proba_one(x)
                score = table.get(True, 0.0)
                model.learn_one(x, y)
                accuracy.update(y, score > 0.5)
            area.update(y, score)
            producer.produce(told, msgspec.json.encode({"id": example["id"], "score": score, "truth": y}))
            done += 1
        producer.poll(0)
        messages = consumer.consume(500, 1.0) if done < len(rows) else []
    producer.flush()
    spent = time.process_time() - began
    consumer.close()
    return spent


def compare(
    name: str,
    text: str,
    rows: list[tuple[dict[str, float], bool]],
    rounds: int,
    fresh: Callable[[], str],
    peer: str,
    late: int,
    turns: Turns,
) -> dict[str, Any]:
    """Alternating rounds of all."""
    alone, log, loop = [], [], []
    some, url = rows[:TURN], fresh()
    put(url, text, some, late)
    turns.run(consumed, url, len(some), follow=lambda _: None)  # compiles what is not compiled yet
    for _ in range(rounds):
        url = fresh()
        put(url, text, rows, late)
        alone.append(bare(peer, rows))
        own = Evaluated(peer, rows)
        # Ours is through so soon that after each turn of River's it would find nothing of its own in the caches.
        follow = own.follow if text == peer else lambda _: None
        log.append(turns.run(consumed, url, len(rows), follow=follow))
        own.follow(len(rows))
        loop.append(own.spent)
    return {
        "model": text,
        "name": name,
        "bare_us": statistics.median(alone) / len(rows) * 1e6,
        "loop_us": statistics.median(loop) / len(rows) * 1e6,
        "log_us": statistics.median(log) / len(rows) * 1e6,
        "ratio": _spread([b / a for a, b in zip(alone, log, strict=True)]),
        "loop_ratio": _spread([b / a for a, b in zip(loop, log, strict=True)]),
    }


def _spread(ratios: list[float]) -> list[float]:
    return [statistics.median(ratios), min(ratios), max(ratios)]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--examples", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--late", type=int, default=0, help="labels come so many examples later")
    parser.add_argument("--kafka", action="store_true", help="on Apache Kafka, too")
    parser.add_argument("--only", choices=list(RIVER), help="one of the models compared")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    rows = data(given.examples)
    from foldline.models.flat import KINDS

    river = {name: text for name, text in RIVER.items() if given.only in (None, name)}
    ours = {name: text for name, text in OURS.items() if text.partition(":")[0] in KINDS and name in river}
    results: list[dict[str, Any]] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        shared_cluster(Path(folder)) if given.kafka else nullcontext() as cluster,
        Turns() as turns,
    ):
        logs: dict[str, Callable[[], str]] = {"sqlite": lambda: f"sqlite:///{folder}/{uuid.uuid4().hex}.db"}
        if cluster is not None:
            logs["kafka"] = lambda: f"kafka://{cluster.bootstrap}/b{uuid.uuid4().hex[:12]}"
        for kind, fresh in logs.items():
            for name, text in river.items():
                results.append(
                    {"log": kind, **compare(name, text, rows, given.rounds, fresh, text, given.late, turns)}
                )
            for name, text in ours.items():
                found = compare(name, text, rows, given.rounds, fresh, RIVER[name], given.late, turns)
                for ratio in ("ratio", "loop_ratio"):
                    found[ratio] = [1 / each for each in found[ratio]]
                its = next(each for each in results if each["log"] == kind and each["name"] == name)
                found["log_ratio"] = its["log_us"] / found["log_us"]
                results.append({"log": kind, "ours": True, **found})
            if cluster is not None and kind == "kafka":
                for text in river.values():
                    hand = statistics.median(
                        plain(cluster.bootstrap, text, rows) for _ in range(given.rounds)
                    )
                    found = next(each for each in results if each["log"] == "kafka" and each["model"] == text)
                    found["plain_us"] = hand / len(rows) * 1e6
    if given.json:
        print(json.dumps(results))
        return
    for found in results:
        alone, loop = (
            f"{middle:.2f} ({low:.2f} to {high:.2f})"
            for middle, low, high in (
                [found[key][0], *sorted(found[key][1:])] for key in ("ratio", "loop_ratio")
            )
        )
        line = f"{found['log']:7} {found['model']:58} {found['log_us']:6.1f} us on the log"
        if found.get("ours"):
            print(
                f"{line}: River's there takes {found['log_ratio']:.1f} times that, River's loop {loop}, the model "
                f"alone {alone}"
            )
        else:
            by_hand = f"; a plain consumer takes {found['plain_us']:.1f} us" if "plain_us" in found else ""
            print(
                f"{line}: {loop} of River's loop ({found['loop_us']:.1f} us), {alone} of the model alone "
                f"({found['bare_us']:.1f} us){by_hand}"
            )


if __name__ == "__main__":
    main()
