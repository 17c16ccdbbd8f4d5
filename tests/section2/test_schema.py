"""The database refuses what the seed's schema accepted, and keeps what it corrupted."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import hypothesis
import psycopg2
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from section2 import settings

Sql = Callable[..., list[tuple[Any, ...]]]

MEMBER = (
    "insert into member (membership_id, first_name, last_name, date_of_birth, mobile_no, email)"
    " values ('Roe_fc7cb', 'Bo', 'Roe', '1971-07-03', {mobile}, {email})"
)
LINE = (
    "insert into sales_line (transaction_id, item_id, quantity, unit_price, unit_weight_kg, discount)"
    " values ({transaction}, {item}, {quantity}, {price}, {weight}, {discount})"
)
GOOD = {"transaction": 1, "item": 1, "quantity": 2, "price": "9.99", "weight": "0.5", "discount": "0.15"}


def refused(
    sql: Sql, statement: str, kind: type[Exception] = psycopg2.IntegrityError, match: str | None = None
) -> None:
    with pytest.raises(kind, match=match):
        sql(statement)


@pytest.mark.parametrize(
    ("mobile", "constraint"),
    [
        ("1234567", "member_has_an_8_digit_mobile"),  # 01234567 as a number: its zero is lost
        ("3", "member_has_an_8_digit_mobile"),  # a number made up by a serial
        ("null", "mobile_no"),
        ("default", "mobile_no"),
        ("'+6591234567'", "member_has_an_8_digit_mobile"),
        ("'9123456a'", "member_has_an_8_digit_mobile"),
        ("E'91234567\\n'", "member_has_an_8_digit_mobile"),
    ],
)
def test_mobile_numbers_are_eight_digits_and_never_invented(sale: Sql, mobile: str, constraint: str) -> None:
    refused(sale, MEMBER.format(mobile=mobile, email="'bo@example.com'"), match=constraint)


def test_a_leading_zero_is_kept(sale: Sql) -> None:
    assert sale("select mobile_no from member") == [("01234567",)]


@pytest.mark.parametrize(
    ("given", "constraint"),
    [
        ({"quantity": -3}, "quantity_is_at_least_one"),
        ({"quantity": 0}, "quantity_is_at_least_one"),
        ({"quantity": "null"}, "quantity"),
        ({"discount": "null"}, "discount"),
        ({"discount": 15}, "discount_is_a_fraction"),  # per cent
        ({"discount": "0.15000001"}, "discount_is_a_fraction"),
        ({"discount": "-0.1"}, "discount_is_a_fraction"),
        ({"transaction": "null"}, "transaction_id"),
        ({"item": "null"}, "item_id"),
        ({"item": 99}, "item_id_fkey"),
        ({"transaction": 99}, "transaction_id_fkey"),
        ({"price": "99.99905"}, "unit_price_is_exact_cents"),  # 1,000 times 0.1, added up as real
        ({"price": "'NaN'"}, "unit_price_is_exact_cents"),
        ({"price": "'Infinity'"}, "unit_price_is_exact_cents"),
        ({"price": -1}, "unit_price_is_exact_cents"),
        ({"weight": 0}, "unit_weight_is_exact_grams"),
        ({"weight": "0.0001"}, "unit_weight_is_exact_grams"),
    ],
)
def test_lines_are_exact_and_complete(sale: Sql, given: dict[str, Any], constraint: str) -> None:
    refused(sale, LINE.format(**GOOD | given), match=constraint)
    assert sale("select count(*) from sales_line") == [(0,)]


def test_a_discount_is_kept_and_counts(sale: Sql) -> None:
    sale(LINE.format(**GOOD))
    assert sale("select discount, price, weight_kg from sales_line") == [
        (Decimal("0.15"), Decimal("16.98"), Decimal("1.0"))  # 2 x 9.99 x 0.85 = 16.983
    ]


def test_money_adds_up_exactly(sale: Sql) -> None:
    sale(
        "insert into item (manufacturer_id, name, cost, weight_kg)"
        " select 1, 'n' || n, 0.1, 1 from generate_series(1, 1000) n"
    )
    sale(
        "insert into sales_line (transaction_id, item_id, quantity, unit_price, unit_weight_kg)"
        " select 1, item_id, 1, cost, weight_kg from item where name like 'n%'"
    )
    assert sale("select total_price from sales_transaction") == [(Decimal("100.0"),)]


@pytest.mark.parametrize(
    "statement",
    [
        "insert into sales_transaction (member_id, occurred_at) values (null, now())",
        "insert into sales_transaction (member_id, occurred_at) values (7, now())",
        "insert into sales_transaction (member_id, occurred_at) values (1, null)",
        "insert into sales_transaction (member_id, occurred_at) values (1, '1970-01-01')",
        "insert into sales_transaction (member_id, occurred_at, status) values (1, now(), 'shipped')",
        "insert into sales_transaction (member_id, occurred_at, status) values (1, now(), null)",
        "insert into sales_transaction (transaction_id, member_id, occurred_at) values (1, 1, now())",
        "insert into item (manufacturer_id, name, cost, weight_kg) values (null, 'cup', 1, 1)",
        "insert into item (manufacturer_id, name, cost, weight_kg) values (1, ' ', 1, 1)",
        "insert into item (manufacturer_id, name, cost, weight_kg) values (1, 'PIN', 1, 1)",
        "insert into item (manufacturer_id, name, cost, weight_kg) values (1, 'cup', 1.005, 1)",
        "insert into manufacturer (name) values ('ACME')",
        MEMBER.format(mobile="'91234567'", email="'ann@EXAMPLE.com'"),  # Ann's, in other letters
        MEMBER.format(mobile="'91234567'", email="'no address'"),
    ],
)
def test_rows_that_are_not_true_are_refused(sale: Sql, statement: str) -> None:
    refused(sale, statement)


def test_milliseconds_are_no_time(sale: Sql) -> None:
    statement = "insert into sales_transaction (member_id, occurred_at) values (1, 1666000000000)"
    refused(sale, statement, psycopg2.ProgrammingError)


def test_two_members_may_share_a_membership_id(sale: Sql) -> None:
    sale(MEMBER.format(mobile="'91234567'", email="'eve@example.com'").replace("Roe_fc7cb", "Doe_2b72a"))
    assert sale("select count(*), count(distinct membership_id) from member") == [(2, 1)]


def test_a_rename_of_a_manufacturer_touches_one_row(sale: Sql) -> None:
    before = sale("select item_id, xmin, ctid from item order by 1")
    sale("update manufacturer set name = 'Acme Ltd' where name = 'Acme'")
    assert sale("select item_id, xmin, ctid from item order by 1") == before


def test_a_sold_item_is_retired_and_an_unsold_one_may_be_deleted(sale: Sql) -> None:
    sale(LINE.format(**GOOD))
    with pytest.raises(psycopg2.IntegrityError, match="sales_line"):
        sale("delete from item where item_id = 1", role="sales")
    sale("update item set retired_at = now() where item_id = 1", role="sales")
    sale("insert into item (manufacturer_id, name, cost, weight_kg) values (1, 'pin', 0.2, 0.001)", role="sales")
    sale("delete from item where item_id = 2", role="sales")
    assert sale("select name, cost, retired_at is null from item order by item_id") == [
        ("pin", Decimal("0.10"), False),
        ("pin", Decimal("0.2"), True),
    ]


RULES = {
    "membership_id": r"_[0-9a-f]{5}$",
    "mobile_no": r"^[0-9]{8}$",
    "email": r"^[^@\s]+@[^@\s]+[.][^@\s.]+$",
}


@pytest.mark.parametrize("column", RULES)
@hypothesis.settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(
        st.one_of(
            st.text("ab@. \t\n\u00a0", max_size=9),
            st.from_regex(r"[0-9a]{7,8}[0-9\n\u0663]?", fullmatch=True),
            st.from_regex(r"[a_]?_[0-9a-fgA]{4,6}\n?", fullmatch=True),
            st.from_regex(r"[a@]{1,2}@[b.]{0,3}[.][c. ]{0,2}", fullmatch=True),
        ),
        min_size=20,
        max_size=60,
    )
)
def test_the_checks_are_the_rules_as_regular_expressions(sql: Sql, column: str, texts: list[str]) -> None:
    """The schema spells them another way, which is faster."""
    ((check,),) = sql(
        "select pg_get_expr(conbin, conrelid) from pg_constraint"
        " where conrelid = 'member'::regclass and contype = 'c' and pg_get_expr(conbin, conrelid) like %s",
        [f"%{column}%"],
    )
    check = check.replace("%", "%%")
    found = sql(f"select {column}, {check}, {column} ~ %s from unnest(%s) as {column}", [RULES[column], texts])
    assert [text for text, checked, ruled in found if checked != ruled] == []


def test_every_table_and_column_has_a_comment(sql: Sql) -> None:
    assert (
        sql("""
        select c.relname, a.attname
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
        left join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        where (n.nspname in ('sales', 'reporting') or c.relname = 'schema_migration') and c.relkind in ('r', 'v')
            and (col_description(c.oid, a.attnum) is null or obj_description(c.oid, 'pg_class') is null)
    """)
        == []
    )


def test_every_foreign_key_has_an_index(sql: Sql) -> None:
    assert (
        sql("""
        select conrelid::regclass, conname from pg_constraint f
        where contype = 'f' and not exists (
            select from pg_index i where i.indrelid = f.conrelid and f.conkey[1] = i.indkey[0] and i.indpred is null
        )
    """)
        == []
    )


def test_migrations_are_fit_for_a_database_in_use() -> None:
    squawk = Path(sys.executable).with_name("squawk")
    files = sorted(map(str, settings.MIGRATIONS.glob("*.sql")))
    command = [str(squawk), "--config", str(settings.MIGRATIONS / "squawk.toml"), *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
