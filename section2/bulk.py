"""Filling empty tables: the constraints hold at the end, not at every row, and nobody sees the time between.

Everything happens in the caller's transaction, which holds the tables for itself: indexes, keys and foreign keys are
taken off and made again, which checks all rows at once; what the triggers would have kept in step is summed up once.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from batch.errors import DataError

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class
    from psycopg2.extensions import cursor as Cursor  # noqa: N812

SALES = ("sales.sales_transaction", "sales.sales_line")
LEDGERS = ("sales.item_sales_ledger", "sales.member_sales_ledger")

# Foreign keys first, also those that point here: a primary key goes only when none points to it. Made again in the
# opposite order.
_CONSTRAINTS = """
select
    format('alter table %%s drop constraint %%I', conrelid::regclass, conname),
    format('alter table %%s add constraint %%I %%s', conrelid::regclass, conname, pg_get_constraintdef(oid))
from pg_constraint
where contype in ('f', 'p') and (conrelid = any (%(tables)s::regclass[]) or confrelid = any (%(tables)s::regclass[]))
order by contype, conrelid, conname
"""
_INDEXES = """
select format('drop index %%s', indexrelid::regclass), pg_get_indexdef(indexrelid)
from pg_index
where indrelid = any (%(tables)s::regclass[]) and not indisprimary
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


@contextmanager
def unindexed(cursor: Cursor, tables: Sequence[str], what: str) -> Iterator[None]:
    """For a block that fills these empty tables: without indexes and keys, which are made again at the end.

    For the owner. Raises DataError where the first table has rows, which the message calls `what`; psycopg2's
    IntegrityError at the end of the block where the new rows break a key.
    """
    cursor.execute("set local maintenance_work_mem = '512MB'; set local work_mem = '128MB'")
    cursor.execute(f"lock table {', '.join(tables)} in access exclusive mode")
    cursor.execute(f"select exists (select from {tables[0]})")
    if cursor.fetchone() == (True,):
        raise DataError(f"there are {what} already", hint="The first load is for an empty shop.")
    taken_off: list[tuple[str, str]] = []
    for catalogue in (_CONSTRAINTS, _INDEXES):
        cursor.execute(catalogue, {"tables": list(tables)})
        taken_off += cursor.fetchall()
    for drop, _ in taken_off:
        cursor.execute(drop)
    yield
    for _, create in reversed(taken_off):
        cursor.execute(create)


@contextmanager
def loading(cursor: Cursor) -> Iterator[None]:
    """For a block that fills the empty sales tables with lines, and with transactions whose totals are those lines'.

    Raises as `unindexed` does.
    """
    with unindexed(cursor, [*SALES, *LEDGERS], "sales"):
        for table in SALES:
            cursor.execute(f"alter table {table} disable trigger user")
        yield
        cursor.execute("select sales.rebuild_ledgers()")
    for table in SALES:
        cursor.execute(f"alter table {table} enable trigger user")
    cursor.execute(
        "select setval(pg_get_serial_sequence('sales.sales_transaction', 'transaction_id'), max(transaction_id))"
        " from sales.sales_transaction"
    )


def check_totals(cursor: Cursor) -> None:
    """For a block that wrote totals of its own making. Raises DataError where one is not the sum of the lines."""
    cursor.execute(f"analyze {', '.join(SALES)}")  # without it the planner takes new tables for small
    cursor.execute(_WRONG_TOTALS)
    if (wrong := (cursor.fetchone() or (None,))[0]) is not None:
        raise DataError(f"transaction {wrong}: its totals are not the sums of its lines")


def settle(connection: Connection) -> None:
    """Let the server look at what was loaded, so that the first query is as fast as any."""
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("vacuum (analyze) sales.member, sales.item, sales.sales_transaction, sales.sales_line")
        cursor.execute("vacuum (analyze) sales.item_sales_ledger, sales.member_sales_ledger, sales.manufacturer")
    connection.autocommit = False
