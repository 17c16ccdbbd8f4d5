"""Measures section 2's two questions beside the seed's schema and queries, and DuckDB on the same tables in Parquet.

    python bench/section2_query.py --lines 10000000 --publish section2_query

One server and the same sales for all, in rounds. The seed's form is written anew from its description: text keys, no
stored totals, no index but the primary keys, one status that counts. Here that status holds all the transactions that
count, so that both sum up the same rows; prices are today's there, so the sums differ. Exits 1 when a target is missed.
"""

import sys
from functools import partial
from pathlib import Path

import duckdb
from report import table
from section2_measure import arguments, execute, migrated, ratio, report, rounds, rows_of, server

from batch.postgres import Database
from section2 import query, settings, shop

SEED = """
create schema seed;
create table seed.item as
    select item_id::varchar(255) as item_id, name::varchar(255) as item_name, cost::real as price from sales.item;
create table seed.orders as
    select transaction_id::varchar(255) as order_id, member_id::varchar(255) as membership_id,
        case when counts_as_sale then 'paid' else 'new' end::varchar(255) as status
    from sales.sales_transaction join sales.transaction_status using (status);
create table seed.orders_item as
    select row_number() over ()::varchar(255) as order_item_id, transaction_id::varchar(255) as order_id,
        item_id::varchar(255) as item_id, quantity::integer as quantity,
        (100 * discount)::integer as item_level_discount
    from sales.sales_line;
alter table seed.item add primary key (item_id);
alter table seed.orders add primary key (order_id);
alter table seed.orders_item add primary key (order_item_id);
alter table seed.orders_item add foreign key (order_id) references seed.orders;
alter table seed.orders_item add foreign key (item_id) references seed.item;
vacuum (analyze) seed.item;
vacuum (analyze) seed.orders;
vacuum (analyze) seed.orders_item
"""
SEED_TOP10 = """
select * from (
    select spent.*, row_number() over (order by spending desc) as place
    from (
        select membership_id, sum(price * quantity) as spending
        from seed.orders join seed.orders_item using (order_id) join seed.item using (item_id)
        where status = 'paid' group by membership_id
    ) as spent
) as ranked where place <= 10
"""
SEED_TOP3 = """
select * from (
    select sold.*, row_number() over (order by units desc) as place
    from (
        select item_id, sum(quantity) as units
        from seed.orders_item join seed.orders using (order_id)
        where status = 'paid' group by item_id
    ) as sold
) as ranked where place <= 3
"""
DUCKDB_TOP10 = """
with spending as (
    select member_id, sum(total_price) as spent
    from '{folder}/sales_transaction.parquet' join '{folder}/transaction_status.parquet' using (status)
    where counts_as_sale group by member_id
),
ranked as (select *, rank() over (order by spent desc) as place from spending)
select place, label, member_id, spent
from ranked join '{folder}/member_label.parquet' using (member_id) where place <= 10 order by place
"""
DUCKDB_TOP3 = """
with sold as (
    select item_id, sum(quantity) as units, count(*) as transactions
    from '{folder}/sales_line.parquet'
    join '{folder}/sales_transaction.parquet' using (transaction_id)
    join '{folder}/transaction_status.parquet' using (status)
    where counts_as_sale group by item_id
),
ranked as (
    select *, rank() over (order by units desc) as by_units, rank() over (order by transactions desc) as by_transactions
    from sold
)
select ranked.*, name from ranked join '{folder}/item.parquet' using (item_id)
where by_units <= 3 or by_transactions <= 3
"""
TABLES = {
    "sales_transaction": {
        "transaction_id": "bigint",
        "member_id": "bigint",
        "status": "text",
        "total_price": "decimal(18, 2)",
    },
    "sales_line": {"transaction_id": "bigint", "item_id": "bigint", "quantity": "bigint"},
    "transaction_status": {"status": "text", "counts_as_sale": "boolean"},
    "member_label": {"member_id": "bigint", "label": "text"},
    "item": {"item_id": "bigint", "name": "text"},
}


def export(database: Database, folder: Path) -> None:
    """The columns that the questions need, as Parquet."""
    folder.mkdir()
    for name, columns in TABLES.items():
        plain = folder / f"{name}.csv"
        with (
            settings.connected(database, "owner") as connection,
            connection.cursor() as cursor,
            plain.open("wb") as file,
        ):
            cursor.copy_expert(
                f"copy (select {', '.join(columns)} from sales.{name}) to stdout with (format csv)", file
            )
        read = duckdb.read_csv(str(plain), header=False, columns=columns)
        read.write_parquet(str(folder / f"{name}.parquet"))
        plain.unlink()


def ask(database: Database, name: str) -> list[tuple[object, ...]]:
    """Section 2's question, with its connection."""
    with settings.connected(database, "owner") as connection:
        return query.ask(connection, query.find(name), {}).rows


def main() -> int:
    """Measure, print, publish; 1 when a target is missed."""
    args = arguments("measure section 2's questions").parse_args()
    with server() as (postgres, folder):
        database = migrated(postgres, "sales")
        with settings.connected(database, "owner") as connection:
            made = shop.generate(connection, args.lines, 5000, 200_000, 1)
        execute(database, SEED)
        export(database, folder / "parquet")
        texts, targets = [], []
        for name, seed, peer in (("top10", SEED_TOP10, DUCKDB_TOP10), ("top3", SEED_TOP3, DUCKDB_TOP3)):
            contenders = {
                "product": partial(ask, database, name),
                "the seed's schema and query": partial(execute, database, seed),
                "DuckDB on Parquet": lambda peer=peer: duckdb.sql(peer.format(folder=folder / "parquet")).fetchall(),
            }
            times = rounds(contenders, args.rounds)
            head = [f"{name}, {made.lines:,} lines", "seconds (range)", "/ product"]
            texts.append(table(head, rows_of(times, "product")))
            reached = ratio(times, "product", "the seed's schema and query")
            sentence = f"{name}: at least 5 times as fast as the seed's schema and query"
            targets.append((sentence, f"{reached:.1f} times", reached >= 5))
    return report(args, texts, targets)


if __name__ == "__main__":
    sys.exit(main())
