"""What canonical lines look like: each record type as a table of steps, for the scanner to follow.

A step is a literal and what comes after it. A line is its opening, which ends with the time, and then the steps
of its type in order; optional ones may be absent. Strings end at their closing quote, with which the literal of
the next step begins.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from foldline.records.columns import Kind

STRING, NUMBER, INTEGER, END = range(4)
"""What a step reads after its literal."""

ID, UNIT, REWARD_ID, EXPERIMENT, VARIANT, TEXT, IGNORED = range(7)
"""Where a string goes: five hashed columns, the dictionary's text (action or name), nowhere."""

VALUE, PROPENSITY, PROBABILITY = range(3)
"""Where a number goes."""

SIZE, READS, GOES, LEAST, GREATEST, OPTIONAL = range(6)
"""Places in a row of `RULES`."""

LATEST: Final = 1 << 53
"""The greatest time, as `records.types` declares it; so are the lengths below."""


class Step(NamedTuple):
    """A literal of at most 16 bytes and what is read after it.

    Attributes:
        literal: the bytes expected.
        reads: STRING, NUMBER, INTEGER or END.
        goes: where it goes.
        least: least length of a string.
        greatest: greatest length of a string, greatest integer.
        optional: the step may be absent.
    """

    literal: bytes
    reads: int
    goes: int = IGNORED
    least: int = 0
    greatest: int = 1 << 62
    optional: bool = False


_OWN_ID = Step(b',"id":"', STRING, ID, 1, 512)
_UNIT = Step(b'","unit":"', STRING, UNIT, 1, 512)
_ACTION = Step(b'","action":"', STRING, TEXT, 1, 256)
_PROPENSITY = Step(b'","propensity":', NUMBER, PROPENSITY)
_BUNDLE = Step(b',"bundle":"', STRING)
_DEFINITION = Step(b'","definition":', INTEGER)
_NAME = Step(b'","name":"', STRING, TEXT, 1, 256)
_VALUE = Step(b'","value":', NUMBER, VALUE)
_OCCURRED = Step(b',"occurred":', INTEGER, greatest=LATEST, optional=True)

STEPS: Final[dict[Kind, tuple[Step, ...]]] = {
    Kind.DECISION: (
        _OWN_ID,
        _UNIT,
        Step(b'","account":"', STRING, IGNORED, 1, 512, optional=True),
        _ACTION,
        _PROPENSITY,
        _BUNDLE,
        Step(b'","reason":"', STRING, IGNORED, 1, 256, optional=True),
        _DEFINITION,
        Step(b',"experiment":"', STRING, EXPERIMENT, 1, 256, optional=True),
        Step(b'","variant":"', STRING, VARIANT, 1, 256, optional=True),
        Step(b'","probability":', NUMBER, PROBABILITY, optional=True),
        _OCCURRED,
    ),
    Kind.REWARD: (
        _OWN_ID._replace(goes=REWARD_ID),
        Step(b'","decision":"', STRING, ID, 1, 512, optional=True),
        _UNIT._replace(optional=True),
        _NAME._replace(optional=True),
        _VALUE,
        _OCCURRED,
    ),
    Kind.OUTCOME: (
        _OWN_ID,
        _UNIT,
        _ACTION,
        _PROPENSITY,
        Step(b',"reward":', NUMBER, VALUE),
        _BUNDLE,
        _DEFINITION,
        _OCCURRED,
    ),
    Kind.ACTIVATION: (Step(b',"decision":"', STRING, ID, 1, 512),),
    Kind.TICK: (_OCCURRED,),
    Kind.OBSERVATION: (_OWN_ID, _UNIT, _NAME, _VALUE, _OCCURRED),
}


_MOST: Final = max(map(len, STEPS.values()))


def word(text: bytes) -> int:
    """At most 8 bytes as the low bytes of a word."""
    return int.from_bytes(text, "little")


def _openings() -> npt.NDArray[np.uint64]:
    # A kind without steps matches nothing: its last words differ from every line's first.
    rows = [[word(b"\xff" * 8), 16, 0, 0]] * len(Kind)
    for kind in STEPS:
        text = f'{{"type":"{kind.name.lower()}","time":'.encode()
        rows[kind] = [word(text[8:16]), len(text), word(text[-16:-8]), word(text[-8:])]
    return np.array(rows, dtype=np.uint64)


def _rules() -> npt.NDArray[np.int64]:
    rules = np.zeros((len(Kind), _MOST + 1, 6), np.int64)
    rules[:, :, READS] = END
    for kind, steps in STEPS.items():
        for place, (literal, *rest) in enumerate(steps):
            rules[kind, place] = [len(literal), *rest]
    return rules


def _words() -> npt.NDArray[np.uint64]:
    words = np.zeros((len(Kind), _MOST + 1, 3), np.uint64)
    for kind, steps in STEPS.items():
        for place, step in enumerate(steps):
            first, last = step.literal[:8], step.literal[-8:]
            words[kind, place] = [word(first), word(b"\xff" * len(first)), word(last)]
    return words


TYPE: Final = np.uint64(word(b'{"type":'))
"""The first eight bytes of every line."""

OPENINGS: Final = _openings()
"""(kinds, 4) uint64: a line's second eight bytes, its opening's length, the opening's last sixteen bytes."""

RULES: Final = _rules()
"""(kinds, steps, 6) int64: length of the literal, and the step's other attributes; END after the last."""

WORDS: Final = _words()
"""(kinds, steps, 3) uint64: a literal's first eight bytes, their mask where it is shorter, its last eight."""
