"""Made-up event streams of examples and labels, with all that may happen to them."""

import random
from typing import Any

from foldline.records.codec import decode, encode_lines
from foldline.records.columns import Columns
from foldline.records.types import Example, Label, Record, Tick, Value


def messy(count: int, seed: int, classes: tuple[Value, ...] = (False, True)) -> list[Record]:
    """Examples with labels at once, late, too late, early or never; retries, repeated labels, ticks and gaps.

    Stream time goes some 10 ms a record; labels come within 2 s or never.
    """
    rng = random.Random(seed)
    due: list[tuple[int, int, Label]] = []
    made: list[Record] = []
    time = 1_700_000_000_000
    for i in range(count):
        time += rng.randrange(20)
        x: dict[str, Any] = {
            f"f{n}": round(rng.random(), 3) for n in range(4) if rng.random() < 0.9 or n == 0
        }
        if i == 0:
            x = {f"f{n}": 0.5 for n in range(4)}
        if rng.random() < 0.1:
            x["f3"] = None
        y = classes[min(int((x["f0"] + rng.random() * 0.3) * len(classes) / 1.3), len(classes) - 1)]
        id, unit = f"0.0.e{i}", f"card-{rng.randrange(9)}"
        how = rng.random()
        example = Example(time=time, id=id, unit=unit, x=x, y=y if how < 0.5 else None)
        if 0.9 < how < 0.95:
            made.append(Label(time=time, example=id, y=y))
        made.append(example)
        if 0.5 <= how < 0.8:
            due.append((time + rng.randrange(2_500), i, Label(time=0, example=id, y=y)))
        if rng.random() < 0.05:
            made.append(Example(time=time, id=id, unit=unit, x=x, y=y))
        if rng.random() < 0.05:
            made.append(Label(time=time, example=f"0.0.e{rng.randrange(count)}", y=y))
        if rng.random() < 0.02:
            made.append(Tick(time=time))
        for entry in sorted((each for each in due if each[0] <= time), key=lambda each: each[:2]):
            due.remove(entry)
            made.append(Label(time=time, example=entry[2].example, y=entry[2].y))
    return made


def columns_of(records: list[Record]) -> Columns:
    """As a fold reads them."""
    return decode(encode_lines(records))
