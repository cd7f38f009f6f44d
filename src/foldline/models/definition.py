"""A model on a loop, as its definition has it: which, on what, how labels come, how it serves."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from foldline.errors import DefinitionError, FoldlineError
from foldline.models.expression import Expression, model_from
from foldline.models.flat import FlatModel
from foldline.models.online import OnlineModel
from foldline.models.ranking import EXACT
from foldline.models.river import RiverModel
from foldline.models.signing import Secret, no_secret
from foldline.records.types import Value

MODEL_KIND = "model"


class ModelDefinition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of a loop's models.

    Attributes:
        kind: `model`, among the kinds of fold.
        name: of the model within the loop; names its topic of inferences.
        model: by name, see `foldline.models.expression`.
        parameters: of it.
        features: columns of a model of ours; by default those of the first example.
        classes: what labels may be, for a model of ours; the positive one last.
        positive: the class whose probability ranks examples, and whose recall and F1 are told.
        label_window_s: seconds of stream time in which a label finds its example, and an id is known again.
        missing: the label of an example whose label did not come in time; null: it has none, and is counted.
        groups: models in each partition; units are divided among them by hash, so that a unit always meets the same.
        serve: what a service answers with: the model of the unit's partition, or the mean of all partitions' models.
        shadow: fed and measured like the others, never served.
        window: labelled examples of the sliding window.
        exact_scores: different scores up to which ROC AUC is exact.
        snapshot_every_s: least seconds between two snapshots of a partition; more where they are costly.

    Example:
        >>> import foldline as fl
        >>> with fl.open("memory://") as app:
        ...     cards = app.loop("cards", models=[fl.Model(name="fraud", model="LogisticRegression")])
        ...     for i in range(40):
        ...         told = cards.predict({"amount": float(i % 10)}, unit=f"card-{i % 3}")
        ...         cards.label(told, i % 10 > 7)
        ...     cards.catch_up()
        ...     cards.models()["fraud"].metrics.accuracy
        0.775
    """

    kind: Literal["model"] = "model"
    name: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
    model: Any
    parameters: dict[str, Any] = {}
    features: tuple[str, ...] = ()
    classes: tuple[Value, ...] = (False, True)
    positive: Value = True
    label_window_s: Annotated[float, Meta(gt=0)] = 3600.0
    missing: Value | None = None
    groups: Annotated[int, Meta(ge=1, le=4096)] = 1
    serve: Literal["partition", "ensemble"] = "partition"
    shadow: bool = False
    window: Annotated[int, Meta(ge=1, le=1_000_000)] = 1000
    exact_scores: Annotated[int, Meta(ge=1, le=10_000_000)] = EXACT
    snapshot_every_s: Annotated[float, Meta(ge=0)] = 1.0

    @property
    def label_window_ms(self) -> int:
        """The label window in milliseconds, at least 1."""
        return max(1, round(self.label_window_s * 1000))

    def expression(self) -> Expression:
        """The model by name."""
        return model_from(self.model, self.parameters)

    def build(self, secret: Secret = no_secret) -> OnlineModel:
        """The model as an object.

        Args:
            secret: gives the deployment's, with which River's states are signed.

        Raises:
            InputError: no such model, or not with these parameters.
            MissingExtra: it is River's, which is not installed.
        """
        expression = self.expression()
        if "." in expression[-1].model or len(expression) > 1:
            return RiverModel(expression, secret)
        return FlatModel(expression, features=self.features, classes=self.classes)


def model_values_of(definition: ModelDefinition) -> dict[str, Any]:
    """The definition as JSON values, `kind` first; what is left to its default is left out."""
    plain = msgspec.to_builtins(definition)
    default = msgspec.to_builtins(ModelDefinition(name="m", model=""))
    given = {
        name: value for name, value in plain.items() if name in ("name", "model") or value != default[name]
    }
    return {"kind": MODEL_KIND, **given}


def model_definition(values: dict[str, Any]) -> ModelDefinition:
    """The definition of JSON values, checked.

    Raises:
        DefinitionError: `definition.incoherent`: a value is not well formed, or there is no such model.
        MissingExtra: it is River's, which is not installed.

    Example:
        >>> model_definition({"kind": "model", "name": "fraud", "model": "LogisticRegression"}).build().task
        'classification'
    """
    try:
        made = msgspec.convert(values, ModelDefinition)
        made.build()
    except msgspec.ValidationError as error:
        raise DefinitionError(
            "definition.incoherent", f"model {values!r:.300}: {error}", field="folds"
        ) from error
    except ImportError:
        raise
    except FoldlineError as error:
        raise DefinitionError("definition.incoherent", str(error), field="folds") from error
    return made
