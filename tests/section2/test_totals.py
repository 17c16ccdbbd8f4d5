"""Stored totals and item sales never disagree with the lines, whoever writes and however."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from batch.postgres import Database

Sql = Callable[..., list[tuple[Any, ...]]]

WRONG_TOTALS = """
    select transaction_id, total_price, total_weight_kg
    from sales_transaction t left join sales_line l using (transaction_id)
    group by transaction_id
    having total_price <> coalesce(sum(price), 0) or total_weight_kg <> coalesce(sum(weight_kg), 0)
"""
WRONG_ITEM_SALES = """
    with counted as (
        select date_trunc('month', occurred_at at time zone 'UTC')::date as month, item_id,
            sum(quantity) as units, count(*) as transactions, sum(price) as revenue
        from sales_line join sales_transaction using (transaction_id)
        where status in ('paid', 'delivering', 'complete')
        group by 1, 2
    ),
    kept as (select * from item_sales where (units, transactions, revenue) <> (0, 0, 0))
    (table counted except table kept) union all (table kept except table counted)
"""
WRONG_MEMBER_SALES = """
    with counted as (
        select member_id, count(*) as transactions, sum(total_price) as spent
        from sales_transaction where status in ('paid', 'delivering', 'complete') group by member_id
    ),
    kept as (
        select member_id, sum(transactions) as transactions, sum(spent) as spent
        from member_sales_ledger group by member_id having sum(transactions) <> 0 or sum(spent) <> 0
    )
    (table counted except table kept) union all (table kept except table counted)
"""
TRANSACTION = st.integers(1, 3)
STEP = st.one_of(
    st.tuples(st.just("sell"), TRANSACTION, st.integers(1, 2), st.integers(1, 5)),
    st.tuples(st.just("change"), TRANSACTION, st.integers(1, 2), st.integers(1, 5)),
    st.tuples(st.just("take back"), TRANSACTION, st.integers(1, 2), st.just(0)),
    st.tuples(st.just("move"), TRANSACTION, TRANSACTION, st.just(0)),
    st.tuples(st.just("status"), TRANSACTION, st.integers(0, 3), st.just(0)),
    st.tuples(st.just("month"), TRANSACTION, st.integers(1, 4), st.just(0)),
    st.tuples(st.just("compact"), st.just(0), st.just(0), st.just(0)),
)
STATEMENTS = {
    "sell": "insert into sales_line (transaction_id, item_id, quantity, unit_price, unit_weight_kg)"
    " select %(a)s, item_id, %(c)s, cost, weight_kg from item where item_id = %(b)s on conflict do nothing",
    "change": "update sales_line set quantity = %(c)s where transaction_id = %(a)s and item_id = %(b)s",
    "take back": "delete from sales_line where transaction_id = %(a)s and item_id = %(b)s",
    "move": "update sales_line l set transaction_id = %(b)s where transaction_id = %(a)s and not exists"
    " (select from sales_line o where o.transaction_id = %(b)s and o.item_id = l.item_id)",
    "status": "update sales_transaction set status = (array['pending', 'paid', 'complete', 'returned'])[%(b)s + 1]"
    " where transaction_id >= %(a)s",
    "month": "update sales_transaction set occurred_at = make_timestamptz(2022, %(b)s, 1, 0, 0, 0)"
    " where transaction_id = %(a)s",
    "compact": "select compact_ledgers()",
}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEP, max_size=12))
def test_whatever_happens_to_lines_and_transactions(
    shop: Database, sale: Sql, steps: list[tuple[str, int, int, int]]
) -> None:
    connection = psycopg2.connect(dbname=shop.database, host=shop.host, user=shop.user, options="-c role=owner")
    with connection.cursor() as cursor:
        cursor.execute("insert into sales_transaction (member_id, occurred_at) values (1, now()), (1, now())")
        for kind, a, b, c in steps:
            cursor.execute("select array_agg(transaction_id order by transaction_id) from sales_transaction")
            ids = (cursor.fetchone() or [[]])[0]
            values = {"a": ids[a - 1] if a else 0, "b": ids[b - 1] if kind == "move" else b, "c": c}
            cursor.execute(STATEMENTS[kind], values)
        for wrong in (WRONG_TOTALS, WRONG_ITEM_SALES, WRONG_MEMBER_SALES):
            cursor.execute(wrong)
            assert cursor.fetchall() == []
    connection.close()  # undone


def test_totals_cannot_be_written(sale: Sql) -> None:
    for role in ("owner", "loader", ""):
        with pytest.raises(psycopg2.IntegrityError, match="transaction 1: its totals are not the sums"):
            sale("update sales_transaction set total_price = 5", role=role)
        with pytest.raises(psycopg2.IntegrityError, match="its totals are not the sums"):
            sale(
                "insert into sales_transaction (member_id, occurred_at, total_weight_kg) values (1, now(), 1)",
                role=role,
            )


def test_lines_do_not_vanish_behind_the_totals(sale: Sql) -> None:
    for table in ("sales_line", "item_sales_ledger", "member_sales_ledger"):
        with pytest.raises(psycopg2.IntegrityError, match="cannot be truncated"):
            sale(f"truncate {table}", role="")


def test_one_statement_may_write_a_transaction_with_its_totals_and_lines(sale: Sql) -> None:
    statement = """
        with t as (
            insert into sales_transaction (transaction_id, member_id, occurred_at, status, total_price, total_weight_kg)
            values (50, 1, now(), 'paid', {price}, 2)
        )
        insert into sales_line (transaction_id, item_id, quantity, unit_price, unit_weight_kg)
        values (50, 2, 1, 12.34, 2)
    """
    sale(statement.format(price="12.34"))
    with pytest.raises(psycopg2.IntegrityError, match="transaction 51: its totals"):
        sale(statement.format(price="99").replace("50", "51"))
    assert sale(WRONG_TOTALS) == []
    assert sale(WRONG_ITEM_SALES) == []


def test_two_sessions_add_to_one_transaction_at_the_same_time(shop: Database, sale: Sql) -> None:
    def connect() -> Any:
        return psycopg2.connect(dbname=shop.database, host=shop.host, user=shop.user, options="-c role=owner")

    line = (
        "insert into sales_line (transaction_id, item_id, quantity, unit_price, unit_weight_kg)"
        " select 1, item_id, 1, cost, weight_kg from item where item_id = %s"
    )
    one, two = connect(), connect()
    with one.cursor() as cursor:
        cursor.execute(line, [1])

    def second() -> None:
        with two.cursor() as cursor:
            cursor.execute(line, [2])  # waits for the first
        two.commit()

    thread = threading.Thread(target=second)
    thread.start()
    thread.join(0.3)
    assert thread.is_alive()
    one.commit()
    thread.join(30)
    one.close()
    two.close()
    assert sale("select count(*) from sales_line") == [(2,)]
    assert sale(WRONG_TOTALS) == []
    assert sale(WRONG_ITEM_SALES) == []


def test_logistics_sets_the_status_of_completed_transactions_only(sale: Sql) -> None:
    sale("update sales_transaction set status = 'delivering'", role="logistics")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="transaction 1: logistics"):
        sale("update sales_transaction set status = 'cancelled'", role="logistics")
    sale("update sales_transaction set status = 'pending'")
    with pytest.raises(psycopg2.errors.InsufficientPrivilege, match="from pending to paid"):
        sale("update sales_transaction set status = 'paid'", role="logistics")
