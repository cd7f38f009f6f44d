"""Why a unit got what it got, in OpenFeature's words and the few that it lacks."""

from enum import StrEnum

from foldline.records.types import Decision


class Reason(StrEnum):
    """Of an assignment; logged with every decision of a loop on which experiments stand.

    Only units with a probability belong to the experiment's analysis: they are in it by chance.
    """

    SPLIT = "SPLIT"
    """OpenFeature: by the hash; on a loop without experiments, by the policy's draw."""
    DEFAULT = "DEFAULT"
    """OpenFeature: the loop's own policy gave the one action it always gives."""
    STICKY = "STICKY"
    """As it was assigned before, though weights have changed; not analysed since then, where it has no probability."""
    FORCED = "FORCED"
    """By a list of units, for trying a variant out; not analysed."""
    PROMOTED = "PROMOTED"
    """The variant won and is given to more and more units; not analysed."""
    NOT_ENROLLED = "NOT_ENROLLED"
    """Outside the coverage, or another experiment of the layer has the unit."""
    HOLDOUT = "HOLDOUT"
    """In a group that no experiment touches."""
    NOT_TARGETED = "NOT_TARGETED"
    """The targeting condition does not hold."""
    EXPERIMENT_PAUSED = "EXPERIMENT_PAUSED"
    """Nobody is assigned for now."""
    EXPERIMENT_ENDED = "EXPERIMENT_ENDED"
    """Nobody is assigned any more."""
    ERROR = "ERROR"
    """OpenFeature: refused; the assignment's error says why."""

    @property
    def openfeature(self) -> str:
        """The nearest of the reasons that every OpenFeature provider knows.

        Example:
            >>> Reason.STICKY.openfeature, Reason.EXPERIMENT_PAUSED.openfeature
            ('SPLIT', 'DISABLED')
        """
        return _OPENFEATURE.get(self.value, self.value)


_OPENFEATURE = {
    "STICKY": "SPLIT",
    "FORCED": "TARGETING_MATCH",
    "PROMOTED": "TARGETING_MATCH",
    "NOT_ENROLLED": "DEFAULT",
    "HOLDOUT": "DEFAULT",
    "NOT_TARGETED": "DEFAULT",
    "EXPERIMENT_PAUSED": "DISABLED",
    "EXPERIMENT_ENDED": "DISABLED",
}


def reason_of(made: Decision) -> Reason:
    """Why a decision is what it is; where no experiment stands on its loop, whether chance was involved.

    Example:
        >>> made = Decision(time=0, id="0.0.a", unit="u1", action="a", propensity=0.5, bundle="b", definition=1)
        >>> str(reason_of(made))
        'SPLIT'
    """
    if made.reason is not None:
        return Reason(made.reason)
    return Reason.SPLIT if made.propensity < 1.0 else Reason.DEFAULT


class AssignmentError(StrEnum):
    """Why a unit was refused: OpenFeature's error codes."""

    TARGETING_KEY_MISSING = "TARGETING_KEY_MISSING"
    """The unit id is null or empty: all such would share one variant."""
    INVALID_CONTEXT = "INVALID_CONTEXT"
    """The unit id is not text: 1 and "1" would be two units, or one, as it happens."""
