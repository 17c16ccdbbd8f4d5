"""Filling empty sales tables: the constraints hold at the end, not at every row, and nobody sees the time between.

Everything happens in the caller's transaction, which holds the tables for itself: indexes and foreign keys are taken
off and made again, which checks all rows at once, and what the triggers would have kept in step is checked and summed
up once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from batch.errors import DataError

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class
    from psycopg2.extensions import cursor as Cursor  # noqa: N812

TABLES = ("sales.sales_transaction", "sales.sales_line")
_ARRAY = "{" + ",".join(TABLES) + "}"

# Foreign keys first: a primary key goes only when none points to it. Made again in the opposite order.
_CONSTRAINTS = f"""
select
    format('alter table %s drop constraint %I', conrelid::regclass, conname),
    format('alter table %s add constraint %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
from pg_constraint
where conrelid = any ('{_ARRAY}'::regclass[]) and contype in ('f', 'p')
order by contype, conrelid
"""
_INDEXES = f"""
select format('drop index %s', indexrelid::regclass), pg_get_indexdef(indexrelid)
from pg_index
where indrelid = any ('{_ARRAY}'::regclass[]) and not indisprimary
"""
# Not `limit 1`: the planner would bet on an early hit, and there is none where all is well.
_WRONG_TOTALS = """
select min(transaction_id)
from sales.sales_transaction as t
left join (
    select transaction_id, sum(price) as price, sum(weight_kg) as weight_kg
    from sales.sales_line
    group by transaction_id
) as line using (transaction_id)
where t.total_price <> coalesce(line.price, 0) or t.total_weight_kg <> coalesce(line.weight_kg, 0)
"""
_ITEM_SALES = """
insert into sales.item_sales_ledger (month, item_id, units, transactions, revenue)
select sales.month_of(t.occurred_at), line.item_id, sum(line.quantity), count(*), sum(line.price)
from sales.counted_transaction as t
join sales.sales_line as line using (transaction_id)
group by 1, 2
order by 1, 2
"""


@contextmanager
def loading(cursor: Cursor) -> Iterator[None]:
    """For a block that fills the empty sales tables, totals included.

    Raises DataError where they are not empty, or where a total is wrong.
    """
    cursor.execute("set local maintenance_work_mem = '512MB'; set local work_mem = '256MB'")
    taken_off: list[tuple[str, str]] = []
    cursor.execute(f"lock table {', '.join(TABLES)} in access exclusive mode")
    cursor.execute("select exists (select from sales.sales_transaction)")
    if cursor.fetchone() == (True,):
        raise DataError("the shop has sales already", hint="The first load is for an empty shop.")
    for catalogue in (_CONSTRAINTS, _INDEXES):
        cursor.execute(catalogue)
        taken_off += cursor.fetchall()
    for drop, _ in taken_off:
        cursor.execute(drop)
    for table in TABLES:
        cursor.execute(f"alter table {table} disable trigger user")
    yield
    cursor.execute(f"analyze {', '.join(TABLES)}")  # without it the planner takes these tables for small
    cursor.execute(_WRONG_TOTALS)
    if (wrong := (cursor.fetchone() or (None,))[0]) is not None:
        raise DataError(f"transaction {wrong}: its totals are not the sums of its lines")
    cursor.execute(_ITEM_SALES)
    for _, create in reversed(taken_off):
        cursor.execute(create)
    for table in TABLES:
        cursor.execute(f"alter table {table} enable trigger user")
    cursor.execute(
        "select setval(pg_get_serial_sequence('sales.sales_transaction', 'transaction_id'), max(transaction_id))"
        " from sales.sales_transaction"
    )


def settle(connection: Connection) -> None:
    """Let the server look at what was loaded, so that the first query is as fast as any."""
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("vacuum (analyze) sales.member, sales.item, sales.sales_transaction, sales.sales_line")
        cursor.execute("vacuum (analyze) sales.item_sales_ledger, sales.manufacturer")
    connection.autocommit = False
