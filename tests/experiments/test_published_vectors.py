"""Assignment in the ways of other systems, against their published vectors."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from foldline.errors import InputError
from foldline.experiments.conditions import matches
from foldline.experiments.foreign_hashes import fnv1a_32, murmur3_32
from foldline.experiments.growthbook import (
    bucket_ranges,
    choose_variation,
    equal_weights,
    growthbook_position,
    in_namespace,
)
from foldline.experiments.growthbook_experiment import GrowthBookUser, growthbook_experiment
from foldline.experiments.planout import SCALE, PlanOutDraw
from foldline.experiments.unleash import VARIANT_SEED, unleash_enrolled, unleash_position, unleash_variant


def growthbook(shared_data: Path, section: str) -> list[list[Any]]:
    """One section of GrowthBook's cases."""
    cases: list[list[Any]] = json.loads((shared_data / "growthbook" / "cases.json").read_text())[section]
    assert cases
    return cases


def test_hashes(shared_data: Path) -> None:
    """55 texts, non-ASCII ones too."""
    vectors = json.loads((shared_data / "hashes" / "vectors.json").read_text())["vectors"]
    for vector in vectors:
        data = vector["text"].encode()
        assert fnv1a_32(data) == vector["fnv1a_32"]
        assert murmur3_32(data) == vector["murmur3_x86_32_seed0"]
        assert murmur3_32(data, 42) == vector["murmur3_x86_32_seed42"]
        assert growthbook_position("x", vector["text"], 1) == vector["growthbook_v1_seed_x"]
        assert growthbook_position("x", vector["text"], 2) == vector["growthbook_v2_seed_x"]
    assert len(vectors) == 55


def test_growthbook_functions(shared_data: Path) -> None:
    """The sections hash, getBucketRange, chooseVariation, inNamespace and getEqualWeights."""
    for seed, value, version, expected in growthbook(shared_data, "hash"):
        assert growthbook_position(seed, value, version) == expected
    for _, (variations, coverage, weights), expected in growthbook(shared_data, "getBucketRange"):
        ranges = bucket_ranges(variations, coverage, weights)
        assert [edge for pair in ranges for edge in pair] == pytest.approx(
            [e for pair in expected for e in pair]
        )
    for _, position, ranges, expected in growthbook(shared_data, "chooseVariation"):
        assert choose_variation(position, ranges) == expected
    for _, value, namespace, expected in growthbook(shared_data, "inNamespace"):
        assert in_namespace(value, tuple(namespace)) is expected
    for variations, expected in growthbook(shared_data, "getEqualWeights"):
        assert equal_weights(variations) == pytest.approx(expected, abs=1e-8)
    sections = ("hash", "getBucketRange", "chooseVariation", "inNamespace", "getEqualWeights")
    assert [len(growthbook(shared_data, section)) for section in sections] == [8, 7, 7, 8, 3]


def test_growthbook_reference_values() -> None:
    """RC-12: hashes, and nine users of one experiment."""
    assert (fnv1a_32(b""), fnv1a_32(b"a"), fnv1a_32(b"foobar")) == (0x811C9DC5, 0xE40C292C, 0xBF9CF968)
    expected = {("", "a", 1): 0.22, ("b", "a", 1): 0.946, ("ef", "d", 1): 0.652, ("seed", "a", 2): 0.0505}
    expected |= {("seed", "b", 2): 0.2696, ("foo", "ab", 2): 0.2575, ("foo", "def", 2): 0.2019}
    for arguments, position in expected.items():
        assert growthbook_position(*arguments) == position
    assert growthbook_position("abc", "def", 99) is None
    halves = bucket_ranges(2)
    positions = [growthbook_position("my-test", str(i), 1) for i in range(1, 10)]
    assert [choose_variation(p or 0.0, halves) for p in positions] == [1, 0, 0, 1, 1, 1, 0, 1, 0]
    ctr = [growthbook_position("exp-ctr", f"user-{i}", 2) for i in range(1, 11)]
    assert ctr[:5] == [0.402, 0.3698, 0.2017, 0.6001, 0.9946]
    assert [choose_variation(p or 0.0, halves) for p in ctr] == [0, 0, 0, 1, 1, 0, 0, 1, 1, 1]


