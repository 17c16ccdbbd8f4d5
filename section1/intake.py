"""A file becomes chunks of records for the engine, fragments for the quarantine, and evidence about its dates."""

from __future__ import annotations

import csv
import gzip
import io
import os
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from batch.errors import DataError
from batch.publish import FOLDER_MODE, DurableFile
from section1 import dates
from section1.discover import Source
from section1.records import LINE_END, Chunk, Layout, parse_plain, pieces, unquote

BLOCK = 1 << 20
BOM = b"\xef\xbb\xbf"
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


class Quarantine:
    """Fragments, untouched: their bytes one after the other in fragments.bin, one line on each in fragments.csv."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fragments = 0
        self._index: DurableFile | None = None
        self._bytes: DurableFile | None = None

    def add(self, report: FileReport, number: int, offset: int, reason: str, blocks: Iterable[bytes]) -> int:
        """Keep one fragment; `number` is its place among the records of the file, 0 for the whole file."""
        if self._index is None or self._bytes is None:
            self.folder.mkdir(mode=FOLDER_MODE)
            self._bytes = DurableFile(self.folder / "fragments.bin")
            self._index = DurableFile(self.folder / "fragments.csv")
            self._line("source_file", "record_number", "offset", "length", "reason", "stored_at")
        stored_at = self._bytes.bytes
        for block in blocks:
            self._bytes.write(block)
        length = self._bytes.bytes - stored_at
        self._line(report.name, number, offset, length, reason, stored_at)
        self.fragments += 1
        report.fragments += 1
        report.fragment_bytes += length
        report.reasons[reason] = report.reasons.get(reason, 0) + 1
        return length

    def _line(self, *fields: str | int) -> None:
        assert self._index is not None
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(fields)
        self._index.write(text.getvalue().encode("utf-8", "backslashreplace"))

    def close(self) -> list[DurableFile]:
        """Put everything on the disk; returns the files that were written."""
        files = [file for file in (self._index, self._bytes) if file is not None]
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
        if source.name.endswith(".gz"):
            path = str(self.spool / f"{source.sha256}.csv")
            if refused := _decompress(source.path, path):
                return self._refuse(report, source.path, refused), []
            report.bytes = os.path.getsize(path)
        fd = os.open(path, os.O_RDONLY)
        try:
            start, header, refused = self._header(fd, report.bytes)
            if refused:
                return self._refuse(report, path, refused), []
            report.header_bytes = start
            chunks = list(self._chunks(fd, path, report, start, header, evidence, file))
        finally:
            os.close(fd)
        report.records = sum(chunk.records for chunk in chunks)
        return report, chunks

    def _refuse(self, report: FileReport, path: str, reason: str) -> FileReport:
        report.refused = reason
        with open(path, "rb") as file:
            report.bytes = self.quarantine.add(report, 0, 0, reason, iter(lambda: file.read(BLOCK), b""))
        return report

    def _header(self, fd: int, size: int) -> tuple[int, tuple[str, ...], str]:
        """The end of the header line, its columns, and why the file cannot be judged row by row (or nothing)."""
        head = os.pread(fd, self.layout.max_record_bytes, 0)
        if size == 0:
            return 0, (), "empty_file"
        if head.startswith(UTF16):
            return 0, (), "not_utf8"
        line = LINE_END.search(head)
        end = line.end() if line else len(head)
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
        dated = tuple(dict.fromkeys(column for column, _, _ in self.columns.values()))
        number = 1

        def chunk(length: int, records: int, *, plain: bool) -> Chunk:
            return Chunk(path, start, length, report.name, header, number, records, plain, file)

        while start < report.bytes:
            buffer = os.pread(fd, self.chunk_bytes, start)
            if not buffer:
                raise DataError(
                    f"{report.name} became shorter while it was read",
                    hint="Nothing was published. Put files into the folder whole (write elsewhere, then rename).",
                )
            complete = start + len(buffer) >= report.bytes
            buffer = buffer if complete else buffer[: buffer.rfind(b"\n") + 1]
            if buffer and (table := parse_plain(buffer, header, dated or header[:1])) is not None:
                for name, (column, shapes, _) in self.columns.items():
                    _count(evidence[name], dates.scan(table[column].combine_chunks(), shapes))
                yield chunk(len(buffer), table.num_rows, plain=True)
                length, units = len(buffer), table.num_rows
                report.record_bytes += length
            else:
                length, units, records = self._strict(fd, report, start, number, header, evidence)
                if records:
                    yield chunk(length, records, plain=False)
            start += length
            number += units

    def _strict(
        self,
        fd: int,
        report: FileReport,
        start: int,
        number: int,
        header: tuple[str, ...],
        evidence: Evidence,
    ) -> tuple[int, int, int]:
        """Split one chunk with the strict reader; returns its length, its records and fragments, its records."""
        import pyarrow as pa

        limit = self.layout.max_record_bytes
        buffer = os.pread(fd, self.chunk_bytes + limit, start)
        complete = start + len(buffer) >= report.bytes
        length = units = records = 0
        texts: dict[str, list[bytes]] = {column: [] for column, _, _ in self.columns.values()}
        for piece in pieces(buffer, len(header), limit, complete=complete):
            if piece.start >= self.chunk_bytes:
                break
            if piece.fields is None:
                content = buffer[piece.start : piece.end]
                self.quarantine.add(report, number + units, start + piece.start, piece.reason, [content])
            else:
                records += 1
                report.record_bytes += piece.end - piece.start
                for column, values in texts.items():
                    values.append(unquote(piece.fields[header.index(column)]))
            length, units = piece.end, units + 1
        for name, (column, shapes, _) in self.columns.items():
            values = pa.array(texts[column], pa.binary()).cast(pa.string())
            _count(evidence[name], dates.scan(values, shapes))
        if length == 0:  # a line longer than a record may be: keep it without ever holding it whole
            length = self.quarantine.add(report, number, start, "record_too_long", _line(fd, start))
            units = 1
        return length, units, records


def _count(total: dict[str, dates.Evidence], part: dict[str, dates.Evidence]) -> None:
    for shape, evidence in part.items():
        total[shape].add(evidence)


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


def _decompress(source: str, target: str) -> str:
    """Unpack a gzip file; returns why it could not be unpacked, or nothing."""
    try:
        with gzip.open(source) as packed, open(target, "wb") as plain:
            while block := packed.read(BLOCK):
                plain.write(block)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        os.unlink(target)
        return "corrupt_gzip"
    return ""
