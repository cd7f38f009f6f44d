"""From librdkafka's messages to columns, in two passes: what there is, then those of one partition after another.

No message becomes an object of Python. Small payloads are copied to stand together, large ones stay where they are.
What a row is made of when somebody looks at one is copied beside: the key, then each header as two int32 (bytes of the
name, of the value or -1 for none), name and value.
"""

from typing import Any

import numpy as np

from foldline.kernels import Bytes, Int, kernel, part, patient
from foldline.log.kafka.foreign import (
    call_code_2,
    call_code_5,
    call_nothing,
    call_time,
    copy_in,
    load_byte,
    load_half,
    load_word,
)
from foldline.log.kafka.librdkafka import Message
from foldline.log.protocol import AHEAD_MS
from foldline.records.words import text_at

TIMESTAMP, HEADERS, HEADER, DESTROY = range(4)
"""Places of the library's functions in what the loops are given: `FUNCTIONS`, in this order."""

FUNCTIONS = ("message_timestamp", "message_headers", "header_get_all", "message_destroy")

ERROR, TOPIC, PARTITION, OFFSET, TIME, SIZE, KEY, BESIDE = range(8)
"""Rows of the table of messages: error code, address of the topic, partition, offset, timestamp, bytes of the payload,
of the key (-1 for none), and of key and headers as they are copied."""

FIRST, BYTES, BYTES_BESIDE = range(3)
"""Rows of the table of runs, messages of one partition and error: the first, bytes of the payloads with a newline each,
and of what stands beside."""

OFFSETS, TIMES, GREATEST, KEYS, COUNTS, ADDRESSES, STARTS, ENDS = range(8)
"""Rows of the columns of one run: offset, timestamp, greatest time, bytes of the key or -1, records, where the payload
is in memory; where it begins among the payloads, a newline after each, and key and headers among what stands beside.
The last two have one more entry, their end. Records are counted in payloads that are copied; of those that stay it is
what their header tells, to be checked by who reads them: to look at them now and once more then would take as long."""

SEVERAL, UNLIKE = 1, 2
"""What `take` may say of a run: a message holds several records; a payload is no line of a record as it stands, as far
as it was looked at."""

_ERR, _RKT, _PARTITION = Message.err.offset, Message.rkt.offset, Message.partition.offset
_PAYLOAD, _LEN = Message.payload.offset, Message.len.offset
_KEY, _KEY_LEN, _OFFSET = Message.key.offset, Message.key_len.offset, Message.offset.offset

_PREFIX = np.frombuffer(b"__connect.errors.", np.uint8)
_OWN = np.frombuffer(b"foldline", np.uint8)
_SIZES = 8
"""Bytes before each header's name."""


@part
def _length(address: Int) -> Int:
    """Bytes of a text that ends with a zero."""
    size = np.int64(0)
    while load_byte(address + size) != 0:
        size += 1
    return size


@patient(lambda *given: given[2], nogil=True)
def survey(functions: Any, pointers: Any, count: Int, table: Any, runs: Any, scratch: Any, at: Int) -> Int:
    """What there is of each message; the number of runs. O(messages and headers).

    Args:
        functions: (4,) int64 addresses.
        pointers: (m,) int64 addresses of messages.
        count: how many of them.
        table: (8, m) int64, written.
        runs: (3, m) int64, written.
        scratch: (4,) int64.
        at: its address.
    """
    found = 0
    for n in range(count):
        message = pointers[n]
        table[ERROR, n] = load_half(message + _ERR)
        table[TOPIC, n] = load_word(message + _RKT)
        table[PARTITION, n] = load_half(message + _PARTITION)
        table[OFFSET, n] = load_word(message + _OFFSET)
        table[TIME, n] = table[SIZE, n] = table[BESIDE, n] = 0
        if (
            n == 0
            or table[ERROR, n] != table[ERROR, n - 1]
            or table[TOPIC, n] != table[TOPIC, n - 1]
            or table[PARTITION, n] != table[PARTITION, n - 1]
        ):
            runs[FIRST, found] = n
            runs[BYTES, found] = runs[BYTES_BESIDE, found] = 0
            found += 1
        if table[ERROR, n] != 0:
            continue
        table[TIME, n] = max(call_time(functions[TIMESTAMP], message, np.int64(0)), np.int64(0))
        if load_word(message + _PAYLOAD) != 0:
            table[SIZE, n] = load_word(message + _LEN)
        table[KEY, n] = -1
        if load_word(message + _KEY) != 0:
            table[KEY, n] = load_word(message + _KEY_LEN)
        beside = max(table[KEY, n], np.int64(0))
        if call_code_2(functions[HEADERS], message, at) == 0:
            index = np.int64(0)
            while call_code_5(functions[HEADER], scratch[0], index, at + 8, at + 16, at + 24) == 0:
                beside += _SIZES + _length(scratch[1])
                beside += scratch[3] if scratch[2] != 0 else 0
                index += 1
        table[BESIDE, n] = beside
        runs[BYTES, found - 1] += table[SIZE, n] + 1
        runs[BYTES_BESIDE, found - 1] += beside
    return found


@part
def _begins(array: Bytes, start: Int, size: Int, wanted: Bytes) -> Any:
    """Whether a text of that size begins as wanted."""
    equal = size >= wanted.size
    for k in range(wanted.size if equal else 0):
        equal = equal and array[start + k] == wanted[k]
    return equal


