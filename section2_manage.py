#!/usr/bin/env python3
"""Section 2, the sales database: its command line."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from batch.command_line import count, ended, leave, say

if TYPE_CHECKING:
    from batch.postgres import Database
    from section2.settings import Settings

ROOT = Path(__file__).resolve().parent
DESCRIPTION = """\
The sales database: its schema, its members from section 1, a made-up shop, and what
analysts ask. Without a command: run."""
EXIT_CODES = """\
exit codes:
  0 done (also: nothing new, members rejected)   1 a defect of this program; of roles: they differ
  2 usage or configuration   3 input   4 data that the database does not take   5 engine
  7 busy   130 interrupted"""
SHOWN_BY_RUN = ("top10_highest_spending_member", "top3_most_sold_item")


def parser() -> argparse.ArgumentParser:
    """The command line. Options of all commands may stand before or after the command."""
    shared = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    option = shared.add_argument
    option("--config", metavar="FILE", help="YAML: a path, or a name in section2/conf (section2_database.yaml)")
    option("--members", metavar="DIR", dest="published", help="where section 1 publishes, in place of the YAML's")

    main = argparse.ArgumentParser(
        prog="section2_manage.py",
        allow_abbrev=False,
        description=DESCRIPTION,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[shared],
    )
    commands = main.add_subparsers(dest="command", metavar="command", title="commands")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text, parents=[shared], allow_abbrev=False)

    whole = command("run", "migrate, load members, make a small shop once, print both answers (the default)")
    command("migrate", "apply the migrations that are new")
    taken = command("load-members", "take in every published run of section 1 that is not loaded yet")
    sold = command("load-sales", "load transactions and their lines from two CSV files, all or nothing")
    sold.add_argument("transactions", metavar="TRANSACTIONS.csv", help="transaction_id,email,occurred_at,status")
    sold.add_argument(
        "lines", metavar="LINES.csv", help="transaction_id,item_id,quantity,unit_price,unit_weight_kg,discount"
    )
    for into in (taken, sold):
        into.add_argument(
            "--first", action="store_true", help="the first load into an empty shop: faster, as the owner"
        )
    made = command("generate", "fill an empty shop with made-up items, members and sales")
    made.add_argument("--lines", type=count, default=20_000, help="about so many lines of transactions (20000)")
    made.add_argument("--items", type=count, default=200, help="so many items (200)")
    made.add_argument("--add-members", type=count, default=0, metavar="N", help="made-up members up to N in all (0)")
    made.add_argument("--seed", type=count, default=1, help="the same seed gives the same shop (1)")
    asked = command("query", "ask one of the questions in section2/conf; without a name: list them")
    asked.add_argument("name", nargs="?", default="", help="basket_size, or the beginning: top10")
    asked.add_argument("--set", action="append", default=[], metavar="K=V", help="a parameter of the question")
    for asking in (whole, asked):
        asking.add_argument("--role", default="owner", help="the role that asks; others see no names (owner)")
    asked.add_argument("--format", choices=("table", "csv", "json"), help="default: table on a terminal, csv in a pipe")
    command("roles", "who may do what; exit code 1 where the database differs from section2/conf/section2_roles.csv")
    drawn = command("erd", "draw the live schema: section2_entity_diagram.png and the README's Mermaid")
    drawn.add_argument("--check", action="store_true", help="write nothing; exit code 1 when they are out of date")
    return main


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code. Failures are one message on standard error, never a traceback."""
    options = parser().parse_args(sys.argv[1:] if arguments is None else arguments)
    os.umask(0o027)
    told = "interrupted; what was not finished was undone"
    return ended("section2", lambda: _command(options), interrupted=told)


def _command(options: argparse.Namespace) -> int:
    import msgspec

    from section2 import settings

    given = vars(options)
    chosen = settings.load(given.get("config", "section2_database.yaml"))
    if "published" in given:
        chosen = msgspec.structs.replace(chosen, members=str(Path(given["published"]).absolute()))
    if options.command == "query" and not options.name:
        return _list_questions()
    with settings.serving(chosen) as database:
        match options.command:
            case "migrate":
                _migrate(database)
            case "load-members":
                _load_members(database, chosen.published, first=options.first)
            case "load-sales":
                _load_sales(database, options)
            case "generate":
                _generate(database, options.lines, options.items, options.add_members, options.seed)
            case "query":
                return _query(database, options)
            case "roles":
                return _roles(database)
            case "erd":
                return _erd(database, check=options.check)
            case _:
                _run(database, chosen, given.get("role", "owner"))
    return 0


