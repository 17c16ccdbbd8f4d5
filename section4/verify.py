"""What Grafana's API says of the provisioned data sources, dashboards and queries; page addresses prove nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from batch.errors import EngineError
from section4 import dashboards
from section4.settings import ROOT, Settings

if TYPE_CHECKING:
    from grafana_client import GrafanaApi

ALERT = "section4-no-success"
PATIENCE = 15.0  # seconds for an answer


def verify(settings: Settings, say: Callable[[str], None]) -> list[str]:
    """Ask for everything that is provisioned; tells what is well, returns what is not.

    Well are: the data sources' health; each dashboard, provisioned, and open to a visitor without a password; each
    panel's query, which must give rows for the role that Grafana reads through; each annotation's query; the alert
    rule. Raises EngineError when Grafana cannot be asked.
    """
    from grafana_client import GrafanaApi
    from grafana_client.client import GrafanaException
    from requests import RequestException

    admin = GrafanaApi.from_url(settings.grafana, credential=("admin", _password(settings)), timeout=PATIENCE)
    visitor = GrafanaApi.from_url(settings.grafana, credential=None, timeout=PATIENCE)
    problems: list[str] = []
    try:
        say(f"Grafana {admin.health.check()['version']} at {settings.grafana}")
        for name in dashboards.names(settings):
            problems += _dashboard(admin, visitor, dashboards.template(name), say)
        if ALERT not in {rule["uid"] for rule in admin.client.GET("/v1/provisioning/alert-rules")}:
            problems.append(f"the alert rule {ALERT} is not there")
    except GrafanaException as error:
        raise EngineError(f"Grafana answered {error.status_code}: {error.message}", where=settings.grafana) from error
    except RequestException as error:
        raise EngineError(
            f"Grafana does not answer ({type(error).__name__})",
            where=settings.grafana,
            hint="Start it: sh section4_runner.sh start",
        ) from error
    return problems


def _dashboard(
    admin: GrafanaApi, visitor: GrafanaApi, template: dict[str, Any], say: Callable[[str], None]
) -> Iterator[str]:
    """What is wrong with a dashboard, its data source and its queries."""
    from grafana_client.client import GrafanaException

    uid = template["uid"]
    source = template["panels"][0]["datasource"]["uid"]
    try:
        health = admin.datasource.health(source)
        if health.get("status") != "OK":
            yield f"data source {source}: {health.get('message', 'is not well')}"
        found = admin.dashboard.get_dashboard(uid)
        visitor.dashboard.get_dashboard(uid)
    except GrafanaException as error:
        yield f"dashboard {uid} with data source {source}: {error.status_code} {error.message}"
        return
    if not found["meta"].get("provisioned"):
        yield f"dashboard {uid} is not provisioned from a file"
    asked = rows = 0
    for title, query, needs_rows in _queries(found["dashboard"]):
        try:
            count = _rows(visitor, found["dashboard"], query)
        except GrafanaException as error:
            yield f"dashboard {uid}: {title}: {error.message}"
            continue
        asked, rows = asked + 1, rows + count
        if needs_rows and not count:
            yield f"dashboard {uid}: {title}: the query gives no row"
    say(f"dashboard {uid}: {asked} queries gave {rows:,} rows through data source {source}")


def _queries(dashboard: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], bool]]:
    """Title and query of every panel, which must give rows, and of every annotation, which need not."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target, True
    for annotation in dashboard["annotations"]["list"]:
        if "target" in annotation:
            yield annotation["name"], annotation["target"] | {"datasource": annotation["datasource"]}, False


def _rows(api: GrafanaApi, dashboard: dict[str, Any], query: dict[str, Any]) -> int:
    """How many rows a query gives on the days that the dashboard opens on, for the country that it opens on."""
    chosen = {variable["name"]: variable["current"].get("value", "") for variable in dashboard["templating"]["list"]}
    sql = query["rawSql"]
    for name, value in chosen.items():
        sql = sql.replace(f"${name}", value)
    asked = query | {"rawSql": sql, "intervalMs": 86_400_000, "maxDataPoints": 1000}
    span = dashboard["time"]
    answer = api.client.POST("/ds/query", json={"queries": [asked], "from": span["from"], "to": span["to"]})
    frames = answer["results"][query["refId"]].get("frames", [])
    return sum(len(frame["data"]["values"][0]) for frame in frames if frame["data"]["values"])


def _password(settings: Settings) -> str:
    path = ROOT / settings.secrets / "grafana_admin"
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise EngineError(
            f"cannot read the password of Grafana's admin: {error.strerror}",
            where=str(path),
            hint="`sh section4_runner.sh start` makes it.",
        ) from error
