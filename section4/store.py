"""What Postgres holds of the figures, and how it changes: all of an ingest, or nothing."""

from __future__ import annotations

import functools
import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import msgspec

from batch.errors import BusyError
from batch.postgres_load import Written, copy_csv, stage, upsert
from section4.countries import Country
from section4.fetch import Validators

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class
    from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class

LOCK = 5_854_400_001
"""The advisory lock that keeps two loads of one database apart."""
COLUMNS = ("country_code", "day", "total", "complete")

CaseRow = tuple[str, date, int, bool]
"""Country code, day, total, whether the day is complete."""


class Held(NamedTuple):
    """What the database holds of a country: its last complete day, and the load that the figures come from."""

    last_complete: date | None
    source: str
    kind: str
    address: str
    validators: Validators


class Outcome(NamedTuple):
    """What a load did with the rows it was given; `revised` are the updated ones that were complete before."""

    written: Written
    held_back: int
    revised: int


class Ingest(msgspec.Struct, kw_only=True):
    """One row of covid.ingest; the fields are its columns."""

    country_code: str
    source: str
    kind: str
    address: str
    status: str
    seconds: float
    period_seconds: int
    asked_from: date | None = None
    first_day: date | None = None
    last_day: date | None = None
    received: int = 0
    inserted: int = 0
    updated: int = 0
    unchanged: int = 0
    revised: int = 0
    held_back: int = 0
    duplicates: int = 0
    etag: str = ""
    last_modified: str = ""
    message: str = ""


@contextmanager
def alone(connection: Connection) -> Iterator[None]:
    """Be the only load of this database as long as the block runs. Raises BusyError when there is another."""
    with connection.cursor() as cursor:
        cursor.execute("select pg_try_advisory_lock(%s)", [LOCK])  # of the session: it outlasts transactions
        if cursor.fetchone() != (True,):
            raise BusyError("another load is going on", hint="Nothing was changed. Try again when it has ended.")
        try:
            yield
        finally:
            if not connection.closed:  # with the session, the lock has gone too
                connection.rollback()
                cursor.execute("select pg_advisory_unlock(%s)", [LOCK])
                connection.commit()


def follow(cursor: Cursor, countries: Iterable[Country]) -> None:
    """Make the countries known, and mark them, and no others, as those that are followed."""
    for country in countries:
        cursor.execute(
            "insert into covid.country (country_code, name) values (%s, %s) on conflict do nothing",
            [country.code, country.name],
        )
    codes = [country.code for country in countries]
    cursor.execute(
        "update covid.country set followed = not followed where followed <> (country_code = any(%s))", [codes]
    )


def held(cursor: Cursor, country: Country) -> Held | None:
    """What is there of a country; None where there is nothing."""
    cursor.execute(
        """
        select (select max(day) from covid.cases where cases.country_code = ingest.country_code and complete),
            source, kind, address, etag, last_modified
        from covid.ingest
        where country_code = %s and status = 'loaded'
        order by ingest_id desc
        limit 1
        """,
        [country.code],
    )
    row = cursor.fetchone()
    return Held(row[0], row[1], row[2], row[3], Validators(row[4], row[5])) if row else None


def clear(cursor: Cursor, country: Country) -> int:
    """Remove a country's figures, for those of another source to take their place; returns how many there were."""
    cursor.execute("delete from covid.cases where country_code = %s", [country.code])
    return cursor.rowcount


def write(cursor: Cursor, rows: Iterable[CaseRow]) -> Outcome:
    """Write totals of any countries; rows that are the same as before are not touched. Each key may be given once.

    An incomplete day never replaces a complete one. A complete day whose total changes leaves a revision.
    """
    cursor.execute("set local work_mem = '64MB'")  # a join of all countries stays in memory
    stage(cursor, "staged", "covid.cases", COLUMNS)
    copy_csv(cursor, "staged", COLUMNS, _csv(rows))
    cursor.execute("""
        delete from staged using covid.cases
        where not staged.complete and cases.complete
            and (cases.country_code, cases.day) = (staged.country_code, staged.day)
    """)
    held_back = cursor.rowcount
    written = upsert(cursor, "staged", "covid.cases", ["country_code", "day"], COLUMNS)
    cursor.execute("drop table staged")
    if not written.updated:
        return Outcome(written, held_back, 0)
    cursor.execute("select count(*) from covid.revision where revised_at = now()")  # now() is the transaction's
    return Outcome(written, held_back, _number(cursor.fetchone()))


def _csv(rows: Iterable[CaseRow]) -> BinaryIO:
    """The rows as a file with a header; nothing in them needs quotes."""
    iso = functools.cache(date.isoformat)  # each day comes with every country
    lines = [f"{code},{iso(day)},{total},{'t' if complete else 'f'}" for code, day, total, complete in rows]
    return io.BytesIO("\n".join([",".join(COLUMNS), *lines, ""]).encode())


def record(cursor: Cursor, ingest: Ingest) -> None:
    """Keep what an ingest did."""
    columns = msgspec.structs.asdict(ingest)
    cursor.execute(
        f"insert into covid.ingest ({', '.join(columns)}) values ({', '.join(['%s'] * len(columns))})",
        list(columns.values()),
    )


def _number(row: tuple[Any, ...] | None) -> int:
    assert row is not None  # a count is a row
    return int(row[0])
