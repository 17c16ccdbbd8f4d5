"""From section 1's published runs to members: each run once, whole or not at all.

Section 1 publishes folders `runs/<run_id>` with `manifest.json` and `successful_application/applications.csv`; the link
`current` leads to the newest one.
"""

from __future__ import annotations

import os
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from batch.errors import BusyError, DataError, InputError
from batch.logs import log
from batch.postgres import explained
from batch.postgres_load import Written, copy_csv, upsert
from section2 import bulk

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class
    from psycopg2.extensions import cursor as Cursor  # noqa: N812

FILE = Path("successful_application") / "applications.csv"
PUBLISHED = ["first_name", "last_name", "date_of_birth", "mobile_no", "email", "above_18", "membership_id"]
MEMBER = [column for column in PUBLISHED if column != "above_18"]
NAMED_REJECTIONS = 10
LOCK = 5_854_100_002
"""The advisory lock that keeps two loads apart."""

_TYPED = """
(
    select coalesce(first_name, '') as first_name, last_name,
        case when length(date_of_birth) = 8 and date_of_birth !~ '[^0-9]' then date_of_birth::date end as date_of_birth,
        mobile_no, email, membership_id
    from {source} as given
    where above_18 = 'true'
) as typed
"""
# What the table `member` refuses, told for each row. `pg_input_is_valid` also refuses 20210230.
_JUDGED = """
create temporary table judged on commit drop as
select staged.*, case
    when email is null or email !~ '^[^@\\s]+@[^@\\s]+[.][^@\\s.]+$' then 'email'
    when row_number() over (partition by lower(email) order by record_number) > 1 then 'email_given_twice'
    when last_name is null or last_name !~ '\\S' then 'last_name'
    when mobile_no is null or mobile_no !~ '^[0-9]{8}$' then 'mobile_no'
    when membership_id is null or membership_id !~ '_[0-9a-f]{5}$' then 'membership_id'
    when above_18 is distinct from 'true' then 'above_18'
    when date_of_birth is null or date_of_birth !~ '^(19|20)[0-9]{6}$'
        or not pg_input_is_valid(date_of_birth, 'date') then 'date_of_birth'
end as reason
from (select *, row_number() over (order by ctid) as record_number from staged) as staged  -- in the file's order
"""


class Run(msgspec.Struct):
    """What section 1 says of a run; it says more, which is not needed here."""

    run_id: str
    started: str
    previous: str = ""
    counts: dict[str, int] = {}


class Manifest(msgspec.Struct):
    """A run's `manifest.json`."""

    run: Run


class Loaded(msgspec.Struct):
    """What became of the successes of one run; `rejected` are record numbers and reasons."""

    run_id: str
    written: Written
    rejected: list[tuple[int, str]]

    def line(self) -> str:
        """One sentence for people, without personal data."""
        new, changed, same = self.written
        text = f"run {self.run_id}: {new:,} new members, {changed:,} changed, {same:,} unchanged"
        if not self.rejected:
            return text
        shown = ", ".join(f"record {number} ({reason})" for number, reason in self.rejected[:NAMED_REJECTIONS])
        more = len(self.rejected) - NAMED_REJECTIONS
        return f"{text}, {len(self.rejected):,} rejected: {shown}" + (f" and {more:,} more" if more > 0 else "")


def published(folder: Path) -> list[Run]:
    """The published runs in the order in which they started. Raises InputError when there is none, or one is damaged.

    A run whose publishing was interrupted stands in the folder too, and no reader has seen it: it would follow the
    current one. Section 1's next run removes it.
    """
    if not (folder / "current").is_symlink():
        raise InputError(
            "section 1 has published nothing here", where=str(folder), hint="Let it: sh section1_runner.sh run"
        )
    current = Path(os.readlink(folder / "current")).name
    runs = []
    for path in folder.glob("runs/*/manifest.json"):
        try:
            run = msgspec.json.decode(path.read_bytes(), type=Manifest).run
        except FileNotFoundError:  # section 1 removes old runs at any time
            continue
        except (OSError, msgspec.DecodeError) as error:
            raise InputError(f"the manifest cannot be read: {error}", where=str(path)) from error
        if run.run_id != path.parent.name:
            hint = "Is the folder a copy? Move it out of `runs`."
            raise InputError(f"this is the manifest of run {run.run_id}", where=str(path), hint=hint)
        if run.run_id == current or run.previous != current:
            runs.append(run)
    return sorted(runs, key=lambda run: (run.run_id == current, run.started, run.run_id))


