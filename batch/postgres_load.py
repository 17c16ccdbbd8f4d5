"""Bulk loading: rows are copied into a staging table, then one statement writes those that are new or changed."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer as Buffer
    from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class

_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_CHUNK = 1 << 16  # characters that are encoded at a time


class Written(NamedTuple):
    """What an upsert did with the staged rows; the three numbers add up to the rows."""

    inserted: int
    updated: int
    unchanged: int


def stage(cursor: Cursor, name: str, like: str, columns: Sequence[str]) -> None:
    """Make the temporary table `name` with these columns of the table `like`: their types, none of their constraints.

    It goes with the end of the transaction.
    """
    chosen = ", ".join(map(quoted, columns))
    cursor.execute(f"create temporary table {quoted(name)} on commit drop as select {chosen} from {like} with no data")


def copy_csv(cursor: Cursor, table: str, columns: Sequence[str], file: BinaryIO) -> int:
    """COPY a CSV file with a header, whose columns must be these, in this order; returns the number of rows.

    An empty field is null, a quoted empty one is the empty text. Raises psycopg2's errors, which name the line.
    """
    options = "format csv, header match, encoding 'UTF8'"
    cursor.copy_expert(f"copy {table} ({', '.join(map(quoted, columns))}) from stdin with ({options})", file)
    return cursor.rowcount


def copy_rows(
    cursor: Cursor,
    table: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    progress: Callable[[int], object] | None = None,
) -> int:
    """COPY rows of values, each in the order of the columns; returns their number.

    None is null; any other value is written as `str` has it: dates, times with a zone, Decimals and numbers fit.
    `progress` gets the number of rows taken since it was last called (it fits `tqdm.update`). Memory use does not
    depend on the number of rows. Raises psycopg2's errors, which name the line.
    """
    cursor.copy_expert(
        f"copy {table} ({', '.join(map(quoted, columns))}) from stdin with (format text, encoding 'UTF8')",
        io.BufferedReader(_Text(rows, progress or (lambda count: None)), _CHUNK),
    )
    return cursor.rowcount


class _Text(io.RawIOBase):
    """Rows as a file in COPY's text format."""

    def __init__(self, rows: Iterable[Sequence[object]], progress: Callable[[int], object]) -> None:
        super().__init__()
        self._chunks = self._encoded(rows, progress)
        self._left = b""

    @staticmethod
    def _encoded(rows: Iterable[Sequence[object]], progress: Callable[[int], object]) -> Iterator[bytes]:
        lines: list[str] = []
        size = 0
        for row in rows:
            cells = ["\\N" if value is None else str(value).translate(_ESCAPES) for value in row]
            lines.append("\t".join(cells) + "\n")
            size += len(lines[-1])
            if size >= _CHUNK:
                yield "".join(lines).encode()
                progress(len(lines))
                lines, size = [], 0
        yield "".join(lines).encode()
        progress(len(lines))

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Buffer) -> int:
        """Fill the buffer as far as the next chunk goes; 0 at the end."""
        if not self._left:
            self._left = next(self._chunks, b"")
        into = memoryview(buffer).cast("B")
        size = min(len(into), len(self._left))
        into[:size], self._left = self._left[:size], self._left[size:]
        return size


def upsert(cursor: Cursor, source: str, target: str, key: Sequence[str], columns: Sequence[str]) -> Written:
    """Write the rows of `source` into `target`: insert new ones, update changed ones, leave all others alone.

    `key` are SQL expressions over the columns (`lower(email)`), the same as those of a unique index of the target; a
    key may stand in the source once (Postgres refuses the statement otherwise). A row whose columns all agree is not
    written, not even locked. Source and target are table names as SQL has them.
    """
    names = ", ".join(map(quoted, columns))
    cursor.execute(f"select exists (select from {target})")
    if cursor.fetchone() == (False,):  # nothing to compare with; a plain insert refuses a key given twice as well
        cursor.execute(f"insert into {target} ({names}) select {names} from {source}")
        return Written(cursor.rowcount, 0, 0)
    keys = ", ".join(f"{expression} as key{n}" for n, expression in enumerate(key))
    same_key = " and ".join(f"old.key{n} = new.key{n}" for n in range(len(key)))
    changed = [column for column in columns if column not in key]
    replaced = ", ".join(f"{quoted(column)} = excluded.{quoted(column)}" for column in changed)
    action = f"update set {replaced} where {_differ('t', 'excluded', changed)}" if changed else "nothing"
    cursor.execute(f"""
        with written as (
            insert into {target} as t ({names})
            select {", ".join(f"new.{quoted(column)}" for column in columns)}
            from (select {names}, {keys} from {source}) as new
            left join (select {names}, {keys}, true as found from {target}) as old on {same_key}
            where old.found is null or {_differ("old", "new", changed)}
            on conflict ({", ".join(f"({expression})" for expression in key)}) do {action}
            returning xmax = 0 as inserted
        )
        select count(*) filter (where inserted), count(*) filter (where not inserted), (select count(*) from {source})
        from written
    """)
    counts = cursor.fetchone()
    assert counts is not None  # an aggregate gives one row
    inserted, updated, given = counts
    return Written(inserted, updated, given - inserted - updated)


def _differ(one: str, other: str, columns: Sequence[str]) -> str:
    if not columns:
        return "false"
    ours, theirs = (", ".join(f"{table}.{quoted(column)}" for column in columns) for table in (one, other))
    return f"({ours}) is distinct from ({theirs})"


def quoted(name: str) -> str:
    """A name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'
