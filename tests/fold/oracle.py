"""Attribution said plainly: dicts and lists, one record at a time. Slow and clear; the kernel must equal it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction

from foldline.fold.counters import Counter
from foldline.fold.emits import Emit
from foldline.fold.rule import RewardRule


@dataclass(frozen=True)
class Event:
    """A record as attribution sees it; ids are small numbers."""

    kind: str
    time: int = 0
    id: int | None = None
    unit: int | None = None
    reward_id: int | None = None
    action: str = ""
    name: str = "reward"
    value: float = 0.0


@dataclass
class Held:
    """A decision remembered."""

    id: int
    unit: int
    action: int
    time: int
    rewards: list[int] = field(default_factory=list)
    activated: bool = False
    mature: bool = False
    learnt: bool = False


@dataclass
class Waiting:
    """A reward that found no decision."""

    decision: int
    time: int
    units: int
    matched: bool = False


Told = tuple[int, int, int, int, int, int]


class Oracle:
    """The semantics of `foldline.fold.attribution.Attribution`, by brute force."""

    def __init__(self, rule: RewardRule, actions: list[str], low: float, high: float) -> None:
        self.rule, self.actions, self.low, self.high = rule, actions, low, high
        self.now = 0
        self.held: list[Held] = []
        self.dangling: list[Waiting] = []
        self.seen: dict[tuple[str, int], int] = {}
        self.counts = [0] * len(Counter)
        self.told: list[Told] = []
        self.dead: list[tuple[int, str]] = []
        self.row = -1

    def apply(self, event: Event) -> None:
        """One record."""
        self.row += 1
        if event.kind == "dead":
            return
        self.now = max(self.now, event.time)
        self.advance()
        step = getattr(self, event.kind, None)
        if step is not None:
            step(event)
        self.mature(wait_zero=True)

    def due(self) -> int | None:
        """When the next decision matures."""
        return min((h.time + self.rule.wait_ms for h in self.held if not h.mature), default=None)

    def advance(self) -> None:
        """What the time of the record brings, before the record."""
        self.mature(wait_zero=False)
        for held in [h for h in self.held if h.time + self.rule.span_ms <= self.now]:
            self.held.remove(held)
            if self.rule.activation and not held.learnt:
                self.counts[Counter.UNACTIVATED] += 1
                self.tell(Emit.UNDECIDED, held.action, 0, 0, held.time)
        for reward in [d for d in self.dangling if d.time + self.rule.wait_ms <= self.now]:
            self.dangling.remove(reward)
            self.counts[Counter.UNMATCHED] += not reward.matched
        self.seen = {key: time for key, time in self.seen.items() if time + self.rule.span_ms > self.now}

    def mature(self, *, wait_zero: bool) -> None:
        """Decisions whose deadline has come."""
        if wait_zero and self.rule.wait_ms:
            return
        for held in self.held:
            if not held.mature and held.time + self.rule.wait_ms <= self.now:
                held.mature = True
                if held.activated or not self.rule.activation:
                    self.learn(held)

    def learn(self, held: Held) -> None:
        """Announce a decision's reward."""
        held.learnt = True
        self.counts[Counter.LEARNT] += 1
        self.tell(Emit.LEARNT, held.action, 0, self.worth(held), held.time)

    def worth(self, held: Held) -> int:
        """The aggregate of what has come."""
        if not held.rewards:
            return self.rule.units(self.rule.default)
        rules: dict[str, Callable[[list[int]], int]] = {
            "sum": sum,
            "first": lambda r: r[0],
            "last": lambda r: r[-1],
            "max": max,
            "mean": lambda r: Fraction(sum(r), len(r)).__floor__(),
        }
        return rules[self.rule.aggregation](held.rewards)

    def decision(self, event: Event) -> None:
        """A decision, new or again."""
        if event.action not in self.actions:
            self.bury("record.unknown_action")
            return
        action = self.actions.index(event.action)
        before = next((h for h in self.held if h.id == event.id), None)
        if before is not None:
            self.again(before, event, action)
            return
        assert event.id is not None
        assert event.unit is not None
        held = Held(event.id, event.unit, action, self.now)
        self.held.append(held)
        self.counts[Counter.DECISIONS] += 1
        self.tell(Emit.DECIDED, action, 0, 0, self.now)
        for reward in self.dangling:
            if reward.decision == event.id and not reward.matched:
                reward.matched = True
                held.rewards.append(reward.units)

    def again(self, held: Held, event: Event, action: int) -> None:
        """An id already held."""
        if held.unit != event.unit:
            self.counts[Counter.CONFLICTS] += 1
            return
        self.counts[Counter.DUPLICATE_DECISIONS] += 1
        if not held.mature and held.action != action:
            self.tell(Emit.UNDECIDED, held.action, 0, 0, held.time)
            held.action = action
            self.tell(Emit.DECIDED, action, 0, 0, held.time)

    def outcome(self, event: Event) -> None:
        """Decision and reward in one."""
        if event.action not in self.actions:
            self.bury("record.unknown_action")
        elif not self.low <= event.value <= self.high:
            self.bury("record.out_of_range")
        elif self.fresh("outcome", event.id):
            action, units = self.actions.index(event.action), self.rule.units(event.value)
            self.counts[Counter.OUTCOMES] += 1
            self.counts[Counter.LEARNT] += 1
            self.counts[Counter.REWARD_UNITS] += units
            self.tell(Emit.DECIDED, action, 0, 0, self.now)
            self.tell(Emit.LEARNT, action, 0, units, self.now)
        else:
            self.counts[Counter.DUPLICATE_OUTCOMES] += 1

    def reward(self, event: Event) -> None:
        """A reward, by decision or by unit."""
        if event.name != self.rule.name:
            self.counts[Counter.OTHER_REWARDS] += 1
        elif not self.low <= event.value <= self.high:
            self.bury("record.out_of_range")
        elif not self.fresh("reward", event.reward_id):
            self.counts[Counter.DUPLICATE_REWARDS] += 1
        else:
            units = self.rule.units(event.value)
            self.counts[Counter.REWARDS] += 1
            self.counts[Counter.REWARD_UNITS] += units
            self.place(event, units)

    def place(self, event: Event, units: int) -> None:
        """Find the decision of an accepted reward."""
        if event.id is not None:
            found = [h for h in self.held if h.id == event.id]
        else:
            found = [h for h in self.held if h.unit == event.unit]
        if found:
            self.credit(found[-1], units)
        elif event.id is not None and self.rule.wait_ms:
            self.dangling.append(Waiting(event.id, self.now, units))
        else:
            self.counts[Counter.UNMATCHED] += 1

    def credit(self, held: Held, units: int) -> None:
        """Aggregate, and correct what was learnt."""
        old = self.worth(held)
        held.rewards.append(units)
        if held.mature:
            self.counts[Counter.LATE] += 1
        if held.learnt:
            self.counts[Counter.CORRECTED] += 1
            self.tell(Emit.CORRECTED, held.action, old, self.worth(held), held.time)

    def activation(self, event: Event) -> None:
        """A decision was shown."""
        held = next((h for h in self.held if h.id == event.id), None)
        if held is None:
            self.counts[Counter.UNMATCHED_ACTIVATIONS] += 1
        elif held.activated:
            self.counts[Counter.DUPLICATE_ACTIVATIONS] += 1
        else:
            self.counts[Counter.ACTIVATIONS] += 1
            held.activated = True
            if self.rule.activation and held.mature:
                self.learn(held)

    def fresh(self, domain: str, key: int | None) -> bool:
        """Whether the id was not seen; it is from here on."""
        assert key is not None
        new = (domain, key) not in self.seen
        if new:
            self.seen[domain, key] = self.now
        return new

    def bury(self, code: str) -> None:
        """Dead-letter the record."""
        self.counts[Counter.DEAD] += 1
        self.dead.append((self.row, code))

    def tell(self, kind: Emit, action: int, old: int, new: int, time: int) -> None:
        """Emit."""
        self.told.append((int(kind), action, old, new, time, self.row))


def run(oracle: Oracle, events: list[Event]) -> Iterator[int | None]:
    """Apply all, yielding what is due after each."""
    for event in events:
        oracle.apply(event)
        yield oracle.due()
