"""Log lines: readable on a terminal, one JSON object a line elsewhere. Rows are never logged."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

log = logging.getLogger("batch")


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "run_id": run_id(),
            "message": record.getMessage(),
        }
        return json.dumps(entry | getattr(record, "figures", {}))


_run_id = ""


def run_id() -> str:
    """The run that log lines belong to; empty before it has started."""
    return _run_id


def configure(run: str = "") -> None:
    """Send log lines to standard error, marked with the run's id."""
    global _run_id  # noqa: PLW0603 - one process is one run
    _run_id = run
    if log.handlers:
        return
    handler = logging.StreamHandler(sys.stderr)
    readable = logging.Formatter("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")
    handler.setFormatter(readable if sys.stderr.isatty() else _JsonLines())
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    log.propagate = False
