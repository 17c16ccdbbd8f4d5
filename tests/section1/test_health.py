"""Health is the job's freshness; those whom the YAML names hear of an incident once, and once of its end."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from applications import config, manage, rows, run, write

from batch import alerts
from batch.alerts import Alerts
from batch.publish import Output
from section1 import health, settings


class Webhook(ThreadingHTTPServer):
    """A server that keeps what it is told, and refuses it while `refusing`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Told)
        self.told: list[dict[str, Any]] = []
        self.refusing = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"


class Told(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self.server.refusing:
            self.server.told.append(message)
        self.send_response(503 if self.server.refusing else 200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """An output folder with one good run."""
    write(tmp_path / "in", "a.csv", rows(1, 4))
    run(tmp_path / "in", tmp_path / "out")
    return tmp_path / "out"


def check(output: Path, later: timedelta = timedelta()) -> health.Health:
    return health.check(Output(output), settings.load("section1_process.yaml", []).settings, datetime.now(UTC) + later)


def test_healthy_while_the_last_success_is_young(output: Path) -> None:
    assert check(output).healthy
    late = check(output, timedelta(hours=2, minutes=31))
    assert not late.healthy
    assert "no run has succeeded since the one that was due then" in late.line()


def test_nothing_ran_yet(tmp_path: Path) -> None:
    assert "no run has succeeded yet" in check(tmp_path / "out").line()
    assert not (tmp_path / "out").exists()


def test_a_failed_run_counts_at_once(output: Path, tmp_path: Path) -> None:
    assert manage("--input", tmp_path / "gone", "--output", output).returncode == 3
    found = manage("health", "--output", output)
    assert found.returncode == 1
    assert "cannot list the input folder" in found.stdout
    assert manage("--input", tmp_path / "in", "--output", output).returncode == 0
    assert manage("health", "--output", output).returncode == 0


def test_a_ledger_that_cannot_be_read(output: Path) -> None:
    (output / "state" / "ledger.sqlite").write_bytes(b"not a database, and long enough to be looked at" * 9)
    assert "the ledger cannot be read" in check(output).line()


def test_cron_and_the_last_start_count_in_the_container(
    output: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECTION1_RUNTIME", str(tmp_path))
    assert check(output).reason == "cron is not running"
    (tmp_path / "cron.pid").write_text(str(os.getpid()))
    assert check(output).healthy
    (tmp_path / "last_run").write_text("137 2000-01-01T00:00:00+00:00")
    assert check(output).healthy  # a success came after it
    (tmp_path / "last_run").write_text("137 2999-01-01T00:00:00+00:00")
    assert "ended with exit code 137" in check(output).line()


def test_told_once_and_once_when_it_is_over(output: Path, tmp_path: Path, webhook: Webhook) -> None:
    task = config(tmp_path / "task.yaml")
    with task.open("a") as file:
        file.write(f"alerts:\n  webhook: {webhook.url}\n  command: [sh, -c, 'cat >> {tmp_path}/told']\n")
    failing = ["--task-config", task, "--input", tmp_path / "gone", "--output", output]
    working = ["--task-config", task, "--input", tmp_path / "in", "--output", output]
    for _ in range(2):
        assert manage(*failing).returncode == 3
        assert manage("health", "--notify", *failing).returncode == 1
    assert [message["status"] for message in webhook.told] == ["unhealthy"]
    assert manage(*working).returncode == 0
    for _ in range(2):
        assert manage("health", "--notify", *working).returncode == 0
    assert [message["status"] for message in webhook.told] == ["unhealthy", "recovered"]
    assert (tmp_path / "told").read_text().count('"status"') == 2
    assert webhook.told[0]["job"] == "section1"
    assert "Nora" not in json.dumps(webhook.told)


def test_who_was_not_reached_is_told_later(tmp_path: Path, webhook: Webhook, monkeypatch: pytest.MonkeyPatch) -> None:
    whom, trouble = Alerts(webhook=webhook.url), ("2022-01-01T00:00:00+00:00", "it is late")
    webhook.refusing = True
    assert alerts.follow(whom, tmp_path, tmp_path, "job", trouble) == ["the webhook was not reached: HTTPError"]
    webhook.refusing = False
    assert alerts.follow(whom, tmp_path, tmp_path, "job", trouble) == []
    assert webhook.told == []  # within a minute nobody is tried again
    monkeypatch.setattr(alerts, "RETRY", 0.0)
    assert alerts.follow(whom, tmp_path, tmp_path, "job", trouble) == []
    assert [message["text"] for message in webhook.told] == [f"job is unhealthy since {trouble[0]}: it is late"]
    kept = alerts.incident(tmp_path)
    assert kept is not None
    assert msgspec.structs.asdict(kept)["told"] == ["webhook"]
    assert alerts.follow(whom, tmp_path, tmp_path, "job", None) == []
    assert alerts.incident(tmp_path) is None
    assert webhook.told[-1]["status"] == "recovered"
