"""Migrations: once each, in order, whole or not at all, and never edited afterwards."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from batch.errors import BatchError, ConfigError
from batch.postgres import Database, connect
from batch.postgres_migrations import migrate, read


def write(folder: Path, **files: str) -> Path:
    for name, sql in files.items():
        (folder / f"{name.removeprefix('m')}.sql").write_text(sql)
    return folder


def apply(database: Database, folder: Path) -> list[str]:
    with connect(database, "test") as connection:
        return migrate(connection, folder)


def rows(database: Database, sql: str) -> list[tuple[Any, ...]]:
    with connect(database, "test") as connection, connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def test_each_is_applied_once(database: Database, tmp_path: Path) -> None:
    write(tmp_path, m0001_one="create table one (n integer)", m0002_two="insert into one values (2)")
    assert apply(database, tmp_path) == ["0001_one.sql", "0002_two.sql"]
    assert apply(database, tmp_path) == []
    write(tmp_path, m0003_three="insert into one values (3)")
    assert apply(database, tmp_path) == ["0003_three.sql"]
    assert rows(database, "select n from one order by n") == [(2,), (3,)]


def test_a_failing_one_changes_nothing_and_those_before_stay(database: Database, tmp_path: Path) -> None:
    write(tmp_path, m0001_one="create table one (n integer)", m0002_two="insert into one values (1); select 1/0")
    with pytest.raises(BatchError, match="division by zero"):
        apply(database, tmp_path)
    assert rows(database, "select count(*) from one") == [(0,)]
    write(tmp_path, m0002_two="insert into one values (1)")  # it was never applied, so it may be mended
    assert apply(database, tmp_path) == ["0002_two.sql"]


def test_an_applied_one_may_not_change_or_go(database: Database, tmp_path: Path) -> None:
    write(tmp_path, m0001_one="select 1", m0002_two="select 2")
    apply(database, tmp_path)
    write(tmp_path, m0001_one="select 10")
    with pytest.raises(ConfigError, match="has changed since") as refused:
        apply(database, tmp_path)
    assert str(tmp_path / "0001_one.sql") in str(refused.value)
    write(tmp_path, m0001_one="select 1")
    (tmp_path / "0002_two.sql").unlink()
    with pytest.raises(ConfigError, match=r"0002_two\.sql, which is not here"):
        apply(database, tmp_path)


def test_two_at_a_time_apply_each_once(database: Database, tmp_path: Path) -> None:
    write(
        tmp_path,
        m0001_slow="create table one (n integer); select pg_sleep(0.2)",
        m0002_two="insert into one values (1)",
    )
    with ThreadPoolExecutor(4) as pool:
        applied = list(pool.map(lambda _: apply(database, tmp_path), range(4)))
    assert sorted(map(len, applied)) == [0, 0, 0, 2]
    assert rows(database, "select count(*) from one") == [(1,)]


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        (["0001_one", "0003_three"], "number 0002 was to come"),
        (["0001_one", "0001_two"], "number 0002 was to come"),
        (["1_one"], "is named like"),
        ([], "no migrations"),
    ],
)
def test_names_that_give_no_order_are_refused(names: list[str], problem: str, tmp_path: Path) -> None:
    for name in names:
        (tmp_path / f"{name}.sql").write_text("select 1")
    with pytest.raises(ConfigError, match=problem):
        read(tmp_path)
