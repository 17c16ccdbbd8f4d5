"""Bytes become records, or fragments that cannot be one; every byte belongs to exactly one of them (RFC 4180).

Two readers give the same records. Text without quotes or oddities goes through Arrow's CSV reader, which proves the
number of fields; all other text goes through one strict regular expression, and what it does not match up to the
end of the line is a fragment. So an unclosed quote costs its own line and not the good rows below it.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from section1 import dates

if TYPE_CHECKING:
    import pyarrow as pa

FIELD = rb'("[^"\0]*+(?:""[^"\0]*+)*+"|[^",\r\n\0]*+)'
LINE_END = re.compile(rb"\r\n|\n|\r")
WELL_FORMED = re.compile(FIELD + rb"(?:," + FIELD + rb")*+")


class Layout(msgspec.Struct, frozen=True):
    """What a record is made of.

    `columns` are the fields that the query sees. With `carried`, each record brings its own source_file and
    record_number, as the published rejected rows do; else they come from the file.
    """

    columns: tuple[str, ...]
    max_record_bytes: int
    carried: bool = False


class Chunk(msgspec.Struct, frozen=True):
    """A byte range of a file that holds whole records; the unit of work of every engine."""

    path: str
    offset: int
    length: int
    source_file: str
    header: tuple[str, ...]  # the file's own columns, in its order
    first_record: int
    records: int
    plain: bool
    file: int  # its place among the files of the run


class Piece(NamedTuple):
    """A stretch of bytes: a record with its fields, or a fragment with the reason why it is none."""

    start: int
    end: int
    fields: list[bytes] | None
    reason: str = ""


@lru_cache
def _record(width: int) -> re.Pattern[bytes]:
    return re.compile(b",".join([FIELD] * width) + rb"(?:\r\n|\n|\r)")


def pieces(buffer: bytes, width: int, limit: int, *, complete: bool) -> Iterator[Piece]:
    """Split bytes that start at a record into records of `width` fields and fragments.

    `limit` is the length that a record may have. Where `complete` is false, more bytes follow the buffer and the
    splitting stops at the first piece that they could change.
    """
    size = len(buffer)
    if complete and not buffer.endswith((b"\n", b"\r")):
        buffer += b"\n"
    pattern = _record(width)
    decoded = _is_utf8(buffer)
    start = 0
    while start < size:
        stop = start + limit
        if not complete and stop > len(buffer):
            return
        if (match := pattern.match(buffer, start, min(stop, len(buffer)))) is not None:
            end = _after(buffer, match.end())
            if decoded or _is_utf8(match[0]):
                yield Piece(start, min(end, size), list(match.groups()))
            else:
                yield Piece(start, min(end, size), None, "invalid_utf8")
        else:
            line = LINE_END.search(buffer, start)
            if line is None:
                return
            end = line.end()
            reason = "record_too_long" if end - start > limit else _why_not(buffer[start : line.start()], width)
            yield Piece(start, min(end, size), None, reason)
        start = end


def _after(buffer: bytes, end: int) -> int:
    """The end of a record, past the line feed of a CRLF that the limit has cut in two."""
    return end + 1 if buffer[end - 1 : end + 1] == b"\r\n" else end


def _is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _why_not(line: bytes, width: int) -> str:
    """Why a line is not a record."""
    if b"\0" in line:
        return "nul_byte"
    if not line.strip():
        return "blank_line"
    if not _is_utf8(line):
        return "invalid_utf8"
    if not WELL_FORMED.fullmatch(line):
        return "unclosed_quote" if line.count(b'"') % 2 else "misplaced_quote"
    fields = next(csv.reader([line.decode()]))
    return "too_few_fields" if len(fields) < width else "too_many_fields"


def unquote(field: bytes) -> bytes:
    """The value of a field as it stands in a file."""
    return field[1:-1].replace(b'""', b'"') if field.startswith(b'"') else field


def parse_plain(buffer: bytes, header: tuple[str, ...], wanted: tuple[str, ...]) -> pa.Table | None:
    """The wanted columns of a text of plain records, or None where the strict reader must look at it."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    if b'"' in buffer or b"\0" in buffer or not _is_utf8(buffer):
        return None
    try:
        return arrow_csv.read_csv(
            pa.py_buffer(buffer),
            read_options=arrow_csv.ReadOptions(column_names=header, use_threads=False),
            parse_options=arrow_csv.ParseOptions(quote_char=False, ignore_empty_lines=False),
            convert_options=arrow_csv.ConvertOptions(
                column_types=dict.fromkeys(wanted, pa.string()),
                include_columns=wanted,
                check_utf8=False,
                strings_can_be_null=False,
            ),
        )
    except pa.ArrowInvalid:
        return None


def load(chunk: Chunk) -> bytes:
    """The bytes of a chunk."""
    fd = os.open(chunk.path, os.O_RDONLY)
    try:
        return os.pread(fd, chunk.length, chunk.offset)
    finally:
        os.close(fd)


def read(chunk: Chunk, layout: Layout) -> pa.Table:
    """The records of a chunk, in order: the layout's columns as text, source_file, record_number and csv_safe.

    csv_safe tells that no field of the record needs quotes in a CSV file.
    """
    import numpy as np
    import pyarrow as pa

    wanted = (*layout.columns, "source_file", "record_number") if layout.carried else layout.columns
    buffer = load(chunk)
    if chunk.plain:
        table = parse_plain(buffer, chunk.header, wanted)
        assert table is not None, "a plain chunk changed between two readings"
        numbers = np.arange(chunk.first_record, chunk.first_record + table.num_rows)
    else:
        found, counted = [], []
        whole = pieces(buffer, len(chunk.header), layout.max_record_bytes, complete=True)
        for number, piece in enumerate(whole, chunk.first_record):
            if piece.fields is not None:
                found.append(piece.fields)
                counted.append(number)
        places = [chunk.header.index(name) for name in wanted]
        table = pa.table(
            [pa.array([unquote(fields[place]) for fields in found], pa.binary()).cast(pa.string()) for place in places],
            names=list(wanted),
        )
        numbers = np.array(counted, dtype=np.int64)
    count = table.num_rows
    if layout.carried:
        table = table.set_column(table.schema.get_field_index("record_number"), "record_number",
                                 table["record_number"].cast(pa.int64()))  # fmt: skip
    else:
        table = table.append_column("source_file", _constant(chunk.source_file, count))
        table = table.append_column("record_number", pa.array(numbers))
    safe = chunk.plain and not re.search(r'[",\r\n]', chunk.source_file)
    return table.append_column("csv_safe", pa.DictionaryArray.from_arrays(np.zeros(count, np.int8), [safe]))


def _constant(text: str, count: int) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    return pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int8)), pa.array([text]))


def with_dates(
    table: pa.Table,
    columns: dict[str, tuple[str, list[dates.Shape], bytes]],
    decisions: dict[str, dict[str, dates.Decision]],
) -> pa.Table:
    """The records with the columns that each configured date gives; `columns` maps name to (column, shapes, key)."""
    for name, (column, shapes, key) in columns.items():
        days, status = dates.read(table[column].combine_chunks(), shapes, decisions[name])
        for added, array in dates.columns(name, days, status, key).items():
            table = table.append_column(added, array)
    return table
