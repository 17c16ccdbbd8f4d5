"""COPY and upsert: every value arrives as it was, and only new and changed rows are written."""

from __future__ import annotations

import io
from datetime import date
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batch.errors import DataError
from batch.postgres import Database, connect
from batch.postgres_load import Written, copy_csv, copy_rows, stage, upsert

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))
ROWS = st.lists(st.tuples(st.one_of(st.none(), TEXT), st.one_of(st.none(), st.integers(-(2**31), 2**31 - 1))))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS)
def test_copied_rows_come_back_as_they_were(database: Database, rows: list[tuple[str | None, int | None]]) -> None:
    with connect(database, "test") as connection, connection.cursor() as cursor:
        cursor.execute("create temporary table kept (at serial, t text, n integer)")
        assert copy_rows(cursor, "kept", ["t", "n"], rows) == len(rows)
        cursor.execute("select t, n from kept order by at")
        assert cursor.fetchall() == rows


def test_progress_counts_every_row(database: Database) -> None:
    seen: list[int] = []
    with connect(database, "test") as connection, connection.cursor() as cursor:
        cursor.execute("create temporary table kept (t text)")
        copy_rows(cursor, "kept", ["t"], (("x" * 1000,) for _ in range(500)), seen.append)
    assert sum(seen) == 500
    assert len(seen) > 1


def test_csv_tells_null_from_the_empty_text_and_checks_its_header(database: Database) -> None:
    with connect(database, "test") as connection, connection.cursor() as cursor:
        cursor.execute("create temporary table kept (t text, born date)")
        data = b't,born\n"a,""b""",2022-01-31\n"",\n'
        assert copy_csv(cursor, "kept", ["t", "born"], io.BytesIO(data)) == 2
        cursor.execute("select t, born from kept")
        assert cursor.fetchall() == [('a,"b"', date(2022, 1, 31)), ("", None)]
    with pytest.raises(DataError, match="column name mismatch"), connect(database, "test") as connection:
        cursor = connection.cursor()
        cursor.execute("create temporary table kept (t text, born date)")
        copy_csv(cursor, "kept", ["t", "born"], io.BytesIO(b"born,t\n"))


PEOPLE = "create table people (id serial, email text not null, name text, born date); " + (
    "create unique index on people (lower(email))"
)
COLUMNS = ["email", "name", "born"]


def load(database: Database, rows: list[tuple[Any, ...]]) -> Written:
    with connect(database, "test") as connection, connection.cursor() as cursor:
        stage(cursor, "staged", "people", COLUMNS)
        copy_rows(cursor, "staged", COLUMNS, rows)
        written = upsert(cursor, "staged", "people", ["lower(email)"], COLUMNS)
        connection.commit()
        return written


def versions(database: Database) -> list[tuple[Any, ...]]:
    """Each row's place and the transactions that wrote or locked it: equal when nothing touched it."""
    with connect(database, "test") as connection, connection.cursor() as cursor:
        cursor.execute("select ctid, xmin, xmax, id, email, name, born from people order by id")
        return cursor.fetchall()


def test_only_new_and_changed_rows_are_written(database: Database) -> None:
    with connect(database, "test") as connection:
        connection.cursor().execute(PEOPLE)
        connection.commit()
    first = [("a@x.com", "Ann", date(2000, 1, 1)), ("b@x.com", None, None)]
    assert load(database, first) == Written(inserted=2, updated=0, unchanged=0)
    before = versions(database)
    assert load(database, first) == Written(inserted=0, updated=0, unchanged=2)
    assert versions(database) == before  # not even locked
    changed = [("A@X.com", "Ann", date(2000, 1, 1)), ("b@x.com", None, None), ("c@x.com", "Cy", None)]
    assert load(database, changed) == Written(inserted=1, updated=1, unchanged=1)
    assert versions(database)[0][3:] == (1, "A@X.com", "Ann", date(2000, 1, 1))
    assert load(database, [("b@x.com", "Bob", None)]) == Written(inserted=0, updated=1, unchanged=0)  # null to a value


def test_a_key_given_twice_is_refused_and_nothing_is_written(database: Database) -> None:
    with connect(database, "test") as connection:
        connection.cursor().execute(PEOPLE)
        connection.commit()
    with pytest.raises(DataError, match=r"duplicate|second time"):
        load(database, [("a@x.com", "Ann", None), ("A@X.COM", "Bob", None)])
    assert versions(database) == []


def test_a_key_of_two_columns(database: Database) -> None:
    with connect(database, "test") as connection, connection.cursor() as cursor:
        cursor.execute("create table cases (country text, day date, cases bigint, primary key (country, day))")
        for cases, expected in ((5, Written(1, 0, 0)), (5, Written(0, 0, 1)), (6, Written(0, 1, 0))):
            stage(cursor, "staged", "cases", ["country", "day", "cases"])
            copy_rows(cursor, "staged", ["country", "day", "cases"], [("SG", date(2022, 1, 1), cases)])
            assert upsert(cursor, "staged", "cases", ["country", "day"], ["country", "day", "cases"]) == expected
            cursor.execute("drop table staged")