def _run(database: Database, chosen: Settings, role: str) -> None:
    """Everything once, from nothing; a second time it changes nothing."""
    from section2 import query, settings

    _migrate(database)
    _load_members(database, chosen.first_members, first=False)
    with settings.connected(database, "owner") as connection, connection.cursor() as cursor:
        cursor.execute("select exists (select from sales.sales_transaction)")
        filled = cursor.fetchone() == (True,)
    if not filled:
        _generate(database, lines=20_000, items=200, members=0, seed=1)
    for name in SHOWN_BY_RUN:
        with settings.connected(database, _known(role)) as connection:
            say(f"\n{name}\n{query.as_table(query.ask(connection, query.find(name), {}))}")


def _known(role: str) -> str:
    from batch import config
    from batch.errors import ConfigError
    from section2 import settings

    if role not in settings.ROLES:
        raise ConfigError(f"there is no role `{role}`", where="--role", hint=config.suggest(role, settings.ROLES))
    return role


def _migrate(database: Database) -> None:
    from batch.postgres_migrations import migrate
    from section2 import settings

    with settings.connected(database) as connection:
        applied = migrate(connection, settings.MIGRATIONS)
    say(f"migrated: {', '.join(applied)}" if applied else "migrated: nothing new")


def _load_members(database: Database, folder: Path, *, first: bool) -> None:
    from section2 import members, settings

    with settings.connected(database, "owner" if first else "loader") as connection:
        loaded = members.load_members(connection, folder, first=first)
    say("\n".join(run.line() for run in loaded) or "members: no new run")


def _load_sales(database: Database, options: argparse.Namespace) -> None:
    from section2 import bulk, sales, settings

    files = Path(options.transactions), Path(options.lines)
    with settings.connected(database, "owner" if options.first else "loader") as connection:
        transactions, lines = sales.load_sales(connection, *files, first=options.first)
        if options.first:
            bulk.settle(connection)
    say(f"loaded {transactions:,} transactions with {lines:,} lines")


def _generate(database: Database, lines: int, items: int, members: int, seed: int) -> None:
    from batch.progress import progress
    from section2 import settings, shop

    with settings.connected(database, "owner") as connection, progress("generate", lines, unit=" lines") as bar:
        made = shop.generate(connection, lines, items, members, seed, bar.update)
    say(
        f"made {made.items:,} items of {made.manufacturers:,} manufacturers, {made.members:,} members, "
        f"{made.transactions:,} transactions with {made.lines:,} lines"
    )


def _list_questions() -> int:
    from section2 import query

    for name, path in query.questions().items():
        say(f"{name:<34}{path.read_text(encoding='utf-8').splitlines()[0].removeprefix('-- ')}")
    return 0


def _query(database: Database, options: argparse.Namespace) -> int:
    from batch.errors import ConfigError
    from section2 import query, settings

    pairs = [pair.partition("=") for pair in options.set]
    if wrong := [key for key, equals, _ in pairs if not equals]:
        raise ConfigError(f"`{wrong[0]}` is not of the form key=value", where="--set")
    with settings.connected(database, _known(options.role)) as connection:
        answer = query.ask(connection, query.find(options.name), {key: value for key, _, value in pairs})
    shown = options.format or ("table" if sys.stdout.isatty() else "csv")
    say({"table": query.as_table, "csv": query.as_csv, "json": query.as_json}[shown](answer))
    return 0


def _roles(database: Database) -> int:
    from section2 import roles, settings

    with settings.connected(database) as connection:
        differences = roles.differences(connection)
    say(roles.markdown(roles.committed()))
    for line in differences:
        print(f"section2: {line}", file=sys.stderr)
    return 1 if differences else 0


def _erd(database: Database, *, check: bool) -> int:
    from section2 import diagram

    stale = diagram.check(database) if check else diagram.draw(database)
    for line in stale:
        say(line)
    return 1 if check and stale else 0


if __name__ == "__main__":
    leave(main)
