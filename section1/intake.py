"""A file becomes chunks of records for the engine, and fragments for the quarantine."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import count, takewhile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from batch.publish import FOLDER_MODE, ChecksummedFile
from section1 import reading
from section1.discover import BLOCK, GzipError, Source, is_packed, unpack
from section1.reading import Read
from section1.records import (
    BOM,
    LINE_END,
    Buffer,
    Chunk,
    Layout,
    changed,
    parse_plain,
    parse_quoted,
    pieces,
    unquote,
    with_origin,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from section1.dates import Ints

FIRST = 4  # the run's first chunk is so much smaller: there is work for the threads sooner
RECORD_BYTES = 64  # a chunk has no more records than if each had these bytes: memory follows rows as well as bytes
UTF16 = (b"\xff\xfe", b"\xfe\xff")
ADDED = ("source_file", "record_number")


class FileReport(msgspec.Struct, kw_only=True):
    """What became of one file. Header, record and fragment bytes add up to `bytes`."""

    name: str
    sha256: str
    bytes: int
    header_bytes: int = 0
    record_bytes: int = 0
    fragment_bytes: int = 0
    records: int = 0
    accepted: int = 0
    rejected: int = 0
    fragments: int = 0
    refused: str = ""  # why the whole file is one fragment
    reasons: dict[str, int] = {}

    @property
    def balanced(self) -> bool:
        """Whether every byte and every record is accounted for."""
        return (
            self.header_bytes + self.record_bytes + self.fragment_bytes == self.bytes
            and self.accepted + self.rejected == self.records
        )


class Portion(NamedTuple):
    """A chunk with its records: the columns that were asked for, source_file and record_number.

    `text` is the chunk's bytes, where they are plain.
    """

    chunk: Chunk
    table: pa.Table
    text: Buffer


class Part(NamedTuple):
    """The next stretch of a file: its bytes, pieces and records, and the numbers of records between fragments."""

    length: int
    pieces: int
    record_bytes: int
    table: pa.Table
    numbers: Ints | None = None
    quoted: bool = False
    text: Buffer = b""


class Quarantine:
    """Fragments, untouched: their bytes one after the other in fragments.bin, one line on each in fragments.csv."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fragments = 0
        self._index: ChecksummedFile | None = None
        self._bytes: ChecksummedFile | None = None
        self._lines: list[str] = []
        self._held = bytearray()

    def add(self, report: FileReport, number: int, offset: int, reason: str, blocks: Iterable[bytes]) -> int:
        """Keep one fragment; `number` is its place among the records of the file, 0 for the whole file."""
        if self._index is None or self._bytes is None:
            self.folder.mkdir(mode=FOLDER_MODE)
            self._bytes = ChecksummedFile(self.folder / "fragments.bin")
            self._index = ChecksummedFile(self.folder / "fragments.csv")
            self._lines.append("source_file,record_number,offset,length,reason,stored_at\n")
        stored_at = self._bytes.bytes + len(self._held)
        length = 0
        for block in blocks:
            length += len(block)
            self._held += block
            if len(self._held) >= BLOCK:
                self._write()
        self._lines.append(f"{_field(report.name)},{number},{offset},{length},{reason},{stored_at}\n")
        if len(self._lines) >= BLOCK // 64:
            self._write()
        self.fragments += 1
        report.fragments += 1
        report.fragment_bytes += length
        report.reasons[reason] = report.reasons.get(reason, 0) + 1
        return length

    def _write(self) -> None:
        assert self._index is not None
        assert self._bytes is not None
        self._bytes.write(bytes(self._held))
        self._index.write("".join(self._lines).encode())
        self._held, self._lines = bytearray(), []

    def close(self) -> list[ChecksummedFile]:
        """Put everything on the disk; returns the files that were written."""
        if self._index is None or self._bytes is None:
            return []
        self._write()
        files = [self._index, self._bytes]
        for file in files:
            file.__exit__(None, None, None)
        return files


