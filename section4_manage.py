#!/usr/bin/env python3
"""Section 4, COVID-19 figures: its command line."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from batch.command_line import ended, leave, say

if TYPE_CHECKING:
    from batch.postgres import Database
    from section4.settings import Settings

ROOT = Path(__file__).resolve().parent
DESCRIPTION = """\
Load COVID-19 figures into Postgres, draw them, verify the dashboards in Grafana.
Without a command: load."""
EXIT_CODES = """\
exit codes:
  0 done (also: nothing new, figures revised)   1 a defect of this program; of verify: something is not well
  2 usage or configuration   3 no source gave valid figures for a country; the previous ones are unchanged
  4 data that the database does not take   5 Postgres or Grafana cannot be used   7 busy   130 interrupted"""


def parser() -> argparse.ArgumentParser:
    """The command line. Options may stand before or after the command."""
    shared = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    option = shared.add_argument
    option("--task-config", metavar="FILE", help="YAML: a path, or a name in section4/conf (section4_process.yaml)")
    option("--full", action="store_true", help="of load: ask for all days, not only what is missing and may be revised")

    main = argparse.ArgumentParser(
        prog="section4_manage.py",
        allow_abbrev=False,
        description=DESCRIPTION,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[shared],
    )
    commands = main.add_subparsers(dest="command", metavar="command", title="commands")

    def command(name: str, text: str) -> None:
        commands.add_parser(name, help=text, description=text, parents=[shared], allow_abbrev=False)

    command("load", "load what is new of each country, then draw it where the YAML has an `output` (the default)")
    command("verify", "ask Grafana whether data sources, dashboards and every panel's query work")
    command("chart", "draw the figures as they are: a page and a picture for each country")
    command("status", "how old the figures are, the last ingests, and where Grafana and its password are")
    return main


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code. Failures are one message on standard error, never a traceback."""
    options = parser().parse_args(sys.argv[1:] if arguments is None else arguments)
    os.umask(0o027)
    told = "interrupted; what was not finished was undone"
    return ended("section4", lambda: _command(options), interrupted=told)


def _command(options: argparse.Namespace) -> int:
    from datetime import UTC, datetime

    from batch import logs
    from section4 import settings

    given = vars(options)
    chosen = settings.load(given.get("task_config", "section4_process.yaml"))
    logs.configure(f"{datetime.now(UTC):%Y%m%dT%H%M%S}Z-{os.getpid()}")
    if options.command == "verify":
        return _verify(chosen)
    with settings.serving(chosen) as database:
        match options.command:
            case "chart":
                _chart(database, chosen, chosen.output or "section4/output")
            case "status":
                _status(database, chosen)
            case _:
                _load(database, chosen, full=given.get("full", False))
    return 0


def _load(database: Database, chosen: Settings, *, full: bool) -> None:
    from batch.postgres import connect
    from section4 import dashboards, ingest

    with connect(database, "section4 load") as connection:
        done = ingest.Load(chosen, full=full).run(connection)
        if chosen.dashboards:
            dashboards.write(connection, chosen)
    if chosen.output:
        _chart(database, chosen, chosen.output)
    ingest.check(done)


def _chart(database: Database, chosen: Settings, folder: str) -> None:
    from batch.postgres import connect
    from section4 import chart, figures

    with connect(database, "section4 chart") as connection:
        shown = figures.read(connection, chosen.chosen())
    for country in shown:
        say(figures.as_text(country))
        for path in chart.draw(country, ROOT / folder):
            say(f"  {path.relative_to(ROOT) if path.is_relative_to(ROOT) else path}")


def _status(database: Database, chosen: Settings) -> None:
    from batch.postgres import connect
    from section4 import status

    with connect(database, "section4 status") as connection:
        say(status.text(connection, chosen))


def _verify(chosen: Settings) -> int:
    from section4 import verify

    problems = verify.verify(chosen, say)
    for problem in problems:
        print(f"section4: {problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    leave(main)
