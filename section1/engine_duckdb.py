"""Judging in this process with DuckDB: one connection, one thread per core, one chunk at a time on each."""

from __future__ import annotations

import importlib
import os
import re
import warnings
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

from batch.errors import EngineError
from section1.days import Dated
from section1.engine import Columns, Judged, Work, judged
from section1.intake import Portion
from section1.judge import Statement
from section1.judge_duckdb import READINGS, Query
from section1.lines import Verdicts, one

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

    from section1.dates import Ints

MEMORY_LIMIT = "256MB"


def load_libraries() -> None:
    """Import what judging needs: it takes 0.2 s of one core."""
    for name in ("duckdb", "pyarrow.compute", "pyarrow.csv"):
        importlib.import_module(name)


@lru_cache(maxsize=1)
def connection(spool: str) -> duckdb.DuckDBPyConnection:
    """The one DuckDB of a run, which takes 20 ms to open: one thread for each query, no access to files or networks.

    What does not fit into its memory goes to the spool folder.
    """
    import duckdb

    # execute() copies its rows once more, as DuckDB warns; sql() plans the statement twice, which costs more here.
    warnings.filterwarnings("ignore", "Arrow output on a DB-API result")
    settings: dict[str, str | bool | int | float | list[str]] = {
        "threads": 1,
        "memory_limit": MEMORY_LIMIT,
        "temp_directory": spool,
        "python_enable_replacements": False,
    }
    opened = duckdb.connect(config=settings)
    opened.execute("set enable_external_access = false")
    return opened


def judging(work: Work, portions: Iterable[Portion]) -> Generator[Judged]:
    """Verdicts in the order of the portions. Raises EngineError when a statement fails; values are not shown.

    While a thread per core judges, this one takes the next portion in and passes the last verdicts on.
    """
    database = connection(work.folder)
    idle: list[Judge] = []

    def one(portion: Portion) -> Judged:
        chunk = portion.chunk
        dated, proven = work.dated(chunk, portion.table)
        with errors_of_duckdb(f"{chunk.source_file}, records from {chunk.first_record} on"):
            try:
                judge = idle.pop()
            except IndexError:
                judge = Judge(database, work.statement, work.view)
            verdicts = judge.verdicts(portion.table, dated)
            idle.append(judge)
        return judged(work, chunk, portion.table, verdicts, proven, portion.text)

    workers = len(os.sched_getaffinity(0))
    pending: deque[Future[Judged]] = deque()
    with ThreadPoolExecutor(workers) as pool:
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


class Judge:
    """The parts of the statement, one after the other, as each needs columns of those before it."""

    def __init__(self, database: duckdb.DuckDBPyConnection, statement: Statement, view: str) -> None:
        self._statement = statement
        self._readings = {name: Prepared(database, query, READINGS) for name, query in statement.parts.readings.items()}
        self._groups = [Prepared(database, query, view) for query in statement.parts.groups]
        self._known: dict[str, tuple[pa.Table, pa.Table]] = {}

    def verdicts(self, records: pa.Table, dated: dict[str, Dated]) -> Verdicts:
        """The verdicts on records with these dates. Raises duckdb.Error and pyarrow.ArrowInvalid."""
        import numpy as np
        import pyarrow as pa

        statement = self._statement
        columns = Columns(records, [Dated(places, self._told(name, known)) for name, (places, known) in dated.items()])
        columns.add(statement.parts.matches)
        tests, accepted, rejected = self._groups
        passed = [test.cast(pa.uint8()).to_numpy().view(bool) for test in _given(tests, columns)]
        failed = np.zeros(records.num_rows, np.min_scalar_type((1 << len(passed)) - 1))
        for rule, earlier in enumerate(statement.after):
            fails = np.logical_and.reduce([~passed[rule], *(passed[other] for other in earlier)])
            failed |= fails.astype(failed.dtype) << failed.dtype.type(rule)
        good, bad = np.flatnonzero(failed == 0), np.flatnonzero(failed)
        return Verdicts(failed, _given(accepted, columns, good), _given(rejected, columns, bad))

    def _told(self, name: str, known: pa.Table) -> pa.Table:
        """The known readings of a date, with what follows from them."""
        before, told = self._known.get(name, (None, known))
        if before is not known:
            told = known
            if name in self._readings:
                derived = self._readings[name].execute(known.select(self._readings[name].query.reads))
                for column in derived.column_names:
                    told = told.append_column(column, self._shared(column, derived[column]))
            self._known[name] = known, told
        return told

    def _shared(self, name: str, texts: pa.ChunkedArray) -> pa.ChunkedArray:
        """A column of a date's readings, as a dictionary where it is a text to publish."""
        import pyarrow as pa

        publish = pa.types.is_string(texts.type) and not any(
            name in query.reads for query in self._statement.parts.groups
        )
        return texts.dictionary_encode() if publish else texts


def _given(prepared: Prepared, columns: Columns, rows: Ints | None = None) -> list[pa.Array]:
    """The columns that a query gives, of these rows: those that it makes, and others that are known by now."""
    query, made = prepared.query, {}
    if query.sql:
        table = prepared.execute(columns.table(query.reads, rows))
        made = {name: one(table[name]) for name in table.column_names}
    return [made[name] if name in made else columns.column(name, rows) for name in query.gives]


@contextmanager
def errors_of_duckdb(where: str) -> Iterator[None]:
    """Report a failing statement as an EngineError."""
    import duckdb
    import pyarrow as pa

    try:
        yield
    except (duckdb.Error, pa.ArrowInvalid) as error:
        raise EngineError(
            f"DuckDB refused the statement: {without_values(str(error))}",
            where=where,
            hint="Look at the query and the rules of the task's configuration.",
        ) from error


def without_values(message: str) -> str:
    """An engine's message on one line, without anything that may be somebody's data: quoted text and numbers.

    A value may hold quotes and line ends itself, so all from the first quote to the last one goes.
    """
    told = message.partition("\nLINE ")[0]  # an excerpt of the SQL follows
    unquoted = re.sub(r"""['"](.*['"]|.*\Z)""", "'...'", told, flags=re.DOTALL)
    first = next(iter(unquoted.splitlines()), "")
    return re.sub(r"(?<![A-Za-z0-9_])\d[\d.,:/ -]*", "# ", first).strip()
