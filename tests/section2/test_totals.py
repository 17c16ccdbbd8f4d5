"""Stored totals and item sales never disagree with the lines, whoever writes and however."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
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


def session(shop: Database) -> Any:
    """A connection as the owner, for transactions that stay open."""
    return psycopg2.connect(dbname=shop.database, host=shop.host, user=shop.user, options="-c role=owner")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEP, max_size=12))
def test_whatever_happens_to_lines_and_transactions(
    shop: Database, sale: Sql, steps: list[tuple[str, int, int, int]]
) -> None:
    # Closed whatever comes: a failure's locks would hold up the next example for ever.
    with closing(session(shop)) as connection, connection.cursor() as cursor:
        cursor.execute("insert into sales_transaction (member_id, occurred_at) values (1, now()), (1, now())")
        for kind, a, b, c in steps:
            cursor.execute("select array_agg(transaction_id order by transaction_id) from sales_transaction")
            ids = (cursor.fetchone() or [[]])[0]
            values = {"a": ids[a - 1] if a else 0, "b": ids[b - 1] if kind == "move" else b, "c": c}
            cursor.execute(STATEMENTS[kind], values)
        for wrong in (WRONG_TOTALS, WRONG_ITEM_SALES, WRONG_MEMBER_SALES):
            cursor.execute(wrong)
            assert cursor.fetchall() == []


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


INTO_LINES = "insert into sales_line (transaction_id, item_id, quantity, unit_price, unit_weight_kg)"
POT = f"{INTO_LINES} values (1, 2, 1, 12.34, 2)"
CANCEL = "update sales_transaction set status = 'cancelled' where transaction_id = 1"


@pytest.mark.parametrize(
    "statement",
    [
        f"with a as ({CANCEL} returning 1) {POT}",
        f"with a as ({POT} returning 1) {CANCEL}",
        f"with a as (delete from sales_line returning 1) {CANCEL}",
        f"with a as (update sales_line set quantity = 9 returning 1) {CANCEL}",
        "with a as (update sales_transaction set occurred_at = '2022-09-01') update sales_line set quantity = 9",
        "with a as (delete from sales_line) delete from sales_transaction",
        "with a as (update sales_line set transaction_id = 7) update sales_transaction set transaction_id = 7",
        POT.replace("2)", "cancelled())"),
        POT.replace("1, 2, 1,", "sold_another(), 2, 1,").replace("2)", "cancelled())"),
        "update sales_transaction set status = sold_another_pot()",
    ],
)
def test_one_statement_cannot_change_lines_and_their_transactions(sale: Sql, statement: str) -> None:
    """It would be counted twice, or not at all."""
    sale(POT.replace("1, 2, 1, 12.34", "1, 1, 3, 0.10"))
    sale(
        "create function cancelled() returns integer language plpgsql as $$ begin"
        f" {CANCEL}; return 2; end $$;"
        "create function sold_another() returns integer language plpgsql as $$ begin"
        " insert into item (item_id, manufacturer_id, name, cost, weight_kg) values (9, 1, 'jar', 1, 1);"
        f" {INTO_LINES} values (1, 9, 1, 1, 1); return 1; end $$;"
        "create function sold_another_pot() returns text language plpgsql as $$ begin"
        f" {POT}; return 'cancelled'; end $$"
    )
    with pytest.raises(psycopg2.errors.CheckViolation, match="one statement cannot change lines and also the status"):
        sale(statement)
    assert sale("select status, total_price from sales_transaction") == [("paid", Decimal("0.30"))]
    for wrong in (WRONG_TOTALS, WRONG_ITEM_SALES, WRONG_MEMBER_SALES):
        assert sale(wrong) == []


@pytest.mark.parametrize(
    "statement",
    [
        f"with a as (delete from sales_line where item_id = 1) {POT}",
        f"{POT.replace('(1, 2, 1, 12.34, 2)', '(1, 1, 2, 0.10, 0.001), (1, 2, 1, 1, 1)')}"
        " on conflict (transaction_id, item_id) do update set quantity = 5",
        "merge into sales_line l using item i on l.item_id = i.item_id when matched then delete when not matched then"
        " insert (transaction_id, item_id, quantity, unit_price, unit_weight_kg) values (1, i.item_id, 4, 1, 1)",
        f"with a as ({POT}) {INTO_LINES} select 1, item_id, 1, 1, 1 from item where item_id > 2",
        "with a as (update sales_transaction set status = 'pending' where transaction_id = 1)"
        " update sales_transaction set status = 'pending' where transaction_id = 2",
        f"with a as ({POT} on conflict do nothing) update sales_line set quantity = 8 where item_id = 1",
        f"do $$ begin {POT}; {CANCEL}; update sales_line set quantity = 7; end $$",
        f"do $$ begin begin with a as ({POT}) {CANCEL}; exception when check_violation then null; end; {CANCEL};"
        f" {POT}; end $$",
    ],
)
def test_other_statements_at_once_and_one_after_the_other_are_counted_right(sale: Sql, statement: str) -> None:
    sale(POT.replace("1, 2, 1, 12.34", "1, 1, 3, 0.10"))
    sale(f"{statement}; {CANCEL}; update sales_line set quantity = quantity + 1")
    for wrong in (WRONG_TOTALS, WRONG_ITEM_SALES, WRONG_MEMBER_SALES):
        assert sale(wrong) == []


def test_two_sessions_add_to_one_transaction_at_the_same_time(shop: Database, sale: Sql) -> None:
    line = f"{INTO_LINES} select 1, item_id, 1, cost, weight_kg from item where item_id = %s"
    waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'"
    with closing(session(shop)) as two, closing(session(shop)) as one:  # the one that the other waits for ends first
        one.cursor().execute(line, [1])

        def second() -> None:
            two.cursor().execute(line, [2])  # waits for the first
            two.commit()

        thread = threading.Thread(target=second, daemon=True)
        thread.start()
        end = time.monotonic() + 60
        while sale(waiting, role="") != [(1,)]:
            assert time.monotonic() < end, "the second session does not wait for the first"
        one.commit()
        thread.join(60)
        assert not thread.is_alive()
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
