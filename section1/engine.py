"""What the engines share: the work of a run, and the verdicts on its chunks.

An engine is a context manager `judging(settings, work)` that yields the verdicts in the order of the chunks.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from section1 import dates, records
from section1.judge import Statement
from section1.records import Chunk, Layout

if TYPE_CHECKING:
    import pyarrow as pa

DateColumns = dict[str, tuple[str, list[dates.Shape], bytes]]
Decisions = dict[str, dict[str, dates.Decision]]


class Work(msgspec.Struct, frozen=True):
    """All that an engine needs to know to judge a run; `decisions` has one entry per file."""

    chunks: list[Chunk]
    layout: Layout
    date_columns: DateColumns
    decisions: list[Decisions]
    statement: Statement
    view: str
    folder: str  # on a path that all workers share; for what the engine writes meanwhile

    def wanted(self, statement: str) -> str:
        """The statement with only those columns that the run needs."""
        origins = ", source_file, record_number" if self.layout.carried else ""
        return f"select failed, accepted_line, rejected_line{origins} from ({statement})"

    def records(self, chunk: Chunk) -> pa.Table:
        """The records of a chunk with all columns that the query can use."""
        table = records.read(chunk, self.layout)
        return records.with_dates(table, self.date_columns, self.decisions[chunk.file])


class Judged(msgspec.Struct):
    """The verdicts on one chunk: rows per combination of failed rules (bits), and the lines of both outputs."""

    chunk: Chunk
    failed: dict[int, int]
    accepted: Iterable[memoryview]
    rejected: Iterable[memoryview]
    origins: list[tuple[str, int]]  # source_file and record_number of the accepted rows, where they are carried


def judged(chunk: Chunk, table: pa.Table, *, carried: bool) -> Judged:
    """The verdicts that the statement's result holds; the lines are views of its memory."""
    import numpy as np

    failed = table["failed"].to_numpy()
    combinations, rows = np.unique(failed, return_counts=True)
    origins: list[tuple[str, int]] = []
    if carried:
        accepted = np.flatnonzero(failed == 0)
        names, numbers = (table[name].take(accepted).to_pylist() for name in ("source_file", "record_number"))
        origins = list(zip(names, numbers, strict=True))
    return Judged(
        chunk,
        dict(zip(combinations.tolist(), rows.tolist(), strict=True)),
        _lines(table["accepted_line"]),
        _lines(table["rejected_line"]),
        origins,
    )


def _lines(column: pa.ChunkedArray) -> list[memoryview]:
    """The text of a column, without a copy: an Arrow string array stores its texts one after the other."""
    found = []
    for part in column.chunks:
        _, offsets, text = part.buffers()
        if text is not None and len(part):
            places = memoryview(offsets).cast("i")
            found.append(memoryview(text)[places[part.offset] : places[part.offset + len(part)]])
    return found
