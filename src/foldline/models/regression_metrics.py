"""How far a regressor was off: sums over labelled examples. They are sums of floats, and merge to 1e-9."""

from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from foldline.errors import FoldError
from foldline.fold.arrays import dump_arrays, load_arrays
from foldline.kernels import numeric


class RegressionReport(msgspec.Struct, frozen=True, kw_only=True, tag_field="of", tag="numbers"):
    """What is known of the labelled examples; None where there is no such number.

    Attributes:
        count: labelled examples.
        unpredicted: of them, those that had no prediction; the rest is about the others.
        mae: mean absolute error, in the unit of the label.
        rmse: root of the mean squared error, likewise.
        r2: share of the labels' variance explained.
    """

    count: int
    unpredicted: int
    mae: float | None
    rmse: float | None
    r2: float | None


class RegressionMetrics:
    """Metrics of one partition, or of several merged.

    Attributes:
        counts: (2,) labelled examples with a prediction, and without.
        sums: (4,) mean of the labels, sum of their squared deviations, sums of absolute and of squared errors.

    Example:
        >>> metrics = RegressionMetrics()
        >>> metrics.add(np.array([1.0, 2.0, 4.0]), np.array([1.0, 3.0, np.nan]))
        >>> metrics.report()
        RegressionReport(count=3, unpredicted=1, mae=0.5, rmse=0.7071067811865476, r2=-1.0)
    """

    def __init__(self) -> None:
        self.counts = np.zeros(2, np.int64)
        self.sums = np.zeros(4)

    @property
    def count(self) -> int:
        """Labelled examples."""
        return int(self.counts.sum())

    def add(self, truth: npt.NDArray[np.float64], predicted: npt.NDArray[np.float64]) -> None:
        """Take labelled examples in, in order.

        Args:
            truth: (n,) numbers.
            predicted: (n,) numbers, NaN for none.
        """
        _add(truth, predicted, self.counts, self.sums)

    def merge(self, other: "RegressionMetrics") -> None:
        """Take in what the other has (Chan, Golub and LeVeque 1979, for the deviations)."""
        mine, theirs = int(self.counts[0]), int(other.counts[0])
        if theirs:
            total, apart = mine + theirs, float(other.sums[0] - self.sums[0])
            self.sums[1] += other.sums[1] + apart * apart * mine * theirs / total
            self.sums[0] += apart * theirs / total
            self.sums[2:] += other.sums[2:]
        self.counts += other.counts

    def report(self) -> RegressionReport:
        """What is known."""
        predicted = int(self.counts[0])
        _, spread, absolute, squared = self.sums.tolist()
        return RegressionReport(
            count=self.count,
            unpredicted=int(self.counts[1]),
            mae=absolute / predicted if predicted else None,
            rmse=float(np.sqrt(squared / predicted)) if predicted else None,
            r2=1.0 - squared / spread if spread > 0.0 else None,
        )

    def dump(self) -> bytes:
        """As bytes."""
        return dump_arrays({"counts": self.counts, "sums": self.sums})

    @classmethod
    def load(cls, data: bytes) -> "RegressionMetrics":
        """What was dumped; `fold.damaged_root` where the bytes are not a dump."""
        arrays = load_arrays(data)
        if set(arrays) != {"counts", "sums"}:
            raise FoldError(
                "fold.damaged_root", f"loading metrics with {sorted(arrays)}; expected counts and sums"
            )
        loaded = cls()
        loaded.counts, loaded.sums = arrays["counts"].astype(np.int64), arrays["sums"].astype(np.float64)
        return loaded


@numeric
def _add(truth: Any, predicted: Any, counts: Any, sums: Any) -> None:
    for row in range(len(truth)):
        if predicted[row] != predicted[row]:
            counts[1] += 1
            continue
        counts[0] += 1
        apart = truth[row] - sums[0]
        sums[0] += apart / counts[0]
        sums[1] += apart * (truth[row] - sums[0])
        error = truth[row] - predicted[row]
        sums[2] += abs(error)
        sums[3] += error * error
