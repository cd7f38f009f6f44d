"""The conformance suite of policies: what every policy promises, as checks anyone can run on their own.

    from foldline.testing.check_policy import check_policy
    check_policy(MyPolicy(alpha=0.2))

A check raises AssertionError where the promise is broken. Policies that name actions name some of `ACTIONS`.
"""

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np

from foldline.errors import FoldError, InputError
from foldline.fold.arrays import Arrays, dump_arrays, load_arrays
from foldline.fold.emits import Emit, Emits
from foldline.policies.compiled import Compiled
from foldline.policies.protocol import WHOLE, Law, Parameters, Policy, field_types
from foldline.testing.emit_streams import UNIT_BITS, EmitStream, emit_stream, emits_of, pick

ACTIONS = ("a", "b", "c", "d", "e", "f")
"""The actions of the loops checked."""

_SEEDS = (1, 2, 3)
_DRAWS = 5_000


def check_policy(policy: Policy) -> None:
    """Run every check.

    Raises:
        AssertionError: naming the check that failed, or where there are no checks.
    """
    assert POLICY_CHECKS, "no checks collected"
    for name, check in POLICY_CHECKS.items():
        try:
            check(policy)
        except AssertionError as error:
            raise AssertionError(f"{policy!r} fails the check {name!r}: {error}") from error


def check_tables(policy: Policy) -> None:
    """Probabilities are integers, not negative, sum to 2^53 exactly, and are zero where not allowed."""
    rng = np.random.default_rng(7)
    for seed in (None, *_SEEDS):
        parameters = _compile(policy, _state(policy, seed))
        named = {**parameters, "actions": ACTIONS}
        whole = policy.weights(named, None)
        everything = np.ones(len(ACTIONS), np.bool_)
        assert (policy.weights(named, everything) == whole).all(), "a mask of all actions changes the table"
        for allowed in (everything, *(rng.random(len(ACTIONS)) < 0.5 for _ in range(8))):
            allowed[int(rng.integers(len(ACTIONS)))] = True
            weights = policy.weights(named, allowed)
            assert weights.dtype == np.int64, f"weights have dtype {weights.dtype}, expected int64"
            assert weights.shape == (len(ACTIONS),), f"weights have shape {weights.shape}"
            assert int(weights.sum()) == WHOLE, f"weights sum to {int(weights.sum())}, expected 2^53"
            assert (weights >= 0).all(), f"negative weights {weights.tolist()}"
            assert not weights[~allowed].any(), "an action that is not allowed has a probability"


def check_frequencies(policy: Policy) -> None:
    """Actions are chosen as often as their propensities say.

    Over 5,000 ids each count lies within 5 standard deviations of its expectation: a true table fails one time in
    300,000. The ids are fixed, so a result never changes.
    """
    for seed in _SEEDS:
        compiled = _reader(policy, _compile(policy, _state(policy, seed)))
        counts = np.zeros(len(ACTIONS))
        for d in range(_DRAWS):
            index, propensity = compiled.choose(f"0.0.{seed}-{d}")
            assert propensity == int(compiled.weights[index]) / WHOLE, "propensity differs from the table"
            counts[index] += 1
        p = compiled.weights / WHOLE
        spread = 5.0 * np.sqrt(_DRAWS * p * (1.0 - p))
        assert (np.abs(counts - _DRAWS * p) <= spread + 1e-6).all(), (
            f"chosen {counts.tolist()}, table {p.tolist()}"
        )


def check_batches(policy: Policy) -> None:
    """Batches of 1, of 7 and of everything give the same bytes, and `learn` tells whether it changed them."""
    for seed in _SEEDS:
        stream = emit_stream(seed)
        expected = dump_arrays(_learnt(policy, stream.emits))
        for size in (1, 7):
            state = policy.empty(len(ACTIONS))
            for start in range(0, len(stream.emits), size):
                rows = np.arange(start, min(start + size, len(stream.emits)))
                before = dump_arrays(state)
                changed = policy.learn(state, pick(stream.emits, rows), unit_bits=UNIT_BITS)
                assert changed or dump_arrays(state) == before, "learn says unchanged, but bytes differ"
            assert dump_arrays(state) == expected, f"batches of {size} give other bytes"
        assert not policy.learn(state, pick(stream.emits, np.arange(0)), unit_bits=UNIT_BITS)


