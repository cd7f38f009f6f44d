"""`foldline topics`: what stands on the log."""

import base64
import json
from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foldline.cli.logs import open_existing
from foldline.cli.noun import noun
from foldline.cli.options import DEFAULT_LOG, AsJson, LogUrl
from foldline.cli.output import print_json, print_table
from foldline.cli.topic_schema import schema
from foldline.errors import InputError, LogError
from foldline.log.follow import follow as rows_of
from foldline.log.protocol import Log, Row, Topic
from foldline.loops.instants import format_instant, parse_instant

if TYPE_CHECKING:
    from foldline.engine.ingest_marks import IngestMark
    from foldline.engine.progress import Progress
    from foldline.records.dead_letter import DeadLetter

FOLLOW_S = 1.0
"""How long one wait for new records lasts; between waits Ctrl-C is noticed."""

app = noun("What stands on the log.", "foldline topics list --log sqlite:///shop.db")
app.command("schema")(schema)


@app.command("list")
def list_topics(log: LogUrl = DEFAULT_LOG, json: AsJson = False) -> None:
    """List topics, and how far each fold and each ingest has come in them.

    Topics: partitions, cleanup, first and end offsets, and their span: on a compacted topic, and on Kafka, fewer
    records may stand than the offsets span. Offsets are summed over the partitions; JSON has them one by one. Bytes
    are those of the payloads; Kafka does not tell them, and ~ marks an estimate from the newest of a topic that is
    not compacted.

    Folds: the offset that the newest root covers, the partition's end, and the lag between. Ingests: the offset of the
    source that is copied next, its end where the source is a topic of this log, and what became of its records.

    A log on Kafka without a namespace has the topics of all; folds of a namespace stand under its topics' full names.

    Example: foldline topics list --log sqlite:///news.db
    """
    from foldline.engine.ingest_marks import marks_on
    from foldline.engine.progress import progress_of

    with open_existing(log) as opened:
        progress = progress_of(opened)
        ingests = [_ingested(opened, mark) for mark in marks_on(opened)]
        topics = [_described(opened, topic, progress, ingests) for topic in opened.topics()]
    if json:
        here = {topic["topic"] for topic in topics}
        elsewhere = [each for each in ingests if each["topic"] not in here]
        print_json(topics + ([{"topic": None, "ingests": elsewhere}] if elsewhere else []))
        return
    print_table(
        ["topic", "partitions", "cleanup", "first", "end", "span", "bytes"],
        [_listed(topic) for topic in topics],
    )
    if progress:
        print()
        columns = ["fold", "topic", "partition", "offset", "end", "lag", "root written"]
        print_table(columns, [_come(each) for each in progress])
    if ingests:
        print()
        columns = ["ingest", "topic", "partition", "loop", "offset", "end", "lag", "copied", "passed", "dead"]
        print_table(columns, [[each[column] for column in columns] for each in ingests])


def _described(
    log: Log, topic: Topic, progress: list["Progress"], ingests: list[dict[str, Any]]
) -> dict[str, Any]:
    """A topic as shown."""
    from foldline.engine.topic_sizes import estimated_bytes

    offsets = [log.offsets(topic.name, p) for p in range(topic.partitions)]
    size = log.size(topic.name)
    return {
        "topic": topic.name,
        "partitions": topic.partitions,
        "cleanup": topic.cleanup,
        "retention_ms": topic.retention_ms,
        "bytes": size,
        "bytes_estimated": estimated_bytes(log, topic, offsets) if size is None else None,
        "offsets": offsets,
        "folds": [_folded(each) for each in progress if each.topic == topic.name],
        "ingests": [each for each in ingests if each["topic"] == topic.name],
    }


def _ingested(log: Log, mark: "IngestMark") -> dict[str, Any]:
    """A mark as shown; the end is known where the source stands on this log."""
    end = None
    with suppress(LogError):
        if log.topic(mark.topic).id == mark.topic_id:
            end = log.offsets(mark.topic, mark.partition)[1]
    return {
        "ingest": mark.ingest,
        "topic": mark.topic,
        "partition": mark.partition,
        "loop": mark.loop,
        "offset": mark.next,
        "end": end,
        "lag": None if end is None else max(0, end - mark.next),
        "copied": mark.copied,
        "passed": mark.passed,
        "dead": mark.dead,
    }


