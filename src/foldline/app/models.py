"""A loop's models, to a program: what they say now, and how they do."""

import time
from collections.abc import Collection, Mapping

import msgspec
import numpy as np
import numpy.typing as npt

from foldline.engine.host import Host
from foldline.engine.model_replica import ModelReplica
from foldline.errors import FoldError, InputError
from foldline.log.protocol import Log
from foldline.models.inference import Prediction
from foldline.models.report import ModelReport
from foldline.models.signing import Secret
from foldline.records.types import Value

LOOK_S = 0.02


class Models:
    """Follows the newest version of a loop's models. Thread-safe.

    Args:
        log: only read.
        host: knows the definitions.
        loop: its name.
        secret: gives the deployment's.
    """

    def __init__(self, log: Log, host: Host, loop: str, secret: Secret) -> None:
        self._log = log
        self._host = host
        self._loop = loop
        self._secret = secret
        self._seen: tuple[int, ModelReplica] | None = None

    def predict(self, unit: str, x: Mapping[str, Value | None], example: str) -> Prediction:
        """What the first model that is no shadow says."""
        told = self._replica().predict(unit, x)
        if not told:
            raise InputError("input.invalid", f"loop {self._loop!r} has no model that is served")
        return msgspec.structs.replace(told[0], example=example)

    def reports(self, partitions: Collection[int] | None = None) -> dict[str, ModelReport]:
        """How each does, on some partitions or on all."""
        return {name: states.report(partitions) for name, states in self._replica().models.items()}

    def courses(self, model: str) -> list[npt.NDArray[np.float64]]:
        """How a model's window went, by partition; see `Course`."""
        models = self._replica().models
        if model not in models:
            raise InputError(
                "input.unknown_model",
                f"loop {self._loop!r} has no model {model!r}; it has {sorted(models)!r}",
                field="model",
                value=model,
            )
        return [part.course.points for part in models[model].parts()]

    def await_cut(self, offsets: Mapping[int, int], timeout_s: float) -> None:
        """Wait until every model's snapshots cover these offsets, by partition.

        Raises:
            FoldError: `fold.no_bundle` if they do not within the time; what stopped a partition, where it was stopped.
        """
        deadline = time.monotonic() + timeout_s
        for name, states in self._replica().models.items() if offsets else ():
            while not states.covers(offsets):
                for error in self._host.failed(self._loop):
                    raise error
                if self._host.failure is not None or time.monotonic() > deadline:
                    raise FoldError(
                        "fold.no_bundle",
                        f"loop {self._loop!r}: model {name!r} has not learnt all that was appended within "
                        f"{timeout_s:g} s; is a learner running on this log?",
                    )
                time.sleep(LOOK_S)

    def _replica(self) -> ModelReplica:
        definition = self._host.catalogue.one(self._loop)
        seen = self._seen
        if seen is None or seen[0] != definition.version:
            seen = self._seen = (definition.version, ModelReplica(self._log, definition, self._secret))
        return seen[1]