def check_merge(policy: Policy) -> None:
    """The merge law holds as declared; merging changes neither side."""
    for seed in _SEEDS:
        stream = emit_stream(seed, corrected=policy.correction_law != "none")
        a, b, c = (_learnt(policy, stream.part(k)) for k in range(3))
        if policy.merge_law == "none":
            _refuses_merge(policy, a, b)
            continue
        before = [dump_arrays(s) for s in (a, b, c)]
        merge = policy.merge
        law = policy.merge_law
        _same(merge(merge(a, b), c), merge(a, merge(b, c)), law, "merge is not associative")
        _same(merge(a, b), merge(b, a), law, "merge is not commutative")
        _same(merge(a, policy.empty(len(ACTIONS))), a, "exact", "empty is not the identity of merge")
        whole = _learnt(policy, stream.emits)
        _same(merge(merge(a, b), c), whole, law, "merging differs from learning the interleaving")
        assert before == [dump_arrays(s) for s in (a, b, c)], "merge changed what it was given"


def check_correction(policy: Policy) -> None:
    """Learning a default and correcting it is learning the truth, as declared; otherwise corrections change nothing."""
    for seed in _SEEDS:
        truth = emit_stream(seed, corrected=False)
        defaulted, corrections = _defaulted(truth)
        state = _learnt(policy, defaulted)
        uncorrected = dump_arrays(state)
        policy.learn(state, corrections, unit_bits=UNIT_BITS)
        if policy.correction_law == "none":
            assert dump_arrays(state) == uncorrected, (
                "corrections are declared impossible, but change the state"
            )
        else:
            expected = _learnt(policy, truth.emits)
            _same(state, expected, policy.correction_law, "correcting differs from learning the truth")


def check_dump(policy: Policy) -> None:
    """A state survives dump and load, and goes on from there as the original does."""
    first, second = emit_stream(1), emit_stream(2)
    state = _learnt(policy, first.emits)
    loaded = load_arrays(dump_arrays(state))
    for each in (state, loaded):
        policy.learn(each, second.emits, unit_bits=UNIT_BITS)
    assert dump_arrays(loaded) == dump_arrays(state), "a loaded state goes on differently"


def check_arguments_unchanged(policy: Policy) -> None:
    """Emits passed to `learn` stay as they are."""
    stream, untouched = emit_stream(1), emit_stream(1)
    _learnt(policy, stream.emits)
    for name in ("kind", "action", "old", "new", "time", "row"):
        same = np.array_equal(getattr(stream.emits, name), getattr(untouched.emits, name))
        assert same, f"learn changed the column {name!r}"


def check_growth(policy: Policy) -> None:
    """States are per action along their first axis; growing, then learning, is learning with more actions at once."""
    stream = emit_stream(1, actions=3)
    state = _learnt(policy, stream.emits, actions=3)
    before = dump_arrays(state)
    grown = policy.grow(state, len(ACTIONS))
    assert dump_arrays(state) == before, "grow changed what it was given"
    assert all(len(array) == len(ACTIONS) for array in grown.values()), (
        "an array's first axis is not the action"
    )
    more = emit_stream(2)
    policy.learn(grown, more.emits, unit_bits=UNIT_BITS)
    expected = _learnt(policy, stream.emits)
    policy.learn(expected, more.emits, unit_bits=UNIT_BITS)
    assert dump_arrays(grown) == dump_arrays(expected), "growing, then learning, gives other bytes"


def check_compile(policy: Policy) -> None:
    """Compiling is a function of the state, leaves it as it is, follows the order asked, and survives JSON."""
    for seed in _SEEDS:
        state = _state(policy, seed)
        before = dump_arrays(state)
        parameters = _compile(policy, state)
        encoded = msgspec.json.encode(parameters)
        _compile(policy, _state(policy, seed + 1))
        again = msgspec.json.encode(_compile(policy, load_arrays(before)))
        assert again == encoded, "compiling the same state twice gives other parameters"
        assert dump_arrays(state) == before, "compile changed the state"
        here = _reader(policy, parameters).weights
        there = _reader(policy, msgspec.json.decode(encoded)).weights
        assert (here == there).all(), "parameters read back from JSON give another table"


def check_estimates(policy: Policy) -> None:
    """Estimates have one entry an action; without a reward the pulls are zero and the mean is NaN."""
    for seed in (None, *_SEEDS):
        known = policy.estimates(
            _state(policy, seed), range(len(ACTIONS)), as_of=emit_stream(1).as_of, unit_bits=UNIT_BITS
        )
        assert {"pulls", "mean"} <= set(known), f"estimates lack pulls or mean: {sorted(known)}"
        assert all(array.shape == (len(ACTIONS),) for array in known.values()), "one entry an action expected"
        assert (np.isnan(known["mean"]) == (known["pulls"] == 0)).all(), (
            "mean is NaN just where pulls are zero"
        )
        if seed is None:
            assert not known["pulls"].any(), "an empty state has pulls"
        if "low" in known:
            held = ~np.isnan(known["low"])
            assert (known["low"][held] <= known["mean"][held]).all(), "low is above the mean"
            assert (known["mean"][held] <= known["high"][held]).all(), "high is below the mean"


