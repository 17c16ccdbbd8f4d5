"""What the engines share: the work of a run, and the verdicts on its chunks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from section1 import dates, lines, unique
from section1.days import Dated, known
from section1.judge import Statement
from section1.judge_duckdb import NOT, Match
from section1.lines import Verdicts
from section1.records import Buffer, Chunk, Layout

if TYPE_CHECKING:
    import pyarrow as pa

    from section1.dates import Ints

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
    unique: str = ""  # a column of the accepted rows

    def dated(self, chunk: Chunk, table: pa.Table) -> tuple[dict[str, Dated], Evidence]:
        """The configured dates of a chunk's records, and what they prove."""
        found: dict[str, Dated] = {}
        proven: Evidence = {}
        for name, (column, shapes, key) in self.date_columns.items():
            readings = dates.readings(lines.one(table[column]), shapes)
            days, status = dates.read(table.num_rows, readings, self.decisions[chunk.file][name])
            found[name] = known(name, key).dated(days, status)
            proven[name] = dates.evidence(readings)
        return found, proven


class Columns:
    """The columns of some records by name: their own, those that follow from their dates, and matches.

    Each is made when it is first asked for: whether a column matches is found out for no record that nobody asks about.
    """

    def __init__(
        self, records: pa.Table, dated: Iterable[Dated], matches: Iterable[Match], rows: Ints | None = None
    ) -> None:
        self._records = records
        self._dated = list(dated)
        self._matches = {match.name: match for match in matches}
        self._rows = rows
        self._made: dict[str, pa.Array] = {}

    def of(self, rows: Ints) -> Columns:
        """The same columns of these rows only."""
        return Columns(self._records, self._dated, self._matches.values(), rows)

    def column(self, name: str) -> pa.Array:
        """A column. Raises pyarrow.ArrowInvalid for a pattern that Arrow does not know."""
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def _make(self, name: str) -> pa.Array:
        import pyarrow as pa
        import pyarrow.compute as pc

        if name.startswith(NOT):
            return pc.invert(self.column(name.removeprefix(NOT)))
        if match := self._matches.get(name):
            return pc.match_substring_regex(self.column(match.column), match.pattern)
        for places, readings in self._dated:
            if name in readings.column_names:
                return lines.one(readings[name]).take(pa.array(places if self._rows is None else places[self._rows]))
        column = lines.one(self._records[name])
        return column if self._rows is None else column.take(pa.array(self._rows))

    def table(self, names: Iterable[str]) -> pa.Table:
        """Some columns."""
        import pyarrow as pa

        return pa.table({name: self.column(name) for name in names})


class Judged(msgspec.Struct):
    """The verdicts on one chunk: rows per combination of failed rules (bits), and the lines of both outputs.

    `unique` has the values of the column that should be unique, as `unique.py` keeps them.
    """

    chunk: Chunk
    failed: dict[int, int]
    accepted: Iterable[memoryview]
    rejected: Iterable[memoryview]
    unique: Iterable[memoryview]
    origins: list[tuple[str, int]]  # source_file and record_number of the accepted rows, where they are carried
    evidence: Evidence  # what its dates prove, where that was not known before


def add_evidence(total: Evidence, more: Evidence) -> None:
    """Count what another part of the same batch proves."""
    for name, shapes in more.items():
        for shape, found in shapes.items():
            total[name][shape].add(found)


def judged(work: Work, chunk: Chunk, records: pa.Table, verdicts: Verdicts, evidence: Evidence, text: Buffer) -> Judged:
    """The verdicts on a chunk with the lines of its outputs; see `lines` for the text."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    combinations = pc.value_counts(pa.array(verdicts.failed))
    origins: list[tuple[str, int]] = []
    if work.layout.carried:
        places = pa.array(np.flatnonzero(verdicts.failed == 0))
        names, numbers = (records[name].take(places).to_pylist() for name in ("source_file", "record_number"))
        origins = list(zip(names, numbers, strict=True))
    return Judged(
        chunk,
        {entry["values"]: entry["counts"] for entry in combinations.to_pylist()},
        lines.accepted(verdicts.accepted),
        lines.rejected(chunk, work.layout, records, verdicts, work.statement, text),
        [unique.block(verdicts.accepted[work.statement.accepted.index(work.unique)])] if work.unique else [],
        origins,
        evidence,
    )
