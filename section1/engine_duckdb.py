"""Judging in this process with DuckDB: one connection, one thread per core, one chunk at a time on each."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock
from typing import TYPE_CHECKING

from section1.days import Dated
from section1.duckdb_session import connection, errors_of_duckdb
from section1.engine import Columns, Judged, Work, judged
from section1.intake import Portion
from section1.judge import Statement
from section1.judge_duckdb import READINGS, Parts, Query
from section1.lines import Verdicts, one

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from section1.dates import Ints


def judging(work: Work, portions: Iterable[Portion]) -> Generator[Judged]:
    """Verdicts in the order of the portions. Raises EngineError when a statement fails; values are not shown.

    While a thread per core judges, this one takes the next portion in and passes the last verdicts on.
    """
    idle: list[Judge] = []

    def prepared() -> tuple[duckdb.DuckDBPyConnection, Readings]:
        database = connection(work.folder)
        return database, Readings(database, work.statement.parts)

    def one(portion: Portion) -> Judged:
        chunk = portion.chunk
        dated, proven = work.dated(chunk, portion.table)
        with errors_of_duckdb(f"{chunk.source_file}, records from {chunk.first_record} on"):
            try:
                judge = idle.pop()
            except IndexError:
                database, readings = opened.result()
                judge = Judge(database, work.statement, work.view, readings)
            verdicts = judge.verdicts(portion.table, dated)
            idle.append(judge)
        return judged(work, chunk, portion.table, verdicts, proven, portion.text)

    workers = len(os.sched_getaffinity(0))
    pending: deque[Future[Judged]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        opened = pool.submit(prepared)  # while the first portion is taken in
        for portion in portions:
            pending.append(pool.submit(one, portion))
            if len(pending) > workers + 1:  # one waits, so that nobody does
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


class View:
    """What a query reads, as Arrow's PyCapsule interface: the records that are at hand when it is executed."""

    def __init__(self, records: pa.Table) -> None:
        self.records = records

    def __arrow_c_schema__(self) -> object:
        return self.records.schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.records.__arrow_c_stream__(requested_schema)


class Prepared:
    """A query, planned once for all records: to plan one takes as long as to judge 50,000 of them."""

    def __init__(self, database: duckdb.DuckDBPyConnection, query: Query, name: str) -> None:
        self.query = query
        self._name = name
        self._cursor = database.cursor()
        self._view: View | None = None

    def execute(self, records: pa.Table) -> pa.Table:
        """The query's result; all records have the columns of the first.

        Raises duckdb.Error and pyarrow.ArrowInvalid.
        """
        if self._view is None:
            self._view = View(records.slice(0, 0))
            self._cursor.register(self._name, self._view)
            self._cursor.execute(f"prepare query as {self.query.sql}")
        self._view.records = records.cast(self._view.records.schema)
        return self._cursor.execute("execute query").to_arrow_table()


class Readings:
    """The readings of dates with what follows from them, worked out once for all threads."""

    def __init__(self, database: duckdb.DuckDBPyConnection, parts: Parts) -> None:
        self._derived = {name: Prepared(database, query, READINGS) for name, query in parts.readings.items()}
        self._read_on = {name for query in parts.groups for name in query.reads}
        self._told: dict[str, tuple[pa.Table, pa.Table]] = {}
        self._lock = Lock()

    def told(self, date: str, known: pa.Table) -> pa.Table:
        """The known readings of a date with the columns that follow from them. Raises duckdb.Error."""
        if date not in self._derived:
            return known
        with self._lock:
            before, told = self._told.get(date, (None, known))
            if before is not known:
                told = known
                derived = self._derived[date].execute(known.select(self._derived[date].query.reads))
                for name in derived.column_names:
                    told = told.append_column(name, self._shared(name, derived[name]))
                self._told[date] = known, told
        return told

    def _shared(self, name: str, texts: pa.ChunkedArray) -> pa.ChunkedArray:
        """A column, as a dictionary where it is a text to publish."""
        import pyarrow as pa

        publish = pa.types.is_string(texts.type) and name not in self._read_on
        return texts.dictionary_encode() if publish else texts


class Judge:
    """The parts of the statement, one after the other, as each needs columns of those before it."""

    def __init__(
        self, database: duckdb.DuckDBPyConnection, statement: Statement, view: str, readings: Readings
    ) -> None:
        self._statement = statement
        self._readings = readings
        self._groups = [Prepared(database, query, view) for query in statement.parts.groups]

    def verdicts(self, records: pa.Table, dated: dict[str, Dated]) -> Verdicts:
        """The verdicts on records with these dates. Raises duckdb.Error and pyarrow.ArrowInvalid."""
        import numpy as np

        told = [Dated(places, self._readings.told(name, known)) for name, (places, known) in dated.items()]
        columns = Columns(records, told, self._statement.parts.matches)
        _, accepted, rejected = self._groups
        failed = self._failed(self._passed(columns, told, records.num_rows))
        good, bad = np.flatnonzero(failed == 0), np.flatnonzero(failed)
        return Verdicts(failed, _given(accepted, columns.of(good)), _given(rejected, columns.of(bad)))

    def _passed(self, columns: Columns, dated: list[Dated], count: int) -> Ints:
        """A bit for each rule that a record passes. What follows from a date alone is looked up by its reading."""
        tests = self._groups[0]
        rules = tests.query.gives
        of_dates = {name for _, readings in dated for name in readings.column_names}
        others = [name for name in rules if name not in of_dates]
        passed = _bits(rules, dict(zip(others, _given(tests, columns, others), strict=True)), count)
        for places, readings in dated:
            found = {name: one(readings[name]) for name in rules if name in readings.column_names}
            passed |= _bits(rules, found, len(readings)).take(places)
        return passed

    def _failed(self, passed: Ints) -> Ints:
        """A bit for each rule that a record fails, having passed those that come before it."""
        import numpy as np

        failed, bit = np.zeros_like(passed), passed.dtype.type
        for rule, earlier in enumerate(self._statement.after):
            before = sum(1 << other for other in earlier)
            fails = (passed & bit(before | 1 << rule)) == bit(before)
            failed |= fails.astype(passed.dtype) << bit(rule)
        return failed


def _bits(rules: tuple[str, ...], columns: dict[str, pa.Array], count: int) -> Ints:
    """So many rows' bits of those rules whose columns are given."""
    import numpy as np
    import pyarrow as pa

    bits = np.zeros(count, np.min_scalar_type((1 << len(rules)) - 1))
    for rule, name in enumerate(rules):
        if name in columns:
            bits |= columns[name].cast(pa.uint8()).to_numpy().astype(bits.dtype) << bits.dtype.type(rule)
    return bits


def _given(prepared: Prepared, columns: Columns, names: Iterable[str] | None = None) -> list[pa.Array]:
    """The columns that a query gives, or those with these names: what it makes, and others that are known by now."""
    query, made = prepared.query, {}
    if query.sql:
        table = prepared.execute(columns.table(query.reads))
        made = {name: one(table[name]) for name in table.column_names}
    names = query.gives if names is None else names
    return [made[name] if name in made else columns.column(name) for name in names]
