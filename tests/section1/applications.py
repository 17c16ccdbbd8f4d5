"""Small inputs and the reader's view of an output folder, for the tests that run section 1 from end to end."""

from __future__ import annotations

import hashlib
import json
import os
import re
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
HEADER = "name,email,date_of_birth,mobile_no\n"
GOOD, BAD = "successful_application", "unsuccessful_application"
Pair = tuple[str, str]


def rows(first: int, count: int) -> str:
    """Made-up applications, each different: every second one passes, the others have a short mobile number."""
    return "".join(
        f"Nora Testcase{number},nora.{number}@example.com,"
        f"19{70 + number % 20}-{1 + number % 12:02}-{1 + number % 28:02},"
        f"{'9' if number % 2 == 0 else ''}{1000000 + number}\n"
        for number in range(first, first + count)
    )


def write(folder: Path, name: str, text: str) -> Path:
    """Put an application file in a folder; the header comes before the text."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(HEADER + text)
    return path


def config(path: Path, *changes: tuple[str, str]) -> Path:
    """The shipped configuration in another place, with texts replaced; each must occur."""
    text = (ROOT / "section1" / "conf" / "section1_process.yaml").read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    path.write_text(text)
    return path


def mobile_rule(path: Path, digits: str) -> Path:
    """The shipped configuration in another place, where a mobile number has so many digits (a regular expression)."""
    text = (ROOT / "section1" / "conf" / "section1_process.yaml").read_text()
    rule = f"  mobile: replace(replace(mobile_no, ' ', ''), '-', '') rlike r'^({digits})\\z'"
    text, replaced = re.subn(r"(?m)^  mobile: .*$", lambda _: rule, text)
    assert replaced == 1
    path.write_text(text)
    return path


def unmeasured() -> dict[str, str]:
    """The environment without coverage's, for processes whose time or memory counts."""
    return {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}


def manage(*arguments: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    command = [sys.executable, ROOT / "section1_manage.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120, **options)


def seconds_of(*command: str | Path) -> tuple[float, subprocess.CompletedProcess[str]]:
    """Run Python with these arguments; also says what it took in seconds of CPU.

    For what does not wait for anything: on an idle machine that is its time by the clock, on a busy one still its own.
    """
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=False, env=unmeasured())
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done


def run(source: str | Path, output: str | Path, *arguments: str | Path, **options: Any) -> dict[str, Any]:
    """Run the job, which must succeed; returns its summary."""
    done = manage("--input", source, "--output", output, "--json", *arguments, **options)
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


def visible(output: Path) -> Pair | None:
    """What a reader sees: the digests of both files of the current run; None before the first one.

    The reader resolves the switch once and then opens both files below it.
    """
    try:
        current = output / os.readlink(output / "current")
    except FileNotFoundError:
        return None
    good, bad = (hashlib.sha256((current / name / "applications.csv").read_bytes()).hexdigest() for name in (GOOD, BAD))
    return good, bad


def folder_outputs(output: Path) -> dict[str, bytes]:
    """All that readers of a folder see, by name; the manifest tells the time and is left out."""
    current = (output / "current").resolve()
    files = (path for path in current.rglob("*") if path.is_file() and path.name != "manifest.json")
    return {path.relative_to(current).as_posix(): path.read_bytes() for path in files}


def published(output: Path) -> list[str]:
    """The ids of the published runs in the ledger, in its order."""
    return [row[0] for row in ledger(output, "select run_id from run where status = 'published' order by rowid")]


def ledger(output: Path, query: str) -> list[Any]:
    """Ask the ledger."""
    connection = sqlite3.connect(output / "state" / "ledger.sqlite")
    try:
        return list(connection.execute(query))
    finally:
        connection.close()


def leftovers(output: Path, kept: Iterable[str]) -> set[str]:
    """What stands in an output folder beyond what belongs there when these runs are kept."""
    found = {
        *(entry.name for entry in output.iterdir()),
        *(f"state/{entry.name}" for entry in (output / "state").iterdir()),
        *(f"runs/{entry.name}" for entry in (output / "runs").iterdir()),
    }
    state = {f"state/{name}" for name in ("ledger.sqlite", "metrics.prom", "run.lock")}
    return found - {"current", "runs", "state", GOOD, BAD} - state - {f"runs/{run_id}" for run_id in kept}
