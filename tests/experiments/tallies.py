"""Random logs of an experiment, and what must be tallied of them, counted the plain way."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from foldline.experiments.definition import ExperimentDefinition, Variant
from foldline.experiments.measure import Goal, Guardrail
from foldline.records.types import Decision, Observation, Phase, Record, Reward, Tick

START = 1_700_000_000_000
MINUTE = 60_000


def definition(**changes: object) -> ExperimentDefinition:
    """A test of three variants by clicks, with revenue (capped, adjusted) and revenue per session as guardrails."""
    fields: dict[str, object] = {
        "name": "ctr",
        "version": 2,
        "time": START,
        "loop": "news",
        "variants": (
            Variant(key="control", policy={"kind": "fixed", "action": "a"}),
            Variant(key="b", policy={"kind": "fixed", "action": "b"}),
            Variant(key="c", policy={"kind": "fixed", "action": "c"}),
        ),
        "goal": Goal(name="click", baseline=0.2, effect=0.2),
        "guardrails": (
            Guardrail(name="revenue", kind="mean", cap=(-1.0, 2.5), covariate="before", margin=0.5),
            Guardrail(name="revenue", kind="ratio", per="session", margin=1.0),
        ),
        "sample_sizes": (40, 40, 40),
        "max_duration_ms": 40 * MINUTE,
        "window_ms": 3 * MINUTE,
        "maturity_ms": MINUTE,
        "late_ms": 5 * MINUTE,
        "salt": "s",
        "state": "running",
        "started": START,
    }
    return ExperimentDefinition(**{**fields, **changes})  # type: ignore[arg-type]  # fields by name


def log(count: int, seed: int = 0, *, units: int = 60) -> list[Record]:
    """Exposures, some in a second variant or forced, rewards by decision and by unit, retries, late ones, others."""
    rng = np.random.default_rng(seed)
    time, decided = START, ["0.0.none"]
    made: list[Record] = [Phase(time=time, experiment="ctr", version=2, state="running")]
    for i in range(count):
        time += int(rng.integers(0, 4_000)) if rng.random() < 0.95 else int(rng.integers(0, 4 * MINUTE))
        stamp = time - (int(rng.integers(0, 200_000)) if rng.random() < 0.2 else 0)
        unit = f"u{i // 6 + rng.integers(units)}"
        variant = ["control", "b", "c"][hash_of(unit) if rng.random() < 0.97 else int(rng.integers(3))]
        kind = rng.random()
        if kind < 0.35:
            id = f"0.0.d{i}" if rng.random() < 0.9 else decided[-1]
            probability = None if rng.random() < 0.05 else 1 / 3
            named: dict[str, Any] = {
                "experiment": "ctr" if rng.random() < 0.95 else "other",
                "variant": variant,
            }
            if rng.random() < 0.1:
                named = {}
            made.append(
                Decision(
                    time=stamp, id=id, unit=unit, action="a", propensity=1.0, bundle="b", definition=1,
                    probability=probability if named else None, **named,
                )
            )  # fmt: skip
            decided.append(id)
        elif kind < 0.65:
            id = f"r{i}" if rng.random() < 0.9 else f"r{i - 1}"
            name = ["click", "revenue", "session", "other"][int(rng.integers(4))]
            value = [0.0, 1.0, 0.1, 1 / 3, -2.5, 7.25][int(rng.integers(6))]
            decision = decided[-1 - int(rng.integers(0, min(60, len(decided))))]
            target: dict[str, Any] = {"decision": decision} if rng.random() < 0.6 else {"unit": unit}
            made.append(Reward(time=stamp, id=id, name=name, value=value, **target))
        elif kind < 0.95:
            name = ["before", "revenue", "session"][int(rng.integers(3))]
            value = float(rng.integers(1, 9)) / 3
            made.append(Observation(time=stamp, id=f"o{i // 2}", unit=unit, name=name, value=value))
        else:
            made.append(Tick(time=stamp))
    # By a clock that is behind: it counts where it stands.
    made.append(Phase(time=time - 90_000, experiment="ctr", version=3, state="ended"))
    return made


def hash_of(unit: str) -> int:
    """A stable variant."""
    return int(unit[1:]) % 3


@dataclass
class PlainUnit:
    """What is known of a unit."""

    variant: str | None = None
    time: int = 0
    matured: bool = False
    mixed: bool = False
    values: list[int] = field(default_factory=lambda: [0, 0, 0, 0, 0])


NAMES = ["click", "revenue", "before", "revenue", "session"]
PAIRS = [(0, 0), (1, 1), (1, 2), (2, 2), (3, 3), (3, 4), (4, 4)]


class PlainTally:
    """The same by dictionaries and Python's integers; `changes` by (minute, variant)."""

    def __init__(self, plan: ExperimentDefinition) -> None:
        self.plan = plan
        self.wait = plan.window_ms + plan.maturity_ms
        self.span = self.wait + plan.late_ms
        self.units: dict[str, PlainUnit] = defaultdict(PlainUnit)
        self.decisions: dict[str, str] = {}
        self.seen: dict[tuple[str, str], int] = {}
        self.now = 0
        self.enrolled: dict[tuple[int, str], int] = defaultdict(int)
        self.matured: dict[tuple[int, str], int] = defaultdict(int)
        self.mixed: dict[tuple[int, str], int] = defaultdict(int)
        self.sums: dict[tuple[int, str], list[int]] = defaultdict(lambda: [0] * 5)
        self.products: dict[tuple[int, str], list[int]] = defaultdict(lambda: [0] * 7)
        self.late: dict[tuple[int, int, str], list[int]] = defaultdict(lambda: [0] * 15)
        """By the minute it belongs to, the one it came in, and variant: enrolled, matured, mixed, sums, products."""

    def add(self, record: Record) -> None:
        """Take in one record."""
        self.now = max(self.now, record.time)
        for unit in self.units.values():
            due = unit.variant is not None and unit.time + self.wait <= self.now
            if due and not unit.matured and not unit.mixed:
                unit.matured = True
                self.count(unit, (unit.time + self.wait) // MINUTE, 1)
        if isinstance(record, Decision) and record.experiment == "ctr" and record.probability is not None:
            self.expose(record)
        elif isinstance(record, Reward | Observation) and record.name in NAMES:
            self.credit(record)

    def count(self, unit: PlainUnit, minute: int, sign: int) -> None:
        """Count a unit's values in, or out again."""
        assert unit.variant is not None
        at = (minute, unit.variant)
        low, high = -(1 << 32), int(2.5 * (1 << 32))
        values = [int(unit.values[0] > 0), min(max(unit.values[1], low), high), *unit.values[2:]]
        self.matured[at] += sign
        products = [values[x] * values[y] for x, y in PAIRS]
        self.sums[at] = [a + sign * b for a, b in zip(self.sums[at], values, strict=True)]
        self.products[at] = [a + sign * b for a, b in zip(self.products[at], products, strict=True)]
        self.is_late(unit, minute, [0, sign, 0, *(sign * b for b in (*values, *products))])

    def is_late(self, unit: PlainUnit, minute: int, change: list[int]) -> None:
        """Keep a change that belongs to an earlier minute, unless it is too late even to correct."""
        assert unit.variant is not None
        own = (unit.time + self.wait) // MINUTE
        if own < minute and self.now <= unit.time + self.span:
            at = (own, minute, unit.variant)
            self.late[at] = [a + b for a, b in zip(self.late[at], change, strict=True)]

    def expose(self, record: Decision) -> None:
        """An exposure."""
        unit = self.units[record.unit]
        assert record.variant is not None
        if unit.variant is None:
            unit.variant, unit.time = record.variant, self.now
            self.enrolled[self.now // MINUTE, record.variant] += 1
        elif unit.variant != record.variant and not unit.mixed:
            self.mixed[self.now // MINUTE, unit.variant] += 1
            self.is_late(unit, self.now // MINUTE, [0, 0, 1, *[0] * 12])
            if unit.matured:
                self.count(unit, self.now // MINUTE, -1)
            unit.mixed = True
        if self.now <= unit.time + self.span:
            known = self.decisions.get(record.id)
            if known is None or self.units[known].time + self.span < self.now:
                self.decisions[record.id] = record.unit

    def credit(self, record: Reward | Observation) -> None:
        """A reward or an observation."""
        if isinstance(record, Reward) and record.decision is not None:
            name = self.decisions.get(record.decision)
            if name is None or self.units[name].time + self.span < self.now:
                return
        else:
            assert record.unit is not None
            name = record.unit
            if name not in self.units and record.name != "before":
                return
        unit = self.units[name]
        exposed = unit.variant is not None
        if exposed == (record.name == "before"):
            return
        if exposed and (record.time > unit.time + self.plan.window_ms or self.now > unit.time + self.span):
            return
        key = (type(record).__name__, record.id)
        if key in self.seen and self.seen[key] + self.span >= self.now:
            return
        self.seen[key] = self.now
        counted = unit.matured and not unit.mixed
        if counted:
            self.count(unit, self.now // MINUTE, -1)
        for v, wanted in enumerate(NAMES):
            if wanted == record.name:
                unit.values[v] += round(record.value * (1 << 32))
        if counted:
            self.count(unit, self.now // MINUTE, 1)
