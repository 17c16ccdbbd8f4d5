"""The one DuckDB of a run: it spills into the spool folder and reaches nothing else."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from section1 import duckdb_session


@pytest.mark.parametrize("loaded", [False, True])
def test_it_spills_into_the_spool_and_reads_no_file(tmp_path: Path, *, loaded: bool) -> None:
    spool = tmp_path / "it's a spool"
    spool.mkdir()
    outside = tmp_path / "outside.csv"
    outside.write_text("a\n1\n")
    if loaded:
        duckdb_session.warm_up()
    database = duckdb_session.connection(str(spool))
    with pytest.raises(duckdb.PermissionException):
        database.execute(f"from read_csv('{outside.as_posix()}')")
    with pytest.raises(duckdb.PermissionException):
        database.execute("set temp_directory = '/tmp'")
    database.execute("set memory_limit = '16MB'")
    database.execute("create temp table many as select range, md5(range::varchar) as text from range(2000000)")
    assert any(spool.iterdir()), "what does not fit into memory is in the spool"
    assert duckdb_session.connection(str(spool)) is database
    database.close()
    duckdb_session.connection.cache_clear()
