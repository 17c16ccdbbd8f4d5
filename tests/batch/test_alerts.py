"""Somebody is told of an incident once, and once when it is over; what cannot be told is told later."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from batch import alerts
from batch.alerts import Alerts, follow
from batch.errors import BusyError, ConfigError

TROUBLE = ("2022-01-01T00:00:00+00:00", "run 1 failed")


class Webhook(HTTPServer):
    """Notes what it is sent; answers with `status`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = 200
        self.calls: list[dict[str, Any]] = []
        self.url = f"http://127.0.0.1:{self.server_port}/hook"


class _Handler(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.calls.append(json.loads(body))
        self.send_response(self.server.status)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    with Webhook() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "dest" / "state"
    folder.mkdir(parents=True)
    memory = tmp_path / "memory"
    memory.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(memory))
    return folder


def test_once_per_incident_and_once_after_it(webhook: Webhook, state: Path, tmp_path: Path) -> None:
    whom = Alerts(webhook=webhook.url)
    assert follow(whom, tmp_path, state, "job", None) == []
    for trouble in (TROUBLE, TROUBLE, ("2022-01-01T01:00:00+00:00", "another reason")):
        assert follow(whom, tmp_path, state, "job", trouble) == []
    for _ in range(3):
        assert follow(whom, tmp_path, state, "job", None) == []
    assert [call["status"] for call in webhook.calls] == ["unhealthy", "recovered"]
    assert webhook.calls[0] == {
        "job": "job",
        "status": "unhealthy",
        "since": TROUBLE[0],
        "reason": TROUBLE[1],
        "text": f"job is unhealthy since {TROUBLE[0]}: {TROUBLE[1]}",
    }
    assert alerts.incident(state) is None
    follow(whom, tmp_path, state, "job", TROUBLE)
    assert len(webhook.calls) == 3, "the next incident is another one"


def test_what_cannot_be_told_is_tried_again_after_a_minute(
    webhook: Webhook, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whom = Alerts(webhook=webhook.url)
    webhook.status = 500
    assert follow(whom, tmp_path, state, "job", TROUBLE) == ["the webhook was not reached: HTTPError"]
    assert follow(whom, tmp_path, state, "job", TROUBLE) == []
    assert len(webhook.calls) == 1
    monkeypatch.setattr(alerts, "RETRY", 0)
    webhook.status = 204
    for _ in range(2):
        assert follow(whom, tmp_path, state, "job", TROUBLE) == []
    assert len(webhook.calls) == 2
    webhook.status = 500
    assert follow(whom, tmp_path, state, "job", None) != []
    webhook.status = 200
    for _ in range(2):
        assert follow(whom, tmp_path, state, "job", None) == []
    assert [call["status"] for call in webhook.calls] == ["unhealthy", "unhealthy", "recovered", "recovered"]


def test_a_command_gets_the_message(state: Path, tmp_path: Path) -> None:
    told = tmp_path / "told.jsonl"
    program = f"import sys; open({str(told)!r}, 'a').write(sys.stdin.read() + '\\n')"
    whom = Alerts(command=[sys.executable, "-c", program])
    for trouble in (TROUBLE, TROUBLE, None, None):
        assert follow(whom, tmp_path, state, "job", trouble) == []
    assert [json.loads(line)["status"] for line in told.read_text().splitlines()] == ["unhealthy", "recovered"]


def test_a_channel_that_fails_does_not_repeat_the_other(
    webhook: Webhook, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(alerts, "RETRY", 0)
    whom = Alerts(webhook=webhook.url, command=["false"])
    for trouble in (TROUBLE, TROUBLE, None):
        problems = follow(whom, tmp_path, state, "job", trouble)
        assert problems == ([] if trouble is None else ["the command was not reached: CalledProcessError"])
    assert [call["status"] for call in webhook.calls] == ["unhealthy", "recovered"]


def test_the_address_may_stand_in_a_file(webhook: Webhook, state: Path, tmp_path: Path) -> None:
    whom = Alerts(webhook_file="hook")
    with pytest.raises(ConfigError, match="cannot read the webhook's address"):
        follow(whom, tmp_path, state, "job", None)
    (tmp_path / "hook").write_text("file:///etc/passwd")
    with pytest.raises(ConfigError, match="not an http or https address"):
        follow(whom, tmp_path, state, "job", None)
    (tmp_path / "hook").write_text(f"{webhook.url}\n")
    follow(whom, tmp_path, state, "job", TROUBLE)
    assert len(webhook.calls) == 1


def test_a_full_disk_does_not_make_it_repeat(
    webhook: Webhook, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whom = Alerts(webhook=webhook.url)
    write = alerts.write_file

    def full(path: Path, data: bytes) -> None:
        if path.parent == state:
            raise OSError(28, "No space left on device")
        write(path, data)

    monkeypatch.setattr(alerts, "write_file", full)
    for _ in range(3):
        follow(whom, tmp_path, state, "job", TROUBLE)
    monkeypatch.setattr(alerts, "write_file", write)
    for trouble in (TROUBLE, None, None):
        follow(whom, tmp_path, state, "job", trouble)
    assert [call["status"] for call in webhook.calls] == ["unhealthy", "recovered"]


def test_only_one_tells(webhook: Webhook, state: Path, tmp_path: Path) -> None:
    with alerts._alone(state), pytest.raises(BusyError):
        follow(Alerts(webhook=webhook.url), tmp_path, state, "job", TROUBLE)
    assert webhook.calls == []


def test_without_anyone_to_call_the_incident_is_noted(state: Path, tmp_path: Path) -> None:
    follow(Alerts(), tmp_path, state, "job", TROUBLE)
    known = alerts.incident(state)
    assert known is not None
    assert (known.since, known.reason) == TROUBLE
    follow(Alerts(), tmp_path, state, "job", None)
    assert alerts.incident(state) is None
