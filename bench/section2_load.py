"""Measures section 2's bulk loads beside psql's \\copy and psycopg2's execute_values.

    python bench/section2_load.py --lines 1000000 --members 200000 --publish section2_load

The peers write into tables with the same columns, constraints and indexes, and are given the totals; they name no
wrong record and report nothing. With the `same rules` the tables also have section 2's triggers, which keep the totals
and both ledgers whoever writes, as the product's do. Every run gets a new database. Exits 1 when a target is missed.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

import psycopg2
from psycopg2.extras import execute_values
from report import table
from section2_measure import Times, arguments, execute, migrated, ratio, report, rounds, rows_of, server

from batch import postgres_server
from batch.postgres import Database
from section2 import members, sales, settings, shop

MEMBER_FILE = Path("runs") / "made" / "successful_application" / "applications.csv"
TRANSACTION = ["transaction_id", "member_id", "occurred_at", "status", "total_price", "total_weight_kg"]
LINE = ["transaction_id", "item_id", "quantity", "unit_price", "unit_weight_kg", "discount"]
EMPTIED = ("sales_transaction", "sales_line", "item_sales_ledger", "member_sales_ledger")
_numbers = count(1)


def fresh(postgres: Database, template: str) -> Database:
    """A copy of a database."""
    name = f"run_{next(_numbers)}"
    execute(postgres, f"create database {name} template {template}; checkpoint".replace("; ", ";\n"))
    return Database(database=name, host=postgres.host, user=postgres.user)


def timed(postgres: Database, template: str, load: Callable[[Database], object]) -> float:
    """Seconds that a load into a new database takes."""
    database = fresh(postgres, template)
    start = time.perf_counter()
    load(database)
    seconds = time.perf_counter() - start
    execute(postgres, f"drop database {database.database} with (force)")
    return seconds


def copy(database: Database, tables: dict[str, Path], columns: dict[str, list[str]]) -> None:
    """psql's \\copy of files with headers, in one transaction."""
    script = "".join(
        f"\\copy {name} ({', '.join(columns[name])}) from '{path}' with (format csv, header)\n"
        for name, path in tables.items()
    )
    psql = [str(postgres_server.programs() / "psql"), "-X", "-q", "-1", "-v", "ON_ERROR_STOP=1"]
    place = ["-h", database.host, "-U", database.user, "-d", database.database]
    subprocess.run([*psql, *place], input=script, text=True, check=True)


def insert(database: Database, tables: dict[str, Path], columns: dict[str, list[str]], page: int = 100) -> None:
    """psycopg2's execute_values of the same files, by default with its own default of 100 rows a statement."""
    import csv

    connection = psycopg2.connect(dbname=database.database, host=database.host, user=database.user)
    with connection, connection.cursor() as cursor:
        for name, path in tables.items():
            with path.open(newline="") as file:
                rows = csv.reader(file)
                next(rows)
                values = ([value or None for value in row] for row in rows)
                statement = f"insert into {name} ({', '.join(columns[name])}) values %s"
                execute_values(cursor, statement, values, page_size=page)
    connection.close()


def export(database: Database, select: str, path: Path) -> None:
    """A query's rows as CSV with a header."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with settings.connected(database) as connection, connection.cursor() as cursor, path.open("wb") as file:
        cursor.copy_expert(f"copy ({select}) to stdout with (format csv, header)", file)


def load_members(published: Path, database: Database, *, first: bool = False) -> None:
    """Section 2's load of members: the first one into an empty table, or any other."""
    with settings.connected(database, "owner" if first else "loader") as connection:
        members.load_members(connection, published, first=first)


def load_sales(folder: Path, database: Database, *, first: bool) -> None:
    """Section 2's load of sales: the first one into an empty shop, or any other."""
    with settings.connected(database, "owner" if first else "loader") as connection:
        sales.load_sales(connection, folder / "given_transactions.csv", folder / "given_lines.csv", first=first)


def reload(published: Path, database: Database) -> float:
    """Seconds to load the same members a second time, as another run."""
    load_members(published, database)
    again = published / "runs" / "again"
    os.rename(published / "runs" / "made", again)
    manifest = json.loads((again / "manifest.json").read_text())
    manifest["run"]["run_id"] = "again"
    (again / "manifest.json").write_text(json.dumps(manifest))
    try:
        before = execute(database, "select pg_current_wal_lsn(), sum(n_tup_ins + n_tup_upd) from pg_stat_user_tables")
        start = time.perf_counter()
        load_members(published, database)
        seconds = time.perf_counter() - start
        written = execute(database, "select inserted + updated from reporting.member_load where run_id = 'again'")
        assert written == [(0,)], (before, written)
        return seconds
    finally:
        manifest["run"]["run_id"] = "made"
        (again / "manifest.json").write_text(json.dumps(manifest))
        os.rename(again, published / "runs" / "made")


