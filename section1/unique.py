"""Values that should be unique: kept while records are judged (an Arrow IPC stream), and counted when all are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from section1.duckdb_session import connection, errors_of_duckdb

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

EXAMPLES = 100
MOST = 1 << 21  # hashes in memory at once


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


def shared(path: Path, rows: int) -> Shared:
    """Find what more than one of so many rows has.

    Values are told apart by 64 bits of hash, sorted a part at a time, so that memory is bounded. Among n different ones
    two have the same hash with a probability of n^2 / 2^65: one in a million for 7 million rows.
    """
    import numpy as np
    import pyarrow as pa

    values = of_rows = 0
    some: list[int] = []
    with (
        errors_of_duckdb("the accepted rows"),
        connection(str(path.parent)).cursor() as cursor,
        pa.OSFile(str(path)) as file,
    ):

        def select(sql: str) -> duckdb.DuckDBPyConnection:
            file.seek(0)
            cursor.register("given", pa.ipc.open_stream(file))
            return cursor.execute(f"select {sql}")

        cursor.execute(f"set threads = {len(os.sched_getaffinity(0))}")  # the judging is over, and its threads are free
        parts = 1 + rows // MOST
        for part in range(parts):
            chosen = f"where hash(value) % {parts} = {part}" if parts > 1 else ""
            hashes = select(f"hash(value) as hash from given {chosen}").fetchnumpy()["hash"]
            hashes.sort()
            repeated = hashes[1:][hashes[1:] == hashes[:-1]]
            found = np.unique(repeated)
            values, of_rows = values + len(found), of_rows + len(found) + len(repeated)
            some += found[: EXAMPLES - len(some)].tolist()
        examples = []
        if some:
            told = select(f"distinct value from given where hash(value) in ({str(some)[1:-1]}) order by value")
            examples = [value for (value,) in told.fetchmany(EXAMPLES)]
    return Shared(values, of_rows, examples)
