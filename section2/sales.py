"""Sales from files: transactions and their lines, all of them or none.

    transactions.csv   transaction_id,email,occurred_at,status
    lines.csv          transaction_id,item_id,quantity,unit_price,unit_weight_kg,discount

A line without price or weight takes the item's of today; without a discount it has none.
"""

from __future__ import annotations

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

# Told for each record once the tables have refused one. The header is line 1, and the staged rows are in the file's
# order.
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
from (select *, 1 + row_number() over (order by ctid) as line from staged_transactions) as s
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
from (select *, 1 + row_number() over (order by ctid) as line from staged_lines) as s
"""
_LINES_IN = """
insert into sales.sales_line (transaction_id, item_id, quantity, unit_price, unit_weight_kg, discount)
select s.transaction_id, s.item_id, s.quantity, coalesce(s.unit_price, item.cost),
    coalesce(s.unit_weight_kg, item.weight_kg), coalesce(s.discount, 0)
from staged_lines as s
join staged_transactions using (transaction_id)
join sales.item using (item_id)
order by s.transaction_id, s.item_id
"""
_TRANSACTIONS_IN = """
insert into sales.sales_transaction (transaction_id, member_id, occurred_at, status, total_price, total_weight_kg)
select s.transaction_id, member.member_id, s.occurred_at, s.status, totals.price, totals.weight_kg
from staged_transactions as s
join sales.member on lower(member.email) = lower(s.email)
join (
    select transaction_id, sum(price) as price, sum(weight_kg) as weight_kg from {lines} group by transaction_id
) as totals using (transaction_id)
order by s.transaction_id
"""
# Into an open shop in one statement: the triggers look at totals and keys when transactions and lines are both there.
_TOGETHER = f"""
with lines as ({_LINES_IN} returning transaction_id, price, weight_kg),
transactions as ({_TRANSACTIONS_IN.format(lines="lines")} returning 1)
select (select count(*) from transactions), (select count(*) from lines)
"""
# The shop's own numbers go on above those of the file.
_NUMBERS = """
select setval('sales.sales_transaction_transaction_id_seq', max(transaction_id))
from staged_transactions
having max(transaction_id) > (select last_value from sales.sales_transaction_transaction_id_seq)
"""


def load_sales(connection: Connection, transactions: Path, lines: Path, *, first: bool = False) -> tuple[int, int]:
    """Load both files in one transaction; returns the numbers of transactions and lines.

    The `first` load into an empty shop is the fastest, and for the owner: it has the tables for itself (`bulk.py`).

    Raises InputError for a file that cannot be read, DataError for records that the database does not take: it names
    the file's line and the transaction, and nothing was loaded then.
    """
    import psycopg2

    with connection.cursor() as cursor:
        staged = (
            _stage(cursor, "staged_transactions", _TRANSACTIONS, transactions),
            _stage(cursor, "staged_lines", _LINES, lines),
        )
        cursor.execute("set local default_statistics_target = 10; analyze staged_transactions; analyze staged_lines")
        cursor.execute("savepoint staged")
        refusal: Exception = DataError("the database did not take every record")
        try:
            written = _fill(cursor) if first else _add(cursor)
        except (psycopg2.IntegrityError, psycopg2.DataError) as error:
            written, refusal = (0, 0), error
        if written != staged:
            cursor.execute("rollback to staged")
            _refuse(cursor, _WRONG_TRANSACTIONS, transactions)
            _refuse(cursor, _WRONG_LINES, lines)
            raise refusal
    connection.commit()
    return staged


def _add(cursor: Cursor) -> tuple[int, int]:
    """Write what was staged into the shop as it is; returns the numbers of transactions and lines written."""
    cursor.execute(_TOGETHER)
    transactions, lines = cursor.fetchone() or (0, 0)
    cursor.execute(_NUMBERS)
    return transactions, lines


def _fill(cursor: Cursor) -> tuple[int, int]:
    """The same into an empty shop."""
    with bulk.loading(cursor):
        cursor.execute(_LINES_IN)
        lines = cursor.rowcount
        cursor.execute(_TRANSACTIONS_IN.format(lines="sales.sales_line"))
        return cursor.rowcount, lines


def _stage(cursor: Cursor, table: str, columns: dict[str, str], path: Path) -> int:
    import psycopg2

    typed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    cursor.execute(f"create temporary table {table} ({typed}) on commit drop")
    try:
        with path.open("rb") as file:
            return copy_csv(cursor, table, list(columns), file)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path)) from error
    except psycopg2.Error as error:
        raise explained(error, str(path)) from error


def _refuse(cursor: Cursor, judged: str, path: Path) -> None:
    cursor.execute(
        f"select line, transaction_id, problem, count(*) over () from ({judged}) as judged"
        f" where problem is not null order by line limit {NAMED}"
    )
    wrong = cursor.fetchall()
    if not wrong:
        return
    named = "; ".join(f"line {line}, transaction {number}: {problem}" for line, number, problem, _ in wrong)
    more = wrong[0][3] - len(wrong)
    raise DataError(
        named + (f"; and {more:,} more" if more else ""),
        where=str(path),
        hint="Nothing was loaded. Correct these records, then load again.",
    )