def main() -> int:
    """Measure, print, publish; 1 when a target is missed."""
    parser = arguments("measure section 2's loads")
    parser.add_argument("--members", type=int, default=200_000)
    args = parser.parse_args()
    with server() as (postgres, folder):
        empty = migrated(postgres, "empty")
        full = migrated(postgres, "filled")
        with settings.connected(full, "owner") as connection:
            made = shop.generate(connection, args.lines, 5000, args.members, 1)
        published = prepare(full, folder, args.members)
        execute(postgres, "create database stocked template filled")
        stocked = Database(database="stocked", host=postgres.host, user=postgres.user)
        for change in ("disable", "enable"):
            execute(stocked, ";\n".join(f"alter table sales.{name} {change} trigger user" for name in EMPTIED))
            if change == "disable":
                execute(stocked, "truncate " + ", ".join(f"sales.{name}" for name in EMPTIED))
                execute(postgres, "create database bare template stocked")

        member = {"sales.member": folder / "member.csv"}
        lines = {"sales.sales_transaction": folder / "transactions.csv", "sales.sales_line": folder / "lines.csv"}
        no_totals = {"sales.sales_transaction": folder / "no_totals.csv", "sales.sales_line": folder / "lines.csv"}
        columns = {"sales.member": members.MEMBER, "sales.sales_transaction": TRANSACTION, "sales.sales_line": LINE}
        short = columns | {"sales.sales_transaction": TRANSACTION[:4]}

        into_empty, into_bare, into_ruled = (
            partial(timed, postgres, name) for name in (empty.database, "bare", "stocked")
        )
        of_members = rounds({
            "product": lambda: into_empty(partial(load_members, published, first=True)),
            "product, at work": lambda: into_empty(partial(load_members, published)),
            "\\copy": lambda: into_empty(lambda one: copy(one, member, columns)),
            "execute_values": lambda: into_empty(lambda one: insert(one, member, columns)),
            "execute_values, pages of 1,000": lambda: into_empty(lambda one: insert(one, member, columns, 1000)),
            "product, unchanged": lambda: reloaded(postgres, empty.database, published),
        }, args.rounds)  # fmt: skip
        of_lines = rounds({
            "product": lambda: into_ruled(partial(load_sales, folder, first=True)),
            "\\copy": lambda: into_bare(lambda one: copy(one, lines, columns)),
            "execute_values": lambda: into_bare(lambda one: insert(one, lines, columns)),
            "execute_values, pages of 1,000": lambda: into_bare(lambda one: insert(one, lines, columns, 1000)),
            "product, at work": lambda: into_ruled(partial(load_sales, folder, first=False)),
            "\\copy, same rules": lambda: into_ruled(lambda one: copy(one, no_totals, short)),
        }, args.rounds)  # fmt: skip
    head = ["seconds (range)", "rows / s", "/ product"]
    texts = [
        table([f"{args.members:,} members", *head], rows_of(of_members, "product", args.members)),
        table(
            [f"{made.lines:,} lines of {made.transactions:,} transactions", *head],
            rows_of(of_lines, "product", made.lines),
        ),
    ]
    targets = [
        target("members", of_members, "\\copy", 0.8),
        target("members", of_members, "execute_values", 4),
        target("lines", of_lines, "\\copy", 0.8),
        target("lines", of_lines, "execute_values", 4),
        target("lines", of_lines, "\\copy, same rules", 0.8),
    ]
    slowest = max(of_members["product, unchanged"])
    sentence = f"an unchanged re-load of {args.members:,} members writes 0 rows in at most 1 s"
    targets.append((sentence, f"{slowest:.2f} s", slowest <= 1))
    return report(args, texts, targets)


def target(what: str, times: Times, peer: str, least: float) -> tuple[str, str, bool]:
    """How many times the peer's rows/s the product has."""
    reached = ratio(times, "product", peer)
    return (f"{what}: at least {least:g} times the rows/s of {peer}", f"{reached:.2f} times", reached >= least)


def reloaded(postgres: Database, template: str, published: Path) -> float:
    """Seconds of an unchanged re-load."""
    database = fresh(postgres, template)
    seconds = reload(published, database)
    execute(postgres, f"drop database {database.database} with (force)")
    return seconds


def prepare(full: Database, folder: Path, amount: int) -> Path:
    """The inputs of all contenders; returns the folder that looks as if section 1 had published it."""
    folder.joinpath("published").mkdir()
    published = folder / "published"
    columns = "first_name, last_name, to_char(date_of_birth, 'YYYYMMDD') as date_of_birth, mobile_no, email"
    export(full, f"select {columns}, 'true' as above_18, membership_id from sales.member", published / MEMBER_FILE)
    run = {"run_id": "made", "started": "2022-01-01", "previous": "", "counts": {"accepted": amount}}
    (published / "runs" / "made" / "manifest.json").write_text(json.dumps({"run": run}))
    os.symlink("runs/made", published / "current")
    export(full, f"select {', '.join(members.MEMBER)} from sales.member", folder / "member.csv")
    export(full, f"select {', '.join(TRANSACTION)} from sales.sales_transaction", folder / "transactions.csv")
    export(full, f"select {', '.join(TRANSACTION[:4])} from sales.sales_transaction", folder / "no_totals.csv")
    export(full, f"select {', '.join(LINE)} from sales.sales_line", folder / "lines.csv")
    sold = "select transaction_id, email, occurred_at, status from sales.sales_transaction"
    sold += " join sales.member using (member_id)"
    bought = "exists (select from sales.sales_line l where l.transaction_id = sales_transaction.transaction_id)"
    export(full, f"{sold} where {bought}", folder / "given_transactions.csv")
    export(full, f"select {', '.join(LINE)} from sales.sales_line", folder / "given_lines.csv")
    return published


if __name__ == "__main__":
    sys.exit(main())