def test_murmur_reference_values() -> None:
    """RC-12: Optimizely's shares of 10,000 and flagd's hashes, by the same function as Unleash's."""
    optimizely = {
        "ppid11886780721": 5254,
        "ppid21886780721": 4299,
        "ppid21886780722": 2434,
        "ppid31886780721": 5439,
    }
    for text, share in optimizely.items():
        assert murmur3_32(text.encode(), 1) * 10_000 >> 32 == share
    flagd = {"user-1": (4144363666, 1), "user-2": (434283295, 0), "user-3": (529421653, 0)}
    for unit, (hashed, half) in flagd.items():
        assert murmur3_32(f"flagA{unit}".encode()) == hashed
        assert hashed * 2 >> 32 == half


ELSEWHERE = ("url", "forcedVariations", "overrides", "features")
"""What belongs to pages and flags, not to an experiment's units."""


def test_growthbook_runs(shared_data: Path) -> None:
    """The section run, where it is about users: 35 of 37 cases."""
    ran = 0
    for name, context, experiment, value, in_experiment, hash_used in growthbook(shared_data, "run"):
        if any(key in context for key in ELSEWHERE):
            continue
        user = GrowthBookUser(
            attributes=context["attributes"],
            groups=context.get("savedGroups"),
            enabled=context.get("enabled", True),
            qa_mode=context.get("qaMode", False),
        )
        got = growthbook_experiment(experiment, user)
        answer = (experiment["variations"][got.variation], got.in_experiment, got.hash_used)
        assert answer == (value, in_experiment, hash_used), name
        ran += 1
    assert ran == 35


def test_growthbook_sticky_buckets(shared_data: Path) -> None:
    """All seven published cases: fallback, upgrade, new bucket versions, and switched off."""
    for name, context, documents, feature, expected, after in growthbook(shared_data, "stickyBucket"):
        rule = context["features"][feature]["rules"][0]
        before = {f"{d['attributeName']}||{d['attributeValue']}": d for d in documents}
        user = GrowthBookUser(attributes=context["attributes"], documents=before)
        got = growthbook_experiment({"key": feature, **rule}, user)
        assert got.documents == after, name
        assert (got.in_experiment, got.variation, got.key) == (
            expected["inExperiment"],
            expected["variationId"],
            expected["key"],
        ), name
        assert (got.hash_attribute, got.hash_value, got.hash_used) == (
            expected["hashAttribute"],
            expected["hashValue"],
            expected["hashUsed"],
        ), name
        assert (got.position, got.sticky_used) == (expected["bucket"], expected["stickyBucketUsed"]), name


def drawn(case: dict[str, Any]) -> object:
    """A PlanOut operator's answer."""
    arguments = case["args"]
    salt = arguments.get("full_salt") or f"{case['experiment_salt']}.{arguments.get('salt', case['param'])}"
    draw = PlanOutDraw(salt, case["unit"])
    operators: dict[str, Any] = {
        "RandomInteger": lambda: draw.random_integer(arguments["min"], arguments["max"]),
        "RandomFloat": lambda: draw.uniform(arguments["min"], arguments["max"]),
        "BernoulliTrial": lambda: draw.bernoulli(arguments["p"]),
        "UniformChoice": lambda: draw.choice(arguments["choices"]),
        "WeightedChoice": lambda: draw.weighted_choice(arguments["choices"], arguments["weights"]),
        "BernoulliFilter": lambda: draw.kept(arguments["choices"], arguments["p"]),
        "Sample": lambda: draw.sample(arguments["choices"], arguments["draws"]),
        "FastSample": lambda: draw.sample(arguments["choices"], arguments["draws"], fast=True),
    }
    return operators[case["op"]]()


def test_planout_operators(shared_data: Path) -> None:
    """372 assignments of eight operators, lists of units and salts of their own included."""
    cases = json.loads((shared_data / "planout" / "vectors.json").read_text())["cases"]
    for case in cases:
        assert drawn(case) == case["expected"], case
    assert len(cases) == 372


def test_planout_script(shared_data: Path) -> None:
    """16 runs of the compiled script whose first is asserted in PlanOut's own tests."""
    for case in json.loads((shared_data / "planout" / "vectors.json").read_text())["script_cases"]:
        unit, salt = case["inputs"]["userid"], case["salt"]
        got: dict[str, int] = {
            "group_size": PlanOutDraw(f"{salt}.group_size", unit).choice([1, 10]),
            "specific_goal": PlanOutDraw(f"{salt}.specific_goal", unit).bernoulli(0.8),
        }
        if got["specific_goal"]:
            goal = PlanOutDraw(f"{salt}.ratings_per_user_goal", unit).choice([8, 16, 32, 64])
            got |= {"ratings_per_user_goal": goal, "ratings_goal": goal * got["group_size"]}
        assert got == case["expected"]