def load_members(connection: Connection, folder: Path, *, first: bool = False) -> list[Loaded]:
    """Load every published run that is not loaded yet, each in a transaction of its own; returns what was done.

    The `first` load into an empty table is the fastest, and for the owner: its first run has the table for itself
    (`bulk.py`).

    Raises DataError for a file that is not what section 1 publishes; that run and those after it are not loaded then.
    """
    with connection.cursor() as cursor:
        cursor.execute("select pg_try_advisory_lock(%s)", [LOCK])  # of the session: it goes with the connection
        if cursor.fetchone() != (True,):
            raise BusyError("another load of members is going on", hint="It is safe to try again when it has ended.")
        cursor.execute("select run_id from reporting.member_load")
        known = {run_id for (run_id,) in cursor.fetchall()}
        connection.commit()
        done: list[Loaded] = []
        for run in published(folder):
            if run.run_id in known:
                continue
            done.append(_load(cursor, run, folder / "runs" / run.run_id / FILE, first=first and not done))
            connection.commit()
            log.info(done[-1].line())
    return done


def _load(cursor: Cursor, run: Run, path: Path, *, first: bool) -> Loaded:
    staged = ", ".join(f"{column} text" for column in PUBLISHED)
    cursor.execute(f"create temporary table staged ({staged}) on commit drop")
    rows = _copy(cursor, path)
    successful = run.counts.get("accepted", rows)
    if rows != successful:
        raise DataError(f"the manifest says {successful:,} successes and the file has {rows:,}", where=str(path))
    written, rejected = _write(cursor, rows, first=first)
    loaded = Loaded(run.run_id, written, rejected)
    counts = [rows, run.counts.get("rejected", 0), *loaded.written, len(rejected)]
    cursor.execute(
        "insert into reporting.member_load"
        " (run_id, records, successful, unsuccessful, inserted, updated, unchanged, rejected)"
        " values (%s, %s, %s, %s, %s, %s, %s, %s)",
        [run.run_id, run.counts.get("records", rows), *counts],
    )
    if rejected:
        cursor.execute(
            "insert into sales.member_rejection (run_id, record_number, reason)"
            " select %s, record_number, reason from judged where reason is not null",
            [run.run_id],
        )
    return loaded


def _write(cursor: Cursor, rows: int, *, first: bool) -> tuple[Written, list[tuple[int, str]]]:
    """Write the `rows` that were staged and say what the table refused.

    As a rule all is well, and the table itself says so. Only where it refuses something is every row judged, and those
    without fault are written.
    """
    import psycopg2

    cursor.execute("savepoint staged")
    try:
        written = _upsert(cursor, "staged", first=first)
        if sum(written) == rows:
            return written, []
    except (psycopg2.IntegrityError, psycopg2.DataError, psycopg2.ProgrammingError) as error:
        if error.pgcode is None or not error.pgcode.startswith(("21", "22", "23")):
            raise
    cursor.execute("rollback to staged")
    cursor.execute(_JUDGED)
    cursor.execute("select record_number, reason from judged where reason is not null order by record_number")
    rejected: list[Any] = cursor.fetchall()
    return _upsert(cursor, "(select * from judged where reason is null)", first=first), rejected


def _upsert(cursor: Cursor, source: str, *, first: bool) -> Written:
    with bulk.unindexed(cursor, ["sales.member"], "members") if first else nullcontext():
        return upsert(cursor, _TYPED.format(source=source), "sales.member", ["lower(email)"], MEMBER)


def _copy(cursor: Cursor, path: Path) -> int:
    import psycopg2

    try:
        with path.open("rb") as file:
            return copy_csv(cursor, "staged", PUBLISHED, file)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path)) from error
    except psycopg2.Error as error:
        raise explained(error, str(path)) from error