@app.command("read")
def read_topic(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="Its name, such as news.events.")],
    partition: Annotated[
        int | None,
        typer.Option(min=0, help="One partition only; all of them, one after another, by default."),
    ] = None,
    offset: Annotated[
        int | None,
        typer.Option(
            help="Start here in each partition that holds it; counted from the end where negative; else the first."
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME", help="Only records from then on: milliseconds since 1970 or ISO 8601 (UTC)."
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Stop after this many records.")] = None,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Wait for new records until Ctrl-C.")
    ] = False,
    log: LogUrl = DEFAULT_LOG,
    json: AsJson = False,
) -> None:
    """Print a topic's records, one a line: partition:offset and the record.

    Where several records stand at one offset, as on Kafka, it is partition:offset.index.

    A value that is not JSON is shown as its size; with --json in base64, as `bytes`.

    Example: foldline topics read news.events --offset -10 --follow
    """
    with open_existing(log) as opened:
        since_ms = parse_instant(since, field="since")
        starts = _starts(opened, topic, partition, offset, since_ms)
        records = _records(opened, topic, starts, since_ms=since_ms, offset=offset, follow=follow)
        for count, (of, at, key, line) in enumerate(records, start=1):
            if json:
                print_json(_as_json(of, at, key, line))
            else:
                print(f"{of}:{at}\t{_as_text(key, line)}", flush=follow)
            if count == limit:
                break


@app.command("dead")
def dead_letters(
    topic: Annotated[
        str | None,
        typer.Argument(metavar="[TOPIC]", help="Only letters from this topic, such as news.events."),
    ] = None,
    log: LogUrl = DEFAULT_LOG,
    json: AsJson = False,
) -> None:
    """Print the records that folds could not use, each with its error and where it stands.

    Example: foldline topics dead news.events
    """
    from foldline.engine.resend import letters_of, place_of_letter, resent_places, source_of_letter

    with open_existing(log) as opened:
        for dead in _dead_topics(opened, topic):
            resent = resent_places(opened, dead)
            for letter in letters_of(opened, dead):
                again, source = place_of_letter(letter) in resent, source_of_letter(letter, dead)
                if json:
                    print_json(_letter_as_json(letter) | {"topic": source, "resent": again})
                else:
                    print(_worded(letter, source, again))


@app.command("resend")
def resend_letters(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="Where they come from, such as news.events.")],
    code: Annotated[
        str | None, typer.Option(help="Only those with this error, such as record.unknown_action.")
    ] = None,
    place: Annotated[
        list[str] | None,
        typer.Option(
            metavar="P:OFFSET[.INDEX]", help="Only this one, as `topics dead` shows it; may be repeated."
        ),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many there are.")] = False,
    log: LogUrl = DEFAULT_LOG,
    json: AsJson = False,
) -> None:
    """Append dead-lettered records to their topic again, once what was wrong is mended.

    Each is judged anew where it then stands. One that was sent again before is left out; so the command may be
    repeated, and interrupted. What an ingest could not use is left to foldline ingest --dead.

    Example: foldline topics resend news.events --code record.unknown_action
    """
    from foldline.app.foldline import wall_clock
    from foldline.engine.resend import check_own, letters_of, place_of_letter, resend, resent_places

    with open_existing(log) as opened:
        [dead] = _dead_topics(opened, topic) or [""]
        # What an ingest could not use stands on another's topic, and is copied again by the ingest.
        standing = list(letters_of(opened, dead)) if dead else []
        check_own(standing, dead)
        letters = [letter for letter in standing if letter.topic == topic]
        places = {f"{topic}/{each if '.' in each else each + '.0'}" for each in place or ()}
        wanted = [
            letter
            for letter in letters
            if code in (None, letter.code) and (not places or place_of_letter(letter) in places)
        ]
        missing = places - {place_of_letter(letter) for letter in wanted}
        if missing:
            raise InputError(
                "input.invalid",
                f"no dead letter stands at {', '.join(sorted(missing))}; see foldline topics dead {topic}",
                field="place",
            )
        before = resent_places(opened, dead) if dead else set()
        fresh = {place_of_letter(letter) for letter in wanted} - before
        sent = 0 if dry_run or not fresh else resend(opened, dead, wanted, now=wall_clock())
    said = {
        "letters": len(letters),
        "chosen": len(wanted),
        "sent_before": len(wanted) - len(fresh),
        "sent": sent,
    }
    if json:
        print_json(said | {"dry_run": dry_run})
    elif dry_run:
        print(f"{len(fresh)} of {len(letters)} dead letters would be sent again")
    else:
        print(f"{sent} of {len(letters)} dead letters sent again; {said['sent_before']} had been before")
    if len(standing) > len(letters) and not json:
        print(
            f"{len(standing) - len(letters)} of ingests were left: foldline ingest --dead copies them again"
        )


def _listed(topic: dict[str, Any]) -> list[object]:
    first, end = (sum(offsets[side] for offsets in topic["offsets"]) for side in (0, 1))
    estimated = topic["bytes_estimated"]
    size = topic["bytes"] if estimated is None else f"~{estimated}"
    return [topic["topic"], topic["partitions"], topic["cleanup"], first, end, end - first, size]


