"""Grafana's dashboards, as files that open on the days that have figures."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from batch.publish import write_file
from section4.settings import ROOT, Settings

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection  # noqa: N812 - it is a class

TEMPLATES = ROOT / "section4" / "grafana" / "dashboards"
COVID, SALES = "covid", "sales"
SHOWN = timedelta(days=365)
"""What the dashboard opens on: so much up to the last day with a figure."""


def names(settings: Settings) -> list[str]:
    """The dashboards that are provisioned, each a file of TEMPLATES."""
    return [COVID, SALES] if settings.sales else [COVID]


def template(name: str) -> dict[str, Any]:
    """A dashboard as the project has it."""
    found: dict[str, Any] = json.loads((TEMPLATES / f"{name}.json").read_text(encoding="utf-8"))
    return found


def write(connection: Connection, settings: Settings) -> None:
    """Put the dashboards where Grafana looks for them; nothing before there is a figure, nor where nothing changed.

    They open on the first country of the YAML that has figures.
    """
    folder = ROOT / settings.dashboards
    with connection.cursor() as cursor:
        cursor.execute(
            "select country, country_code, last_day from reporting.freshness "
            "where last_day is not null order by array_position(%s, country_code), country limit 1",
            [[country.code for country in settings.chosen()]],
        )
        row = cursor.fetchone()
    if row is None:
        return
    country, code, last_day = row
    covid = template(COVID)
    covid["time"] = {"from": f"{last_day - SHOWN}T00:00:00.000Z", "to": f"{last_day}T23:59:59.000Z"}
    covid["templating"]["list"][0]["current"] = {"text": country, "value": code}
    for name in names(settings):
        _put(folder / f"{name}.json", covid if name == COVID else template(name))
    if not settings.sales:
        (folder / f"{SALES}.json").unlink(missing_ok=True)


def _put(path: Path, dashboard: dict[str, Any]) -> None:
    data = (json.dumps(dashboard, indent=2) + "\n").encode()
    if not path.exists() or path.read_bytes() != data:
        write_file(path, data)
