"""Bytes become pieces: every byte in one, the same ones by every reader, whatever the buffers are."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from batch.errors import DataError
from section1.discover import Source
from section1.intake import FileReport, Intake, Quarantine
from section1.records import BOM, Chunk, Layout, Piece, parse_plain, parse_quoted, pieces, read, unquote

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

NAMES = ("a", "b", "c", "d")
TOKENS = [b"x", b"yy", b" ", b",", b",", b'"', b'""', b'"q"', b'","', b"\n", b"\n", b"\r", b"\r\n", b"\0", b"\xff"]
TOKENS += [b"\xc3\xa9", b"\xc3", BOM, b"a,b\n", b'"a","b"\n', b'"a\nb",c\r\n', b"a,b,c,d\n", b"1" * 30]
hostile = st.lists(st.sampled_from(TOKENS), max_size=40).map(b"".join)
plain = st.lists(st.sampled_from([t for t in TOKENS if b'"' not in t and t != b"\0"]), max_size=40).map(b"".join)
widths = st.integers(1, 4)
limits = st.integers(4, 80)

Values = list[tuple[bytes, ...]]


def values(found: list[Piece]) -> Values:
    return [tuple(map(unquote, piece.fields)) for piece in found if piece.fields is not None]


def rows(table: pa.Table) -> Values:
    columns = [[value.encode() for value in column.to_pylist()] for column in table.columns]
    return list(zip(*columns, strict=True))


@given(hostile, widths, limits)
def test_every_byte_belongs_to_one_piece(data: bytes, width: int, limit: int) -> None:
    place = 0
    for piece in pieces(data, width, limit, complete=True):
        assert piece.start == place < piece.end
        assert (piece.fields is None) == bool(piece.reason)
        place = piece.end
    assert place == len(data)


@given(hostile, widths, limits)
def test_a_record_is_what_the_csv_module_reads(data: bytes, width: int, limit: int) -> None:
    for piece in pieces(data, width, limit, complete=True):
        text = data[piece.start : piece.end]
        if piece.fields is not None:
            assert len(piece.fields) == width
            assert len(text) <= limit + 1
            line = csv.reader(io.StringIO(text.decode(), newline=""), strict=True)
            assert [unquote(field).decode() for field in piece.fields] == (next(line) or [""])
        elif piece.reason == "record_too_long":
            assert len(text) + (not text.endswith((b"\n", b"\r"))) > limit
        else:
            assert len(text.splitlines()) == 1 or piece.reason == "invalid_utf8"


@given(hostile, widths, limits, st.integers(0, 200))
@example(b"a" * 7 + b"\r\n", 1, 8, 8)
def test_more_bytes_never_change_a_piece(data: bytes, width: int, limit: int, cut: int) -> None:
    whole = list(pieces(data, width, limit, complete=True))
    part = list(pieces(data[:cut], width, limit, complete=cut >= len(data)))
    assert part == whole[: len(part)]


@settings(max_examples=400)
@given(plain, widths, limits, st.booleans())
@example(b"\n\n", 2, 80, True)
@example(b"a,b\r\r", 2, 80, True)
@example(BOM + b"a,b\n", 2, 80, True)
@example(b"aaaa,aaa", 2, 8, True)
@example(b"a\n\nb\n", 1, 80, True)
@example("a,b\nc,é".encode()[:-1], 2, 80, False)
def test_arrow_and_the_strict_reader_agree_on_plain_text(data: bytes, width: int, limit: int, complete: bool) -> None:
    header = NAMES[:width]
    if (found := parse_plain(data, header, header, limit, complete=complete)) is not None:
        end, table = found
        strict = list(pieces(data[:end], width, limit, complete=True))
        assert not [piece for piece in strict if piece.fields is None]
        assert rows(table) == values(strict)
        assert data[end:].count(b"\n") == 0
        assert end == len(data) or not complete


@settings(max_examples=400)
@given(hostile, widths, limits, st.integers(1, 100), st.booleans())
@example(b'"a\r\nb",c\r\n"d""","""e"', 2, 80, 100, True)
@example(BOM + b'"a"\n', 1, 80, 100, True)
def test_arrow_and_the_strict_reader_agree_on_quoted_text(
    data: bytes, width: int, limit: int, size: int, complete: bool
) -> None:
    header = NAMES[:width]
    if data and (found := parse_quoted(data, header, header, limit, size, complete=complete)) is not None:
        end, table = found
        strict = [p for p in pieces(data, width, limit, complete=complete) if p.start < size]
        assert not [piece for piece in strict if piece.fields is None]
        assert rows(table)[: len(strict)] == values(strict)
        assert complete is False or (table.num_rows, end) == (len(strict), strict[-1].end)


fields = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)


@given(st.lists(st.lists(fields, min_size=3, max_size=3), max_size=8), st.sampled_from(["\n", "\r\n", "\r"]))
def test_what_the_csv_module_writes_comes_back(table: list[list[str]], end: str) -> None:
    text = io.StringIO(newline="")
    # with another line end than CRLF, it would leave CR and LF in a field unquoted
    writer = csv.writer(text) if end == "\r\n" else csv.writer(text, lineterminator=end, quoting=csv.QUOTE_ALL)
    writer.writerows(table)
    found = list(pieces(text.getvalue().encode(), 3, 1000, complete=True))
    assert values(found) == [tuple(field.encode() for field in row) for row in table]
    assert [piece.reason for piece in found] == [""] * len(table)


@given(st.lists(st.sampled_from([b'"a,b', b'a,"b', b'a,"b""c', b'"""a,b']), max_size=5), st.integers(0, 5))
def test_an_unclosed_quote_never_takes_good_rows_with_it(bad: list[bytes], good: int) -> None:
    lines = [line + b"\n" for line in bad] + [b"good,row\n"] * good + [b'last,"x']
    found = list(pieces(b"".join(lines), 2, 1000, complete=True))
    assert values(found).count((b"good", b"row")) == good


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"a,b", "too_few_fields"),
        (b"a,b,c,d", "too_many_fields"),
        (b'"a,b","c,d"', "too_few_fields"),
        (b'"a"",","b",c,d', "too_many_fields"),
        (b'"' + b"x" * 200_000 + b'"', "too_few_fields"),
        (b"", "blank_line"),
        (b" \t", "blank_line"),
        (b"a,\0,c", "nul_byte"),
        (b"a,\xff,c", "invalid_utf8"),
        (b'a,"b,c', "unclosed_quote"),
        (b'a,"b"x,c', "misplaced_quote"),
        (b'a,b"",c', "misplaced_quote"),
        (b"x" * (1 << 20), "record_too_long"),
    ],
)
def test_a_fragment_has_a_reason(line: bytes, reason: str) -> None:
    [before, piece, after] = pieces(b"a,b,c\n" + line + b"\n1,2,3\n", 3, 1 << 20, complete=True)
    assert piece.reason == reason
    assert (before.fields, after.fields) == ([b"a", b"b", b"c"], [b"1", b"2", b"3"])


