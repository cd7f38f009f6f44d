"""The audit: an honest log agrees whole; each kind of planted error is found at its place, and nothing else is."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foldline.engine.defining import create_catalogue
from foldline.engine.findings import MEANINGS, FindingKind
from foldline.engine.publisher import Publisher
from foldline.errors import InputError
from foldline.fold.rule import RewardRule
from foldline.log.open import open_log
from foldline.log.protocol import Batch, Log
from foldline.records.codec import encode
from foldline.records.types import Decision, Outcome, Record
from tests.engine.deciding import Honest, audited, found, outcome_fields, rewrite
from tests.engine.traffic import definition

POLICIES: list[dict[str, Any]] = [
    {"kind": "epsilon_greedy", "epsilon": 0.3},
    {"kind": "thompson"},
    {"kind": "gaussian_thompson"},
    {"kind": "ucb1"},
    {"kind": "kl_ucb"},
    {"kind": "discounted"},
    {"kind": "random"},
]


@pytest.mark.parametrize("policy", POLICIES, ids=[policy["kind"] for policy in POLICIES])
def test_an_honest_log_agrees(log: Log, policy: dict[str, Any]) -> None:
    """Masks, contexts, retries, outcomes, old bundles and fallbacks: every one is what its bundle gives."""
    made = Honest(log, msgspec.structs.replace(definition(3), policy=policy))
    made.run(6)
    result = audited(log)
    assert result.agree, result.findings
    assert result.bundles == result.bundles_agree == len(made.deciders)
    assert result.decisions + result.outcomes == len(made.placed)
    assert result.outcomes == sum(isinstance(record, Outcome) for _, _, record in made.placed)
    assert result.fallback > 0
    assert result.unchecked == 0


def test_definition_changes_agree(log: Log) -> None:
    """Actions and range by marker, dials, learning parameters that start new folds, and the first fold again."""
    made = Honest(log, definition(2))
    made.run(4)
    made.redefine(actions=("b", "d", "c"), high=2.0)
    made.run(3)
    made.redefine(policy={"kind": "thompson"})
    made.run(3)
    made.redefine(reward=RewardRule(wait_ms=0, correction_ms=10_000))
    made.run(3)
    made.redefine(policy={"kind": "epsilon_greedy", "epsilon": 0.5}, reward=definition().reward)
    made.run(3)
    assert len({decider.bundle.definition for decider in made.deciders}) == 5
    result = audited(log)
    assert result.agree, result.findings
    assert result.bundles_agree == len(made.deciders)


def test_a_policy_of_one_partition_agrees(log: Log) -> None:
    """A state that does not merge is recomputed as it stands."""
    made = Honest(log, msgspec.structs.replace(definition(1), policy={"kind": "constant_step"}))
    made.run(5)
    assert audited(log).agree


def test_batch_sizes_give_the_same_audit(honest: Honest) -> None:
    """Findings, their order and all counts are the same in batches of 1, 7 and 10,000."""
    for local in ("x", "y", "z"):
        forged = honest.decide(unit=local)
        honest.append([msgspec.structs.replace(forged, propensity=0.123, definition=7)])
    whole = audited(honest.log)
    assert whole.counts["propensity_differs"] == whole.counts["definition_differs"] == 3
    assert audited(honest.log, batch=1) == whole
    assert audited(honest.log, batch=7) == whole


def test_a_second_publisher_agrees(honest: Honest) -> None:
    """Another process that takes the publishing over goes on with cuts that can be recomputed."""
    honest.append([honest.decide() for _ in range(20)])
    second = Publisher(honest.log, honest.catalogue, honest.loop, "two")
    honest.log.release(honest._publisher._lease)  # type: ignore[arg-type]  # it holds one
    honest._publisher = second
    honest.run(2)
    assert audited(honest.log).agree


def test_a_cut_audits_what_came_before(honest: Honest) -> None:
    """With a cut, later decisions and the bundles that only they can name are left out."""
    half = honest.deciders[len(honest.deciders) // 2].bundle.cut
    forged = msgspec.structs.replace(honest.decide(), propensity=0.5)
    honest.append([forged])
    early, whole = audited(honest.log, cut=half), audited(honest.log)
    assert early.agree
    assert not whole.agree
    assert 0 < early.decisions < whole.decisions
    assert 0 < early.bundles < whole.bundles
    assert audited(honest.log, cut=(0, 0, 0)).decisions == 0
    with pytest.raises(InputError, match="the log ends at"):
        audited(honest.log, cut=(0, 0, 10**6))


def test_what_is_appended_meanwhile_is_left_out(honest: Honest) -> None:
    """An audit of a log in use covers what stood there when it began, and takes nothing newer for an error."""
    before = len(honest.placed)
    left = iter(range(6))

    def busy(_phase: str, _count: int) -> None:
        if next(left, None) is not None:
            honest.run(1, per_round=20)
            honest.log.clean()

    result = audited(honest.log, batch=20, progress=busy)
    assert result.agree, result.findings
    assert result.decisions + result.outcomes == before < len(honest.placed)


def test_lines_that_are_no_records_are_passed_over(honest: Honest) -> None:
    """What the fold dead-letters has no propensity to check."""
    good = msgspec.json.encode(honest.decide()).replace(b'"unit"', b'"unti"')
    honest.log.append([Batch(honest.events, 0, good + b"\n{nonsense\n\xff", 3, honest.now, honest.now)])
    assert audited(honest.log).agree


Forge = Callable[[Honest], tuple[Record, FindingKind]]


def _other_action(honest: Honest) -> tuple[Record, FindingKind]:
    one = honest.decide()
    [other, *_] = [action for action in honest.newest.actions if action != one.action]
    return msgspec.structs.replace(one, action=other), "action_differs"


def _unheard_action(honest: Honest) -> tuple[Record, FindingKind]:
    return msgspec.structs.replace(honest.decide(), action="never"), "action_differs"


def _other_propensity(honest: Honest) -> tuple[Record, FindingKind]:
    one = honest.decide()
    return msgspec.structs.replace(one, propensity=one.propensity - 2.0**-53), "propensity_differs"


def _masked_propensity(honest: Honest) -> tuple[Record, FindingKind]:
    one = honest.decide(available=["a", "c"], context={"x": 1})
    return msgspec.structs.replace(one, propensity=one.propensity / 2), "propensity_differs"


def _outcome_propensity(honest: Honest) -> tuple[Record, FindingKind]:
    fields = outcome_fields(honest.decide())
    return Outcome(**{**fields, "propensity": 0.25}, reward=1.0), "propensity_differs"


def _unheard_mask(honest: Honest) -> tuple[Record, FindingKind]:
    return msgspec.structs.replace(honest.decide(), available=["a", "z"]), "available_unknown"


def _empty_mask(honest: Honest) -> tuple[Record, FindingKind]:
    return msgspec.structs.replace(honest.decide(), available=[]), "available_unknown"


def _unheard_bundle(honest: Honest) -> tuple[Record, FindingKind]:
    return msgspec.structs.replace(honest.decide(), bundle="0123456789abcdef"), "unknown_bundle"


def _other_definition(honest: Honest) -> tuple[Record, FindingKind]:
    return msgspec.structs.replace(honest.decide(), definition=2), "definition_differs"


def _fallback_with_definition(honest: Honest) -> tuple[Record, FindingKind]:
    return msgspec.structs.replace(honest.decide(), bundle="fallback"), "unknown_bundle"


def _fallback_action(honest: Honest) -> tuple[Record, FindingKind]:
    one = msgspec.structs.replace(honest.decide(), bundle="fallback", definition=0, propensity=1.0)
    return msgspec.structs.replace(one, action="never"), "action_differs"


def _fallback_propensity(honest: Honest) -> tuple[Record, FindingKind]:
    one = msgspec.structs.replace(honest.decide(), bundle="fallback", definition=0, propensity=0.5)
    return one, "propensity_differs"


def _renamed(honest: Honest, rename: Callable[[Decision], str]) -> Decision:
    """A decision whose id was changed, drawn again with the changed id so that nothing else differs."""
    one = honest.decide()
    id = rename(one)
    action, propensity = honest.deciders[-1].compiled.choose(id)
    return msgspec.structs.replace(one, id=id, action=honest.newest.actions[action], propensity=propensity)


def _other_generation(honest: Honest) -> tuple[Record, FindingKind]:
    return _renamed(honest, lambda one: "1" + one.id[1:]), "id_differs"


def _other_partition(honest: Honest) -> tuple[Record, FindingKind]:
    return _renamed(honest, lambda one: f"0.{(int(one.id[2]) + 1) % 3}.{one.id[4:]}"), "id_differs"


def _no_id(honest: Honest) -> tuple[Record, FindingKind]:
    return _renamed(honest, lambda _: "order-1"), "id_differs"


def _no_local_id(honest: Honest) -> tuple[Record, FindingKind]:
    return _renamed(honest, lambda one: one.id[:4]), "id_differs"


def _other_unit(honest: Honest) -> tuple[Record, FindingKind]:
    one = honest.decide(unit="u1")
    return _renamed(honest, lambda made: f"0.{(int(made.id[2]) + 1) % 3}.{one.id[4:]}"), "id_differs"


FORGERIES: list[Forge] = [
    _other_action,
    _unheard_action,
    _other_propensity,
    _masked_propensity,
    _outcome_propensity,
    _unheard_mask,
    _empty_mask,
    _unheard_bundle,
    _other_definition,
    _fallback_with_definition,
    _fallback_action,
    _fallback_propensity,
    _other_generation,
    _other_partition,
    _no_id,
    _no_local_id,
    _other_unit,
]


@pytest.mark.parametrize("forge", FORGERIES, ids=[forge.__name__.strip("_") for forge in FORGERIES])
def test_a_planted_decision_isfound(honest: Honest, forge: Forge) -> None:
    """Each forged record is found at its place, as what it is, among honest ones; nothing else is reported."""
    before = [honest.decide() for _ in range(5)]
    record, kind = forge(honest)
    [*_, (partition, offset)] = honest.append([*before, record])
    honest.append([honest.decide() for _ in range(5)])
    result = audited(honest.log)
    assert found(result) == [(kind, honest.events, partition, offset)]
    assert {k: n for k, n in result.counts.items() if n} == {kind: 1}
    honest.run(1)
    assert found(audited(honest.log)) == found(result), "and what is learnt from it is still recomputed"


def test_findings_say_what_is_logged_and_what_was_recomputed(honest: Honest) -> None:
    """Both values stand in the finding, with the decision's id."""
    one = honest.decide()
    honest.append([msgspec.structs.replace(one, propensity=0.25)])
    [finding] = audited(honest.log).findings
    assert (finding.subject, finding.logged, finding.recomputed) == (one.id, 0.25, one.propensity)
    renamed, _ = _other_generation(honest)
    honest.append([renamed])
    assert isinstance(renamed, Decision)
    other = next(f for f in audited(honest.log).findings if f.kind == "id_differs")
    assert (other.logged, other.recomputed) == (renamed.id, "0" + renamed.id[1:])


