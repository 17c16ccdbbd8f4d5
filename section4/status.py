"""How the figures are, in a few lines."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from section4.settings import ROOT, Settings

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

NEWEST = 5
"""Ingests that are listed."""


def text(connection: Connection, settings: Settings) -> str:
    """Freshness of each country, the last ingests, the next run, and where Grafana's password is."""
    from cronsim import CronSim

    lines = []
    with connection.cursor() as cursor:
        cursor.execute(
            "select country, origin, last_day, last_success, last_status, periods_since_success "
            "from reporting.freshness where followed order by country"
        )
        for country, origin, last_day, success, status, periods in cursor.fetchall():
            late = "" if periods is None or periods <= 2 else f"; LATE: {periods:.1f} periods without a success"
            lines.append(f"{country:<15}up to {last_day}, {origin}; last success {_time(success)}, last {status}{late}")
        cursor.execute(
            "select finished_at, country, status, source, received, inserted, updated, revised, message "
            "from reporting.ingest order by ingest_id desc limit %s",
            [NEWEST],
        )
        for at, country, status, source, received, inserted, updated, revised, message in cursor.fetchall():
            note = f"; {message.splitlines()[0]}" if message else ""
            lines.append(
                f"{'ingest':<15}{_time(at)} {country}: {status} from {source}: {received:,} days, {inserted:,} new, "
                f"{updated:,} changed, {revised:,} revised{note}"
            )
    lines = lines or ["no country was loaded yet: sh section4_runner.sh run"]
    lines.append(
        f"{'next run':<15}{_time(next(CronSim(settings.schedule, datetime.now(UTC))))} by `{settings.schedule}`"
    )
    password = ROOT / settings.secrets / "grafana_admin"
    if password.exists() and not settings.secrets.startswith("/"):
        lines.append(f"{'grafana':<15}{settings.grafana}; the admin's password is in {settings.secrets}/grafana_admin")
    return "\n".join(lines)


def _time(at: datetime | None) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if at else "never"
