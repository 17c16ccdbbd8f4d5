"""Section 4's load against execute_values, on an embedded Postgres that survives power cuts (fsync is on).

    python bench/section4_load.py [--runs 5] [--publish covid]

200,100 rows (174 countries, 1,150 days) go into covid.cases: first all new, then all the same again. Each round runs
every contender once on an emptied table. Then a daily run with one new day, as a new process: start, imports, asking
an API on this machine, writing. Exits 1 when a target is missed.
"""

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

# ruff: noqa: E402 - the project is run from its checkout
import msgspec
import psutil
import psycopg2.extras
from process import gauge
from report import circumstances, publish, table, verdicts

from batch import postgres_server
from batch.postgres import Database, connect
from batch.postgres_migrations import migrate
from section4 import settings, store

CODES = [chr(65 + number // 26) + chr(65 + number % 26) for number in range(174)]
FIRST = date(2020, 1, 22)
DAYS = 1150
ROWS = [(code, FIRST + timedelta(days=day), day * 1000, True) for code in CODES for day in range(DAYS)]
UPSERT = """
    insert into covid.cases (country_code, day, total, complete) values %s
    on conflict (country_code, day) do update set total = excluded.total, complete = excluded.complete
"""

YAML = """\
database: {{database: covid, host: {host}, user: postgres}}
schedule: "30 4 * * *"
countries: [singapore]
sources: [{{type: covid19api, base_url: "{url}"}}]
revision_days: 28
settle_hours: 6
secrets: secrets/section4
grafana: http://127.0.0.1:3001
"""

Contender = Callable[[Any], object]


def by_values(page: int) -> Contender:
    """The upsert that most write: execute_values with pages of so many rows."""
    return lambda cursor: psycopg2.extras.execute_values(cursor, UPSERT, ROWS, page_size=page)


CONTENDERS: dict[str, Contender] = {
    "product": lambda cursor: store.write(cursor, ROWS),
    "execute_values, pages of 100 (its default)": by_values(100),
    "execute_values, pages of 1,000": by_values(1_000),
}
PRODUCT = "product"


class Took(NamedTuple):
    """Seconds of wall time, and of CPU time: ours and the server process's."""

    wall: float
    cpu: float


def timed(connection: Any, work: Contender) -> tuple[Took, Any]:
    """What the work takes with its commit, and what it returns."""
    server = psutil.Process(connection.info.backend_pid)

    def cpu() -> float:
        used = server.cpu_times()
        return time.process_time() + used.user + used.system

    began, used = time.perf_counter(), cpu()
    with connection.cursor() as cursor:
        result = work(cursor)
    connection.commit()
    return Took(time.perf_counter() - began, cpu() - used), result


def emptied(connection: Any) -> None:
    """An empty table and no backlog from the contender before."""
    with connection.cursor() as cursor:
        cursor.execute("truncate covid.cases, covid.revision")
        connection.commit()
        connection.autocommit = True
        cursor.execute("checkpoint")
        connection.autocommit = False


def measure(database: Database, rounds: int) -> dict[tuple[str, str], list[Took]]:
    """Seconds of every contender for new rows and for the same rows again; one round more to warm up."""
    seconds: dict[tuple[str, str], list[Took]] = {(name, kind): [] for name in CONTENDERS for kind in ("new", "same")}
    with connect(database, "bench") as connection:
        with connection.cursor() as cursor:
            psycopg2.extras.execute_values(cursor, "insert into covid.country values %s", [(c, c, True) for c in CODES])
        for _ in range(rounds + 1):
            for name, work in CONTENDERS.items():
                emptied(connection)
                for kind in ("new", "same"):
                    took, result = timed(connection, work)
                    seconds[name, kind].append(took)
                    if name == PRODUCT:
                        assert result[0][:2] == ((len(ROWS), 0) if kind == "new" else (0, 0)), result
    return {key: values[1:] for key, values in seconds.items()}


class Api(BaseHTTPRequestHandler):
    """Singapore's totals, one day more for each request."""

    days = 900

    def do_GET(self) -> None:
        """Everything at first, then the last 30 days: the window and a new one."""
        Api.days += 1
        first = 0 if "from=" not in self.path else Api.days - 30
        rows = [
            {"Cases": day * 1000, "Status": "confirmed", "Date": f"{FIRST + timedelta(days=day)}T00:00:00Z"}
            for day in range(first, Api.days)
        ]
        body = json.dumps(rows).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, form: str, *values: object) -> None:
        """Nothing."""


def cold(database: Database, folder: Path, rounds: int) -> list[Took]:
    """What daily runs take, each a new process that writes one new day; the CPU time is the process's."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    task = folder / "task.yaml"
    task.write_text(YAML.format(host=database.host, url=f"http://127.0.0.1:{server.server_address[1]}"))
    command = [sys.executable, str(ROOT / "section4_manage.py"), "load", "--task-config", str(task)]
    gauges = [gauge(command) for _ in range(rounds + 2)][2:]  # the first loads everything
    with connect(database, "bench") as connection, connection.cursor() as cursor:
        cursor.execute("select inserted, updated from covid.ingest order by ingest_id desc limit %s", [rounds])
        assert cursor.fetchall() == [(1, 0)] * rounds
    return [Took(run.wall, run.cpu) for run in gauges]


def report(taken: dict[tuple[str, str], list[Took]], daily: list[Took]) -> tuple[str, bool]:
    """The tables, and whether all targets hold. Rates are judged by CPU time, as others may use the machine."""

    def ratio(name: str, kind: str) -> float:
        pairs = zip(taken[name, kind], taken[PRODUCT, kind], strict=True)
        return median(theirs.cpu / ours.cpu for theirs, ours in pairs)

    lines = []
    for (name, kind), runs in taken.items():
        walls, cpu = [run.wall for run in runs], median(run.cpu for run in runs)
        lines.append(
            [
                f"{kind} rows",
                name,
                f"{median(walls):.2f} ({min(walls):.2f}-{max(walls):.2f})",
                f"{cpu:.2f}",
                f"{len(ROWS) / cpu:,.0f}",
                "" if name == PRODUCT else f"{ratio(name, kind):.1f}",
            ]
        )
    rate = len(ROWS) / median(run.cpu for run in taken[PRODUCT, "new"])
    same = median(run.cpu for run in taken[PRODUCT, "same"])
    faster = min(ratio(name, "new") for name in CONTENDERS if name != PRODUCT)
    targets = [
        ("at least 200,000 new rows/s", f"{rate:,.0f}", rate >= 200_000),
        ("at least 3 times as fast as execute_values", f"{faster:.1f} times", faster >= 3),
        ("the same rows again: none written, in at most 0.5 s", f"{same:.2f} s", same <= 0.5),
        (
            "a daily run with one new day, a new process: under 1 s",
            f"{median(run.cpu for run in daily):.2f} s, {median(run.wall for run in daily):.2f} s of wall time",
            median(run.cpu for run in daily) < 1,
        ),
    ]
    head = ["", "contender", "wall s (range)", "CPU s", "rows / CPU s", "CPU / product"]
    load = f"The machine's load was {os.getloadavg()[1]:.0f} processes."
    footing = f"Medians of {len(daily)} runs after one to warm up. {load} {circumstances()}"
    return "\n\n".join([table(head, lines), verdicts(targets), footing]), all(held for *_, held in targets)


def main() -> int:
    """Measure, print, publish; 1 when a target is missed."""
    parser = argparse.ArgumentParser(description="section 4's load against execute_values")
    parser.add_argument("--runs", type=int, default=5, help="rounds that count (default 5)")
    parser.add_argument("--publish", metavar="NAME", help="also write it into bench/README.md")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o711)
        with postgres_server.server(folder / "server", {"shared_buffers": "256MB", "max_wal_size": "2GB"}) as server:
            settings.create(server, "covid")
            database = msgspec.structs.replace(server, database="covid")
            with connect(database, "bench") as connection:
                migrate(connection, settings.MIGRATIONS)
            text, held = report(measure(database, args.runs), cold(database, folder, args.runs))
    print(text)
    if args.publish:
        publish(args.publish, text)
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