def test_the_limit_counts_the_line_end() -> None:
    for end in (b"\n", b"\r", b""):
        line = b"a," + b"b" * (8 - len(b"a,\n"))
        [piece] = pieces(line + end, 2, 8, complete=True)
        assert piece.fields is not None
        [piece] = pieces(b"b" + line + end, 2, 8, complete=True)
        assert piece.reason == "record_too_long"


# Intake over windows of any size against one whole buffer


Taken = tuple[list[tuple[int, str]], list[str], list[int]]


def take(data: bytes, chunk_bytes: int, limit: int, folder: Path) -> Taken:
    """The records of a file of two columns with their numbers, the lines on its fragments, and its byte counts."""
    header = b"a,b\n"
    path = folder / "x.csv"
    path.write_bytes(header + data)
    quarantine = Quarantine(folder / "quarantine")
    layout = Layout(NAMES[:2], limit)
    intake = Intake(layout, chunk_bytes, quarantine, folder)
    source = Source(str(path), "x.csv", "", len(header + data), ())
    report = FileReport(name="x.csv", sha256="", bytes=source.bytes)
    portions = list(intake.take(source, report, 0))
    quarantine.close()
    index = folder / "quarantine" / "fragments.csv"
    fragments = index.read_text().splitlines() if index.exists() else []
    tables = [portion.table for portion in portions]
    assert all(table.equals(read(chunk, layout)) for chunk, table, _ in portions)
    found = [
        (row["record_number"], row["a"] + "|" + row["b"])
        for table in tables
        for row in table.select(["record_number", "a", "b"]).to_pylist()
    ]
    assert report.header_bytes + report.record_bytes + report.fragment_bytes == report.bytes
    assert report.records == len(found)
    return found, fragments, [report.records, report.fragments, report.record_bytes, report.fragment_bytes]


