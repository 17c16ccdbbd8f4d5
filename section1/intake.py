"""A file becomes chunks of records for the engine, fragments for the quarantine, and evidence about its dates."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from batch.publish import FOLDER_MODE, DurableFile
from section1 import dates
from section1.discover import BLOCK, GzipError, Source, is_packed, unpack
from section1.records import BOM, LINE_END, Chunk, Layout, changed, parse_plain, parse_quoted, pieces, unquote

if TYPE_CHECKING:
    import pyarrow as pa

RECORD_BYTES = 48  # a chunk has no more records than if each had these bytes: memory follows rows as well as bytes
UTF16 = (b"\xff\xfe", b"\xfe\xff")
ADDED = ("source_file", "record_number")

Evidence = dict[str, dict[str, dates.Evidence]]
DateColumns = dict[str, tuple[str, list[dates.Shape], bytes]]


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


class Part(NamedTuple):
    """The next stretch of a file: its bytes, pieces and records, and what intake has to see of the records."""

    length: int
    pieces: int
    records: int
    record_bytes: int
    table: pa.Table
    plain: bool = False
    quoted: bool = False


class Quarantine:
    """Fragments, untouched: their bytes one after the other in fragments.bin, one line on each in fragments.csv."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fragments = 0
        self._index: DurableFile | None = None
        self._bytes: DurableFile | None = None
        self._lines: list[str] = []
        self._held = bytearray()

    def add(self, report: FileReport, number: int, offset: int, reason: str, blocks: Iterable[bytes]) -> int:
        """Keep one fragment; `number` is its place among the records of the file, 0 for the whole file."""
        if self._index is None or self._bytes is None:
            self.folder.mkdir(mode=FOLDER_MODE)
            self._bytes = DurableFile(self.folder / "fragments.bin")
            self._index = DurableFile(self.folder / "fragments.csv")
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

    def close(self) -> list[DurableFile]:
        """Put everything on the disk; returns the files that were written."""
        if self._index is None or self._bytes is None:
            return []
        self._write()
        files = [self._index, self._bytes]
        for file in files:
            file.__exit__(None, None, None)
        return files


