"""Bytes become records, or fragments that cannot be one; every byte belongs to exactly one of them (RFC 4180).

One strict regular expression says what a record is; where it does not match, the line is a fragment. So an unclosed
quote costs its own line and not the good rows below it. Buffer without fragments goes through Arrow's CSV reader, which
gives the same records faster: it proves the number of fields itself where there are no quotes; where there are, one
match of the expression over many records at once proves it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from batch.errors import DataError
from section1 import dates, reading

if TYPE_CHECKING:
    import pyarrow as pa

FIELD = rb'(?:"[^"\0]*+(?:""[^"\0]*+)*+"|[^",\r\n\0]*+)'
LINE_END = re.compile(rb"\r\n|\n|\r")
WELL_FORMED = re.compile(FIELD + rb"(?:," + FIELD + rb")*+")
QUOTED = re.compile(rb'"[^"]*"')
Buffer = bytes | memoryview  # of records
BOM = b"\xef\xbb\xbf"
CARRIED_BYTES = 1 << 16  # what publishing adds to a rejected record: its file, its number, its failed rules


class Layout(msgspec.Struct, frozen=True):
    """What a record is made of.

    `columns` are the fields that the query sees. With `carried`, each record brings its own source_file and
    record_number, as the published rejected rows do; else they come from the file.
    """

    columns: tuple[str, ...]
    max_record_bytes: int
    carried: bool = False

    @property
    def limit(self) -> int:
        """The bytes that a record may have. A record that was accepted as one can be replayed."""
        return self.max_record_bytes + (CARRIED_BYTES if self.carried else 0)

    @property
    def wanted(self) -> tuple[str, ...]:
        """The columns to read from a file."""
        return (*self.columns, "source_file", "record_number") if self.carried else self.columns


class Chunk(msgspec.Struct, frozen=True):
    """A byte range of a file that holds whole records; the unit of work of every engine.

    A plain one has neither quotes nor fragments, a quoted one has no fragments; any other may have both.
    """

    path: str
    offset: int
    length: int
    source_file: str
    header: tuple[str, ...]  # the file's own columns, in its order
    first_record: int
    records: int
    plain: bool
    file: int  # its place among the files of the run
    quoted: bool = False
    etag: str = ""  # of an object in a store


class Piece(NamedTuple):
    """A stretch of bytes: a record with its fields, or a fragment with the reason why it is none."""

    start: int
    end: int
    fields: list[bytes] | None
    reason: str = ""


@lru_cache
def _record(width: int) -> re.Pattern[bytes]:
    return re.compile(b",".join([b"(%b)" % FIELD] * width) + rb"(?:\r\n|\n|\r)")


@lru_cache
def _records(width: int) -> re.Pattern[bytes]:
    return re.compile(rb"(?:%b(?:\r\n|\n|\r))*+" % b",".join([FIELD] * width))


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
            if not complete and end == len(buffer):  # the line feed of a CRLF may follow
                return
            if decoded or _is_utf8(match[0]):
                yield Piece(start, min(end, size), list(match.groups()))
            else:
                yield Piece(start, min(end, size), None, "invalid_utf8")
        else:
            line = LINE_END.search(buffer, start)
            if line is None or (not complete and line.end() == len(buffer)):
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
    return "too_few_fields" if QUOTED.sub(b"", line).count(b",") + 1 < width else "too_many_fields"


def unquote(field: bytes) -> bytes:
    """The value of a field as it stands in a file."""
    return field[1:-1].replace(b'""', b'"') if field.startswith(b'"') else field


def parse_plain(
    buffer: bytes, header: tuple[str, ...], wanted: tuple[str, ...], limit: int, *, complete: bool
) -> tuple[int, pa.Table] | None:
    """The end of the last record, which more bytes cannot change, and the wanted columns of plain records up to there.

    None where the strict reader must look at them.
    """
    end = len(buffer) if complete else buffer.rfind(b"\n") + 1
    if not end or any(buffer.find(special, 0, end) >= 0 for special in (b'"', b"\0")) or buffer.startswith(BOM):
        return None
    if not buffer.isascii() and not _is_utf8(buffer[:end]):
        return None
    start, stop = 0, end + (not buffer.endswith(b"\n", 0, end))
    while start + limit < stop:  # a record that is too long is a stretch of this length without a line feed
        if (start := buffer.rfind(b"\n", start, start + limit) + 1) == 0:
            return None
    table = _parse(memoryview(buffer)[:end], header, wanted, quoted=False)
    if table is None or (len(header) > 1 and _has_blank_line(buffer, table)):
        return None
    return end, table


def _has_blank_line(buffer: bytes, table: pa.Table) -> bool:
    """Whether Arrow's reader has made a row of empty fields from a blank line."""
    import numpy as np

    for values in table.column(0).chunks:  # where no row begins with an empty field, there is no need to look
        offsets = np.frombuffer(values.buffers()[1], np.int32)[values.offset : values.offset + len(values) + 1]
        if not np.diff(offsets).all():
            return buffer.startswith((b"\n", b"\r")) or any(ends in buffer for ends in (b"\n\n", b"\n\r", b"\r\r"))
    return False


