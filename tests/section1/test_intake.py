"""A file becomes chunks, fragments and evidence; its bytes add up."""

from __future__ import annotations

import csv
import errno
import gzip
import os
from pathlib import Path

import pytest
from hostile import BAD, BOM, CASES, GOOD, HEADER, QUOTED, split

from batch.errors import DataError, PublishError
from batch.publish import DurableFile, writing
from section1 import dates, lines, records
from section1.discover import Source, discover
from section1.intake import FileReport, Intake, Quarantine
from section1.records import Chunk, Layout

COLUMNS = ("name", "email", "date_of_birth", "mobile_no")
SHAPES = [dates.parse_shape("9999-99-99"), dates.parse_shape("99/99/9999")]
LAYOUT = Layout(COLUMNS, 1 << 20)


def take(
    folder: Path, content: bytes, *, layout: Layout = LAYOUT, chunk_bytes: int = 8 << 20
) -> tuple[FileReport, list[Chunk], dict[str, dates.Evidence]]:
    (folder / "x.csv").write_bytes(content)
    [source] = discover(folder, ["x.csv"]).sources
    evidence = {shape.text: dates.Evidence() for shape in SHAPES}
    quarantine = Quarantine(folder / "quarantine")
    report = FileReport(name=source.name, sha256=source.sha256, bytes=source.bytes)
    chunks = []
    for chunk, table, _ in Intake(layout, chunk_bytes, quarantine, folder).take(source, report, 7):
        chunks.append(chunk)
        for shape, proven in dates.evidence(dates.readings(lines.one(table["date_of_birth"]), SHAPES)).items():
            evidence[shape].add(proven)
    quarantine.close()
    assert report.header_bytes + report.record_bytes + report.fragment_bytes == report.bytes
    return report, chunks, evidence


@pytest.mark.parametrize(
    ("rows", "plain", "quoted"),
    [(GOOD + BAD, True, False), (GOOD + QUOTED, False, True), (GOOD + b"\n" + QUOTED, False, False)],
)
def test_a_chunk_says_how_it_can_be_read(tmp_path: Path, rows: bytes, plain: bool, quoted: bool) -> None:
    report, chunks, _ = take(tmp_path, HEADER + rows)
    [chunk] = chunks
    assert (chunk.plain, chunk.quoted) == (plain, quoted)
    assert (chunk.offset, chunk.length, chunk.first_record, chunk.records) == (len(HEADER), len(rows), 1, 2)
    assert (chunk.file, chunk.source_file, report.records) == (7, "x.csv", 2)
    table = records.read(chunk, LAYOUT)
    assert table["record_number"].to_pylist() == ([1, 3] if not plain and not quoted else [1, 2])
    assert table["source_file"].to_pylist() == ["x.csv"] * 2


def test_evidence_does_not_depend_on_the_reader(tmp_path: Path) -> None:
    rows = b"".join(b"a,b,%b,1\n" % day for day in (b"1990-01-31", b"13/01/1990", b"01/13/1990", b"01/02/1990", b""))
    found: list[dict[str, dates.Evidence]] = []
    for more in (b"", b'"",,,\n', b"\n", b'"\n'):
        for chunk_bytes in (20, 1 << 20):
            folder = tmp_path / str(len(found))
            folder.mkdir()
            _, _, evidence = take(folder, HEADER + rows + more, chunk_bytes=chunk_bytes)
            found.append(evidence)
    assert found == [found[0]] * len(found)
    assert found[0]["99/99/9999"] == dates.Evidence(month_first=1, day_first=1, either=1)
    assert found[0]["9999-99-99"] == dates.Evidence(month_first=1)


@pytest.mark.parametrize("limit", [60, 64, 100])
def test_the_header_has_a_limit_too(tmp_path: Path, limit: int) -> None:
    for number, size in enumerate((limit - 1, limit, limit + 1, limit + 2)):
        folder = tmp_path / str(number)
        folder.mkdir()
        header = HEADER[:-1] + b" " * (size - len(HEADER) - 1) + b"\r\n"
        assert len(header) == size
        report, _, _ = take(folder, header + b"a,b,c,d\n", layout=Layout(COLUMNS, limit))
        assert report.refused == ("" if size <= limit else "header_too_long")
        assert report.fragments == (size > limit)


