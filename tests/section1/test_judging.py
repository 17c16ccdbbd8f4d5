"""Dates are read as the whole batch proves, wherever in it the proof stands; and lines are CSV, whatever is in them."""

from __future__ import annotations

import csv
import io
import itertools
import json
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from applications import BAD, GOOD, config, run, write
from hypothesis import given, settings
from hypothesis import strategies as st

from section1 import lines, unique
from section1.judge import Statement
from section1.judge_duckdb import Parts
from section1.lines import Verdicts
from section1.records import Chunk, Layout, load, read

EITHER = "Ada Lovelace,ada@example.com,01/02/1990,12345678\n"
DAY_FIRST = "Bob Lovelace,bob@example.com,25/12/1990,12345678\n"
MONTH_FIRST = "Cyd Lovelace,cyd@example.com,12/25/1990,12345678\n"
TORN = 'Dee "Unclosed,x,y\n'
EARLY, LATE = "19900102", "19900201"  # 01/02/1990 with the month first, and with the day first


def judged(folder: Path, *files: str, fallback: str = "reject", chunk_bytes: int = 1024) -> dict[str, Any]:
    """What is published of the files: the lines of both outputs, and the manifest; and what was logged."""
    for number, rows in enumerate(files):
        write(folder / "in", f"{number}.csv", rows)
    chunks = ("  view: applications ", f"  chunk_bytes: {chunk_bytes}\n  view: applications ")
    path = config(folder / "task.yaml", chunks, ("fallback: reject ", f"fallback: {fallback} "))
    summary = run(folder / "in", folder / "out", "--task-config", path)
    current = folder / "out" / "current"
    manifest = json.loads((current / "manifest.json").read_text())
    quarantine = current / BAD / "quarantine" / "fragments.csv"
    return {
        GOOD: (current / GOOD / "applications.csv").read_text(),
        BAD: (current / BAD / "applications.csv").read_text(),
        "fragments": quarantine.read_text() if quarantine.exists() else "",
        "counts": {name: count for name, count in summary.items() if isinstance(count, int)},
        "told": [manifest[name] for name in ("evidence", "dates", "files", "outputs")],
    }


@pytest.mark.parametrize(
    ("files", "fallback", "born"),
    [
        ([EITHER * 40 + DAY_FIRST], "reject", LATE),
        ([EITHER * 40 + MONTH_FIRST], "reject", EARLY),
        ([MONTH_FIRST + EITHER * 40 + DAY_FIRST], "reject", ""),
        ([MONTH_FIRST + EITHER * 40 + DAY_FIRST], "day_first", LATE),
        ([EITHER * 40, TORN, EITHER + DAY_FIRST], "reject", LATE),
        ([TORN + DAY_FIRST, EITHER * 40, TORN + MONTH_FIRST], "reject", ""),
        ([TORN + DAY_FIRST * 3, MONTH_FIRST], "reject", ""),
        ([EITHER * 40], "month_first", EARLY),
    ],
)
def test_the_proof_may_stand_anywhere(tmp_path: Path, files: list[str], fallback: str, born: str) -> None:
    parts = judged(tmp_path / "parts", *files, fallback=fallback)
    assert parts == judged(tmp_path / "whole", *files, fallback=fallback, chunk_bytes=8 << 20)
    ours = [row for row in csv.DictReader(io.StringIO(parts[GOOD])) if row["first_name"] == "Ada"]
    count = sum(rows.count("Ada") for rows in files)
    assert [row["date_of_birth"] for row in ours] == ([born] * count if born else [])
    assert parts[BAD].count(",ambiguous_date\n") == (0 if born else count)
    assert parts["fragments"].count("\n") == sum("Dee" in rows for rows in files) + (parts["fragments"] != "")


texts = st.text(st.sampled_from('ab ,"\n\ré€'), max_size=4)
STATEMENT = Statement("", (), Parts((), {}, ()), ((), ()), ("x", "y"), ("z",), ("first", "second"))