def _starts(
    log: Log, topic: str, partition: int | None, offset: int | None, since_ms: int | None
) -> dict[int, int]:
    """The offset to start from, by partition.

    Of several partitions one that ends before the offset is read from its end, one that begins after it from its
    first; where all end before it, or the one asked for does not hold it, that is an error.
    """
    partitions = list(range(log.topic(topic).partitions)) if partition is None else [partition]
    held = {one: log.offsets(topic, one) for one in partitions}
    starts = {}
    for one, (first, end) in held.items():
        wanted = first if offset is None else offset if offset >= 0 else max(first, end + offset)
        starts[one] = wanted if len(held) == 1 else min(max(wanted, first), end)
        if since_ms is not None and first <= starts[one] <= end:
            starts[one] = max(starts[one], log.since(topic, one, since_ms))
    if offset is not None and len(held) > 1 and all(end < offset for _, end in held.values()):
        from foldline.log.validation import out_of_range

        longest = max(held, key=lambda one: held[one][1])
        raise out_of_range(topic, longest, offset, *held[longest])
    return starts


Record = tuple[int, str, bytes | None, bytes]
"""Partition, place in it, key, payload."""


def _records(
    log: Log, topic: str, starts: dict[int, int], *, since_ms: int | None, offset: int | None, follow: bool
) -> Iterator[Record]:
    least = max(0, offset or 0)
    for partition, row in rows_of(log, topic, starts, wait_s=FOLLOW_S if follow else None):
        # A partition that was shorter is followed from its end.
        if row.end > least:
            yield from _opened(partition, row, since_ms)


def _opened(partition: int, row: Row, since_ms: int | None) -> Iterator[Record]:
    """The records of a row that are recent enough."""
    if since_ms is not None and row.greatest < since_ms:
        return
    lines = [row.payload] if row.count == 1 else row.payload.split(b"\n")
    for index, line in enumerate(lines):
        if since_ms is None or _time(line, row.greatest) >= since_ms:
            yield partition, _place(row, index), row.key, line


def _place(row: Row, index: int) -> str:
    """The offset of a record; with its index where several records stand at one."""
    offset, which = row.place(index)
    return f"{offset}.{which}" if row.packed else str(offset)


def _time(line: bytes, otherwise: int) -> int:
    """A record's own time; that of its batch where it names none."""
    with suppress(ValueError):
        record = json.loads(line)
        if isinstance(record, dict) and isinstance(record.get("time"), int):
            return int(record["time"])
    return otherwise


def _as_json(partition: int, place: str, key: bytes | None, line: bytes) -> dict[str, object]:
    offset, packed, index = place.partition(".")
    shown: dict[str, object] = {"partition": partition, "offset": int(offset)}
    if packed:
        shown["index"] = int(index)
    if key is not None:
        shown["key"] = key.decode(errors="backslashreplace")
    try:
        shown["record"] = json.loads(line)
    except ValueError:
        shown["bytes"] = base64.b64encode(line).decode()
    return shown


def _as_text(key: bytes | None, line: bytes) -> str:
    named = "" if key is None else key.decode(errors="backslashreplace") + "\t"
    try:
        json.loads(line)
    except ValueError:
        return f"{named}({len(line)} bytes)"
    return named + line.decode()


def _dead_topics(log: Log, topic: str | None) -> list[str]:
    """The topics of dead letters, or that of one topic; none where it has none."""
    from foldline.engine.resend import SUFFIX

    found = [t.name for t in log.topics() if t.name.endswith(SUFFIX)]
    wanted = [name for name in found if topic in (None, name[: -len(SUFFIX)])]
    if topic is not None and not wanted:
        log.topic(topic)
    return wanted


def _letter_as_json(letter: "DeadLetter") -> dict[str, Any]:
    import msgspec

    shown: dict[str, Any] = msgspec.to_builtins(letter)
    shown["payload"] = letter.payload.decode(errors="backslashreplace")
    shown["headers"] = [[name, value.decode(errors="backslashreplace")] for name, value in letter.headers]
    if letter.key is not None:
        shown["key"] = letter.key.decode(errors="backslashreplace")
    return shown | {"index": letter.index}


def _worded(letter: "DeadLetter", source: str, resent: bool) -> str:
    where = f"{source}/{letter.partition}:{letter.offset}" + (f".{letter.index}" if letter.index else "")
    payload = letter.payload.decode(errors="backslashreplace")
    note = "  (sent again)" if resent else ""
    return f"{format_instant(letter.time)}  {where}  {letter.code}  {letter.error}{note}\n    {payload}"


def _folded(progress: "Progress") -> dict[str, Any]:
    return {
        "fold": progress.fold,
        "partition": progress.partition,
        "offset": progress.n,
        "end": progress.end,
        "lag": progress.lag,
        "root": progress.written,
    }


def _come(progress: "Progress") -> list[object]:
    gone = progress.end is None
    end, lag = ("made again" if gone else progress.end), ("" if gone else progress.lag)
    return [
        progress.fold, progress.topic, progress.partition, progress.n, end, lag, format_instant(progress.written),
    ]  # fmt: skip
