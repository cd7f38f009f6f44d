"""Sending dead letters again: the raw records are appended once more, and that they were is written with them.

What a letter's record was dead-lettered for may be mended meanwhile: an action defined, a range widened, a program
that reads other lines. The record is judged anew where it then stands. Ids keep it from counting twice.
"""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from foldline.engine.copies import INGEST
from foldline.engine.restore import rows_from
from foldline.errors import InputError
from foldline.log.protocol import Batch, Log, Topic
from foldline.records.dead_letter import DeadLetter

SUFFIX: Final = ".dlq"
"""Topics of dead letters end so."""

AT_ONCE: Final = 500
"""Letters sent again in one append."""


class Resent(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="resent"):
    """That a letter's record was appended again.

    Attributes:
        time: when, milliseconds since 1970-01-01 UTC.
        place: of the letter, as `place_of_letter` has it; the key.
    """

    time: int
    place: str


def place_of_letter(letter: DeadLetter) -> str:
    """What identifies a letter, as text; of several ingests each may have one of the same record."""
    place = f"{letter.topic}/{letter.partition}:{letter.offset}.{letter.index}"
    return f"{letter.fold}/{place}" if letter.fold.startswith(INGEST) else place


def source_of_letter(letter: DeadLetter, dead: str) -> str:
    """Where a letter's record stood, as the log that holds the letter calls it.

    A log on Kafka without a namespace has dead-letter topics of every namespace, whose letters name topics as they
    are called within.

    Args:
        letter: of the dead-letter topic.
        dead: its name.
    """
    return letter.topic if letter.fold.startswith(INGEST) else dead.removesuffix(SUFFIX)


def check_own(letters: Sequence[DeadLetter], dead: str) -> None:
    """Refuse to send letters again that another namespace's learners wrote: they stand there under other names.

    Raises:
        InputError: `input.invalid`, with the namespace.
    """
    for letter in letters:
        source = source_of_letter(letter, dead)
        if source != letter.topic:
            namespace = source.removesuffix(f".{letter.topic}")
            raise InputError(
                "input.invalid",
                f"letters of {source!r} were written in a namespace, where it is {letter.topic!r}; name the namespace, "
                f"as in --log kafka://host:port/{namespace}, and send those of {letter.topic!r} again",
                field="topic",
            )


def letters_of(log: Log, topic: str) -> Iterator[DeadLetter]:
    """The letters of a dead-letter topic, each once, though a worker that was killed may have written it twice."""
    seen = set()
    for partition in range(log.topic(topic).partitions):
        for row in rows_from(log, topic, partition, log.offsets(topic, partition)[0]):
            for line in [row.payload] if row.count == 1 else row.payload.split(b"\n"):
                letter = msgspec.json.decode(line, type=DeadLetter)
                place = (letter.fold, place_of_letter(letter))
                if place not in seen:
                    seen.add(place)
                    yield letter


def resent_places(log: Log, dead: str) -> set[str]:
    """The places of letters whose records were sent again."""
    topic = _marks(dead)
    if topic not in {each.name for each in log.topics()}:
        return set()
    rows = rows_from(log, topic, 0, log.offsets(topic, 0)[0])
    return {msgspec.json.decode(row.payload, type=Resent).place for row in rows}


def resend(log: Log, dead: str, letters: Sequence[DeadLetter], *, now: int) -> int:
    """Append the letters' records again, to the partitions they came from; how many.

    Those sent again before are left out. Records and notes are one append, `AT_ONCE` letters at a time: where one
    fails, all before it stand.

    Args:
        log: the log.
        dead: the dead-letter topic.
        letters: of it.
        now: milliseconds; the time of records that name none.

    Raises:
        LogError: as `Log.append`.
    """
    create_notes(log, dead)
    before = resent_places(log, dead)
    fresh = {place_of_letter(letter): letter for letter in letters}
    wanted = [(place, letter) for place, letter in fresh.items() if place not in before]
    for start in range(0, len(wanted), AT_ONCE):
        part = wanted[start : start + AT_ONCE]
        log.append([batch for place, letter in part for batch in _again(dead, place, letter, now)])
    return len(wanted)


def create_notes(log: Log, dead: str) -> None:
    """Create the topic that notes which letters of a dead-letter topic were sent again."""
    log.create(Topic(_marks(dead), cleanup="compact"))


def note_of(dead: str, place: str, now: int) -> Batch:
    """The row that notes it, to be committed with the record."""
    return Batch(
        _marks(dead), 0, msgspec.json.encode(Resent(time=now, place=place)), 1, now, now, key=place.encode()
    )


def _again(dead: str, place: str, letter: DeadLetter, now: int) -> list[Batch]:
    time = _time(letter.payload, now)
    return [
        Batch(letter.topic, letter.partition, letter.payload, 1, time, time, letter.key, letter.headers),
        note_of(dead, place, now),
    ]


class _Timed(msgspec.Struct):
    time: int


def _time(payload: bytes, now: int) -> int:
    """The record's own time; now where it has none that a log would take."""
    try:
        time = msgspec.json.decode(payload, type=_Timed).time
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return now
    return time if 0 <= time <= now else now


def _marks(dead: str) -> str:
    return f"{dead}.resent"