class Intake:
    """Takes in the files of one batch; of each record, it reads the columns that are wanted."""

    def __init__(
        self, layout: Layout, chunk_bytes: int, quarantine: Quarantine, spool: Path, wanted: tuple[str, ...] = ()
    ) -> None:
        self.layout = layout
        self.chunk_bytes = chunk_bytes
        self.quarantine = quarantine
        self.spool = spool
        self.wanted = wanted or layout.wanted

    def take(self, source: Source, report: FileReport, file: int) -> Iterator[Portion]:
        """Scan one file, the run's `file`th, chunk by chunk; what becomes of its bytes is counted into the report."""
        path, etag = source.path, source.etag
        if is_packed(source.name):
            path, etag = str(self.spool / f"{source.sha256}.csv"), ""
            try:
                report.bytes = _unpack(source, path)
            except GzipError as error:
                os.unlink(path)
                with reading.opened(source.path, source.etag, source.bytes) as read:
                    self._refuse(report, read, str(error))
                return
        with reading.opened(path, etag, source.bytes) as read:
            start, header, refused = self._header(read, report.bytes)
            if refused:
                self._refuse(report, read, refused)
                return
            report.header_bytes = start
            yield from self._portions(read, path, etag, report, start, header, file)

    def _refuse(self, report: FileReport, read: Read, reason: str) -> None:
        report.refused = reason
        blocks = takewhile(bool, (read(BLOCK, offset) for offset in count(0, BLOCK)))
        report.bytes = self.quarantine.add(report, 0, 0, reason, blocks)

    def _header(self, read: Read, size: int) -> tuple[int, tuple[str, ...], str]:
        """The end of the header line, its columns, and why the file cannot be judged row by row (or nothing)."""
        limit = self.layout.limit
        head = read(limit + 1, 0)
        if size == 0:
            return 0, (), "empty_file"
        if head.startswith(UTF16):
            return 0, (), "not_utf8"
        line = LINE_END.search(head)
        end = line.end() if line else len(head)
        if end > limit:
            return 0, (), "header_too_long"
        if b"\0" in head[:end]:
            return 0, (), "unreadable_header"
        try:
            text = head[: line.start() if line else end].removeprefix(BOM).decode("utf-8")
            names = [name.strip().lower() for name in next(csv.reader([text], strict=True), [])]
        except (UnicodeDecodeError, csv.Error):
            return 0, (), "unreadable_header"
        known = {name.lower(): name for name in (*self.layout.columns, *(ADDED if self.layout.carried else ()))}
        if len(set(names)) < len(names):
            return 0, (), "duplicate_column"
        if missing := known.keys() - set(names):
            return 0, (), "missing_column" if len(missing) < len(known) else "missing_header"
        if not self.layout.carried and len(names) > len(known):
            return 0, (), "unknown_column"
        return end, tuple(known.get(name, name) for name in names), ""

    def _portions(
        self, read: Read, path: str, etag: str, report: FileReport, start: int, header: tuple[str, ...], file: int
    ) -> Iterator[Portion]:
        number, size = 1, self.chunk_bytes
        most = max(size // RECORD_BYTES, 1 << 10)
        while start < report.bytes:
            length = size // FIRST if file == 0 and number == 1 else size
            part = self._clean(read, report, start, length, header)
            if part is None:
                part = self._strict(read, report, start, size, most, number, header)
            elif part.pieces > most:
                size = size * most * 15 // (part.pieces * 16)
                continue
            if records := part.table.num_rows:
                report.record_bytes += part.record_bytes
                report.records += records
                kinds = bool(part.text), file, part.quoted, etag
                chunk = Chunk(path, start, part.length, report.name, header, number, records, *kinds)
                yield Portion(chunk, with_origin(part.table, chunk, part.numbers), part.text)
            start += part.length
            number += part.pieces

    def _clean(self, read: Read, report: FileReport, start: int, size: int, header: tuple[str, ...]) -> Part | None:
        """The next records, where there are no fragments among them; else None."""
        limit, wanted = self.layout.limit, self.wanted
        buffer = read(size, start)
        if not buffer:
            raise changed(report.name)
        complete = start + len(buffer) >= report.bytes
        if (found := parse_plain(buffer, header, wanted, limit, complete=complete)) is not None:
            end, table = found
            return Part(end, table.num_rows, end, table, text=memoryview(buffer)[:end])
        buffer = read(size + limit, start)
        complete = start + len(buffer) >= report.bytes
        if (found := parse_quoted(buffer, header, wanted, limit, size, complete=complete)) is None:
            return None
        end, table = found
        return Part(end, table.num_rows, end, table, quoted=True)

    def _strict(
        self, read: Read, report: FileReport, start: int, size: int, most: int, number: int, header: tuple[str, ...]
    ) -> Part:
        """The next records and fragments, at most so many, as the strict reader sees them."""
        import numpy as np
        import pyarrow as pa

        limit = self.layout.limit
        buffer = read(size + limit, start)
        complete = start + len(buffer) >= report.bytes
        length = found = record_bytes = 0
        numbers: list[int] = []
        texts: list[list[bytes]] = [[] for _ in self.wanted]
        columns = [(header.index(name), values.append) for name, values in zip(self.wanted, texts, strict=True)]
        for piece in pieces(buffer, len(header), limit, complete=complete):
            if piece.start >= size or found == most:
                break
            if piece.fields is None:
                content = buffer[piece.start : piece.end]
                self.quarantine.add(report, number + found, start + piece.start, piece.reason, [content])
            else:
                numbers.append(number + found)
                record_bytes += piece.end - piece.start
                for place, append in columns:
                    append(unquote(piece.fields[place]))
            length, found = piece.end, found + 1
        if length == 0:  # a line longer than a record may be: keep it without ever holding it whole
            length = self.quarantine.add(report, number, start, "record_too_long", _line(read, start))
            found = 1
        arrays = [pa.array(values, pa.binary()).cast(pa.string()) for values in texts]
        table = pa.table(arrays, names=list(self.wanted))
        return Part(length, found, record_bytes, table, np.array(numbers, np.int64))


@lru_cache
def _field(text: str) -> str:
    """A text as a CSV field (RFC 4180)."""
    return '"' + text.replace('"', '""') + '"' if re.search(r'[",\r\n]', text) else text


def _line(read: Read, start: int) -> Iterator[bytes]:
    """A line of any length, block by block, with its line end."""
    while block := read(BLOCK, start):
        if end := re.search(rb"[\r\n]", block):
            stop = end.end()
            if end[0] == b"\r" and read(1, start + stop) == b"\n":
                yield block[:stop] + b"\n"
            else:
                yield block[:stop]
            return
        yield block
        start += len(block)


def _unpack(source: Source, target: str) -> int:
    """Unpack a gzip file; returns the bytes that were in it. Raises GzipError with the reason why it cannot be."""
    with reading.binary(source.path, source.etag, source.bytes) as packed, open(target, "wb") as plain:
        return sum(plain.write(block) for block in unpack(packed, source.bytes))
