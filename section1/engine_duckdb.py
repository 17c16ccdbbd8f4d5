"""Judging in this process with DuckDB: one connection, one thread per core, one chunk at a time on each."""

from __future__ import annotations

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
from section1.engine import Judged, Work, judged
from section1.intake import Portion
from section1.judge import Statement

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

MEMORY_LIMIT = "256MB"


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
        dated, proven = work.with_dates(chunk, portion.table)
        with errors_of_duckdb(f"{chunk.source_file}, records from {chunk.first_record} on"):
            try:
                judge = idle.pop()
            except IndexError:
                judge = Judge(database, work.statement, work.view, dated)
            labels, fields = judge.verdicts(dated)
            idle.append(judge)
        return judged(work, chunk, portion.table, labels, fields, proven, portion.text)

    workers = len(os.sched_getaffinity(0))
    pending: deque[Future[Judged]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for portion in portions:
            pending.append(pool.submit(one, portion))
            if len(pending) > workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


class View:
    """What the statements read, as Arrow's PyCapsule interface: the records that are at hand when one is executed."""

    def __init__(self, records: pa.Table) -> None:
        self.records = records

    def __arrow_c_schema__(self) -> object:
        return self.records.schema.__arrow_c_schema__()

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self.records.__arrow_c_stream__(requested_schema)


class Judge:
    """Both statements, planned once for all chunks: to plan them takes as long as to judge 50,000 records."""

    def __init__(self, database: duckdb.DuckDBPyConnection, statement: Statement, view: str, records: pa.Table) -> None:
        self._matches = statement.matches
        self._view = View(self._with_matches(records.slice(0, 0)))
        self._cursor = database.cursor()
        self._cursor.register(view, self._view)
        self._cursor.execute(f"prepare labels as {statement.labels}")
        self._cursor.execute(f"prepare fields as {statement.fields}")

    def verdicts(self, records: pa.Table) -> tuple[pa.Table, pa.Table]:
        """The labels of all records, and the fields of those that passed; all tables have the columns of the first.

        Raises duckdb.Error and pyarrow.ArrowInvalid.
        """
        import pyarrow.compute as pc

        records = self._with_matches(records)
        labels = self._execute("labels", records)
        return labels, self._execute("fields", records.filter(pc.equal(labels["failed"], 0)))

    def _execute(self, prepared: str, records: pa.Table) -> pa.Table:
        self._view.records = records.cast(self._view.records.schema)
        return self._cursor.execute(f"execute {prepared}").to_arrow_table()

    def _with_matches(self, records: pa.Table) -> pa.Table:
        import pyarrow.compute as pc

        for name, column, pattern in self._matches:
            records = records.append_column(name, pc.match_substring_regex(records[column], pattern))
        return records


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