@settings(max_examples=250)
@given(hostile, st.integers(5, 60), st.integers(5, 80))
@example(b"x" * 27 + b"\r\n" + b"a,b\n", 20, 8)
@example(b"\xff" * 27 + b"\r\n" + b"a,b\n", 20, 8)
def test_records_and_fragments_do_not_depend_on_the_buffers(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, chunk_bytes: int, limit: int
) -> None:
    whole = take(data, 1 << 20, limit, tmp_path_factory.mktemp("whole"))
    assert take(data, chunk_bytes, limit, tmp_path_factory.mktemp("windows")) == whole
    by_number = [number for number, _ in whole[0]] + [int(line.split(",")[1]) for line in whole[1][1:]]
    assert sorted(by_number) == list(range(1, len(by_number) + 1))
    strict = list(pieces(data, 2, limit, complete=True))
    assert [number for number, _ in whole[0]] == [n for n, piece in enumerate(strict, 1) if piece.fields is not None]
    assert [text.encode() for _, text in whole[0]] == [b"|".join(fields) for fields in values(strict)]


def test_a_chunk_has_a_bounded_number_of_records(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_bytes(b"a,b\n" + b",\n" * 100_000 + b'"",\n' * 100_000 + b"\0\n,\n" * 100_000)
    intake = Intake(Layout(NAMES[:2], 1 << 20), 1 << 18, Quarantine(tmp_path / "quarantine"), tmp_path)
    source = Source(str(tmp_path / "x.csv"), "x.csv", "", (tmp_path / "x.csv").stat().st_size, ())
    report = FileReport(name="x.csv", sha256="", bytes=source.bytes)
    chunks = [portion.chunk for portion in intake.take(source, report, 0)]
    assert report.records == sum(chunk.records for chunk in chunks) == 300_000
    assert max(chunk.records for chunk in chunks) <= (1 << 18) // 48
    assert [sum(chunk.plain for chunk in chunks) > 0, sum(chunk.quoted for chunk in chunks) > 0] == [True, True]


@pytest.mark.parametrize("content", [b"a,b\n1,2\n", b"a,b\n1,2,3,4\n5,6\n", b'a,b\n1,"2\n3"\n'])
def test_a_file_that_changes_between_two_readings_is_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    for plain, quoted in ((True, False), (False, True), (False, False)):
        chunk = Chunk(str(path), 4, 14, "x.csv", ("a", "b"), 1, 7, plain, 0, quoted)
        with pytest.raises(DataError, match="changed while"):
            read(chunk, Layout(("a", "b"), 100))


@pytest.mark.parametrize(
    "unit", [b'"a,b\n', b"\r", b'"', b'""""""\n', b',"\n",', b'"""x\n', b'a,"', b'a,b\n"a,"b"\n', b"x", b"\n\r"]
)
def test_time_grows_with_the_size_and_not_with_its_square(unit: bytes) -> None:
    seconds = []
    for size in (100_000, 1_200_000):
        data = unit * (size // len(unit))
        begun = time.process_time()
        consumed = sum(p.end - p.start for p in pieces(data, 4, 1 << 20, complete=True))
        seconds.append(time.process_time() - begun)
        assert consumed == len(data)
    assert seconds[1] < 60 * seconds[0] + 1, "12 times the bytes"
