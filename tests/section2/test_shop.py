"""The made-up shop: the same for the same seed, skewed, consistent, and bound by every constraint afterwards."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from test_totals import WRONG_ITEM_SALES, WRONG_MEMBER_SALES, WRONG_TOTALS

from batch.errors import DataError
from batch.postgres import Database
from batch.postgres_migrations import migrate
from section2 import settings
from section2 import shop as made_up

Sql = Callable[..., list[tuple[Any, ...]]]
# Every constraint, index and trigger of the schema.
DEFINITIONS = """
    select conrelid::regclass::text, conname::text, pg_get_constraintdef(oid), convalidated
    from pg_constraint where connamespace = 'sales'::regnamespace
    union all select tablename, indexname, indexdef, true from pg_indexes where schemaname = 'sales'
    union all select tgrelid::regclass::text, tgname, tgenabled::text, true from pg_trigger where not tgisinternal
    order by 1, 2, 3
"""
DIGEST = "select md5(string_agg(t::text, '' order by transaction_id)) from sales_transaction t"


def generate(
    database: Database, lines: int = 3000, members: int = 200, seed: int = 1, chunk: int = 400
) -> made_up.Made:
    made_up.CHUNK = chunk
    with settings.connected(database, "owner") as connection:
        return made_up.generate(connection, lines, 50, members, seed)


def test_the_shop_is_consistent_and_as_large_as_asked(shop: Database, sql: Sql) -> None:
    before = sql(DEFINITIONS)
    made = generate(shop)
    assert (made.items, made.members) == (50, 200)
    assert 3000 <= made.lines < 3600
    assert sql("select count(*) from sales_line") == [(made.lines,)]
    assert sql("select count(*) from sales_transaction") == [(made.transactions,)]
    assert sql(WRONG_TOTALS) == []
    assert sql(WRONG_ITEM_SALES) == []
    assert sql(WRONG_MEMBER_SALES) == []
    assert sql(DEFINITIONS) == before


def test_sales_are_skewed_as_real_ones(shop: Database, sql: Sql) -> None:
    generate(shop, lines=20_000, members=500, chunk=200_000)
    share = (
        "select sum(n) filter (where place <= {tenth})::float / sum(n) from (select count(*) as n,"
        " row_number() over (order by count(*) desc) as place"
        " from sales_transaction join sales_line using (transaction_id)"
        " group by {by}) as x"
    )
    assert sql(share.format(tenth=5, by="item_id"))[0][0] > 0.3
    assert sql(share.format(tenth=50, by="member_id"))[0][0] > 0.3
    by_year = "select count(*) from sales_transaction group by extract(year from occurred_at) order by min(occurred_at)"
    years = [count for (count,) in sql(by_year)]
    assert years == sorted(years)


def test_life_goes_on_after_it(shop: Database, sql: Sql) -> None:
    generate(shop)
    sql("insert into item (manufacturer_id, name, cost, weight_kg) values (1, 'new', 1, 1)", role="sales")
    sql("insert into sales_transaction (member_id, occurred_at) values (1, now())", role="loader")


def test_the_same_seed_gives_the_same_shop(shop: Database, sql: Sql) -> None:
    generate(shop, seed=5)
    first = sql(DIGEST)
    sql("drop schema sales cascade; drop schema reporting cascade; drop table public.schema_migration", role="")
    with settings.connected(shop) as connection:
        migrate(connection, settings.MIGRATIONS)
    generate(shop, seed=5)
    assert sql(DIGEST) == first


def test_a_shop_with_sales_is_left_alone_and_a_failure_leaves_nothing(shop: Database, sql: Sql) -> None:
    with pytest.raises(DataError, match="nobody to sell to"):
        generate(shop, members=0)
    assert sql("select count(*) from item") == [(0,)]
    generate(shop, lines=10)
    with pytest.raises(DataError, match="has items or sales already"):
        generate(shop)