@settings(deadline=None)
@given(
    st.lists(st.tuples(texts, texts, st.integers(0, 3)), max_size=8),
    texts,
    st.integers(0, 2),
    st.integers(0, 2),
    st.sampled_from([1, 7, 95, 994, 998, 1_000, 9_998, 999_996, 2**31 - 3, 10**12 - 2]),
    st.sampled_from([1, 2, 700]),
)
@pytest.mark.parametrize(("few", "block"), [(0, 2), (lines.FEW, 3), (lines.FEW, lines.BLOCK)])
def test_lines_are_what_a_csv_reader_understands(
    few: int, block: int, rows: list[tuple[str, str, int]], name: str, before: int, shared: int, first: int, step: int
) -> None:
    everything = [("x", "y", 0)] * before + rows  # the tables may be parts of larger ones
    a, b, failed = (list(column) for column in zip(*everything, strict=True)) if everything else ([], [], [])
    numbers = [first + step * place for place in range(len(everything))]  # fragments stand between records
    arrays = [pa.array(a, pa.string()), pa.array(b, pa.string()), pa.array(numbers, pa.int64())]
    table = pa.table(arrays, names=["a", "b", "record_number"]).slice(before)
    passed = pa.array(["x"] * before + [x for x, _, bits in rows if not bits], pa.string()).slice(before)
    added = pa.array(["x"] * before + [y for _, y, bits in rows if bits], pa.string()).slice(before)
    some = [added, *(added.dictionary_encode() for _ in range(shared))]
    verdicts = Verdicts(np.array(failed[before:], np.uint8), [passed, passed.dictionary_encode()], some)
    chunk = Chunk("", 0, 0, name, ("a", "b"), 1, len(rows), False, 0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "FEW", few)
        patch.setattr(lines, "BLOCK", block)
        good = b"".join(lines.accepted(verdicts.accepted)).decode()
        bad = b"".join(lines.rejected(chunk, Layout(("a", "b"), 100), table, verdicts, STATEMENT, b"")).decode()
    assert list(csv.reader(io.StringIO(good, newline=""), strict=True)) == [[x, x] for x, _, bits in rows if bits == 0]
    rules = {1: "first", 2: "second", 3: "first;second"}
    assert list(csv.reader(io.StringIO(bad, newline=""), strict=True)) == [
        [x, y, name, str(n), *[y] * (1 + shared), rules[bits]]
        for n, (x, y, bits) in zip(numbers[before:], rows, strict=True)
        if bits
    ]


@pytest.mark.parametrize("header", [("a", "b"), ("b", "a")])
def test_cut_out_lines_are_the_joined_ones_whatever_ends_them(tmp_path: Path, header: tuple[str, ...]) -> None:
    layout, path = Layout(("a", "b"), 100), tmp_path / "a.csv"
    failed = np.array([1, 3, 0, 2], np.uint8)
    verdicts = Verdicts(failed, [], [pa.array(["", "u", "v"])])
    single = [
        Verdicts(failed[n : n + 1], [], [pa.array(added, pa.string())])
        for n, added in enumerate([[""], ["u"], [], ["v"]])
    ]
    for ends in itertools.product(("\n", "\r\n", "\r"), ("\n", "\r\n"), ("\n", "\r\n"), ("", "\n", "\r\n", "\r")):
        text = "".join(map("".join, zip(("x,y", ",", "é ,z", "1,2"), ends, strict=True))).encode()
        path.write_bytes(text)
        chunk = Chunk(str(path), 0, len(text), "a.csv", header, 1, 4, True, 0)
        records = read(chunk, layout)
        joined = b"".join(lines.rejected(chunk, layout, records, verdicts, STATEMENT, b""))
        assert b"".join(lines.rejected(chunk, layout, records, verdicts, STATEMENT, load(chunk))) == joined, ends
        assert joined.count(b"\n") == 3
        parts = [lines.rejected(chunk, layout, records[n : n + 1], single[n], STATEMENT, b"") for n in range(4)]
        assert b"".join(block for blocks in parts for block in blocks) == joined, "Spark cuts a chunk into batches"


def shared_of(values: list[str]) -> unique.Shared:
    """What of these values is shared, which come in two blocks."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "unique")
        blocks = [unique.block(pa.array(some, pa.string())) for some in (values[:5], values[5:])]
        path.write_bytes(b"".join([unique.header(), *blocks]))
        return unique.shared(path, len(values))


@settings(deadline=None)
@given(st.lists(texts, max_size=12), st.sampled_from([2, unique.MOST]))
def test_shared_values_are_those_of_more_than_one_row(values: list[str], most: int) -> None:
    counts = {value: count for value, count in Counter(values).items() if count > 1}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unique, "MOST", most)  # hashes in memory at once
        shared = shared_of(values)
    assert (shared.values, shared.rows) == (len(counts), sum(counts.values()))
    assert shared.examples == sorted(counts)


def test_of_many_shared_values_some_are_named() -> None:
    names = [f"Doe_{number:05}" for number in range(150)]
    shared = shared_of([*names, *names, *names[:7], "Roe_00000"])
    assert (shared.values, shared.rows) == (150, 307)
    assert len(set(shared.examples)) == unique.EXAMPLES
    assert set(shared.examples) < set(names)
