"""How often a classifier or a detector was right: counts and exact sums over labelled examples, which merge exactly.

An example is measured by the inference of record, once its label is known. A missing prediction counts as wrong, save
where left out is asked for, as River does.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from foldline.errors import FoldError
from foldline.fold.arrays import Arrays, dump_arrays, load_arrays
from foldline.models.losses import UNIT_BITS, add_units, loss_units
from foldline.models.ranking import EXACT, Ranking
from foldline.records.categorical import Categorical
from foldline.records.types import Value
from foldline.stats.exact_sums import add_sums


class ClassificationReport(msgspec.Struct, frozen=True, kw_only=True, tag_field="of", tag="classes"):
    """What is known of the labelled examples; None where there is no such number.

    Attributes:
        count: labelled examples.
        unpredicted: of them, those that had no prediction.
        accuracy: share predicted right.
        kappa: agreement beyond chance (Cohen 1960).
        precision: of those predicted positive, the share that was; None without a positive class.
        recall: of the positive ones, the share predicted so.
        f1: harmonic mean of precision and recall.
        macro_f1: mean of the F1 of each class.
        log_loss: mean of -ln of the probability given to the true class, in nats.
        roc_auc: area under the ROC curve of the positive class's probability, or of the anomaly score.
        roc_auc_error: the greatest by which that may be wrong; 0 where it is exact.
        roc_auc_river: the same through ten thresholds, as River's metric has it.
        classes: in the order of the rows and columns of `confusion`.
        confusion: truth by prediction; a further column counts examples without a prediction.
    """

    count: int
    unpredicted: int
    accuracy: float | None
    kappa: float | None
    precision: float | None
    recall: float | None
    f1: float | None
    macro_f1: float | None
    log_loss: float | None
    roc_auc: float | None
    roc_auc_error: float
    roc_auc_river: float | None
    classes: tuple[Value, ...]
    confusion: tuple[tuple[int, ...], ...]


class ClassificationMetrics:
    """Metrics of one partition, or of several merged.

    Args:
        positive: the positive class; True, which equals 1, by default.
        exact: see `Ranking`.

    Attributes:
        classes: the place of each, by first appearance.
        confusion: (classes, classes + 1) truth by prediction; the last column counts missing predictions.
        loss: sum of logarithmic losses, in units of 2^-UNIT_BITS.
        losses: how many.
        ranking: of the scores.

    Example:
        >>> metrics = ClassificationMetrics()
        >>> places = metrics.add([True, False, True], [True, True, None], np.array([0.9, 0.6, np.nan]),
        ...                      np.array([0.9, 0.4, np.nan]))
        >>> report = metrics.report()
        >>> report.accuracy, report.recall, report.roc_auc, report.confusion
        (0.3333333333333333, 0.5, 0.5, ((1, 0, 1), (1, 0, 0)))
    """

    def __init__(self, positive: Value = True, exact: int = EXACT) -> None:
        self._positive = positive
        self._exact = exact
        self.classes: dict[Value, int] = {}
        self.confusion = np.zeros((0, 1), np.int64)
        self.loss = 0
        self.losses = 0
        self.ranking = Ranking(exact)

    @property
    def count(self) -> int:
        """Labelled examples."""
        return int(self.confusion.sum())

    def index(self, values: Sequence[Value | None]) -> npt.NDArray[np.int64]:
        """(n,) the place of each class, -1 for None; those not known yet are known from now on."""
        known = self.classes
        for value in values.by_appearance() if isinstance(values, Categorical) else dict.fromkeys(values):
            if value is not None and value not in known:
                known[value] = len(known)
        if len(known) + 1 > self.confusion.shape[1]:
            self._grow(len(known))
        if isinstance(values, Categorical):
            return values.places(known)
        return np.array([-1 if value is None else known[value] for value in values], np.int64)

    @property
    def place(self) -> int:
        """The place of the positive class, -2 as long as it is not known."""
        return self.classes.get(self._positive, -2)

    def add(
        self,
        truth: Sequence[Value | None],
        predicted: Sequence[Value | None],
        score: npt.NDArray[np.float64],
        likelihood: npt.NDArray[np.float64],
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Take labelled examples in.

        Args:
            truth: n classes, none of them None.
            predicted: n classes.
            score: (n,) of the positive class, NaN for none.
            likelihood: (n,) probability given to the true class, NaN for none.

        Returns:
            (n,) each, the places of the truths and of the predictions, -1 for none.
        """
        at, guess = self.index(truth), self.index(predicted)
        width = self.confusion.shape[1]
        cells = np.bincount(at * width + guess % width, minlength=self.confusion.size)
        self.confusion += cells.reshape(self.confusion.shape)
        self.ranking.add(score, at == self.place)
        known = likelihood[~np.isnan(likelihood)]
        if len(known):
            self.loss = add_units(self.loss, loss_units(known))
            self.losses += len(known)
        return at, guess

    def merge(self, other: "ClassificationMetrics") -> None:
        """Take in what the other has; classes are aligned by value."""
        mine = self.index(list(other.classes))
        columns = np.concatenate((mine, [-1]))
        theirs = np.zeros_like(self.confusion)
        theirs[np.ix_(mine, columns)] = other.confusion
        self.confusion = add_sums(self.confusion, theirs)
        self.ranking.merge(other.ranking)
        self.loss, self.losses = add_units(self.loss, other.loss), self.losses + other.losses

    def report(self, *, missing: bool = True) -> ClassificationReport:
        """What is known; with `missing` an example without a prediction counts as predicted wrong, its score as 0."""
        counts = self.confusion if missing else self.confusion[:, :-1]
        hits = np.diagonal(counts).astype(np.int64)
        truths, guesses = counts.sum(axis=1), counts.sum(axis=0)[: len(hits)]
        total, right = int(counts.sum()), int(hits.sum())
        per_class = [
            _f1(*each) for each in zip(hits.tolist(), guesses.tolist(), truths.tolist(), strict=True)
        ]
        place = self.place
        hit, guessed, true = (
            (0, 0, 0) if place < 0 else (int(hits[place]), int(guesses[place]), int(truths[place]))
        )
        area = self.ranking.area(absent=missing)
        return ClassificationReport(
            count=total,
            unpredicted=int(self.confusion[:, -1].sum()),
            accuracy=right / total if total else None,
            kappa=_kappa(total, right, truths, guesses),
            precision=hit / guessed if guessed else None,
            recall=hit / true if true else None,
            f1=None if place < 0 else _f1(hit, guessed, true),
            macro_f1=float(np.mean(per_class)) if per_class else None,
            log_loss=self.loss / 2.0**UNIT_BITS / self.losses if self.losses else None,
            roc_auc=area.value,
            roc_auc_error=area.error,
            roc_auc_river=self.ranking.area_by_thresholds(),
            classes=tuple(self.classes),
            confusion=tuple(tuple(row) for row in self.confusion.tolist()),
        )

    def dump(self) -> bytes:
        """As bytes: a function of the examples in their order."""
        head = msgspec.json.encode((tuple(self.classes), self.loss, self.losses))
        arrays: Arrays = {f"ranking.{name}": array for name, array in self.ranking.dump().items()}
        return dump_arrays({**arrays, "confusion": self.confusion, "head": np.frombuffer(head, np.uint8)})

    @classmethod
    def load(cls, data: bytes, positive: Value = True, exact: int = EXACT) -> "ClassificationMetrics":
        """What was dumped.

        Raises:
            FoldError: `fold.damaged_root` where the bytes are not a dump.
        """
        arrays = load_arrays(data)
        loaded = cls(positive, exact)
        try:
            head: tuple[list[Any], int, int] = msgspec.json.decode(
                arrays.pop("head").tobytes(), type=tuple[list[Value], int, int]
            )
            classes, loaded.loss, loaded.losses = head
            loaded.confusion = arrays.pop("confusion").astype(np.int64)
            ranking: Arrays = {name.removeprefix("ranking."): array for name, array in arrays.items()}
            loaded.ranking = Ranking.load(ranking, exact)
        except (KeyError, msgspec.MsgspecError) as error:
            raise FoldError("fold.damaged_root", f"loading metrics of {len(data)} bytes: {error}") from error
        loaded.classes = {value: place for place, value in enumerate(classes)}
        return loaded

    def _grow(self, classes: int) -> None:
        """Room for more classes; the column of missing predictions stays the last."""
        before = len(self.confusion)
        grown = np.zeros((classes, classes + 1), np.int64)
        grown[:before, :before] = self.confusion[:, :-1]
        grown[:before, -1] = self.confusion[:, -1]
        self.confusion = grown


def _f1(hit: int, guessed: int, true: int) -> float:
    """2 · hit / (guessed + true), by precision and recall as River has it; 0 where neither is there."""
    precision, recall = hit / guessed if guessed else 0.0, hit / true if true else 0.0
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _kappa(
    total: int, right: int, truths: npt.NDArray[np.int64], guesses: npt.NDArray[np.int64]
) -> float | None:
    if not total:
        return None
    chance = sum(int(a) * int(b) for a, b in zip(truths, guesses, strict=True)) / total**2
    return (right / total - chance) / (1 - chance) if chance < 1 else None
