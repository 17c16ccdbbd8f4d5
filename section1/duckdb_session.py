"""The one DuckDB of a run, and what is told of its errors."""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

from batch.errors import EngineError

if TYPE_CHECKING:
    import duckdb

MEMORY_LIMIT = "256MB"
_waiting: list[duckdb.DuckDBPyConnection] = []  # at most one, open and not yet in use


def warm_up() -> None:
    """Import what judging needs, which takes 0.2 s of one core, and open DuckDB on another one."""
    importlib.import_module("duckdb")
    with ThreadPoolExecutor(1) as pool:
        opened = pool.submit(_open)
        for name in ("pyarrow.compute", "pyarrow.csv"):
            importlib.import_module(name)
        _waiting.append(opened.result())


@lru_cache(maxsize=1)
def connection(spool: str) -> duckdb.DuckDBPyConnection:
    """The one DuckDB of a run: one thread for each query, no access to files or networks.

    What does not fit into its memory goes to the spool folder.
    """
    opened = _waiting.pop() if _waiting else _open()
    quoted = spool.replace("'", "''")
    opened.execute(f"set temp_directory = '{quoted}'")
    opened.execute("set enable_external_access = false")
    return opened


def _open() -> duckdb.DuckDBPyConnection:
    """It takes 30 ms."""
    import duckdb

    # execute() copies its rows once more, as DuckDB warns; sql() plans the statement twice, which costs more here.
    warnings.filterwarnings("ignore", "Arrow output on a DB-API result")
    settings: dict[str, str | bool | int | float | list[str]] = {
        "threads": 1,
        "memory_limit": MEMORY_LIMIT,
        "python_enable_replacements": False,
    }
    return duckdb.connect(config=settings)


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
