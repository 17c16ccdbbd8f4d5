"""The run ledger: which runs there were, what each did, and which contents have been processed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec

from batch.errors import PublishError

SCHEMA = """
create table if not exists run (
    run_id text primary key,   -- the order of runs is that of the rows: a clock may go backwards
    kind text not null,        -- run, replay, backfill
    status text not null,      -- published, nothing_new, failed
    document text not null     -- the whole Run as JSON
) strict;
create table if not exists content (
    sha256 text primary key,   -- a file is its content
    name text not null,        -- the name it had when it was processed
    run_id text not null references run
) strict;
create index if not exists content_name on content (name);
create table if not exists replayed (
    run_id text not null references run, -- the run in which the row was rejected
    source_file text not null,
    record_number integer not null,
    primary key (run_id, source_file, record_number)
) strict, without rowid;
"""


Origin = tuple[str, str, int]  # run_id, source_file and record_number of a row that was rejected at first


class Content(msgspec.Struct, frozen=True):
    """One processed input: its SHA-256 and the name that it came under."""

    sha256: str
    name: str


class Run(msgspec.Struct, kw_only=True):
    """What one run did. `counts` and `reasons` are numbers by name; times are UTC, ISO 8601."""

    run_id: str
    kind: Literal["run", "replay", "backfill"] = "run"
    status: Literal["published", "nothing_new", "failed"]
    started: str
    seconds: float
    engine: str = ""
    parents: list[str] = []
    previous: str = ""
    message: str = ""
    counts: dict[str, int] = {}
    reasons: dict[str, int] = {}
    contents: list[Content] = []
    notices: list[str] = []


class Ledger:
    """The SQLite file that keeps the runs of one output folder.

    With `read_only` nothing is written, not even the file where there is none yet.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        self.path, self.read_only = path, read_only

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._connect()
            try:
                connection.executescript(SCHEMA)
                with connection:
                    yield connection
            finally:
                connection.close()
        except (sqlite3.Error, msgspec.DecodeError) as error:
            raise PublishError(
                f"the ledger cannot be used: {error}",
                where=str(self.path),
                hint="If the disk is full, free some space. If the file is damaged, move it away: "
                "the next run makes it anew from the manifests of the published runs.",
            ) from error

    def _connect(self) -> sqlite3.Connection:
        if not self.read_only:
            return sqlite3.connect(self.path, timeout=10)
        if not self.path.exists():
            return sqlite3.connect(":memory:")
        return sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True, timeout=10)

    def record(self, run: Run, origins: Iterable[Origin] = ()) -> None:
        """Add a run, its contents and the rows that it replayed in one transaction; a second time changes nothing."""
        document = msgspec.json.encode(run).decode()
        with self._open() as connection:
            connection.execute(
                "insert or ignore into run values (?, ?, ?, ?)", (run.run_id, run.kind, run.status, document)
            )
            connection.executemany(
                "insert or ignore into content values (?, ?, ?)",
                [(content.sha256, content.name, run.run_id) for content in run.contents],
            )
            connection.executemany("insert or ignore into replayed values (?, ?, ?)", origins)

    def runs(self, *statuses: str, newest: int = -1) -> list[Run]:
        """The runs with one of these statuses (all where none is given), oldest first; only the newest so many."""
        wanted = statuses or ("published", "nothing_new", "failed")
        places = ", ".join("?" * len(wanted))
        query = f"select document from run where status in ({places}) order by rowid desc limit ?"
        with self._open() as connection:
            rows = connection.execute(query, (*wanted, newest)).fetchall()
            return [msgspec.json.decode(document, type=Run) for (document,) in reversed(rows)]

    def published(self) -> list[str]:
        """The ids of all published runs, oldest first."""
        return [row[0] for row in self._rows("select run_id from run where status = 'published' order by rowid")]

    def processed(self, keys: Iterable[str]) -> set[str]:
        """Those of these contents (their keys in the ledger) that were processed."""
        return self._among("select sha256 from content where sha256 = ?", keys)

    def known_names(self, names: Iterable[str]) -> set[str]:
        """Those of these names under which a content was processed."""
        return self._among("select name from content where name = ? limit 1", names)

    def replayed(self, run_id: str) -> set[tuple[str, int]]:
        """The rows of a run, as source_file and record_number, that were published by a later replay."""
        return set(self._rows("select source_file, record_number from replayed where run_id = ?", run_id))

    def _among(self, query: str, values: Iterable[str]) -> set[str]:
        with self._open() as connection:
            return {row[0] for value in values for row in connection.execute(query, (value,))}

    def _rows(self, query: str, *arguments: Any) -> list[Any]:
        with self._open() as connection:
            return list(connection.execute(query, arguments))


class Snapshot(Ledger):
    """A ledger in memory, from a copy of its file; empty from no bytes. `path` is where it came from."""

    def __init__(self, path: Path, data: bytes) -> None:
        super().__init__(path, read_only=True)
        self._data = data

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(":memory:")
        if self._data:
            connection.deserialize(self._data)
        return connection
