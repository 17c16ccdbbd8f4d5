"""Connecting, and what a person is told when it fails or when Postgres refuses something."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from batch.errors import DataError, EngineError
from batch.postgres import Database, connect
from batch.postgres_load import copy_rows


def test_what_was_not_committed_is_undone(database: Database) -> None:
    with connect(database, "test") as connection, connection.cursor() as cursor:
        cursor.execute("create table gone (n integer)")
    with connect(database, "test") as connection, connection.cursor() as cursor:
        cursor.execute("select to_regclass('gone')")
        assert cursor.fetchone() == (None,)


def test_the_server_sees_who_connects_and_takes_settings(database: Database) -> None:
    with (
        connect(database, "nightly", options="-c statement_timeout=1234ms") as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("select current_setting('application_name'), current_setting('statement_timeout')")
        assert cursor.fetchone() == ("nightly", "1234ms")


def test_an_unreachable_server_is_named(tmp_path: Path) -> None:
    nowhere = Database(database="sales", host=str(tmp_path), user="loader")
    with pytest.raises(EngineError, match="cannot connect") as refused, connect(nowhere, "test"):
        pass
    assert str(tmp_path) in str(refused.value)


def test_a_missing_password_file_is_named(database: Database, tmp_path: Path) -> None:
    asked = msgspec.structs.replace(database, password_file=str(tmp_path / "none"))
    with pytest.raises(EngineError, match="cannot read the password") as refused, connect(asked, "test"):
        pass
    assert str(tmp_path / "none") in str(refused.value)


def test_a_refused_value_is_placed_and_not_quoted(database: Database) -> None:
    rows = [(1, "2022-01-01"), (2, "secret birthday")]
    with pytest.raises(DataError) as refused, connect(database, "test") as connection, connection.cursor() as cursor:
        cursor.execute("create temporary table people (id integer, born date)")
        copy_rows(cursor, "people", ["id", "born"], rows)
    assert "line 2, column born" in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_broken_constraint_is_named_and_the_row_is_not_quoted(database: Database) -> None:
    with pytest.raises(DataError) as refused, connect(database, "test") as connection, connection.cursor() as cursor:
        cursor.execute("create table people (name text, age integer constraint age_is_not_negative check (age >= 0))")
        cursor.execute("insert into people values ('Secret Name', -1)")
    assert "age_is_not_negative" in str(refused.value)
    assert "public.people" in str(refused.value)
    assert "Secret" not in str(refused.value)


def test_a_wrong_statement_is_no_data_error(database: Database) -> None:
    with pytest.raises(EngineError, match="nothing_there"), connect(database, "test") as connection:
        connection.cursor().execute("select * from nothing_there")