def check_reproducible(policy: Policy) -> None:
    """A policy read back from its JSON is equal and gives the same bytes; its dials are parameters of it."""
    again = msgspec.json.decode(msgspec.json.encode(policy), type=type(policy))
    assert again == policy, f"read back as {again!r}"
    for seed in _SEEDS:
        ours, theirs = _state(policy, seed), _state(again, seed)
        assert dump_arrays(ours) == dump_arrays(theirs), "the same emits give other bytes"
    assert policy.dials <= set(field_types(type(policy))), "a dial is no parameter"


def check_dials(policy: Policy) -> None:
    """Turning a dial to its default changes no byte of the state."""
    defaults = {
        f.name: f.default for f in msgspec.structs.fields(policy) if f.name in policy.dials and not f.required
    }
    turned = type(policy)(**{**msgspec.structs.asdict(policy), **defaults})
    assert dump_arrays(_state(turned, 1)) == dump_arrays(_state(policy, 1)), "a dial changes what is learnt"


def check_parameters(policy: Policy) -> None:
    """Values outside the range, not finite or of another type are refused on construction and on decoding."""
    given = msgspec.structs.asdict(policy)
    for name, annotation in field_types(type(policy)).items():
        bad: list[Any] = [object(), float("nan"), float("inf"), -float("inf")]
        meta = next((m for m in getattr(annotation, "__metadata__", ()) if isinstance(m, msgspec.Meta)), None)
        if meta and meta.le is not None:
            bad.append(meta.le * 2 + 1)
        if meta and meta.ge is not None:
            bad.append(meta.ge - 1)
        assert meta is None or meta.description, f"parameter {name!r} has no description"
        for value in bad:
            _refuses(policy, {**given, name: value})


POLICY_CHECKS: dict[str, Callable[[Policy], None]] = {
    "tables": check_tables,
    "frequencies": check_frequencies,
    "batches": check_batches,
    "merge": check_merge,
    "correction": check_correction,
    "dump": check_dump,
    "arguments unchanged": check_arguments_unchanged,
    "growth": check_growth,
    "compile": check_compile,
    "estimates": check_estimates,
    "reproducible": check_reproducible,
    "dials": check_dials,
    "parameters": check_parameters,
}
"""Every check by name."""


def _learnt(policy: Policy, emits: Emits, actions: int = len(ACTIONS)) -> Arrays:
    state = policy.empty(actions)
    policy.learn(state, emits, unit_bits=UNIT_BITS)
    return state


def _state(policy: Policy, seed: int | None) -> Arrays:
    return policy.empty(len(ACTIONS)) if seed is None else _learnt(policy, emit_stream(seed).emits)


def _compile(policy: Policy, state: Arrays) -> Parameters:
    as_of = emit_stream(1).as_of
    return policy.compile(state, range(len(ACTIONS)), as_of=as_of, unit_bits=UNIT_BITS, low=0.0, high=1.0)


def _reader(policy: Policy, parameters: Parameters) -> Compiled:
    return Compiled(policy.kind, ACTIONS, parameters, "salt", policy=type(policy))


def _same(left: Arrays, right: Arrays, law: Law, message: str) -> None:
    """Byte-equal, or within 1e-9 of the greatest entry where the law is approximate."""
    if law == "exact":
        assert dump_arrays(left) == dump_arrays(right), message
        return
    assert left.keys() == right.keys(), message
    for name in left:
        a, b = left[name].astype(np.float64), right[name].astype(np.float64)
        scale = max(1.0, float(np.abs(b).max(initial=0.0)))
        assert np.allclose(a, b, rtol=1e-9, atol=1e-9 * scale), f"{message}: {name!r} {a} against {b}"


def _refuses_merge(policy: Policy, left: Arrays, right: Arrays) -> None:
    refusal = None
    try:
        policy.merge(left, right)
    except FoldError as error:
        refusal = error.code
    assert refusal == "fold.not_mergeable", f"merge is declared impossible, but gave {refusal or 'a state'}"


def _refuses(policy: Policy, parameters: dict[str, Any]) -> None:
    try:
        made = type(policy)(**parameters)
    except InputError:
        return
    raise AssertionError(f"{parameters!r} was accepted: {made!r}")


def _defaulted(truth: EmitStream) -> tuple[Emits, Emits]:
    """The stream with every reward learnt as zero, and the corrections to the truth."""
    emits = truth.emits
    defaulted = pick(emits, np.arange(len(emits)))
    learnt = np.flatnonzero(emits.kind == Emit.LEARNT)
    defaulted.new[learnt] = 0
    rows = [
        (int(Emit.CORRECTED), int(emits.action[i]), 0, int(emits.new[i]), int(emits.time[i])) for i in learnt
    ]
    return defaulted, emits_of(rows)
