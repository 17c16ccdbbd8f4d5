"""Section 5's containers as `start` leaves them: who may ask what, and what they may do."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from deployment import ROOT, docker

pytestmark = pytest.mark.container
IN_THE_KERNEL = """
import nbformat
from nbclient import NotebookClient
notebook = nbformat.read("/app/notebooks/car_buy_price_prediction.ipynb", 4)
code = [cell for cell in notebook.cells if cell.cell_type == "code"][:3]
notebook.cells = code
NotebookClient(notebook, resources={"metadata": {"path": "/app/notebooks"}}).execute()
print(code[1].outputs[0].text)
"""


def free_port() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return str(taken.getsockname()[1])


class Started:
    """A copy of the project with its own two containers."""

    def __init__(self, root: Path) -> None:
        self.root, self.name = root, f"section5_test_{os.getpid()}"
        self.lab_port, self.predict_port = free_port(), free_port()
        self.environment = os.environ | {
            "COMPOSE_PROJECT_NAME": self.name,
            "SECTION5_CONTAINER": self.name,
            "SECTION5_LAB_PORT": self.lab_port,
            "SECTION5_PREDICT_PORT": self.predict_port,
        }

    def runner(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = ["sh", "section5_runner.sh", *arguments]
        given = self.environment | environment
        return subprocess.run(
            command, cwd=self.root, env=given, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )

    def remove(self, **environment: str) -> None:
        """Leave nothing behind."""
        down = ["docker", "compose", "--file", "docker/section5_compose.yaml", "down", "--rmi", "all", "--volumes"]
        subprocess.run(down, cwd=self.root, env=self.environment | environment, capture_output=True, check=False)

    def token(self) -> str:
        return (self.root / "secrets" / "section5_token").read_text()

    def get(self, port: str, path: str, body: bytes | None = None) -> tuple[int, Any]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", body, timeout=20) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)


@pytest.fixture(scope="module")
def started(engine: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    root = tmp_path_factory.mktemp("section5")
    for name in ("batch", "section5", "docker"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__", "dest", "car.data"))
    for name in ("section5_manage.py", "section5_runner.sh", "Pipfile.lock"):
        shutil.copy(ROOT / name, root / name)
    for above in (root, root.parent, root.parent.parent):
        above.chmod(above.stat().st_mode | 0o011)
    found = Started(root)
    try:
        done = found.runner("start")
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"?token={found.token()}" in done.stdout
        yield found
    finally:
        found.remove()


def test_the_question_is_answered_with_its_warning(started: Started) -> None:
    asked = {"maint": "high", "doors": "4", "lug_boot": "big", "safety": "high", "class": "good"}
    status, answer = started.get(started.predict_port, "/predict", json.dumps(asked).encode())
    assert (status, answer["price"], answer["supported"]) == (200, "low", False)
    status, answer = started.get(started.predict_port, "/predict", b'{"maint": "hgih"}')
    assert (status, answer["error"]["field"]) == (422, "maint")
    assert started.get(started.predict_port, "/health")[1]["status"] == "ok"


def test_the_notebook_is_there_for_those_with_the_token(started: Started) -> None:
    assert started.get(started.lab_port, "/api/contents")[0] == 403
    assert started.get(started.lab_port, "/api/contents?token=wrong")[0] == 403
    status, contents = started.get(started.lab_port, f"/api/contents?token={started.token()}")
    assert status == 200
    assert "car_buy_price_prediction.ipynb" in {entry["name"] for entry in contents["content"]}


def test_the_notebook_runs_there(started: Started) -> None:
    said = docker("exec", f"{started.name}_lab", "python3", "-c", IN_THE_KERNEL).stdout
    assert "1,728 rows, 7 columns, SHA-256 b703a9ac69f1" in said


def test_the_token_is_a_secret(started: Started) -> None:
    token = started.root / "secrets" / "section5_token"
    assert re.fullmatch("[0-9a-f]{48}", started.token())
    assert token.stat().st_mode & 0o777 == 0o600
    assert token.parent.stat().st_mode & 0o777 == 0o700
    logs = docker("logs", f"{started.name}_lab")
    told = docker("inspect", f"{started.name}_lab").stdout + logs.stdout + logs.stderr
    told += docker("history", "--no-trunc", f"{started.name}-python").stdout
    assert started.token() not in told


@pytest.mark.parametrize("service", ["lab", "predict"])
def test_containers_have_no_rights(started: Started, service: str) -> None:
    container = f"{started.name}_{service}"
    status = docker("exec", container, "cat", "/proc/1/status").stdout
    for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb"):
        assert re.search(rf"Cap{kind}:\t0+\n", status)
    assert "NoNewPrivs:\t1" in status
    assert docker("exec", container, "id", "-u").stdout.strip() != "0"
    for place in ("/x", "/app/x", "/app/section5/resource/dest/model.json"):
        assert docker("exec", container, "touch", place, check=False).returncode != 0
    [inspected] = json.loads(docker("inspect", container).stdout)
    host = inspected["HostConfig"]
    assert host["ReadonlyRootfs"]
    assert 0 < host["Memory"] == host["MemorySwap"]
    assert host["PidsLimit"] > 0
    assert {port["HostIp"] for ports in host["PortBindings"].values() for port in ports} == {"127.0.0.1"}


def test_start_again_changes_nothing_and_status_says_how_it_is(started: Started) -> None:
    container = f"{started.name}_lab"
    before, token = docker("inspect", "--format", "{{.Id}} {{.State.StartedAt}}", container).stdout, started.token()
    assert started.runner("start").returncode == 0
    assert docker("inspect", "--format", "{{.Id}} {{.State.StartedAt}}", container).stdout == before
    assert started.token() == token
    status = started.runner("status")
    assert status.returncode == 0
    assert status.stdout.count("running, healthy") == 2
    assert "Jupyter Server" in started.runner("logs").stdout


def test_a_wrong_or_taken_port_is_told(started: Started) -> None:
    for port, problem in (("x", "is no port"), ("99999", "is no port"), (started.lab_port, "both ports are")):
        done = started.runner("start", SECTION5_PREDICT_PORT=port)
        assert done.returncode == 2
        assert problem in done.stderr
    other = {"COMPOSE_PROJECT_NAME": f"{started.name}_other", "SECTION5_CONTAINER": f"{started.name}_other"}
    try:
        done = started.runner("start", **other, SECTION5_LAB_PORT=free_port())
        assert done.returncode == 5
        assert f"port {started.predict_port} is taken; start with another one" in done.stderr
        assert "SECTION5_PREDICT_PORT=" in done.stderr
    finally:
        started.remove(**other)


def test_zz_stop_keeps_a_changed_notebook(started: Started) -> None:
    """The last one: it stops the containers and starts them once more."""
    container = f"{started.name}_lab"
    change = "echo '{}' > /app/notebooks/car_buy_price_prediction.ipynb"
    docker("exec", container, "sh", "-c", change)
    assert started.runner("stop").returncode == 0
    assert started.runner("status").returncode == 1
    assert started.runner("start").returncode == 0
    assert docker("exec", container, "cat", "notebooks/car_buy_price_prediction.ipynb").stdout == "{}\n"
    assert started.runner("stop").returncode == 0