class Intake:
    """Takes in the files of one run."""

    def __init__(self, layout: Layout, chunk_bytes: int, columns: DateColumns, quarantine: Quarantine, spool: Path):
        self.layout = layout
        self.chunk_bytes = chunk_bytes
        self.columns = columns
        self.quarantine = quarantine
        self.spool = spool

    def take(self, source: Source, evidence: Evidence, file: int) -> tuple[FileReport, list[Chunk]]:
        """Scan one file; counts what its dates prove into `evidence`."""
        report = FileReport(name=source.name, sha256=source.sha256, bytes=source.bytes)
        path = source.path
        if is_packed(source.name):
            path = str(self.spool / f"{source.sha256}.csv")
            try:
                report.bytes = _unpack(source.path, path)
            except GzipError as error:
                os.unlink(path)
                return self._refuse(report, source.path, str(error)), []
        fd = os.open(path, os.O_RDONLY)
        try:
            start, header, refused = self._header(fd, report.bytes)
            if refused:
                return self._refuse(report, path, refused), []
            report.header_bytes = start
            chunks = list(self._chunks(fd, path, report, start, header, evidence, file))
        finally:
            os.close(fd)
        return report, chunks

    def _refuse(self, report: FileReport, path: str, reason: str) -> FileReport:
        report.refused = reason
        with open(path, "rb") as file:
            report.bytes = self.quarantine.add(report, 0, 0, reason, iter(lambda: file.read(BLOCK), b""))
        return report

    def _header(self, fd: int, size: int) -> tuple[int, tuple[str, ...], str]:
        """The end of the header line, its columns, and why the file cannot be judged row by row (or nothing)."""
        limit = self.layout.limit
        head = os.pread(fd, limit + 1, 0)
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

    def _chunks(
        self,
        fd: int,
        path: str,
        report: FileReport,
        start: int,
        header: tuple[str, ...],
        evidence: Evidence,
        file: int,
    ) -> Iterator[Chunk]:
        number, size = 1, self.chunk_bytes
        most = max(size // RECORD_BYTES, 1 << 10)
        while start < report.bytes:
            part = self._clean(fd, report, start, size, header)
            if part is None:
                part = self._strict(fd, report, start, size, most, number, header)
            elif part.records > most:
                size //= 2
                continue
            for name, (column, shapes, _) in self.columns.items():
                for shape, found in dates.scan(part.table[column].combine_chunks(), shapes).items():
                    evidence[name][shape].add(found)
            if part.records:
                report.record_bytes += part.record_bytes
                report.records += part.records
                kinds = part.plain, file, part.quoted
                yield Chunk(path, start, part.length, report.name, header, number, part.records, *kinds)
            start += part.length
            number += part.pieces

    def _seen(self, header: tuple[str, ...]) -> tuple[str, ...]:
        """The columns that intake has to see: those with dates, or any one to count the records by."""
        return tuple(dict.fromkeys(column for column, _, _ in self.columns.values())) or header[:1]

    def _clean(self, fd: int, report: FileReport, start: int, size: int, header: tuple[str, ...]) -> Part | None:
        """The next records, where there are no fragments among them; else None."""
        limit, seen = self.layout.limit, self._seen(header)
        buffer = os.pread(fd, size, start)
        if not buffer:
            raise changed(report.name)
        if start + len(buffer) < report.bytes:
            buffer = buffer[: buffer.rfind(b"\n") + 1]
        if buffer and (table := parse_plain(buffer, header, seen, limit)) is not None:
            return Part(len(buffer), table.num_rows, table.num_rows, len(buffer), table, plain=True)
        buffer = os.pread(fd, size + limit, start)
        complete = start + len(buffer) >= report.bytes
        if (found := parse_quoted(buffer, header, seen, limit, size, complete=complete)) is None:
            return None
        end, table = found
        return Part(end, table.num_rows, table.num_rows, end, table, quoted=True)

    def _strict(
        self, fd: int, report: FileReport, start: int, size: int, most: int, number: int, header: tuple[str, ...]
    ) -> Part:
        """The next records and fragments, at most so many, as the strict reader sees them."""
        import pyarrow as pa

        limit, seen = self.layout.limit, self._seen(header)
        buffer = os.pread(fd, size + limit, start)
        complete = start + len(buffer) >= report.bytes
        length = found = records = record_bytes = 0
        texts: list[list[bytes]] = [[] for _ in seen]
        columns = [(header.index(name), values.append) for name, values in zip(seen, texts, strict=True)]
        for piece in pieces(buffer, len(header), limit, complete=complete):
            if piece.start >= size or found == most:
                break
            if piece.fields is None:
                content = buffer[piece.start : piece.end]
                self.quarantine.add(report, number + found, start + piece.start, piece.reason, [content])
            else:
                records += 1
                record_bytes += piece.end - piece.start
                for place, append in columns:
                    append(unquote(piece.fields[place]))
            length, found = piece.end, found + 1
        if length == 0:  # a line longer than a record may be: keep it without ever holding it whole
            length = self.quarantine.add(report, number, start, "record_too_long", _line(fd, start))
            found = 1
        table = pa.table([pa.array(values, pa.binary()).cast(pa.string()) for values in texts], names=list(seen))
        return Part(length, found, records, record_bytes, table)


@lru_cache
def _field(text: str) -> str:
    """A text as a CSV field (RFC 4180)."""
    return '"' + text.replace('"', '""') + '"' if re.search(r'[",\r\n]', text) else text


def _line(fd: int, start: int) -> Iterator[bytes]:
    """A line of any length, block by block, with its line end."""
    while block := os.pread(fd, BLOCK, start):
        if end := re.search(rb"[\r\n]", block):
            stop = end.end()
            if end[0] == b"\r" and os.pread(fd, 1, start + stop) == b"\n":
                yield block[:stop] + b"\n"
            else:
                yield block[:stop]
            return
        yield block
        start += len(block)


def _unpack(source: str, target: str) -> int:
    """Unpack a gzip file; returns the bytes that were in it. Raises GzipError with the reason why it cannot be."""
    with open(source, "rb") as packed, open(target, "wb") as plain:
        return sum(plain.write(block) for block in unpack(packed))
