"""The folds that run on a loop beside its policy's: its timeline, and those its definition names.

Each has its own workers, leases, roots and pace, follows the policy's fold, and writes no ticks and no dead letters.
A fold with output records has a topic for them, named for the fold.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from foldline.errors import DefinitionError
from foldline.fold.protocol import Fold
from foldline.loops.definition import LoopDefinition
from foldline.models.definition import MODEL_KIND, model_definition
from foldline.models.fold import ModelFold
from foldline.models.signing import Secret, no_secret

RESERVED: Final = frozenset({"policy", "timeline", "events", "roots", "bundles"})
"""Names that a fold cannot have: those of the loop's own folds and topics."""


@dataclass(frozen=True, slots=True)
class AttachedFold:
    """A fold that runs on a loop beside its policy's.

    Attributes:
        name: the fold's name, one of its kind within the loop.
        fold_of: makes it for a version of the loop.
        root_every_ms: time between two roots of a partition, and so between two commits of outputs; None for
            the pace of the timeline.
        outputs_first: whether outputs are appended as they come, ahead of the root, and not in its commit. They
            are there a little sooner; after a crash some stand there twice, with one number.
        ticks: whether ticks are appended for what is pending in it.
    """

    name: str
    fold_of: Callable[[LoopDefinition], Fold[Any]]
    root_every_ms: int | None = None
    outputs_first: bool = False
    ticks: bool = False


TIMELINE: Final = AttachedFold("timeline", LoopDefinition.timeline)


def _model(values: dict[str, Any], secret: Secret) -> AttachedFold:
    definition = model_definition(values)

    def fold_of(_: LoopDefinition) -> ModelFold:
        return ModelFold(definition, secret)

    return AttachedFold(
        definition.name, fold_of, round(definition.snapshot_every_s * 1000), outputs_first=True, ticks=True
    )


FOLD_KINDS: Final[dict[str, Callable[[dict[str, Any], Secret], AttachedFold]]] = {MODEL_KIND: _model}
"""By `kind`, what makes an attached fold of the values in a definition; a new kind of fold is a line here.

It raises `DefinitionError` where the values are not those of its kind.
"""


def attached_folds(definition: LoopDefinition, secret: Secret = no_secret) -> list[AttachedFold]:
    """The folds that a definition names, in its order.

    Args:
        definition: of the loop.
        secret: the deployment's; needed to run models of River's.

    Raises:
        DefinitionError: a kind is not known, two folds have one name, or a name is the loop's own.
    """
    attached: list[AttachedFold] = []
    taken = set(RESERVED)
    for values in definition.folds:
        make = FOLD_KINDS.get(values.get("kind", ""))
        where = f"loop {definition.name!r}: fold {values!r}"
        if make is None:
            raise DefinitionError(
                "definition.incoherent",
                f"{where} has kind {values.get('kind')!r}; expected one of {sorted(FOLD_KINDS)!r}",
                field="folds",
                value=values,
            )
        made = make(values, secret)
        if made.name in taken:
            raise DefinitionError(
                "definition.incoherent",
                f"{where} has the name {made.name!r}, which is taken; give it another",
                field="folds",
                value=values,
            )
        taken.add(made.name)
        attached.append(made)
    return attached
