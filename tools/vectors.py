"""Writes vectors/decisions.json: bundles, masks and ids, with what every reader must answer. `make vectors` runs it.

The file is the contract between languages: Python and JavaScript tests read it and compare every table and every
choice. Its layout:

- `hashes`: [text, XXH3 64 of its UTF-8 in hex], texts of every length class of the hash.
- `partitions`: [unit, [partition of 1, 2, 6, 7, 64]].
- `ids`: [unit, local id], decided for with every bundle and mask.
- `bundles`: one a line: `name`; `bundle`, as the service sends it; `partitions`, one an id; `tables`, the first with
  all actions available: `available` (names, or null for all), `weights` over 2^53 (with a mask only those of the
  allowed actions, in the order of `available`, the others are 0) and `choices`, an action's index for each id. The
  propensity of a choice is its weight / 2^53.

Numbers come from hashing, not from a generator, so that the file is the same on every machine and numpy. It should
change only when a case is added: another answer to an old case breaks every logged propensity.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from xxhash import xxh3_64_hexdigest

from foldline.fold.emits import Emit, Emits
from foldline.loops.bundle import Bundle, content_hash
from foldline.loops.deciding import Decider
from foldline.policies.protocol import Parameters
from foldline.policies.registry import policy_from
from foldline.records.hashing import DRAWS, draw, partition_of

PATH = Path(__file__).resolve().parent.parent / "vectors" / "decisions.json"
PARTITIONS = (1, 2, 6, 7, 64)
START = 1_700_000_000_000
UNIT_BITS = 32
LENGTHS = (
    *(
        0,
        1,
        2,
        3,
        4,
        5,
        7,
        8,
        9,
        12,
        15,
        16,
        17,
        31,
        32,
        33,
        63,
        64,
        65,
        95,
        96,
        97,
        127,
        128,
        129,
        143,
        144,
        159,
    ),
    *(
        160,
        239,
        240,
        241,
        255,
        256,
        257,
        319,
        320,
        321,
        511,
        512,
        513,
        1023,
        1024,
        1025,
        1087,
        1088,
        1089,
        2049,
    ),
)

Masks = Sequence[Sequence[str]]


class Case(NamedTuple):
    """A bundle to be, and the masks to ask it with."""

    name: str
    kind: str
    actions: tuple[str, ...]
    parameters: Parameters
    masks: Masks
    salt: str = "salt"
    generation: int = 0
    partitions: int = 1


def uniform(*what: object) -> float:
    """A number from 0 to 1 that belongs to a question."""
    return draw("vectors", "uniform", repr(what)) / DRAWS


def learnt(
    policy: dict[str, Any],
    rates: Sequence[float],
    *,
    rewards: int = 400,
    binary: bool = True,
    skip: Sequence[int] = (),
    range_: tuple[float, float] = (0.0, 1.0),
) -> Parameters:
    """The parameters of a policy that learnt rewards of the given mean of each action; none of those skipped."""
    tried = [a for a in range(len(rates)) if a not in skip]
    actions = [tried[int(uniform("action", i, len(rates)) * len(tried))] for i in range(rewards)]
    values = []
    for i, action in enumerate(actions):
        u = uniform("reward", i, len(rates))
        value = float(u < rates[action]) if binary else rates[action] * (0.5 + u)
        values.append(round(value * 2**UNIT_BITS))
    kinds = np.tile(np.array([Emit.DECIDED, Emit.LEARNT], np.int8), rewards)
    zeros = np.zeros(2 * rewards, np.int64)
    new = np.where(kinds == Emit.LEARNT, np.repeat(np.array(values, np.int64), 2), 0)
    time = START + np.repeat(np.arange(rewards, dtype=np.int64), 2) * 700
    built = policy_from(policy)
    state = built.empty(len(rates))
    built.learn(
        state,
        Emits(kinds, np.repeat(np.array(actions, np.int32), 2), zeros, new, time, zeros),
        unit_bits=UNIT_BITS,
    )
    low, high = range_
    return built.compile(
        state, range(len(rates)), as_of=START + rewards * 700, unit_bits=UNIT_BITS, low=low, high=high
    )


def names(count: int) -> tuple[str, ...]:
    """`a0`, `a1` and so on."""
    return tuple(f"a{i}" for i in range(count))


def near(count: int, least: float = 0.02, most: float = 0.06) -> list[float]:
    """Rates close to each other."""
    return [least + (most - least) * uniform("rate", i, count) for i in range(count)]


ABC = ("a", "b", "c")
WORLD = ("日本", "é", "a b", "😀", "\uffef", "constructor", "__proto__")
"""Names that sort differently by code point and by UTF-16 unit, and names every JavaScript object has."""


def plain_cases() -> Iterator[Case]:
    """Policies that do not look at rewards."""
    yield Case("random", "random", ABC, {"n": 3}, [["a", "c"], ["b"]], partitions=6)
    yield Case("random-one", "random", ("only",), {"n": 1}, [["only"]], salt="")
    yield Case(
        "random-world", "random", WORLD, {"n": 7}, [WORLD[2:], WORLD[:1]], salt="sél·日本", generation=12
    )
    yield Case("random-many", "random", names(257), {"n": 257}, [names(257)[::31]], partitions=64)
    yield Case("fixed", "fixed", ABC, {"action": "b"}, [["b", "c"], ["a", "c"], ["a"]])
    yield Case("fixed-world", "fixed", WORLD, {"action": "__proto__"}, [WORLD[:4]])
    yield Case("split", "split", ABC, {"weights": {"a": 0.9, "b": 0.1}}, [["a", "b"], ["b", "c"], ["c"]])
    thirds = {"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}
    yield Case("split-thirds", "split", ABC, {"weights": thirds}, [["a", "c"]])
    odd = {"a": 1e-300, "b": 1e9, "c": 5e-324}
    yield Case("split-odd", "split", ABC, {"weights": odd}, [["a", "c"], ["c"]])
    yield Case(
        "split-world", "split", WORLD, {"weights": {"__proto__": 0.25, "日本": 0.7}}, [WORLD[1:], WORLD[:3]]
    )
    many = {name: uniform("share", name) for name in names(40)}
    yield Case("split-many", "split", names(40), {"weights": many}, [names(40)[3:]])


def greedy_cases() -> Iterator[Case]:
    """Epsilon-greedy in its three kinds."""
    for epsilon, ties in (
        (0.1, "random"),
        (0.0, "first"),
        (1.0, "random"),
        (1 / 3, "first"),
        (5e-324, "random"),
    ):
        policy = {"kind": "epsilon_greedy", "epsilon": epsilon, "ties": ties}
        parameters = learnt(policy, near(5))
        yield Case(
            f"greedy-{epsilon:.2g}-{ties}", "epsilon_greedy", names(5), parameters, [["a0", "a3", "a4"]]
        )
    for ties in ("random", "first"):
        parameters = {"epsilon": 0.05, "ties": ties, "values": [0.5, -0.0, 0.5, 0.0, -1e12]}
        yield Case(
            f"greedy-ties-{ties}", "epsilon_greedy", names(5), parameters, [["a1", "a3", "a4"], ["a4"]]
        )
    parameters = learnt({"kind": "epsilon_greedy", "q0": 5.0}, near(4), skip=(1, 2))
    yield Case("greedy-untried", "epsilon_greedy", names(4), parameters, [["a0", "a3"]], partitions=7)
    parameters = {"epsilon": 0.5, "ties": "random", "values": [0.25]}
    yield Case("greedy-one", "epsilon_greedy", ("only",), parameters, [["only"]])
    parameters = learnt({"kind": "epsilon_greedy", "epsilon": 0.07}, near(300), rewards=3000)
    yield Case("greedy-many", "epsilon_greedy", names(300), parameters, [names(300)[::23]])
    parameters = learnt({"kind": "constant_step"}, near(4, 0.1, 0.3))
    yield Case("constant-step", "constant_step", names(4), parameters, [["a1", "a2"]])
    parameters = learnt({"kind": "discounted", "half_life_s": 60.0}, near(6, 0.1, 0.3))
    yield Case("discounted", "discounted", names(6), parameters, [names(6)[1:]], partitions=2)


def bound_cases() -> Iterator[Case]:
    """Upper confidence bounds; null was never decided."""
    for kind in ("ucb1", "kl_ucb"):
        parameters = learnt({"kind": kind}, near(5, 0.2, 0.8))
        yield Case(kind, kind, names(5), parameters, [["a0", "a2"], ["a4"]])
        parameters = learnt({"kind": kind, "ties": "first"}, near(5, 0.2, 0.8), skip=(1, 3))
        yield Case(f"{kind}-untried-first", kind, names(5), parameters, [["a0", "a2", "a3"], ["a0", "a4"]])
        parameters = {"bounds": [None, 0.5, None, 0.5, 0.25], "ties": "random"}
        masks = [["a1", "a3", "a4"], ["a2", "a4"]]
        yield Case(f"{kind}-ties", kind, names(5), parameters, masks)


def thompson_cases() -> Iterator[Case]:
    """Thompson sampling, whose masks are computed by quadrature."""
    for count, rewards in ((1, 10), (2, 300), (20, 4000)):
        parameters = learnt({"kind": "thompson"}, near(count), rewards=rewards)
        masks = [names(count)[::2], names(count)[:1], names(count)[: max(1, count - 1)]]
        yield Case(f"thompson-{count}", "thompson", names(count), parameters, masks)
    parameters = learnt({"kind": "thompson", "half_life_s": 30.0}, near(6, 0.1, 0.5))
    yield Case(
        "thompson-decayed", "thompson", names(6), parameters, [names(6)[1:], names(6)[:2]], partitions=6
    )
    flat = {"kind": "thompson", "prior_mean": 0.5, "prior_count": 2.0}
    yield Case("thompson-untried", "thompson", ABC, learnt(flat, [0.5] * 3, rewards=0), [["a", "c"]])
    parameters = learnt(flat, near(4, 0.1, 0.9), rewards=50, range_=(-0.5, 3.0))
    yield Case("thompson-range", "thompson", names(4), parameters, [["a1", "a2", "a3"]])
    extremes = [(0.0001, 0.0099), (1e-8, 0.01), (5e8, 5e8), (1e9, 1.0), (3.0, 4e8), (700.5, 0.5)]
    yield _beta_case("thompson-extremes", extremes)
    yield _beta_case("thompson-close", [(1e6 + i, 2e6 - 3.0 * i) for i in range(5)])
    parameters = learnt({"kind": "thompson"}, near(120), rewards=9000)
    yield Case("thompson-many", "thompson", names(120), parameters, [names(120)[::7]])


def _beta_case(name: str, terms: Sequence[tuple[float, float]]) -> Case:
    actions = names(len(terms))
    even = [(1 << 53) // len(terms)] * len(terms)
    even[0] += (1 << 53) - sum(even)
    parameters = {"alpha": [a for a, _ in terms], "beta": [b for _, b in terms], "weights": even}
    masks = [actions, *(actions[i : i + 2] for i in range(len(terms) - 1)), actions[::2]]
    return Case(name, "thompson", actions, parameters, masks)


def gaussian_cases() -> Iterator[Case]:
    """Thompson sampling for rewards of any size."""
    for count, rewards in ((1, 10), (2, 100), (12, 1000)):
        policy = {"kind": "gaussian_thompson", "prior_mean": 15.0, "prior_sd": 10.0}
        parameters = learnt(policy, near(count, 10.0, 20.0), rewards=rewards, binary=False)
        masks = [names(count)[::2], names(count)[: max(1, count - 1)]]
        yield Case(f"gaussian-{count}", "gaussian_thompson", names(count), parameters, masks)
    yield Case(
        "gaussian-untried",
        "gaussian_thompson",
        ABC,
        learnt({"kind": "gaussian_thompson"}, [0.5] * 3, rewards=0),
        [["b", "c"]],
    )
    location, scale = [0.0, 1e12, -1e12, 1e-9, 15.25], [1e-9, 1e12, 3.0, 1e-12, 0.7]
    parameters = {
        "location": location,
        "scale": scale,
        "freedom": [4.0, 1e9, 5.5, 4.0, 104.0],
        "weights": [1 << 53, 0, 0, 0, 0],
    }
    masks = [names(5), *((f"a{i}", f"a{j}") for i in range(5) for j in range(i))]
    yield Case("gaussian-extremes", "gaussian_thompson", names(5), parameters, masks)
    parameters = {
        "location": [1e12, 1e12, 1e12 + 0.25],
        "scale": [1e-9] * 3,
        "freedom": [5.0] * 3,
        "weights": [0, 0, 1 << 53],
    }
    yield Case("gaussian-needles", "gaussian_thompson", names(3), parameters, [names(3), names(3)[:2]])


def mixture_cases() -> Iterator[Case]:
    """Bandits mixed with even choice, by a share that stays and one that falls."""
    for name, policy, share, decay in (
        ("thompson", {"kind": "thompson"}, 0.1, "none"),
        ("greedy", {"kind": "epsilon_greedy", "epsilon": 1 / 3}, 1 / 3, "fourth_root"),
        ("ucb", {"kind": "ucb1"}, 5e-324, "none"),
        ("even", {"kind": "kl_ucb", "ties": "first"}, 1.0, "none"),
    ):
        parameters = learnt(
            {"kind": "mixture", "policy": policy, "share": share, "decay": decay}, near(7, 0.1, 0.4)
        )
        yield Case(
            f"mixture-{name}", "mixture", names(7), parameters, [names(7)[1:], names(7)[:2], names(7)[3:4]]
        )


def cases() -> list[Case]:
    """All of them."""
    return [
        *plain_cases(),
        *greedy_cases(),
        *bound_cases(),
        *thompson_cases(),
        *gaussian_cases(),
        *mixture_cases(),
    ]


def texts() -> list[str]:
    """Texts of every length class of XXH3, in bytes."""
    alphabet = "abcdefghijklmnopqrstuvwxyz0123456789.-_"
    ascii_ = [
        "".join(alphabet[(i * i + length) % len(alphabet)] for i in range(length)) for length in LENGTHS
    ]
    return [*ascii_, "é", "日", "😀", "é日😀" * 3, "日本" * 20, "é" * 100, "😀" * 400]


def ids() -> list[tuple[str, str]]:
    """Units and local ids: short, long, of every length class once salt and prefix stand before them."""
    locals_ = [
        *(f"{draw('vectors', 'id', str(i)):032x}" for i in range(24)),
        *("a", "0", " ", "-", "order.17", "0.0.a", "é", "日本", "😀", "__proto__"),
        *("x" * n for n in (90, 109, 110, 111, 116, 117, 128, 221, 222, 229, 230, 231, 400)),
        *("é" * 60, "日" * 90, "😀" * 400, "a" * 399 + "😀"),
    ]
    units = [
        "u1",
        " ",
        "é",
        "日本語のユーザー",
        "😀",
        "user-1",
        "U" * 400,
        "a.b.c",
        "ab",
        "abc",
        "abcd",
        "abcde",
    ]
    return [(units[i % len(units)], local) for i, local in enumerate(locals_)]


def bundle_of(case: Case) -> Bundle:
    """The case as a bundle, named by its content."""
    bundle = Bundle(
        loop="vectors",
        hash="",
        time=0,
        cut=(100,) * case.partitions,
        definition=1,
        stream_time=START,
        generation=case.generation,
        salt=case.salt,
        kind=case.kind,
        actions=case.actions,
        parameters=case.parameters,
    )
    return msgspec.structs.replace(bundle, hash=content_hash(bundle))


def answers(
    decider: Decider, asked: Sequence[tuple[str, str]], available: Sequence[str] | None
) -> dict[str, Any]:
    """The table of one mask, and the choice for every id."""
    weights = decider.compiled.weights_among(available).tolist()
    index = {name: i for i, name in enumerate(decider.actions)}
    shown = weights if available is None else [weights[index[name]] for name in available]
    choices = [index[decider.decide(unit, local, 0, available=available).action] for unit, local in asked]
    return {"available": available, "weights": shown, "choices": choices}


def entry(case: Case, asked: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """One bundle and its answers."""
    bundle = bundle_of(case)
    decider = Decider(bundle)
    masks: list[Sequence[str] | None] = [None, *case.masks]
    return {
        "name": case.name,
        "bundle": bundle,
        "partitions": [partition_of(unit, case.partitions) for unit, _ in asked],
        "tables": [answers(decider, asked, mask) for mask in masks],
    }


def text() -> str:
    """The file."""
    asked = ids()
    hashed = [[text, xxh3_64_hexdigest(text.encode())] for text in texts()]
    units = [
        [unit, [partition_of(unit, n) for n in PARTITIONS]] for unit in dict.fromkeys(u for u, _ in asked)
    ]
    lists: dict[str, Sequence[Any]] = {
        "hashes": hashed,
        "partitions": units,
        "ids": asked,
        "bundles": [entry(case, asked) for case in cases()],
    }
    notes = "Written by `make vectors`; tools/vectors.py says what stands here."
    blocks = [f'"notes": {_json(notes)}']
    for name, items in lists.items():
        lines = ",\n".join(f"  {_json(item)}" for item in items)
        blocks.append(f'"{name}": [\n{lines}\n ]')
    return "{\n " + ",\n ".join(blocks) + "\n}\n"


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def main() -> None:
    """Write the file."""
    written = text()
    PATH.write_text(written, encoding="utf-8")
    print(f"{PATH.name}: {len(cases())} bundles, {len(ids())} ids, {len(written.encode())} bytes")


if __name__ == "__main__":
    main()
