"""What section 2's two measurements share: a server with section 2's schema, rounds, ratios and the printed tables."""

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import msgspec
from report import circumstances, publish, verdicts

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from batch import postgres_migrations, postgres_server
from batch.postgres import Database
from section2 import settings

SERVER = {"shared_buffers": "1GB", "max_wal_size": "8GB", "work_mem": "64MB", "autovacuum": "off"}
Times = dict[str, list[float]]


@contextmanager
def server() -> Iterator[tuple[Database, Path]]:
    """A server and a folder, both gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="bench-"))
    folder.chmod(0o711)
    try:
        with postgres_server.server(folder / "server", SERVER) as database:
            yield database, folder
    finally:
        shutil.rmtree(folder)


def migrated(postgres: Database, name: str) -> Database:
    """A database with section 2's schema."""
    settings.create(postgres, name)
    database = msgspec.structs.replace(postgres, database=name)
    with settings.connected(database) as connection:
        postgres_migrations.migrate(connection, settings.MIGRATIONS)
    return database


def execute(database: Database, sql: str, role: str = "") -> list[tuple[object, ...]]:
    """Run SQL, each statement in a transaction of its own; returns the last one's rows."""
    with settings.connected(database, role) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in filter(str.strip, sql.split(";\n")):
                cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []


def rounds(contenders: dict[str, Callable[[], object]], count: int) -> Times:
    """Seconds of each contender in each of `count` rounds, after one to warm up."""
    times: Times = {name: [] for name in contenders}
    for number in range(count + 1):
        for name, run in contenders.items():
            start = time.perf_counter()
            took = run()
            seconds = took if isinstance(took, float) else time.perf_counter() - start
            if number:
                times[name].append(seconds)
            print(f"round {number}: {name}: {seconds:.2f} s", file=sys.stderr)
    return times


def ratio(times: Times, one: str, other: str) -> float:
    """Median over the rounds of how many times as long as `one` the `other` takes."""
    return median(theirs / mine for mine, theirs in zip(times[one], times[other], strict=True))


def rows_of(times: Times, first: str, amount: int = 0) -> list[list[str]]:
    """The contenders' lines: median and range of the seconds, rows a second where there are rows, and the ratio."""
    return [
        [
            name,
            f"{median(found):.3f} ({min(found):.3f}-{max(found):.3f})",
            *([f"{amount / median(found):,.0f}"] if amount else []),
            f"{ratio(times, first, name):.2f}" if name != first else "",
        ]
        for name, found in times.items()
    ]


def arguments(description: str) -> argparse.ArgumentParser:
    """The options of both measurements."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3, help="rounds that count (default 3)")
    parser.add_argument("--publish", metavar="NAME", help="also write it into bench/README.md")
    return parser


def report(args: argparse.Namespace, texts: list[str], targets: list[tuple[str, str, bool]]) -> int:
    """Print and publish; 1 when a target is missed."""
    footing = f"Medians of {args.rounds} rounds after one to warm up, Postgres 18. {circumstances()}"
    text = "\n\n".join(filter(None, [*texts, verdicts(targets), footing]))
    print(text)
    if args.publish:
        publish(args.publish, text)
    return 0 if all(held for *_, held in targets) else 1