def test_planout_reference_values() -> None:
    """RC-12."""
    assert [PlanOutDraw("exp.x", i).integer() for i in "12"] == [715933475252549315, 700731929601910570]
    units = [PlanOutDraw("ctr_test.variant", f"user-{i}").uniform() for i in (1, 2)]
    assert units == pytest.approx([0.248597674001, 0.885076744818], abs=1e-12)
    digest = hashlib.sha1(b"exp.x.1", usedforsecurity=False).hexdigest()
    assert PlanOutDraw("exp.x", 1).integer() == int(digest[:15], 16) <= SCALE


@pytest.mark.parametrize("unit", ["", [], ["u", ""]])
def test_planout_refuses_empty_units(unit: Any) -> None:
    """All empty ones would share one value."""
    with pytest.raises(InputError):
        PlanOutDraw("exp.x", unit)


def test_unleash_reference_values() -> None:
    """RC-12: positions of rollouts and variants."""
    assert (unleash_position("gr1", "123"), unleash_position("groupX", "999")) == (73, 25)
    pairs = [("gr1", "123"), ("groupX", "999")]
    assert [unleash_position(g, u, modulus=1000, seed=VARIANT_SEED) for g, u in pairs] == [796, 260]


STICKY = {"gradualRolloutUserId": "userId", "gradualRolloutSessionId": "sessionId"}


def unit_of(context: dict[str, Any], stickiness: str) -> str | None:
    """Unleash's unit: a named attribute, or by default the user, else the session."""
    if stickiness == "default":
        return context.get("userId") or context.get("sessionId")
    found = context.get(stickiness) or context.get("properties", {}).get(stickiness)
    return None if found is None else str(found)


def enabled(feature: dict[str, Any] | None, context: dict[str, Any]) -> bool:
    """Whether any strategy of a feature is on."""
    if feature is None or not feature["enabled"]:
        return False
    for strategy in feature["strategies"]:
        name, given = strategy["name"], strategy.get("parameters", {})
        if name == "default":
            return True
        if name == "remoteAddress":
            addresses = [address.strip() for address in given["IPs"].split(",")]
            if matches({"remoteAddress": {"$in": addresses}}, context):
                return True
            continue
        stickiness = given.get("stickiness") or STICKY[name]
        share = int(given.get("rollout") or given.get("percentage") or 0)
        unit = unit_of(context, stickiness)
        # Without a unit the default stickiness is at random; of its cases only 0 and 100 % are.
        if unit is None and stickiness == "default":
            unit = "anyone"
        if unleash_enrolled(given["groupId"], unit, share):
            return True
    return not feature["strategies"]


@pytest.mark.parametrize(
    "name",
    [
        "01-simple-examples",
        "03-gradual-rollout-user-id-strategy",
        "04-gradual-rollout-session-id-strategy",
        "06-remote-address-strategy",
        "08-variants",
        "10-flexible-rollout-strategy",
        "12-custom-stickiness",
    ],
)
def test_unleash_specifications(shared_data: Path, name: str) -> None:
    """Rollouts and variants of the client specification, and addresses by a targeting condition."""
    suite = json.loads((shared_data / "unleash" / f"{name}.json").read_text())
    features = {feature["name"]: feature for feature in suite["state"]["features"]}
    for case in suite.get("tests", []):
        assert enabled(features.get(case["toggleName"]), case["context"]) is case["expectedResult"], case
    for case in suite.get("variantTests", []):
        feature = features.get(case["toggleName"])
        if not enabled(feature, case["context"]) or not (feature or {}).get("variants"):
            assert case["expectedResult"]["enabled"] is False, case
            continue
        assert feature
        assert variant_of(feature, case["context"]) == case["expectedResult"]["name"], case


def variant_of(feature: dict[str, Any], context: dict[str, Any]) -> str:
    """A forced variant, or the hash's."""
    for variant in feature["variants"]:
        for override in variant.get("overrides", []):
            if unit_of(context, override["contextName"]) in override["values"]:
                return str(variant["name"])
    unit = unit_of(context, feature["variants"][0].get("stickiness", "default"))
    assert unit
    return unleash_variant(feature["name"], unit, {v["name"]: v["weight"] for v in feature["variants"]})
