"""Sections 1, 2 and 4 together: an application that arrives is on the dashboard after the next runs."""

from __future__ import annotations

import json
import os
import subprocess
import urllib.request
from collections.abc import Iterator

import pytest
from deployment import Deploy, Deployment, applications, docker, wait_for
from test_section4 import ANSWER, SOURCES, free_port

pytestmark = [pytest.mark.container]
NAME = f"together_{os.getpid()}"


@pytest.fixture(scope="module")
def together(deploy: Deploy) -> Iterator[Deployment]:
    """All three, section 1 every minute and section 2's loader every few seconds."""
    ports = {"SECTION2_PORT": str(free_port()), "SECTION4_PORT": str(free_port())}
    every = {"SECTION1_SCHEDULE": "* * * * *", "SECTION2_LOAD_SCHEDULE": "*/5 * * * * * *"}
    made = deploy("together", ALL_NAME=NAME, **ports, **every)
    conf = made.root / "section4" / "conf" / "section4_process.yaml"
    conf.write_text(
        conf.read_text().partition("sources:\n")[0] + SOURCES + "revision_days: 28\nsettle_hours: 6\n"
        "secrets: secrets/section4\ngrafana: http://127.0.0.1:3001\n"
    )
    try:
        yield made
    finally:
        run(made, "stop")
        for number in (4, 2, 1):
            project = f"{NAME}_section{number}"
            volumes = docker("volume", "ls", "--quiet", "--filter", f"label=com.docker.compose.project={project}")
            for volume in volumes.stdout.split():
                docker("volume", "rm", volume, check=False)
            images = docker("images", "--quiet", "--filter", f"reference={project}-*").stdout.split()
            for image in images:
                docker("image", "rm", "--force", image, check=False)


def run(made: Deployment, verb: str) -> subprocess.CompletedProcess[str]:
    """Run all_runner.sh, which names the containers itself."""
    own = ("SECTION1_CONTAINER", "COMPOSE_PROJECT_NAME")
    return subprocess.run(
        ["sh", "all_runner.sh", verb],
        cwd=made.root,
        env={name: value for name, value in made.environment.items() if name not in own},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=1500,
    )


def runs_on_the_dashboard(made: Deployment) -> float:
    """The applications that the dashboard's first panel counts, asked as a visitor."""
    base = f"http://127.0.0.1:{made.environment['SECTION4_PORT']}/api"
    with urllib.request.urlopen(f"{base}/dashboards/uid/section2-sales", timeout=ANSWER) as answer:
        dashboard = json.load(answer)["dashboard"]
    panel = next(panel for panel in dashboard["panels"] if panel["title"] == "Applications judged")
    body = json.dumps({"queries": panel["targets"], "from": "now-24h", "to": "now"}).encode()
    request = urllib.request.Request(f"{base}/ds/query", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=ANSWER) as answer:
        return float(json.load(answer)["results"]["A"]["frames"][0]["data"]["values"][0][0])


def test_from_application_to_dashboard(together: Deployment) -> None:
    started = run(together, "start")
    assert started.returncode == 0, started.stdout + started.stderr
    assert "dashboard section2-sales: 7 queries gave" in started.stdout
    assert "dashboard section4-covid: 11 queries gave" in started.stdout
    wait_for("section 1's first run on the dashboard", lambda: runs_on_the_dashboard(together) >= 5000)
    before = runs_on_the_dashboard(together)
    together.drop("late.csv", applications(1, 20))
    wait_for("20 more applications", lambda: runs_on_the_dashboard(together) == before + 20)
    status = run(together, "status")
    assert status.returncode == 0, status.stdout + status.stderr
    assert status.stdout.count("== section") == 3
    stopped = run(together, "stop")
    assert stopped.returncode == 0, stopped.stdout + stopped.stderr
    assert NAME not in docker("ps", "--all", "--format", "{{.Names}}").stdout
    assert run(together, "status").returncode == 1
