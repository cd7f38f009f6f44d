"""`foldline topics`: what stands on the log."""

import base64
import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Annotated, Any

import typer

from foldline.cli.instants import format_instant, parse_instant
from foldline.cli.logs import open_existing
from foldline.cli.noun import noun
from foldline.cli.options import DEFAULT_LOG, AsJson, LogUrl
from foldline.cli.output import print_json, print_table
from foldline.log.follow import follow as rows_of
from foldline.log.protocol import Log, Row

FOLLOW_S = 1.0
"""How long one wait for new records lasts; between waits Ctrl-C is noticed."""

app = noun("What stands on the log.")


@app.command("list")
def list_topics(log: LogUrl = DEFAULT_LOG, json: AsJson = False) -> None:
    """List topics: partitions, cleanup, first and end offsets, records kept at most.

    Offsets are summed over the partitions in the table; JSON has them one by one. On a compacted topic fewer
    records stand than the offsets span.

    Example: foldline topics list --log sqlite:///news.db
    """
    with open_existing(log) as opened:
        topics = [
            {
                "topic": topic.name,
                "partitions": topic.partitions,
                "cleanup": topic.cleanup,
                "retention_ms": topic.retention_ms,
                "offsets": [opened.offsets(topic.name, p) for p in range(topic.partitions)],
            }
            for topic in opened.topics()
        ]
    if json:
        print_json(topics)
        return
    print_table(
        ["topic", "partitions", "cleanup", "first", "end", "span"], [_listed(topic) for topic in topics]
    )


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
            help="Start here in each partition; counted from the end where negative; else the first kept."
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
        starts = _starts(opened, topic, partition, offset)
        records = _records(opened, topic, starts, since_ms=parse_instant(since, field="since"), follow=follow)
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
    with open_existing(log) as opened:
        wanted = [
            t for t in opened.topics() if t.name.endswith(".dlq") and topic in (None, t.name[: -len(".dlq")])
        ]
        if topic is not None and not wanted:
            opened.topic(topic)
        for letter in _letters(opened, [(t.name, p) for t in wanted for p in range(t.partitions)]):
            if json:
                print_json(letter)
            else:
                print(_worded(letter))


def _listed(topic: dict[str, Any]) -> list[object]:
    first, end = (sum(offsets[side] for offsets in topic["offsets"]) for side in (0, 1))
    return [topic["topic"], topic["partitions"], topic["cleanup"], first, end, end - first]


def _starts(log: Log, topic: str, partition: int | None, offset: int | None) -> dict[int, int]:
    """The offset to start from, by partition."""
    partitions = range(log.topic(topic).partitions) if partition is None else [partition]
    starts = {}
    for one in partitions:
        first, end = log.offsets(topic, one)
        wanted = first if offset is None else offset
        starts[one] = wanted if wanted >= 0 else max(first, end + wanted)
    return starts


Record = tuple[int, str, bytes | None, bytes]
"""Partition, place in it, key, payload."""


def _records(
    log: Log, topic: str, starts: dict[int, int], *, since_ms: int | None, follow: bool
) -> Iterator[Record]:
    for partition, row in rows_of(log, topic, starts, wait_s=FOLLOW_S if follow else None):
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


def _letters(log: Log, partitions: list[tuple[str, int]]) -> Iterator[dict[str, Any]]:
    """Every dead letter once, though a worker that was killed may have written it twice."""
    import msgspec

    from foldline.records.dead_letter import DeadLetter

    seen = set()
    for topic, partition in partitions:
        for _, _, _, line in _records(
            log, topic, _starts(log, topic, partition, None), since_ms=None, follow=False
        ):
            letter = msgspec.json.decode(line, type=DeadLetter)
            name = (letter.fold, letter.topic, letter.partition, letter.offset, letter.index)
            if name not in seen:
                seen.add(name)
                yield msgspec.to_builtins(letter) | {
                    "payload": letter.payload.decode(errors="backslashreplace")
                }


def _worded(letter: dict[str, Any]) -> str:
    where = f"{letter['topic']}/{letter['partition']}:{letter['offset']}"
    return f"{format_instant(letter['time'])}  {where}  {letter['code']}  {letter['error']}\n    {letter['payload']}"
