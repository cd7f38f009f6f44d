"""Variants as loops of their own: what they learn of, how units come to them."""

from typing import Any

import numpy as np

from foldline.experiments.definition import ExperimentDefinition, Variant
from foldline.experiments.measure import Goal
from foldline.fold.rule import RewardRule
from foldline.loops.variants import VariantFold
from foldline.policies.epsilon_greedy import EpsilonGreedy
from foldline.records.codec import decode, encode_lines
from foldline.records.types import Decision, Definition, Phase, Record, Reward
from foldline.testing.check_fold import check_fold

START = 1_700_000_000_000


def _fold(learns: str, variant: str = "b", wait_ms: int = 0) -> VariantFold:
    rule = RewardRule(wait_ms=wait_ms)
    return VariantFold(EpsilonGreedy(), rule, experiment="ctr", variant=variant, learns=learns)  # type: ignore[arg-type]  # one of the three


def _log(count: int = 300) -> list[Record]:
    """Decisions of two variants and of nobody, each with a reward; the experiment starts after a third."""
    rng = np.random.default_rng(2)
    made: list[Record] = [Definition(time=START, loop="news", version=1, actions=["x", "y"])]
    for i in range(count):
        time, variant = START + i * 100, ["a", "b", None][int(rng.integers(3))]
        if i == count // 3:
            made.append(Phase(time=time, experiment="ctr", version=2, state="running"))
        named: dict[str, Any] = (
            {"experiment": "ctr", "variant": variant} if variant and i >= count // 3 else {}
        )
        made += [
            Decision(
                time=time, id=f"0.0.{i}", unit=f"u{i}", action="xy"[i % 2], propensity=0.5, bundle="b", definition=1,
                **named,
            ),
            Reward(time=time, id=f"r{i}", decision=f"0.0.{i}", value=float(rng.random() < 0.5)),
        ]  # fmt: skip
    return made


def _pulls(fold: VariantFold, records: list[Record]) -> int:
    state = fold.empty()
    fold.apply(state, decode(encode_lines(records)))
    return int(state.known.arrays["count"].sum())


def test_each_rule_learns_of_its_own_decisions() -> None:
    """Own units', all, or those before the start: counted in the log."""
    records = _log()
    decisions = [r for r in records if isinstance(r, Decision)]
    assert _pulls(_fold("own"), records) == sum(d.variant == "b" for d in decisions) > 0
    assert _pulls(_fold("own", "a"), records) == sum(d.variant == "a" for d in decisions)
    assert _pulls(_fold("shared"), records) == len(decisions) == 300
    assert _pulls(_fold("frozen"), records) == 100


def test_variant_folds_pass_the_conformance_suite() -> None:
    """Also the one that freezes, wherever a batch or a restart falls."""
    columns = decode(encode_lines(_log()))
    for learns in ("own", "shared", "frozen"):
        check_fold(_fold(learns, wait_ms=700), columns)


def test_the_rule_is_part_of_the_identity() -> None:
    """So no root of one is ever restored as another's."""
    assert len({str(_fold(learns).parameters()) for learns in ("own", "shared", "frozen")}) == 3
    assert _fold("own").parameters() != _fold("own", "a").parameters()


def test_a_definition_names_its_variants() -> None:
    """Keys in order, the control first."""
    one = ExperimentDefinition(
        name="ctr", version=1, time=0, loop="news", goal=Goal(name="reward", baseline=0.5, effect=0.2),
        variants=tuple(Variant(key=k, policy={"kind": "random"}) for k in "ab"), sample_sizes=(9, 9),
        max_duration_ms=9, salt="s",
    )  # fmt: skip
    assert (one.keys, one.variant("b").key) == (("a", "b"), "b")
