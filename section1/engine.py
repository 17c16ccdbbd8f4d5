"""What the engines share: the work of a run, and the verdicts on its chunks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from section1 import dates, lines
from section1.judge import Statement
from section1.records import Chunk, Layout

if TYPE_CHECKING:
    import pyarrow as pa

DateColumns = dict[str, tuple[str, list[dates.Shape], bytes]]
Decisions = dict[str, dict[str, dates.Decision]]
Evidence = dict[str, dict[str, dates.Evidence]]


class Work(msgspec.Struct, frozen=True):
    """All that an engine needs to know to judge a run; `decisions` has an entry for each file that has chunks."""

    layout: Layout
    date_columns: DateColumns
    decisions: dict[int, Decisions]
    statement: Statement
    view: str
    folder: str  # on a path that all workers share; for what the engine writes meanwhile

    def with_dates(self, chunk: Chunk, table: pa.Table) -> tuple[pa.Table, Evidence]:
        """A chunk's records with the columns that each configured date gives, and what its dates prove."""
        proven: Evidence = {}
        for name, (column, shapes, key) in self.date_columns.items():
            found = dates.readings(lines.one(table[column]), shapes)
            days, status = dates.read(table.num_rows, found, self.decisions[chunk.file][name])
            for added, array in dates.columns(name, days, status, key).items():
                table = table.append_column(added, array)
            proven[name] = dates.evidence(found)
        return table, proven


class Judged(msgspec.Struct):
    """The verdicts on one chunk: rows per combination of failed rules (bits), and the lines of both outputs."""

    chunk: Chunk
    failed: dict[int, int]
    accepted: Iterable[memoryview]
    rejected: Iterable[memoryview]
    origins: list[tuple[str, int]]  # source_file and record_number of the accepted rows, where they are carried
    evidence: Evidence  # what its dates prove, where that was not known before


def add_evidence(total: Evidence, more: Evidence) -> None:
    """Count what another part of the same batch proves."""
    for name, shapes in more.items():
        for shape, found in shapes.items():
            total[name][shape].add(found)


def judged(
    work: Work, chunk: Chunk, records: pa.Table, labels: pa.Table, fields: pa.Table, evidence: Evidence, text: bytes
) -> Judged:
    """The verdicts on a chunk with the lines of its outputs; see `lines` for what the tables and the text hold."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    failed = lines.one(labels["failed"])
    combinations = pc.dictionary_encode(failed)
    rows = np.bincount(combinations.indices.to_numpy(), minlength=len(combinations.dictionary))
    bits = failed.to_numpy()
    origins: list[tuple[str, int]] = []
    if work.layout.carried:
        places = pa.array(np.flatnonzero(bits == 0))
        names, numbers = (records[name].take(places).to_pylist() for name in ("source_file", "record_number"))
        origins = list(zip(names, numbers, strict=True))
    return Judged(
        chunk,
        dict(zip(combinations.dictionary.to_pylist(), rows.tolist(), strict=True)),
        lines.accepted(fields, work.statement),
        lines.rejected(chunk, work.layout, records, labels, work.statement, text),
        origins,
        evidence,
    )
