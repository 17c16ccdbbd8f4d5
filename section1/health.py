"""Is the hourly job well? Judged by what it did: the age of its last success, and how the newest run ended.

In the container, whether cron is alive counts too. Nothing is written here; `batch/alerts.py` tells others.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from cronsim import CronSim

from batch import alerts
from batch.errors import BatchError
from batch.ledger import Run
from batch.publish import Output
from section1.settings import Settings

LOOKED_AT = 1000  # runs; one incident is hardly longer
NOT_A_FAILURE = (0, 7)  # done, and busy: the run that was going on counts for itself
RUNTIME = "SECTION1_RUNTIME"  # where the container's scripts leave cron's process number and how the last run ended


class Health(msgspec.Struct, kw_only=True):
    """`since` is when the trouble began or, of a healthy job, when its last success did; UTC, ISO 8601."""

    healthy: bool
    since: str
    reason: str = ""
    detail: str = ""

    def line(self) -> str:
        """For a person."""
        if self.healthy:
            return f"healthy: the last success began at {self.since}"
        return f"unhealthy since {self.since}: {self.reason}{f': {self.detail}' if self.detail else ''}"


def check(output: Output, settings: Settings, now: datetime | None = None) -> Health:
    """How the job is. A failed run counts at once, a missing one when half of the schedule's period is over."""
    now = now or datetime.now(UTC)
    runtime = os.environ.get(RUNTIME, "")
    try:
        output.look()
        runs = [run for run in output.ledger.runs(newest=LOOKED_AT) if run.kind == "run"]
    except BatchError as error:
        found, good = [_trouble(now, "the ledger cannot be read", error.what)], None
    else:
        good = next((run for run in reversed(runs) if run.status != "failed"), None)
        found = _failed(runs) + _overdue(good, settings.schedule, now)
        if runtime:
            found += _killed(Path(runtime), good) + _cron(Path(runtime), now)
    if not found and good is not None:
        return Health(healthy=True, since=good.started)
    found = found or [_trouble(now, "no run has succeeded yet")]
    worst = min(found, key=lambda health: health.since)
    known = alerts.incident(output.state)
    if known and known.since < worst.since:
        worst.since = known.since
    return worst


def tell(health: Health, output: Output, settings: Settings, root: Path) -> list[str]:
    """Call those whom the configuration names, once per incident and once after it; returns what went wrong there."""
    trouble = None if health.healthy else (health.since, health.reason)
    return alerts.follow(settings.alerts, root, output.state, "section1", trouble)


def _trouble(since: datetime | str, reason: str, detail: str = "") -> Health:
    text = since if isinstance(since, str) else since.astimezone(UTC).isoformat(timespec="seconds")
    return Health(healthy=False, since=text, reason=reason, detail=detail)


def _failed(runs: list[Run]) -> list[Health]:
    """The first of the failed runs that no success has followed."""
    first = None
    for run in reversed(runs):
        if run.status != "failed":
            break
        first = run
    return [_trouble(first.started, f"run {first.run_id} failed", first.message)] if first else []


def _overdue(good: Run | None, schedule: str, now: datetime) -> list[Health]:
    """The run that should have succeeded by now."""
    if good is None:
        return []
    due = CronSim(schedule, datetime.fromisoformat(good.started))
    first, second = next(due), next(due)
    late = now > first + (second - first) / 2
    return [_trouble(first, "no run has succeeded since the one that was due then")] if late else []


def _killed(runtime: Path, good: Run | None) -> list[Health]:
    """The last run that the container's scripts started, where it failed; the ledger may know nothing of it."""
    try:
        code, begun = (runtime / "last_run").read_text().split()
    except (OSError, ValueError):
        return []
    if int(code) in NOT_A_FAILURE or (good and good.started > begun):
        return []
    return [_trouble(begun, f"the run that began then ended with exit code {code}")]


def _cron(runtime: Path, now: datetime) -> list[Health]:
    """Whether cron is there and not stopped: the third field of /proc/PID/stat (proc(5)) is its state."""
    try:
        number = int((runtime / "cron.pid").read_text())
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, ValueError):
        state = "X"
    return [_trouble(now, "cron is not running")] if state in "TtXxZ" else []
