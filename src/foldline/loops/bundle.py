"""A bundle: a policy compiled at a cut, immutable, named by its content.

`compile_bundle` is a pure function of the partitions' known states and the definition, so that anyone can
recompute a bundle from its cut and check the hash. Servers and edge clients follow bundles and never merge.
"""

import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from foldline.errors import FoldError
from foldline.loops.definition import LoopDefinition
from foldline.policies.fold import Known


class Bundle(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="bundle"):
    """A compiled policy at a cut.

    Attributes:
        loop: the loop's name.
        hash: 16 hex digits over everything but `hash` and `time`.
        time: when it was published, milliseconds; not part of the content.
        cut: the offset covered of each partition.
        definition: highest definition version within the cut.
        stream_time: highest stream time within the cut, milliseconds; decay is evaluated at it.
        generation: of the event topic.
        salt: of the draws.
        kind: the policy's kind.
        actions: the actions allowed, in table order.
        parameters: what the kind's rule needs; None in a header.
    """

    loop: str
    hash: str
    time: int
    cut: tuple[int, ...]
    definition: int
    stream_time: int
    generation: int
    salt: str
    kind: str
    actions: tuple[str, ...]
    parameters: dict[str, Any] | None = None


_DECODER = msgspec.json.Decoder(Bundle)


def compile_bundle(
    definition: LoopDefinition, cut: Sequence[int], parts: Sequence[Known], *, time: int
) -> Bundle:
    """Merge the partitions' known states in order, compile the policy, and name the result by its content.

    Args:
        definition: the version whose policy and dials decide: the highest the parts have seen.
        cut: offset covered by each part.
        parts: known state of each partition.
        time: publication time, milliseconds.
    """
    fold = definition.fold()
    merged = fold.merge_all(parts)
    vocabulary = merged.vocabulary
    parameters = fold.policy.compile(
        merged.arrays,
        active_columns(merged),
        as_of=merged.stream_time,
        unit_bits=fold.rule.unit_bits,
        low=vocabulary.low,
        high=vocabulary.high,
    )
    bundle = Bundle(
        loop=definition.name,
        hash="",
        time=0,
        cut=tuple(cut),
        definition=vocabulary.version,
        stream_time=merged.stream_time,
        generation=definition.generation,
        salt=definition.salt,
        kind=definition.policy["kind"],
        actions=vocabulary.active,
        parameters=parameters,
    )
    return msgspec.structs.replace(bundle, hash=content_hash(bundle), time=time)


def active_columns(known: Known) -> list[int]:
    """The state index of each active action."""
    index = {name: i for i, name in enumerate(known.vocabulary.actions)}
    return [index[name] for name in known.vocabulary.active]


def content_hash(bundle: Bundle) -> str:
    """16 hex digits of the SHA-256 over the canonical JSON of the content."""
    content = msgspec.structs.replace(bundle, hash="", time=0)
    return hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()[:16]


def encode_bundle(bundle: Bundle) -> bytes:
    """One line of JSON."""
    return msgspec.json.encode(bundle)


def header_of(bundle: Bundle) -> Bundle:
    """The bundle without its parameters, as kept with the decisions it made."""
    return msgspec.structs.replace(bundle, parameters=None)


def decode_bundle(payload: bytes) -> Bundle:
    """The bundle of one line.

    Raises:
        FoldError: `fold.damaged_root` where the line is not a bundle or its hash does not match.
    """
    try:
        bundle = _DECODER.decode(payload)
    except msgspec.MsgspecError as error:
        raise FoldError("fold.damaged_root", f"decoding a bundle of {len(payload)} bytes: {error}") from error
    return checked_bundle(bundle)


def checked_bundle(bundle: Bundle) -> Bundle:
    """The bundle, if it is what its hash says.

    Raises:
        FoldError: `fold.damaged_root`.
    """
    if bundle.parameters is not None and content_hash(bundle) != bundle.hash:
        raise FoldError(
            "fold.damaged_root",
            f"bundle {bundle.hash} of loop {bundle.loop!r} has the content hash {content_hash(bundle)}",
        )
    return bundle