@part
def _told(array: Bytes, start: Int, stop: Int) -> Any:
    """What our header says: how many records there are, and their greatest time or -1; see `messages`."""
    words, digits, number, first = 1, 0, np.int64(0), np.int64(0)
    for k in range(start, stop):
        if array[k] == 32 and digits > 0:
            if words == 1:
                first = number
            words, digits, number = words + 1, 0, np.int64(0)
        elif 48 <= array[k] <= 57 and digits < 18:
            digits, number = digits + 1, number * 10 + array[k] - 48
        else:
            return np.int64(1), np.int64(-1)
    if digits == 0 or (words != 1 and words != 3):
        return np.int64(1), np.int64(-1)
    return (number if words == 1 else first), (number if words == 3 else np.int64(-1))


@part
def _store_half(array: Bytes, place: Int, number: Int) -> None:
    for k in range(4):
        array[place + k] = (number >> (8 * k)) & 255


@part
def _copy_headers(functions: Any, message: Int, besides: Bytes, place: Int, scratch: Any, at: Int) -> Any:
    """Copies the headers; how many records they tell of, their greatest time or -1, whether it may be a letter."""
    told, records, greatest, letter = False, np.int64(1), np.int64(-1), False
    if call_code_2(functions[HEADERS], message, at) != 0:
        return records, greatest, letter
    index = np.int64(0)
    while call_code_5(functions[HEADER], scratch[0], index, at + 8, at + 16, at + 24) == 0:
        name = _length(scratch[1])
        size = scratch[3] if scratch[2] != 0 else np.int64(-1)
        _store_half(besides, place, name)
        _store_half(besides, place + 4, size)
        place += _SIZES
        copy_in(besides, place, scratch[1], name)
        if size > 0:
            copy_in(besides, place + name, scratch[2], size)
        if not told and size >= 0 and name == _OWN.size and _begins(besides, place, name, _OWN):
            told = True
            records, greatest = _told(besides, place + name, place + name + size)
        letter = letter or _begins(besides, place, name, _PREFIX)
        place += name + max(size, np.int64(0))
        index += 1
    return records, greatest, letter


@patient(lambda *given: given[3] - given[2] + len(given[6]) // 64, nogil=True)
def take(
    functions: Any, pointers: Any, first: Int, stop: Int, table: Any, columns: Any, data: Any, besides: Any,
    scratch: Any, at: Int, base: Int,
) -> Int:  # fmt: skip
    """Copies the messages of one run and lets them go, or leaves them where they are, to be let go later. O(bytes).

    Returns:
        `SEVERAL`, `UNLIKE`, both or 0.

    Args:
        functions: (4,) int64 addresses.
        pointers: (m,) int64 addresses of messages.
        first: the first of them to take.
        stop: one more than the last.
        table: (8, m) int64, of `survey`.
        columns: (8, n + 1) int64, written.
        data: uint8, written: each payload and a newline, if they are to be copied.
        besides: uint8, written: keys and headers.
        scratch: (4,) int64.
        at: its address.
        base: the address of `data`; 0 where the payloads stay.
    """
    said = 0
    place = beside = np.int64(0)
    for n in range(first, stop):
        message, row = pointers[n], n - first
        size, key = table[SIZE, n], table[KEY, n]
        columns[OFFSETS, row], columns[TIMES, row], columns[KEYS, row] = table[OFFSET, n], table[TIME, n], key
        columns[STARTS, row], columns[ENDS, row] = place, beside
        address = load_word(message + _PAYLOAD)
        if base != 0:
            if size > 0:
                copy_in(data, place, address, size)
            data[place + size] = 10
            address = base + place
        columns[ADDRESSES, row] = address
        if key > 0:
            copy_in(besides, beside, load_word(message + _KEY), key)
        records, greatest, letter = np.int64(1), np.int64(-1), False
        # Asking for headers is the dearest of all questions, also where there are none.
        if table[BESIDE, n] > max(key, np.int64(0)):
            records, greatest, letter = _copy_headers(
                functions, message, besides, beside + max(key, np.int64(0)), scratch, at
            )
        time = table[TIME, n]
        columns[GREATEST, row] = min(greatest, time + AHEAD_MS) if greatest >= 0 else time
        lines = min(max(records, np.int64(1)), size + 1)
        if base != 0:
            newlines = np.int64(0)
            for byte in text_at(address, size):
                newlines += byte == 10
            # A payload of one record may hold newlines.
            if records > 1:
                lines = newlines + 1
            elif newlines > 0:
                said |= UNLIKE
        columns[COUNTS, row] = lines
        if lines > 1:
            said |= SEVERAL
        # A dead letter is read as another record.
        if letter:
            said |= UNLIKE
        if base != 0:
            call_nothing(functions[DESTROY], message)
        place += size + 1
        beside += table[BESIDE, n]
    columns[STARTS, stop - first], columns[ENDS, stop - first] = place, beside
    return said


@kernel
def let_go(functions: Any, pointers: Any) -> None:
    """Lets messages go that stayed where they are.

    Args:
        functions: (4,) int64 addresses.
        pointers: (m,) int64 addresses of messages.
    """
    for message in pointers:
        call_nothing(functions[DESTROY], message)


def prepare() -> None:
    """Have all loops compiled, in a process that is here to stay."""
    words, text, table = np.zeros(4, np.int64), np.zeros(0, np.uint8), np.zeros((8, 1), np.int64)
    survey(words, words, 0, table, table, words, 0)
    take(words, words, 0, 0, table, table, text, text, words, 0, 0)
    let_go(words, words[:0])
