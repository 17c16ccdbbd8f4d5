"""The dashboards as files: what they ask works as Grafana's role, and what they refer to is there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from covid_api import PATIENT, Api, Sql, elements, load, sends

from batch.postgres import Database, connect
from section4 import dashboards
from section4.settings import ROOT, Settings
from section4.sources import Covid19Api

GRAFANA = ROOT / "section4" / "grafana"
SPAN = "time between '2020-01-01' and '2020-12-31'"


def provisioned(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((GRAFANA / f"{name}.yaml").read_text())
    assert found["apiVersion"] == 1
    return found


def queries(dashboard: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            yield panel["title"], target
    for annotation in dashboard["annotations"]["list"]:
        yield annotation["name"], annotation["target"]
    for variable in dashboard["templating"]["list"]:
        yield variable["name"], {"rawSql": variable["query"], "format": "table"}


def test_every_query_gives_rows_for_the_reading_role(api: Api, asking: Settings, sql: Sql) -> None:
    api.answers = [sends(elements([1, 2, 3, 2, *range(4, 40)])), sends(elements([1, 2, 3, 2, 9]))]
    load(asking)
    load(asking, full=True)
    sql("delete from covid.cases where total = 20")
    for title, query in queries(dashboards.template("covid")):
        text = query["rawSql"].replace("$__timeFilter(time)", SPAN).replace("$country", "SG")
        assert "$" not in text, title
        assert sql(text, role="grafana"), title
        if query["format"] == "time_series":
            assert text.startswith("select time, ")


def test_what_is_referred_to_is_provisioned() -> None:
    covid, sales = provisioned("covid")["datasources"][0], provisioned("sales")["datasources"][0]
    for name, source in (("covid", covid), ("sales", sales)):
        dashboard = dashboards.template(name)
        assert {panel["datasource"]["uid"] for panel in dashboard["panels"]} == {source["uid"]}
        assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
        assert source["user"] == "grafana"
        assert source["secureJsonData"]["password"].startswith("$__file{/run/secrets/")
        assert source["editable"] is dashboard["editable"] is False
    main = next(panel for panel in dashboards.template("covid")["panels"] if panel["title"].startswith("Daily cases"))
    assert main["options"]["legend"]["calcs"] == ["min", "max", "mean", "lastNotNull"]


def test_the_alert_rule(api: Api, asking: Settings, sql: Sql) -> None:
    rule = provisioned("alerts")["groups"][0]["rules"][0]
    query, threshold = rule["data"]
    limit = threshold["model"]["conditions"][0]["evaluator"]
    assert (limit, threshold["refId"]) == ({"type": "gt", "params": [2]}, rule["condition"])
    assert query["datasourceUid"] == provisioned("covid")["datasources"][0]["uid"]

    def periods() -> float:
        return float(sql(query["model"]["rawSql"], role="grafana")[0][0])

    assert periods() > 2  # never loaded
    api.answers = [sends(elements([1, 2]))]
    load(asking)
    assert periods() < 0.1
    sql("update covid.ingest set finished_at = now() - interval '49 hours'")
    assert periods() > 2
    api.answers = [sends({"message": "out of order"})]
    load(asking)
    assert periods() > 2  # a failure is no success


def test_dashboards_open_on_the_days_with_figures(
    api: Api, configured: Callable[..., Settings], covid: Database, tmp_path: Path
) -> None:
    settings = configured(Covid19Api(base_url=api.url, limits=PATIENT))
    settings.dashboards, settings.sales = str(tmp_path), True
    with connect(covid, "tests") as connection:
        dashboards.write(connection, settings)
        assert list(tmp_path.iterdir()) == []  # nothing to open on
        api.answers = [sends(elements([1, 2]))]
        load(settings)
        connection.rollback()
        dashboards.write(connection, settings)
        written = {path.name: json.loads(path.read_text()) for path in tmp_path.iterdir()}
        assert sorted(written) == ["covid.json", "sales.json"]
        assert written["covid.json"]["time"] == {"from": "2019-01-24T00:00:00.000Z", "to": "2020-01-24T23:59:59.000Z"}
        assert written["covid.json"]["templating"]["list"][0]["current"] == {"text": "Singapore", "value": "SG"}
        times = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
        settings.sales = False
        dashboards.write(connection, settings)
        assert {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()} == {
            path: at for path, at in times.items() if path.name == "covid.json"
        }


@pytest.mark.parametrize("name", ["covid", "sales"])
def test_grafana_is_pinned_once(name: str) -> None:
    compose = (ROOT / "docker" / "section4_compose.yaml").read_text()
    assert compose.count("grafana/grafana:12.4.0") == 1
    assert "schemaVersion" in dashboards.template(name)