def test_a_misplaced_decision_isfound(honest: Honest) -> None:
    """A record on another partition than its unit's, with the right id, is found there."""
    one = honest.decide()
    home = int(one.id[2])
    [(partition, offset)] = honest.append([one], partition=(home + 1) % 3)
    [finding] = audited(honest.log).findings
    assert (finding.kind, finding.partition, finding.offset) == ("misplaced", partition, offset)
    assert (finding.logged, finding.recomputed) == (partition, home)


def test_a_decision_before_its_bundle_is_found(honest: Honest) -> None:
    """A bundle that has seen what comes after a decision did not make it."""
    one = honest.decide(unit="early")
    [(partition, offset)] = honest.append([one])
    honest.run(3)
    tries = (honest.deciders[-1].decide("early", f"early-{i}", one.time) for i in range(100))
    forged = next(made for made in tries if made.action == one.action)
    rewrite(honest.log, honest.events, partition, offset, encode(forged))
    assert found(audited(honest.log)) == [("bundle_ahead", honest.events, partition, offset)]
    early = audited(honest.log, cut=tuple(offset + 1 if p == partition else 0 for p in range(3)))
    assert found(early) == [("bundle_ahead", honest.events, partition, offset)]
    assert early.unchecked == 1, "its bundle lies beyond the cut asked for"


