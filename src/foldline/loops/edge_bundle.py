"""What decides on a loop now, as edge clients follow it: its bundle, and the experiments before it with theirs.

One document, swapped whole: a client that decides with a bundle of now and an experiment of before would give a unit
two variants.
"""

import hashlib
from collections.abc import Sequence

import msgspec

from foldline.errors import FoldError
from foldline.experiments.definition import ExperimentDefinition
from foldline.experiments.reasons import Reason
from foldline.loops.bundle import Bundle, checked_bundle
from foldline.loops.deciding import Decider
from foldline.loops.trying import Chooser, TrialDecider, Trying


class TrialBundles(msgspec.Struct, frozen=True, kw_only=True):
    """A running experiment, with the bundle of each variant by its key."""

    definition: ExperimentDefinition
    bundles: dict[str, Bundle]


class EdgeBundle(msgspec.Struct, frozen=True, kw_only=True):
    """All that a decision of the loop is a function of, but for unit and draw.

    Attributes:
        hash: 16 hex digits over the hashes and versions within.
        bundle: the loop's own.
        trials: running experiments, in the order in which they are asked.
        idle: the reason of decisions while none runs, where one is paused or ended.
    """

    hash: str
    bundle: Bundle
    trials: tuple[TrialBundles, ...] = ()
    idle: Reason | None = None

    def chooser(self) -> Chooser:
        """Decides with it."""
        own = Decider(self.bundle)
        if not (self.trials or self.idle):
            return own
        trials = [
            TrialDecider(trial.definition, {key: Decider(bundle) for key, bundle in trial.bundles.items()})
            for trial in self.trials
        ]
        return Trying(own, trials, self.idle)


def edge_bundle(bundle: Bundle, trials: Sequence[TrialDecider], idle: Reason | None) -> EdgeBundle:
    """The document of what decides here."""
    made = tuple(
        TrialBundles(
            definition=trial.definition,
            bundles={key: decider.bundle for key, decider in trial.deciders.items()},
        )
        for trial in trials
    )
    return EdgeBundle(hash=_hash(bundle, made, idle), bundle=bundle, trials=made, idle=idle)


def encode_edge_bundle(edge: EdgeBundle) -> bytes:
    """One line of JSON."""
    return msgspec.json.encode(edge)


def decode_edge_bundle(payload: bytes) -> EdgeBundle:
    """The document of one line, every hash within checked; a bundle alone is one without experiments.

    Raises:
        FoldError: `fold.damaged_root` where it is none, or a hash does not match.
    """
    try:
        found = _EITHER.decode(payload)
        if found.bundle is msgspec.UNSET:
            bundle = _BUNDLE.decode(payload)
            return edge_bundle(checked_bundle(bundle), (), None)
        edge = _EDGE.decode(payload)
    except msgspec.MsgspecError as error:
        raise FoldError(
            "fold.damaged_root", f"decoding what decides, of {len(payload)} bytes: {error}"
        ) from error
    for bundle in (edge.bundle, *(each for trial in edge.trials for each in trial.bundles.values())):
        checked_bundle(bundle)
    expected = _hash(edge.bundle, edge.trials, edge.idle)
    if edge.hash != expected:
        raise FoldError(
            "fold.damaged_root",
            f"what decides on loop {edge.bundle.loop!r} says that its hash is {edge.hash}, it has {expected}",
        )
    return edge


def _hash(bundle: Bundle, trials: Sequence[TrialBundles], idle: Reason | None) -> str:
    """Without experiments the bundle's own, so that nothing changes for those who follow it."""
    if not (trials or idle):
        return bundle.hash
    said = [
        bundle.hash,
        idle,
        [[trial.definition, {key: each.hash for key, each in trial.bundles.items()}] for trial in trials],
    ]
    return hashlib.sha256(msgspec.json.encode(said, order="deterministic")).hexdigest()[:16]


class _Either(msgspec.Struct):
    bundle: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


_EITHER = msgspec.json.Decoder(_Either)
_EDGE = msgspec.json.Decoder(EdgeBundle)
_BUNDLE = msgspec.json.Decoder(Bundle)