def test_rejected_rows_can_be_taken_in_again_whatever_their_size(tmp_path: Path) -> None:
    layout = Layout(COLUMNS, 100, carried=True)
    header = HEADER[:-1] + b",source_file,record_number,above_18,failed_rules\n"
    line = b"x" * 90 + b",a,b,c," + b"y" * 300 + b",12,,name;email\n"
    report, [chunk], _ = take(tmp_path, header + line, layout=layout)
    assert (report.records, report.fragments) == (1, 0)
    table = records.read(chunk, layout)
    assert table["record_number"].to_pylist() == [12]
    assert table["source_file"].to_pylist() == ["y" * 300]


def test_the_oracle_and_intake_agree_on_every_crafted_file(tmp_path: Path) -> None:
    for number, case in enumerate(CASES):
        if case.make or case.refused or case.skipped or "gzip" in case.name or len(case.content) > 10_000:
            continue
        folder = tmp_path / str(number)
        folder.mkdir()
        report, chunks, _ = take(folder, case.content, chunk_bytes=1 << 10)
        lines = list(split(case.content[report.header_bytes :], 4))
        numbers = [n for n, line in enumerate(lines, 1) if line.fields is not None]
        found = [n for chunk in chunks for n in records.read(chunk, LAYOUT)["record_number"].to_pylist()]
        assert found == numbers, case.name
        assert report.records == case.accepted + case.rejected, case.name


def test_a_file_that_became_shorter_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(HEADER + GOOD)
    source = Source(str(tmp_path / "x.csv"), "x.csv", "", 1000, ())
    taking = Intake(LAYOUT, 1 << 20, Quarantine(tmp_path / "quarantine"), tmp_path)
    with pytest.raises(DataError, match="changed while it was read"):
        list(taking.take(source, FileReport(name="x.csv", sha256="", bytes=1000), 0))


def test_the_quarantine_keeps_bytes_and_an_index(tmp_path: Path) -> None:
    quarantine = Quarantine(tmp_path / "quarantine")
    report = FileReport(name='a,"\r\n\\xff.csv', sha256="", bytes=0)
    blocks = [b"\xff\0", b"\n" * (3 << 20), b""]
    for number, block in enumerate(blocks):
        assert quarantine.add(report, number, number * 10, "why", [block[:1], block[1:]]) == len(block)
    for number in range(50_000):
        quarantine.add(report, number, 0, "blank_line", [b"\n"])
    index, stored = quarantine.close()
    assert (tmp_path / "quarantine/fragments.bin").read_bytes() == b"".join(blocks) + b"\n" * 50_000
    with open(index.path, newline="", encoding="utf-8") as file:
        header, *lines = list(csv.reader(file, strict=True))
    assert header == ["source_file", "record_number", "offset", "length", "reason", "stored_at"]
    assert lines[1] == [report.name, "1", "10", str(3 << 20), "why", "2"]
    assert len(lines) == quarantine.fragments == report.fragments == 50_003
    assert report.fragment_bytes == stored.bytes == (tmp_path / "quarantine/fragments.bin").stat().st_size
    assert report.reasons == {"why": 3, "blank_line": 50_000}


def test_without_fragments_there_is_no_quarantine(tmp_path: Path) -> None:
    take(tmp_path, HEADER + GOOD)
    assert not (tmp_path / "quarantine").exists()


def test_a_full_disk_is_reported_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(DurableFile, "write", full)
    with pytest.raises(PublishError, match="No space left on device"), writing(tmp_path):
        take(tmp_path, HEADER + b'"\n')


def test_a_gzip_file_is_taken_from_the_spool(tmp_path: Path) -> None:
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(BOM + HEADER + GOOD))
    [source] = discover(tmp_path, ["*.gz"]).sources
    taking = Intake(LAYOUT, 1 << 20, Quarantine(tmp_path / "quarantine"), tmp_path)
    report = FileReport(name=source.name, sha256=source.sha256, bytes=source.bytes)
    [(chunk, _, _)] = taking.take(source, report, 0)
    assert chunk.path == str(tmp_path / f"{source.sha256}.csv")
    assert (report.bytes, report.header_bytes, report.records) == (len(BOM + HEADER + GOOD), len(BOM + HEADER), 1)
