"""What a model says of an example: the output records of its fold."""

from collections.abc import Mapping

import msgspec

from foldline.models.losses import CLIP
from foldline.models.window import WindowReport
from foldline.records.types import Value


class Prediction(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a model says of an example now. The inference of record is the fold's.

    Attributes:
        model: its name within the loop.
        learnt: labels the model had learnt: its version.
        value: the class or number predicted; absent where the model has none yet.
        probabilities: by class.
        score: of an anomaly, greater for rarer.
        cold: the model has not seen enough to say anything.
        example: the example's id.
    """

    model: str
    learnt: int
    value: Value | None = None
    probabilities: dict[str, float] | None = None
    score: float | None = None
    cold: bool = False
    example: str = ""


class Inference(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="inference", gc=False):
    """A prediction on the topic of inferences; the engine adds `time` and `source`.

    Attributes:
        id: the example's id and the model's name: the same after every restart.
        example: the example's id.
        unit: whose it is.
        at: the example's time, milliseconds; `time` less this is the latency.
        learnt: labels the partition's models had learnt before: the model's version.
        value: the class or number predicted.
        probabilities: by class; classes that are no texts are named as JSON has them.
        score: of an anomaly, greater for rarer.
        cold: the model had not seen enough to say anything.
        truth: the label, where the example carried it.
        error: what the model raised.
    """

    id: str
    example: str
    unit: str
    at: int
    learnt: int
    value: Value | None = None
    probabilities: dict[str, float] | None = None
    score: float | None = None
    cold: bool = False
    truth: Value | None = None
    error: str | None = None


class Labelled(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="labelled", gc=False):
    """A label that came later, beside what had been predicted.

    Attributes:
        id: the inference's id.
        example: the example's id.
        unit: whose it is.
        at: the label's time, milliseconds.
        truth: the label.
        value: what had been predicted.
        score: likewise.
        error: what the model raised when it learnt the label.
    """

    id: str
    example: str
    unit: str
    at: int
    truth: Value
    value: Value | None = None
    score: float | None = None
    error: str | None = None


class WindowMetrics(
    msgspec.Struct, frozen=True, omit_defaults=True, tag_field="type", tag="metrics", gc=False
):
    """How the last labelled examples of a partition went, now and then.

    Attributes:
        id: the model's name and how many examples of the partition were labelled.
        at: time of the record that brought the last label, milliseconds.
        labelled: examples of the partition labelled so far.
        window: the last ones.
    """

    id: str
    at: int
    labelled: int
    window: WindowReport


def likelihood(probabilities: Mapping[Value, float], truth: Value, positive: Value) -> float:
    """The probability given to the label, clipped.

    Of two classes the other's is what the positive one's, clipped, leaves: so a class never seen before has what
    River's logarithmic loss gives it.
    """
    if truth != positive and len(probabilities) <= 2:
        sure = probabilities.get(positive)
        if sure is not None:
            return 1.0 - _clipped(sure)
    return _clipped(probabilities.get(truth, 0.0))


def _clipped(p: float) -> float:
    if CLIP <= p <= _MOST:
        return p
    return CLIP if p < CLIP else _MOST


_MOST = 1.0 - CLIP


class Names(dict[Value, str]):
    """The name of each class: a text itself, anything else as JSON has it. Found once a class.

    Example:
        >>> names = Names()
        >>> names.of({False: 0.9, True: 0.1})
        {'false': 0.9, 'true': 0.1}
    """

    def __missing__(self, value: Value) -> str:
        made = self[value] = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        return made

    def of(self, probabilities: Mapping[Value, float]) -> dict[str, float]:
        """Probabilities by the name of the class, in the order of the names."""
        named = {self[value]: float(p) for value, p in probabilities.items()}
        return dict(sorted(named.items()))

    def quoted(self, value: Value) -> bytes:
        """The name as JSON has a text."""
        return msgspec.json.encode(self[value])
