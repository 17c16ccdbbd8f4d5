"""A sales database for each test: migrated once into a template, then copied."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import psycopg2
import pytest

from batch.postgres import Database, connect
from batch.postgres_migrations import migrate
from section2 import settings

Sql = Callable[..., list[tuple[Any, ...]]]


def execute(database: Database, sql: str, values: Sequence[object] | None = None, role: str = "") -> list[Any]:
    """Run one statement as a role, commit, and return its rows. psycopg2's errors come through as they are."""
    connection = psycopg2.connect(
        dbname=database.database, host=database.host, user=database.user, options=f"-c role={role}" if role else ""
    )
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(sql, values)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


@pytest.fixture(scope="session")
def template(postgres: Database) -> Database:
    """A database with the schema and nothing else."""
    settings.create(postgres, "sales_template")
    database = msgspec.structs.replace(postgres, database="sales_template")
    with connect(database, "tests") as connection:
        migrate(connection, settings.MIGRATIONS)
    return database


_numbers = iter(range(1, 10_000))


@pytest.fixture
def shop(postgres: Database, template: Database) -> Iterator[Database]:
    """A sales database of the test's own, without rows."""
    name = f"shop_{next(_numbers)}"
    with connect(postgres, "tests") as connection:
        connection.autocommit = True
        connection.cursor().execute(f"create database {name} template {template.database}")
        connection.cursor().execute("select 1")
    database = msgspec.structs.replace(postgres, database=name)
    restore_settings(postgres, name)
    yield database
    with connect(postgres, "tests") as connection:
        connection.autocommit = True
        connection.cursor().execute(f"drop database {name} with (force)")


def restore_settings(postgres: Database, name: str) -> None:
    """What belongs to a database and is not copied with its template: its search path and who may connect."""
    execute(
        postgres,
        f"alter database {name} set search_path = sales, reporting; alter database {name} set timezone = 'UTC';"
        f"revoke all on database {name} from public;"
        f"grant connect on database {name} to owner, loader, logistics, analytics, sales, grafana;"
        f"grant temporary on database {name} to owner, loader",
    )


@pytest.fixture
def sql(shop: Database) -> Sql:
    """Runs a statement in the shop: `sql("select ...", [values], role="analytics")`."""

    def run(text: str, values: Sequence[object] | None = None, role: str = "owner") -> list[tuple[Any, ...]]:
        return execute(shop, text, values, role)

    return run


@pytest.fixture
def sale(sql: Sql) -> Sql:
    """A shop with one manufacturer, two items (1: 0.10, 2: 12.34), one member and one paid transaction, number 1."""
    sql("insert into manufacturer (name) values ('Acme')")
    sql(
        "insert into item (manufacturer_id, name, cost, weight_kg) values (1, 'pin', 0.10, 0.001), (1, 'pot', 12.34, 2)"
    )
    sql(
        "insert into member (membership_id, first_name, last_name, date_of_birth, mobile_no, email)"
        " values ('Doe_2b72a', 'Ann', 'Doe', '1954-03-10', '01234567', 'Ann@example.com')"
    )
    sql("insert into sales_transaction (member_id, occurred_at, status) values (1, '2022-03-04 05:06+00', 'paid')")
    return sql
