"""Sales from files: transactions and their lines, all of them or none.

    transactions.csv   transaction_id,email,occurred_at,status
    lines.csv          transaction_id,item_id,quantity,unit_price,unit_weight_kg,discount

A line without price or weight takes the item's of today; without a discount it has none.
"""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from batch.errors import DataError, InputError
from batch.postgres import explained
from batch.postgres_load import copy_csv
from section2 import bulk

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class
    from psycopg2.extensions import cursor as Cursor  # noqa: N812

NAMED = 5
"""That many wrong records are named; of the others only the number is told."""

_TRANSACTIONS = {"transaction_id": "bigint", "email": "text", "occurred_at": "timestamptz", "status": "text"}
_LINES = {
    "transaction_id": "bigint",
    "item_id": "bigint",
    "quantity": "bigint",
    "unit_price": "numeric",
    "unit_weight_kg": "numeric",
    "discount": "numeric",
}

# What the tables' own constraints would refuse without naming the record.
_WRONG_TRANSACTIONS = """
select line, transaction_id, case
    when transaction_id is null then 'no transaction_id'
    when count(*) over (partition by transaction_id) > 1 then 'transaction given twice'
    when exists (select from sales.sales_transaction as t where t.transaction_id = s.transaction_id)
        then 'transaction loaded before'
    when not exists (select from sales.member as m where lower(m.email) = lower(s.email)) then 'unknown member'
    when not exists (select from sales.transaction_status as k where k.status = s.status) then 'unknown status'
    when occurred_at is null or occurred_at not between '2000-01-01' and '2100-01-01' then 'no plausible time'
    when not exists (select from staged_lines as l where l.transaction_id = s.transaction_id) then 'no lines'
end as problem
from staged_transactions as s
"""
_WRONG_LINES = """
select line, transaction_id, case
    when not exists (select from staged_transactions as t where t.transaction_id = s.transaction_id)
        then 'unknown transaction'
    when count(*) over (partition by transaction_id, item_id) > 1 then 'item given twice'
    when not exists (select from sales.item as i where i.item_id = s.item_id) then 'unknown item'
    when quantity is null or quantity not between 1 and 1000000 then 'quantity is not from 1 to 1000000'
    when unit_price < 0 or unit_price >= 10000000000 or unit_price <> round(unit_price, 2)
        then 'unit_price is no amount in cents'
    when unit_weight_kg <= 0 or unit_weight_kg >= 1000000 or unit_weight_kg <> round(unit_weight_kg, 3)
        then 'unit_weight_kg is no weight in grams'
    when discount < 0 or discount >= 1 or discount <> round(discount, 4) then 'discount is not a fraction like 0.15'
end as problem
from staged_lines as s
"""
# One statement: the totals are checked when the lines are there too.
_INSERT = """
with priced as (
    select s.transaction_id, s.item_id, s.quantity, coalesce(s.unit_price, item.cost) as unit_price,
        coalesce(s.unit_weight_kg, item.weight_kg) as unit_weight_kg, coalesce(s.discount, 0) as discount
    from staged_lines as s join sales.item using (item_id)
),
totals as (
    select transaction_id, sum(round(quantity * unit_price * (1 - discount), 2)) as price,
        sum(quantity * unit_weight_kg) as weight_kg
    from priced group by transaction_id
),
transactions as (
    insert into sales.sales_transaction (transaction_id, member_id, occurred_at, status, total_price, total_weight_kg)
    select s.transaction_id, member.member_id, s.occurred_at, s.status, totals.price, totals.weight_kg
    from staged_transactions as s
    join sales.member on lower(member.email) = lower(s.email)
    join totals using (transaction_id)
    order by s.transaction_id
)
insert into sales.sales_line (transaction_id, item_id, quantity, unit_price, unit_weight_kg, discount)
select * from priced order by transaction_id, item_id
"""


def load_sales(connection: Connection, transactions: Path, lines: Path, *, first: bool = False) -> tuple[int, int]:
    """Load both files in one transaction; returns the numbers of transactions and lines.

    The `first` load into an empty shop is the fastest, and for the owner: it has the tables for itself (`bulk.py`).

    Raises InputError for a file that cannot be read, DataError for records that the database does not take: it names
    the file's line and the transaction, and nothing was loaded then.
    """
    with connection.cursor() as cursor:
        counts = (
            _stage(cursor, "staged_transactions", _TRANSACTIONS, transactions),
            _stage(cursor, "staged_lines", _LINES, lines),
        )
        cursor.execute("analyze staged_transactions; analyze staged_lines")
        _refuse(cursor, _WRONG_TRANSACTIONS, transactions)
        _refuse(cursor, _WRONG_LINES, lines)
        with bulk.loading(cursor) if first else nullcontext():
            cursor.execute(_INSERT)
    connection.commit()
    return counts


def _stage(cursor: Cursor, table: str, columns: dict[str, str], path: Path) -> int:
    import psycopg2

    typed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    start = "line bigint generated always as identity (start with 2)"  # the header is line 1
    cursor.execute(f"create temporary table {table} ({start}, {typed}) on commit drop")
    try:
        with path.open("rb") as file:
            return copy_csv(cursor, table, list(columns), file)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path)) from error
    except psycopg2.Error as error:
        raise explained(error, str(path)) from error


def _refuse(cursor: Cursor, judged: str, path: Path) -> None:
    cursor.execute(f"select * from ({judged}) as judged where problem is not null order by line")
    wrong = cursor.fetchall()
    if not wrong:
        return
    named = "; ".join(f"line {line}, transaction {number}: {problem}" for line, number, problem in wrong[:NAMED])
    more = f"; and {len(wrong) - NAMED:,} more" if len(wrong) > NAMED else ""
    raise DataError(named + more, where=str(path), hint="Nothing was loaded. Correct these records, then load again.")
