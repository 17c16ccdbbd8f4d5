"""Section 4's containers, one stack for all tests here: Postgres, the loader, Grafana or its double."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from deployment import ROOT, docker, wait_for

pytestmark = [pytest.mark.container]
ANSWER = 60.0  # seconds for Grafana's answer: clearly longer than the role's statement timeout of 10
SECRETS = ["grafana_admin", "grafana_reader", "loader", "postgres"]
PARTS = ["postgres", "loader", "grafana"]
# Nobody listens there: as with the network off.
SOURCES = """\
sources:
  - {type: disease_sh, base_url: "http://127.0.0.1:9", limits: {first_wait: 0.1}}
  - {type: file}
  - {type: sample}
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class Stack:
    """A copy of the project with containers of its own."""

    def __init__(self, folder: Path) -> None:
        self.root, self.name, self.port = folder, f"section4_test_{os.getpid()}", free_port()
        self.environment = {
            **os.environ,
            "COMPOSE_PROJECT_NAME": self.name,
            "SECTION4_NAME": self.name,
            "SECTION4_PORT": str(self.port),
            "SECTION4_SCHEDULE": "* * * * *",
        }
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
        for file in filter(None, names):
            if (ROOT / file).exists():
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / file, folder / file, follow_symlinks=False)
        conf = folder / "section4" / "conf" / "section4_process.yaml"
        conf.write_text(re.sub(r"sources:\n(?: .*\n)+", SOURCES, conf.read_text()))

    def runner(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run section4_runner.sh."""
        return subprocess.run(
            ["sh", "section4_runner.sh", *arguments],
            cwd=self.root,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )

    def exec(self, part: str, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in a container."""
        return docker("exec", f"{self.name}_{part}", *command, check=check)

    def sql(self, text: str) -> str:
        """Run a statement as the superuser; its unaligned output."""
        asked = ("psql", "--no-psqlrc", "-U", "postgres", "-d", "covid", "-Atc", text)
        return self.exec("postgres", *asked).stdout.strip()

    def ask(self, path: str, body: object = None, login: str = "") -> tuple[int, Any]:
        """Ask Grafana's API, as a visitor where there is no login; the status and what came."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}")
        if login:
            request.add_header("Authorization", f"Basic {b64encode(login.encode()).decode()}")
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        try:
            with urllib.request.urlopen(request, timeout=ANSWER) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"{}")

    def query(self, sql: str) -> tuple[int, Any]:
        """Let Grafana run a query for a visitor."""
        source = {"type": "grafana-postgresql-datasource", "uid": "section4-covid"}
        asked = {"refId": "A", "datasource": source, "format": "table", "rawQuery": True, "rawSql": sql}
        status, answer = self.ask("/api/ds/query", {"queries": [asked], "from": "now-1y", "to": "now"})
        return status, answer["results"]["A"] if "results" in answer else answer

    def value(self, sql: str) -> Any:
        """The first value that a query gives a visitor."""
        status, answer = self.query(sql)
        assert status == 200, answer
        return answer["frames"][0]["data"]["values"][0][0]


@pytest.fixture(scope="module")
def stack(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("section4")
    for above in (folder, folder.parent, folder.parent.parent):
        above.chmod(above.stat().st_mode | 0o011)  # Docker's daemon may be somebody else
    made = Stack(folder)
    started = made.runner("start")
    try:
        assert started.returncode == 0, started.stdout + started.stderr
        yield made
    finally:
        compose = ["docker", "compose", "--file", "docker/section4_compose.yaml"]
        subprocess.run(
            [*compose, "down", "--volumes", "--timeout", "5"],
            cwd=folder,
            env=made.environment,
            capture_output=True,
            check=False,
        )
        docker("image", "rm", "--force", f"{made.name}-loader", check=False)


def test_a_second_start_is_quick_and_keeps_everything(stack: Stack) -> None:
    before = {name: (stack.root / "secrets" / "section4" / name).read_text() for name in SECRETS}
    ingests = int(stack.sql("select count(*) from covid.ingest"))
    stopped = stack.runner("stop")
    assert stopped.returncode == 0, stopped.stderr
    assert stack.runner("status").returncode == 1
    began = time.monotonic()
    started = stack.runner("start")
    assert started.returncode == 0, started.stderr
    assert time.monotonic() - began < 60
    assert f"http://localhost:{stack.port} shows the figures" in started.stdout
    assert "dashboard section4-covid: 11 queries gave" in started.stdout
    assert {name: (stack.root / "secrets" / "section4" / name).read_text() for name in SECRETS} == before
    assert int(stack.sql("select count(*) from covid.ingest")) > ingests
    status = stack.runner("status")
    assert status.returncode == 0, status.stdout
    assert "SYNTHETIC" in status.stdout
    assert "secrets/section4/grafana_admin" in status.stdout


def test_which_grafana_was_met(stack: Stack) -> None:
    status, health = stack.ask("/api/health")
    assert (status, health["database"]) == (200, "ok")
    if health["version"].endswith("-stand-in"):
        pytest.skip(f"met the double, Grafana {health['version']}, which never looks at its alert rules")
    assert health["version"] == "12.4.0"

    def rules() -> list[tuple[str, str]]:
        groups = stack.ask("/api/prometheus/grafana/api/v1/rules")[1]["data"]["groups"]
        return [(rule["health"], rule["state"]) for group in groups for rule in group["rules"]]

    wait_for("the alert rule's first look, one a minute", lambda: rules() == [("ok", "inactive")])


def test_a_visitor_sees_the_dashboard_and_nothing_else(stack: Stack) -> None:
    status, found = stack.ask("/api/dashboards/uid/section4-covid")
    assert (status, found["meta"]["provisioned"]) == (200, True)
    assert found["dashboard"]["time"]["to"] == "2023-03-09T23:59:59.000Z"
    assert stack.value("select origin from reporting.freshness").startswith("SYNTHETIC")
    password = (stack.root / "secrets" / "section4" / "grafana_admin").read_text()
    # Who comes with a wrong password is a visitor, or refused.
    logins = ("", "admin:admin", f"admin:{password}")
    answers = [stack.ask("/api/admin/settings", login=login)[0] for login in logins]
    assert [status in (401, 403) for status in answers] == [True, True, False]
    # Grafana tells viewers of the data sources, for they may query them: not with what password.
    told = json.dumps(stack.ask("/api/datasources"))
    assert (stack.root / "secrets" / "section4" / "grafana_reader").read_text() not in told
    for hostile, why in {
        "delete from covid.cases": "permission denied|read-only",
        "create table mine (n int)": "permission denied|read-only",
        "select * from covid.cases": "permission denied",
        f"select pg_sleep({2 * ANSWER:.0f})": "timeout",
    }.items():
        status, answer = stack.query(hostile)
        assert status >= 400
        assert re.search(why, json.dumps(answer))
    assert stack.sql("select count(*) > 1000 from covid.cases") == "t"


def test_containers_have_no_rights_and_no_secrets(stack: Stack) -> None:
    folder = stack.root / "secrets" / "section4"
    assert folder.stat().st_mode & 0o777 == 0o700
    secrets = [path.read_text() for path in folder.iterdir()]
    assert len(set(secrets)) == len(SECRETS)
    for part in PARTS:
        text = docker("inspect", f"{stack.name}_{part}").stdout
        found = json.loads(text)[0]
        assert found["HostConfig"]["ReadonlyRootfs"]
        assert found["HostConfig"]["CapDrop"] == ["ALL"]
        assert found["HostConfig"]["Memory"] > 0
        assert found["HostConfig"]["PidsLimit"] > 0
        assert stack.exec(part, "id", "-u").stdout.strip() != "0"
        bound = [one["HostIp"] for ports in found["NetworkSettings"]["Ports"].values() for one in ports or []]
        assert bound == (["127.0.0.1"] if part == "grafana" else [])
        logs = docker("logs", f"{stack.name}_{part}")
        assert not [secret for secret in secrets if secret in text + logs.stdout + logs.stderr]


def test_a_recorded_answer_takes_the_place_of_the_sample(stack: Stack) -> None:
    recorded = stack.root / "section4" / "resource" / "recorded"
    recorded.mkdir(mode=0o755)
    answer = json.loads((stack.root / "section4" / "resource" / "sample" / "singapore.json").read_text())[:900]
    (recorded / "singapore.json").write_text(json.dumps(answer))
    (recorded / "singapore.json").chmod(0o644)
    stack.exec("loader", "python3", "section4_manage.py", "load", check=False)  # cron may be at it
    wait_for("recorded figures", lambda: "recorded" in stack.value("select origin from reporting.freshness"))
    last = stack.value("select to_char(last_day, 'YYYY-MM-DD') from reporting.freshness")
    assert last == answer[-1]["Date"][:10]
    opens = ("grep", "-q", f'"to": "{last}T23:59:59', "/etc/grafana/dashboards/covid.json")
    # The dashboard follows the figures: a moment later.
    wait_for("the dashboard's days", lambda: stack.exec("grafana", *opens, check=False).returncode == 0)


def test_cron_loads_every_period(stack: Stack) -> None:
    """The schedule is set to a minute."""
    count = "select count(*) from covid.ingest"
    before = int(stack.sql(count))
    wait_for("a run by cron", lambda: int(stack.sql(count)) > before)
    assert stack.sql("select distinct period_seconds from covid.ingest") == "60"


def test_verify_says_what_is_not_well(stack: Stack) -> None:
    stack.sql("revoke select on reporting.gap from grafana")
    try:
        done = stack.exec("loader", "python3", "section4_manage.py", "verify", check=False)
        assert done.returncode == 1
        assert "dashboard section4-covid: Gaps: " in done.stderr
    finally:
        stack.sql("grant select on reporting.gap to grafana")
    stack.sql("alter role grafana nologin")
    stack.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'grafana'")  # Grafana keeps some
    try:
        done = stack.exec("loader", "python3", "section4_manage.py", "verify", check=False)
        assert done.returncode == 1
        assert "data source section4-covid" in done.stderr
    finally:
        stack.sql("alter role grafana login")
    assert stack.exec("loader", "python3", "section4_manage.py", "verify").returncode == 0


def test_wrong_calls_are_one_clear_line(stack: Stack) -> None:
    taken = stack.runner("start", SECTION4_PORT="99999")
    assert (taken.returncode, "is no port" in taken.stderr) == (2, True)
    alone = stack.runner("start", SECTION4_SALES_NETWORK="nowhere")
    assert (alone.returncode, "first: sh section2_runner.sh start" in alone.stderr) == (3, True)
    with socket.socket() as busy:
        busy.bind(("127.0.0.1", 0))
        busy.listen()
        port = str(busy.getsockname()[1])
        other = {"SECTION4_NAME": f"{stack.name}b", "COMPOSE_PROJECT_NAME": f"{stack.name}b"}
        try:
            done = stack.runner("start", SECTION4_PORT=port, **other)
            assert (done.returncode, f"port {port} is taken" in done.stderr) == (5, True)
        finally:
            subprocess.run(
                ["docker", "compose", "--file", "docker/section4_compose.yaml", "down", "--volumes", "--timeout", "5"],
                cwd=stack.root,
                env=stack.environment | other,
                capture_output=True,
                check=False,
            )
            docker("image", "rm", "--force", f"{stack.name}b-loader", check=False)
