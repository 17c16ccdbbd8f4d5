"""Values that should be unique: kept while records are judged (an Arrow IPC stream), and counted when all are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from section1.duckdb_session import connection, errors_of_duckdb

if TYPE_CHECKING:
    import pyarrow as pa

EXAMPLES = 100
MEMORY_LIMIT = "64MB"


class Shared(msgspec.Struct):
    """Values that more than one row has: how many, in how many rows, and some of them."""

    values: int
    rows: int
    examples: list[str]


def header() -> memoryview:
    """What such a file begins with."""
    return memoryview(_schema().serialize())


def block(values: pa.Array) -> memoryview:
    """Some more values. The file may end after any block."""
    import pyarrow as pa

    return memoryview(pa.record_batch([values.cast(pa.string())], _schema()).serialize())


def _schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema({"value": pa.string()})


def shared(path: Path) -> Shared:
    """Find what more than one row has.

    Few values are shared, and hashes are shorter than texts: so it is the hashes that are grouped first. Memory is
    bounded: DuckDB groups in the file's folder.
    """
    import pyarrow as pa

    with (
        errors_of_duckdb("the accepted rows"),
        connection(str(path.parent)).cursor() as cursor,
        pa.OSFile(str(path)) as file,
    ):
        cursor.execute(f"set memory_limit = '{MEMORY_LIMIT}'")  # the judging is over, and its threads are free
        cursor.execute(f"set threads = {len(os.sched_getaffinity(0))}")
        cursor.execute("set disabled_optimizers = 'build_side_probe_side'")  # else a join puts the given into memory
        cursor.register("given", pa.ipc.open_stream(file))
        cursor.execute(
            "create temp table hashes as select hash(value) as hash from given group by all having count(*) > 1"
        )
        file.seek(0)
        cursor.register("given", pa.ipc.open_stream(file))
        cursor.execute(
            "create temp table shared as select value, count(*) as rows from given"
            " where hash(value) in (from hashes) group by value having count(*) > 1"
        )
        [(values, rows)] = cursor.execute("select count(*), coalesce(sum(rows), 0) from shared").fetchall()
        examples = cursor.execute("select value from shared order by value limit ?", [EXAMPLES]).fetchall()
    return Shared(values, int(rows), [value for (value,) in examples])
