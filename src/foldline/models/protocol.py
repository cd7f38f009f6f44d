"""What an online model is: it predicts an example, then learns from its label; its state is named arrays.

Examples are rows of a dense table, one column a feature; NaN where an example lacks one. The state is the caller's,
changed in place, and dumps as `fold.arrays` has it, so restoring and going on gives the same bits as going on.
"""

from typing import Protocol

import numpy as np
import numpy.typing as npt

from foldline.fold.arrays import Arrays

Table = npt.NDArray[np.float64]


class Model(Protocol):
    """An online model with its parameters.

    Attributes:
        features: names of the columns, in their order.
        outputs: columns of a prediction: one a class, or one for a score or a value.
    """

    features: tuple[str, ...]
    outputs: int

    def empty(self) -> Arrays:
        """The state before anything was learnt."""
        ...

    def predict(self, state: Arrays, x: Table) -> Table:
        """(n, outputs) predictions; the state does not change.

        Args:
            state: as of now.
            x: (n, features) float64, NaN where a feature is absent.
        """
        ...

    def learn(self, state: Arrays, x: Table, y: npt.NDArray[np.float64]) -> None:
        """Learn row after row, in order.

        Args:
            state: changed in place.
            x: see `predict`.
            y: (n,) labels: the class as 0.0, 1.0 …, or the value; NaN where there is none. Models that need no label
                learn such rows, the others pass them over.
        """
        ...

    def predict_learn(
        self,
        state: Arrays,
        x: Table,
        y: npt.NDArray[np.float64],
        predicts: npt.NDArray[np.bool_] | None = None,
    ) -> Table:
        """Predict each row, then learn it: the same as both, row by row, in one compiled pass.

        Args:
            state: changed in place.
            x: see `predict`.
            y: see `learn`.
            predicts: (n,) whether each row is predicted; all are by default. One that is not was predicted before, and
                comes again with its label: models that need no label have learnt it, the others learn it now. Its
                prediction is NaN, or negative.
        """
        ...
