"""section4_manage.py as people call it: a process, its output, its exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from covid_api import Api, elements, sends

from batch.errors import ConfigError
from section4 import countries, settings
from section4.settings import ROOT

YAML = """\
database: {{database: covid, host: {host}, user: postgres}}
output: {output}
schedule: "30 4 * * *"
countries: [singapore]
sources:
  - type: covid19api
    base_url: {url}
    limits: {{attempts: 1}}
revision_days: 7
settle_hours: 6
secrets: {secrets}
grafana: http://127.0.0.1:9
"""


@pytest.fixture
def task(tmp_path: Path, covid: object, api: Api) -> Path:
    path = tmp_path / "task.yaml"
    host = covid.host  # type: ignore[attr-defined]
    path.write_text(YAML.format(host=host, output=tmp_path / "output", url=api.url, secrets=tmp_path))
    return path


def manage(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "section4_manage.py"), *map(str, arguments)]
    return subprocess.run(
        command, cwd="/", env=os.environ | environment, capture_output=True, text=True, check=False, timeout=60
    )


def test_load_chart_and_status(task: Path, api: Api) -> None:
    api.answers = [sends(elements([1, 2, 4]))]
    done = manage("--task-config", task)
    assert done.returncode == 0, done.stderr
    assert "2020-01-23 to 2020-01-25, 3 days, 0 missing; last total 4" in done.stdout
    assert {path.name for path in (task.parent / "output").iterdir()} == {"singapore.html", "singapore.png"}
    (task.parent / "grafana_admin").write_text("secret")
    status = manage("status", "--task-config", task).stdout
    assert "Singapore      up to 2020-01-25, figures from covid19api; last success 20" in status
    assert "secret" not in status
    assert manage("chart", "--task-config", task).stdout == done.stdout
    assert manage("load", "--full", "--task-config", task).returncode == 0
    assert api.requests[-1][0] == "/country/singapore/status/confirmed"


def test_failures_are_one_message(task: Path, api: Api) -> None:
    api.answers = [sends({"message": "out of order"}, 404)]
    done = manage("--task-config", task)
    assert done.returncode == 3
    assert "section4: no source gave valid figures for SG:\n  SG covid19api: http" in done.stderr
    assert "out of order" in done.stderr
    assert "Traceback" not in done.stderr
    done = manage("verify", "--task-config", task)
    assert (done.returncode, "cannot read the password of Grafana's admin" in done.stderr) == (5, True)
    (task.parent / "grafana_admin").write_text("secret")
    done = manage("verify", "--task-config", task)
    assert (done.returncode, "Grafana does not answer" in done.stderr) == (5, True)
    task.write_text(task.read_text().replace("user: postgres", "user: nobody_here"))
    done = manage("--task-config", task)
    assert (done.returncode, "cannot connect" in done.stderr) == (5, True)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("countries: [singapore]", "countries: [singapur]", "task.yaml:4: there is no country `singapur`"),
        ("countries: [singapore]", "countries: []", "task.yaml:4: "),
        ("type: covid19api", "type: covid19", "task.yaml:6: Invalid value 'covid19'"),
        ("base_url:", "base_ulr:", "task.yaml:7: unknown key `base_ulr`"),
        ("http://127.0.0.1:9", "http://127.0.0.1:9\nrevision_dyas: 3", "Did you mean `revision_days`?"),
        ("30 4 * * *", "30 25 * * *", "task.yaml:3: `30 25 * * *` is no schedule"),
        ("revision_days: 7", "revision_days: 0", "task.yaml:9: "),
        ("host: ", "port: 1, user: ", "given twice"),
    ],
)
def test_mistakes_in_the_yaml_name_their_line(old: str, new: str, expected: str, task: Path) -> None:
    task.write_text(task.read_text().replace(old, new, 1))
    with pytest.raises(ConfigError) as caught:
        settings.load(str(task))
    assert expected in str(caught.value)


def test_the_environment_has_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        settings.HOST: "postgres",
        settings.SECRETS: "/run/secrets",
        settings.SCHEDULE: "* * * * *",
        settings.GRAFANA: "http://grafana:3000",
        settings.DASHBOARDS: "/dashboards",
        settings.SALES: "yes",
    }.items():
        monkeypatch.setenv(name, value)
    found = settings.load("section4_process.yaml")
    assert (found.database.host, found.database.user) == ("postgres", "loader")
    assert found.database.password_file == "/run/secrets/loader"
    assert (found.embedded, found.output, found.period, found.sales) == ("", "", 60, True)
    assert (found.grafana, found.dashboards) == ("http://grafana:3000", "/dashboards")
    monkeypatch.setenv(settings.SCHEDULE, "often")
    with pytest.raises(ConfigError, match="no schedule"):
        settings.load("section4_process.yaml")


@pytest.mark.parametrize("text", ["SG", "sgp", "Singapore", "singapore", "Republic of Singapore"])
def test_countries_by_code_name_and_slug(text: str) -> None:
    assert countries.find(text) == ("SG", "SGP", "Singapore", "singapore")


@pytest.mark.parametrize(
    ("text", "code", "slug"),
    [("korea-south", "KR", "korea-south"), ("Viet Nam", "VN", "vietnam"), ("Côte d'Ivoire", "CI", "cote-d-ivoire")],
)
def test_countries_by_other_names(text: str, code: str, slug: str) -> None:
    found = countries.find(text)
    assert (found.code, found.slug) == (code, slug)


def test_help_names_every_command() -> None:
    text = manage("--help").stdout
    for word in ("load", "verify", "chart", "status", "--full", "--task-config", "exit codes"):
        assert word in text