def parse_quoted(
    buffer: bytes, header: tuple[str, ...], wanted: tuple[str, ...], limit: int, size: int, *, complete: bool
) -> tuple[int, pa.Table] | None:
    """The end of the first record to reach `size`, and the wanted columns of the records up to there.

    None where there is a fragment among them: then the strict reader must look.
    """
    length = len(buffer)
    if complete and not buffer.endswith((b"\n", b"\r")):
        buffer += b"\n"
    many, one, end = _records(len(header)), _record(len(header)), 0
    stop = min(size, length)
    while end < stop:
        match = many.match(buffer, end, min(end + limit, stop))
        if match is None or match.end() == end:
            match = one.match(buffer, end, end + limit)
        if match is None:
            return None
        end = _after(buffer, match.end())
    if buffer.startswith(BOM) or not _is_utf8(buffer[:end]) or (not complete and end == length):
        return None
    table = _parse(buffer[:end], header, wanted, quoted=True)
    return None if table is None else (min(end, length), table)


def _parse(text: Buffer, header: tuple[str, ...], wanted: tuple[str, ...], *, quoted: bool) -> pa.Table | None:
    """The wanted columns as Arrow's reader sees them. It would drop a byte order mark and forgive misplaced quotes."""
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    try:
        return arrow_csv.read_csv(
            pa.py_buffer(text),
            read_options=arrow_csv.ReadOptions(column_names=header, use_threads=False, block_size=len(text) + 1),
            parse_options=arrow_csv.ParseOptions(
                quote_char='"' if quoted else False, newlines_in_values=quoted, ignore_empty_lines=False
            ),
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
    """The bytes of a chunk. Raises DataError where the file has become shorter."""
    buffer = reading.load(chunk.path, chunk.etag, chunk.length, chunk.offset)
    if len(buffer) < chunk.length:
        raise changed(chunk.source_file)
    return buffer


def changed(name: str) -> DataError:
    """Somebody wrote to a file between two readings."""
    return DataError(
        f"{name} changed while it was read",
        hint="Nothing was published. Put files into the folder whole (write elsewhere, then rename).",
    )


def read(chunk: Chunk, layout: Layout) -> pa.Table:
    """The records of a chunk, in order: the layout's columns as text, source_file and record_number.

    Raises DataError where the file changed.
    """
    return parsed(chunk, layout, load(chunk))


def parsed(chunk: Chunk, layout: Layout, buffer: bytes) -> pa.Table:
    """The records of a chunk, given its bytes; see `read`."""
    wanted, numbers = layout.wanted, None
    if chunk.plain or chunk.quoted:
        table = _parse(buffer, chunk.header, wanted, quoted=chunk.quoted)
    else:
        table, numbers = _strict(chunk, layout, buffer, wanted)
    if table is None or table.num_rows != chunk.records:
        raise changed(chunk.source_file)
    return with_origin(table, chunk, numbers)


def with_origin(table: pa.Table, chunk: Chunk, numbers: dates.Ints | None = None) -> pa.Table:
    """A chunk's records with source_file and record_number, which count on from the chunk's first if not given.

    A record that brings them, as text, keeps its own.
    """
    import numpy as np
    import pyarrow as pa

    if (place := table.schema.get_field_index("record_number")) >= 0:
        return table.set_column(place, "record_number", table["record_number"].cast(pa.int64()))
    count = table.num_rows
    if numbers is None:
        numbers = np.arange(chunk.first_record, chunk.first_record + count)
    source = pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int8)), pa.array([chunk.source_file]))
    return table.append_column("source_file", source).append_column("record_number", pa.array(numbers))


def _strict(chunk: Chunk, layout: Layout, buffer: bytes, wanted: tuple[str, ...]) -> tuple[pa.Table, dates.Ints]:
    """The records among the pieces of a chunk, and their numbers."""
    import numpy as np
    import pyarrow as pa

    texts: list[list[bytes]] = [[] for _ in wanted]
    columns = [(chunk.header.index(name), values.append) for name, values in zip(wanted, texts, strict=True)]
    numbers = []
    whole = pieces(buffer, len(chunk.header), layout.limit, complete=True)
    for number, piece in enumerate(whole, chunk.first_record):
        if piece.fields is not None:
            numbers.append(number)
            for place, append in columns:
                append(unquote(piece.fields[place]))
    arrays = [pa.array(values, pa.binary()).cast(pa.string()) for values in texts]
    return pa.table(arrays, names=list(wanted)), np.array(numbers, dtype=np.int64)
