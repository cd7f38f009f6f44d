"""Copying an ingest's dead letters again, once its mapping or the loop was mended."""

from collections import defaultdict
from dataclasses import dataclass

from foldline.engine.copies import copies_of, fold_of, line_of, stem_of
from foldline.engine.defining import read_catalogue
from foldline.engine.ingest_marks import marks_on
from foldline.engine.resend import AT_ONCE, create_notes, letters_of, note_of, place_of_letter, resent_places
from foldline.errors import FoldlineError
from foldline.log.protocol import Batch, Log
from foldline.loops.catalogue import Catalogue
from foldline.loops.mapping import Message, RecordMapping
from foldline.loops.reports import Placed, Reports
from foldline.loops.topics import topics_of
from foldline.records.dead_letter import DeadLetter


@dataclass(frozen=True, slots=True)
class AgainCounts:
    """What became of an ingest's dead letters.

    Attributes:
        copied: copied now.
        passed: the condition passes over them now.
        dead: that still cannot be used.
        before: copied again before, and left out.
    """

    copied: int
    passed: int
    dead: int
    before: int


def copy_again(log: Log, name: str, mapping: RecordMapping, *, now: int) -> AgainCounts:
    """Copy the dead letters of an ingest as its mapping and loop are now; those copied again before are left out.

    A copy has the id that it would have had. Copies and the notes of them are one append, `AT_ONCE` letters at a time.

    Args:
        log: that took the copies.
        name: the ingest's.
        mapping: as it is now.
        now: milliseconds, the time of the copies.

    Raises:
        InputError: `input.unknown_loop`.
        LogError: as `Log.append`; all before it stand.
    """
    catalogue = Catalogue()
    read_catalogue(log, catalogue)
    loop = mapping.settings.loop
    reports = Reports(catalogue.one(loop), catalogue.actions(loop))
    topics = topics_of(reports.definition)
    ids = {mark.partition: mark.topic_id for mark in marks_on(log) if mark.ingest == name}
    create_notes(log, topics.dead)
    done = resent_places(log, topics.dead)
    letters = [each for each in letters_of(log, topics.dead) if each.fold == fold_of(name)]
    fresh = [each for each in letters if place_of_letter(each) not in done]
    copied = passed = 0
    for start in range(0, len(fresh), AT_ONCE):
        lines: defaultdict[int, list[bytes]] = defaultdict(list)
        notes: list[Batch] = []
        for letter in fresh[start : start + AT_ONCE]:
            try:
                placed = _placed(letter, ids.get(letter.partition, ""), mapping, reports, now)
                if placed is None:
                    passed += 1
                    continue
                lines[placed.partition].append(line_of(placed.record))
            except FoldlineError:
                continue  # it stays where it is, and is counted below
            notes.append(note_of(topics.dead, place_of_letter(letter), now))
        if notes:
            log.append([*copies_of(lines, topics.events, now), *notes])
        copied += len(notes)
    return AgainCounts(copied, passed, len(fresh) - copied - passed, len(letters) - len(fresh))


def _placed(
    letter: DeadLetter, topic_id: str, mapping: RecordMapping, reports: Reports, now: int
) -> Placed | None:
    """When the message was written is not known any more: 0 claims nothing."""
    id = f"{stem_of(letter.topic, topic_id, letter.partition)}{letter.offset}.{letter.index}"
    return mapping.place(Message(letter.payload, letter.key, letter.headers, 0, id), reports, now=now)
