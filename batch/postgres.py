"""Postgres: how it is reached, and what its errors mean to a person."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from batch.errors import BatchError, DataError, EngineError

if TYPE_CHECKING:
    import psycopg2
    from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

UNREACHABLE_AFTER = 10
"""Seconds after which a server that does not answer counts as unreachable."""


class Database(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A database in a YAML. An empty `host` or `user` leaves it to libpq: PGHOST and PGUSER, else the local socket.

    `host` may be a folder: that of a Unix socket. The password is read from a file of its own, so that neither the
    YAML nor the environment holds it; without one libpq looks at PGPASSFILE and ~/.pgpass.
    """

    database: Annotated[str, msgspec.Meta(min_length=1)]
    host: str = ""
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 5432
    user: str = ""
    password_file: str = ""

    @property
    def place(self) -> str:
        """What messages call it: `sales on 127.0.0.1:5432`."""
        return f"{self.database} on {self.host or 'the local socket'}" + ("" if "/" in self.host else f":{self.port}")


@contextmanager
def connect(database: Database, application: str, *, options: str = "") -> Iterator[Connection]:
    """A connection that is closed at the end; what was not committed by then is undone.

    `application` is the name that pg_stat_activity shows; `options` are server settings as libpq takes them
    (`-c statement_timeout=5s`). Inside, psycopg2's errors become a BatchError as `explained` has it. Raises EngineError
    when the server cannot be reached or refuses the user.
    """
    import psycopg2

    given: dict[str, Any] = {
        "dbname": database.database,
        "host": database.host,
        "port": database.port,
        "user": database.user,
        "password": _password(database),
        "application_name": application,
        "options": options,
        "connect_timeout": UNREACHABLE_AFTER,
    }
    try:
        connection = psycopg2.connect(**{name: value for name, value in given.items() if value})
    except psycopg2.OperationalError as error:
        raise EngineError(
            f"cannot connect: {_first_line(str(error))}",
            where=database.place,
            hint="Is the server running, and are the host, the port and the password right?",
        ) from error
    try:
        yield connection
    except psycopg2.Error as error:
        raise explained(error, database.place) from error
    finally:
        connection.close()


def _password(database: Database) -> str:
    if not database.password_file:
        return ""
    try:
        return Path(database.password_file).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise EngineError(
            f"cannot read the password: {error.strerror}",
            where=database.password_file,
            hint=f"It is for {database.place}.",
        ) from error


def explained(error: psycopg2.Error, where: str) -> BatchError:
    """The error in words: DataError where the server refused rows (SQLSTATE 21, 22, 23), else EngineError.

    Names the table, the column and the broken constraint, and says what the constraint is for where it has a comment.
    Never quotes a row: Postgres' detail line, which may hold somebody's data, is left out.
    """
    said = error.diag
    state = error.pgcode or ""
    rows_refused = state.startswith(("21", "22", "23"))
    what = said.message_primary or _first_line(str(error)) or type(error).__name__
    if state.startswith("22"):  # the message quotes the value: `invalid input syntax for type date: "..."`
        what = what.partition(': "')[0]
    place = ".".join(part for part in (said.schema_name, said.table_name, said.column_name) if part)
    at = _record(said.context or "") or place
    kind = DataError if rows_refused else EngineError
    return kind(what, where=f"{where}: {at}" if at else where, hint=said.message_hint or "")


def _record(context: str) -> str:
    """`line 3, column cases` of the context `COPY staged, line 3, column cases: "many"`."""
    first = _first_line(context)
    if not first.startswith("COPY "):
        return ""
    return first.partition(", ")[2].partition(":")[0]


def _first_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[0]
