"""Numbered SQL files, each applied once, in order, in a transaction of its own.

    migrations/0001_members.sql, 0002_items.sql, ...

The table `public.schema_migration` of the database says which were applied, and with which content (SHA-256).
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from batch.errors import ConfigError

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

LOCK = 5_854_100_001
"""The advisory lock that keeps two migrations of one database apart."""
LOCK_TIMEOUT = "10s"
"""A migration that waits longer for a table that somebody uses is undone: whoever queues behind it would wait too."""
NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")

_TABLE = """\
create table if not exists public.schema_migration (
    number integer primary key,
    name text not null,
    sha256 text not null,
    applied_at timestamptz not null default now()
);
comment on table public.schema_migration is 'Migrations that were applied to this database';
comment on column public.schema_migration.number is 'Number at the start of the file''s name';
comment on column public.schema_migration.name is 'File name';
comment on column public.schema_migration.sha256 is 'SHA-256 of the file as it was applied, in hex';
comment on column public.schema_migration.applied_at is 'When its transaction began';
revoke all on public.schema_migration from public;
"""


class Migration(NamedTuple):
    """One file: its number, its path, its text and the SHA-256 of its bytes."""

    number: int
    path: Path
    sql: str
    sha256: str


def read(folder: Path) -> list[Migration]:
    """The folder's migrations in order. Raises ConfigError for a file that is not named `0001_what_it_does.sql`, and
    for numbers that are not 1, 2, 3, ..."""
    found = []
    for path in sorted(folder.glob("*.sql")):
        named = NAME.fullmatch(path.name)
        if not named:
            raise ConfigError("a migration is named like 0001_what_it_does.sql", where=str(path))
        data = path.read_bytes()
        found.append(Migration(int(named[1]), path, data.decode(), hashlib.sha256(data).hexdigest()))
        if found[-1].number != len(found):
            raise ConfigError(
                f"number {len(found):04} was to come here; migrations are numbered without gaps", where=str(path)
            )
    if not found:
        raise ConfigError("there are no migrations", where=str(folder))
    return found


def migrate(connection: Connection, folder: Path) -> list[str]:
    """Apply what is new; returns the names of the files that were applied, none when there was nothing to do.

    Each file is one transaction, so it may not hold `begin`, `commit` or statements that refuse to run in one. What
    fails changes nothing and what came before it stays. Two migrations at a time wait for each other. Raises
    ConfigError when an applied file has changed since or is gone, psycopg2's errors when a statement fails.
    """
    migrations = read(folder)
    connection.rollback()
    with connection.cursor() as cursor:
        cursor.execute("select pg_advisory_lock(%s)", [LOCK])  # of the session: it outlasts the transactions below
        try:
            cursor.execute("set local client_min_messages = warning; " + _TABLE)
            cursor.execute("select number, name, sha256 from public.schema_migration order by number")
            applied = cursor.fetchall()
            connection.commit()
            _check(applied, migrations, folder)
            new = migrations[len(applied) :]
            for migration in new:
                cursor.execute(f"set local lock_timeout = '{LOCK_TIMEOUT}'")
                cursor.execute(migration.sql)
                cursor.execute(  # a migration may have taken another role
                    "reset role; insert into public.schema_migration (number, name, sha256) values (%s, %s, %s)",
                    [migration.number, migration.path.name, migration.sha256],
                )
                connection.commit()
        finally:
            connection.rollback()
            cursor.execute("select pg_advisory_unlock(%s)", [LOCK])
            connection.commit()
    return [migration.path.name for migration in new]


def _check(applied: list[tuple[int, str, str]], migrations: list[Migration], folder: Path) -> None:
    """What was applied must be the beginning of what is there, unchanged."""
    for number, name, sha256 in applied:
        here = migrations[number - 1] if number <= len(migrations) else None
        if here is None:
            raise ConfigError(
                f"the database has migration {name}, which is not here",
                where=str(folder),
                hint="It is newer than this checkout: update the checkout.",
            )
        if here.sha256 != sha256:
            raise ConfigError(
                "this migration was applied and has changed since",
                where=str(here.path),
                hint="Restore it (git checkout) and put the change into a new file with the next number.",
            )