def test_findings_are_counted_beyond_those_listed(honest: Honest) -> None:
    """The first are listed, in order; all are counted."""
    forged = [msgspec.structs.replace(honest.decide(), propensity=0.0) for _ in range(30)]
    places = sorted(honest.append([*forged]))
    result = audited(honest.log, keep=4)
    assert result.counts["propensity_differs"] == 30
    assert [(f.partition, f.offset) for f in result.findings] == places[:4]
    assert not audited(honest.log, keep=0).findings


def test_every_kind_of_finding_is_planted_here() -> None:
    """The tests above reach every kind."""
    made = {"uncomputable", "bundle_differs", "bundle_ahead", "misplaced"}
    with open_log("memory://") as log:
        create_catalogue(log)
        honest = Honest(log, definition(3, policy="thompson"))
        honest.run(2)
        made |= {forge(honest)[1] for forge in FORGERIES}
    assert made == set(MEANINGS)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_random_traffic(data: st.DataObject) -> None:
    """Any honest log agrees, and one forged record among it is found alone, in batches of any size."""
    loop = msgspec.structs.replace(
        definition(data.draw(st.sampled_from([1, 3])), wait_ms=data.draw(st.sampled_from([0, 5_000]))),
        policy=data.draw(st.sampled_from(POLICIES)),
    )
    with open_log("memory://") as log:
        create_catalogue(log)
        made = Honest(log, loop, seed=data.draw(st.integers(0, 10**6)))
        made.run(data.draw(st.integers(1, 3)), per_round=data.draw(st.integers(1, 40)))
        if data.draw(st.booleans()):
            made.redefine(actions=("c", "a", "e"))
            made.run(1)
        assert audited(log, batch=data.draw(st.sampled_from([1, 3, 100]))).agree
        forged = msgspec.structs.replace(made.decide(), propensity=0.123456)
        [(partition, offset)] = made.append([forged])
        made.run(1)
        places = found(audited(log, batch=data.draw(st.sampled_from([1, 3, 100]))))
        assert places == [("propensity_differs", made.events, partition, offset)]


def test_many_decisions_and_bundles(log: Log) -> None:
    """Some ten thousand decisions under hundreds of bundles, ten of them forged: ten findings."""
    made = Honest(log, definition(2))
    for turn in range(200):
        some: list[Record] = [made.decide(f"u{i}") for i in range(50)]
        if turn % 20 == 0:
            some[7] = msgspec.structs.replace(some[7], propensity=0.5)
        made.append(some)
        made.learn()
    result = audited(log)
    assert result.decisions == 10_000
    assert result.bundles == result.bundles_agree > 200
    assert {kind: n for kind, n in result.counts.items() if n} == {"propensity_differs": 10}
