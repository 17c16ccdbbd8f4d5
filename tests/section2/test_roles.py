"""The committed table of roles is what the database grants, cell by cell; and what that means in practice."""

from __future__ import annotations

import csv
from collections.abc import Callable
from typing import Any

import msgspec
import psycopg2
import pytest

from batch.postgres import Database, connect
from section2 import roles, settings

Sql = Callable[..., list[tuple[Any, ...]]]
TEAMS = [role for role in settings.ROLES if role != "owner"]


def test_every_cell_agrees(shop: Database) -> None:
    with connect(shop, "test") as connection:
        found = roles.real(connection)
    assert found == roles.committed()
    assert not {cell for cell in found if cell[0] == roles.PUBLIC}


def test_the_table_is_sorted_and_without_doubles() -> None:
    with roles.TABLE.open(newline="") as file:
        rows = [tuple(row) for row in csv.reader(file)][1:]
    assert rows == sorted(set(rows))


@pytest.mark.parametrize(
    "change",
    [
        "grant select on sales.member to public",
        "grant update (cost) on sales.item to logistics",
        "revoke select on sales.sales_line from analytics",
        "grant execute on function sales.keep_totals() to public",
        "grant loader to grafana",
        "grant usage on sequence sales.item_item_id_seq to analytics",
        "grant create on schema sales to sales",
    ],
)
def test_a_single_changed_cell_is_seen(shop: Database, change: str) -> None:
    connection = psycopg2.connect(dbname=shop.database, host=shop.host, user=shop.user)
    connection.cursor().execute(change)
    assert roles.differences(connection)
    connection.close()  # undone


@pytest.mark.parametrize("schema", ["sales", "reporting"])
def test_future_tables_are_covered(sql: Sql, schema: str) -> None:
    sql(f"create table {schema}.later (n integer); create function {schema}.later_too() returns integer return 1")
    seen = [
        role for role in TEAMS if sql("select has_table_privilege(%s, %s, 'select')", [role, f"{schema}.later"])[0][0]
    ]
    assert seen == (["analytics", "grafana"] if schema == "reporting" else [])
    assert not sql("select has_function_privilege('loader', %s, 'execute')", [f"{schema}.later_too()"])[0][0]


@pytest.mark.parametrize("column", ["email", "first_name", "last_name", "mobile_no", "date_of_birth", "membership_id"])
@pytest.mark.parametrize("role", ["analytics", "logistics", "sales", "grafana"])
def test_personal_data_stay_with_loader_and_owner(sale: Sql, role: str, column: str) -> None:
    with pytest.raises(psycopg2.errors.InsufficientPrivilege):
        sale(f"select {column} from sales.member", role=role)


def test_a_label_is_a_name_for_those_who_may_read_names(sale: Sql) -> None:
    assert sale("select label from sales.member_label") == [("Ann Doe",)]
    assert sale("select label from sales.member_label", role="analytics") == [("member 1",)]


@pytest.mark.parametrize("role", ["grafana", "analytics"])
def test_readers_write_nothing_even_with_a_grant(shop: Database, sale: Sql, role: str) -> None:
    """Logged in as themselves they are read-only, and Grafana's statements end after ten seconds."""
    sale(
        f"alter role {role} login; grant delete on sales.item to {role}; grant usage on schema sales to {role}", role=""
    )
    with connect(msgspec.structs.replace(shop, user=role), "test") as connection, connection.cursor() as cursor:
        cursor.execute("show statement_timeout")
        assert cursor.fetchone() == ("10s" if role == "grafana" else "0",)
        with pytest.raises(psycopg2.errors.ReadOnlySqlTransaction):
            cursor.execute("delete from sales.item")
    sale(f"alter role {role} nologin", role="")
