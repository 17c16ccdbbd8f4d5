"""Cron in the container, on a schedule of one minute: what it publishes, what goes wrong, and who hears of it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from deployment import Deploy, Deployment, applications, docker, wait_for

pytestmark = pytest.mark.container
EVERY_MINUTE = "* * * * *"
BRIDGE = ("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}")


class Webhook(ThreadingHTTPServer):
    """Notes what it is sent, on all of this machine's addresses: the container comes in by Docker's bridge."""

    def __init__(self) -> None:
        super().__init__(("", 0), _Handler)
        self.calls: list[dict[str, Any]] = []

    def statuses(self) -> list[str]:
        """What was told so far."""
        return [call["status"] for call in self.calls]


class _Handler(BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        self.server.calls.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture(scope="module")
def webhook(engine: None) -> Iterator[Webhook]:
    with Webhook() as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def minutely(deploy: Deploy, webhook: Webhook) -> Deployment:
    deployment = deploy("minutely", SECTION1_SCHEDULE=EVERY_MINUTE)
    address = f"http://{docker(*BRIDGE).stdout.strip()}:{webhook.server_port}/hook\n"
    secrets = deployment.root / "secrets"
    secrets.mkdir(mode=0o700)
    (secrets / "section1_webhook").write_text(address)
    if os.geteuid() == 0:
        deployment.own(secrets)
    yaml = deployment.root / "section1" / "conf" / "section1_process.yaml"
    with yaml.open("a") as file:
        file.write("alerts:\n  webhook_file: secrets/section1_webhook\n")
    deployment.runner("start")
    assert EVERY_MINUTE + " python3 section1_manage.py" in deployment.exec("crontab", "-l")
    assert address.strip() not in json.dumps(deployment.inspect())
    return deployment


def test_cron_publishes_what_arrives(minutely: Deployment) -> None:
    before = minutely.run_id()
    minutely.drop("arrived.csv", applications(0, 100))
    wait_for(f"cron publishes; {minutely.logged()[-500:]}", lambda: minutely.run_id() != before)
    _, good, bad = minutely.pair()
    assert (len(good), len(bad)) == (51, 51)
    assert minutely.health() == "healthy"


def test_a_failing_hour_is_told_once_and_its_end_once(minutely: Deployment, webhook: Webhook) -> None:
    webhook.calls.clear()
    away = minutely.input.with_name("away")
    minutely.input.rename(away)
    minutely.wait_for_health("unhealthy")
    wait_for("the webhook is called", webhook.statuses)
    told = webhook.calls[0]
    assert told["job"] == "section1"
    assert "failed" in told["reason"]
    status = minutely.runner("status", check=False)
    assert status.returncode == 1
    assert f"unhealthy since {told['since']}: " in status.stdout
    assert "cannot list the input folder" in status.stdout
    failures = minutely.logged().count('"level": "error"') + minutely.logged().count("cannot list the input folder")
    wait_for("it fails again", lambda: minutely.logged().count("cannot list the input folder") > failures)
    away.rename(minutely.input)
    minutely.wait_for_health("healthy")
    wait_for("the webhook is called again", lambda: len(webhook.calls) > 1)
    assert webhook.statuses() == ["unhealthy", "recovered"]
    assert webhook.calls[1]["since"] == told["since"]


def test_a_killed_run_is_noticed(minutely: Deployment, webhook: Webhook) -> None:
    webhook.calls.clear()
    before = minutely.pair()
    minutely.drop("to_kill.csv", applications(1_000_000, 1_000_000))
    wait_for("cron's run begins", minutely.is_running)
    minutely.exec(
        "sh", "-c", "kill -9 $(grep -l section1_process.yaml /proc/[0-9]*/cmdline | sed 's|/proc/||; s|/.*||')"
    )
    assert minutely.pair() == before
    wait_for("the log says so", lambda: "was killed; was that for want of memory" in minutely.logged())
    minutely.wait_for_health("unhealthy")
    wait_for("the next run is good", lambda: minutely.run_id() != before[0])
    _, good, bad = minutely.pair()
    assert len(good) + len(bad) == 1_000_002
    minutely.wait_for_health("healthy")
    wait_for("both are told", lambda: len(webhook.calls) > 1)
    assert webhook.statuses() == ["unhealthy", "recovered"]
    assert "exit code 137" in webhook.calls[0]["reason"]


def test_a_hanging_cron_is_told_by_the_health_check(minutely: Deployment, webhook: Webhook) -> None:
    webhook.calls.clear()
    minutely.exec("sh", "-c", "kill -STOP $(cat /run/section1/cron.pid)")
    minutely.wait_for_health("unhealthy")
    wait_for("the webhook is called", webhook.statuses)
    assert webhook.calls[0]["reason"] == "cron is not running"
    minutely.exec("sh", "-c", "kill -CONT $(cat /run/section1/cron.pid)")
    minutely.wait_for_health("healthy")
    wait_for("the webhook is called again", lambda: len(webhook.calls) > 1)
    assert webhook.statuses() == ["unhealthy", "recovered"]


def test_a_dead_cron_is_told_and_started_again(minutely: Deployment, webhook: Webhook) -> None:
    webhook.calls.clear()
    started = minutely.inspect()["State"]["StartedAt"]
    minutely.exec("sh", "-c", "kill -KILL $(cat /run/section1/cron.pid)")
    wait_for("Docker starts it again", lambda: minutely.inspect()["State"]["StartedAt"] != started)
    minutely.wait_for_health("healthy")
    wait_for("the webhook is called", lambda: len(webhook.calls) > 1)
    assert webhook.statuses() == ["unhealthy", "recovered"]
    assert webhook.calls[0]["reason"] == "cron is not running"


def test_stop_lets_a_run_finish(minutely: Deployment) -> None:
    before = minutely.run_id()
    minutely.drop("to_finish.csv", applications(3_000_000, 1_000_000))
    wait_for("cron's run begins", minutely.is_running)
    assert minutely.run_id() == before
    minutely.runner("stop")
    run_id, good, bad = minutely.pair()
    assert run_id != before
    assert len(good) + len(bad) == 1_000_002
    assert not minutely.is_running()


def test_nobody_was_told_of_a_person(minutely: Deployment, webhook: Webhook) -> None:
    assert webhook.calls
    assert "Testcase" not in json.dumps(webhook.calls)
    assert "@" not in json.dumps(webhook.calls)


def test_a_full_disk_keeps_the_old_pair(deploy: Deploy) -> None:
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    deployment = deploy("full_disk")
    deployment.dest.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m,mode=0750", "tmpfs", str(deployment.dest)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        deployment.own(deployment.dest)
        deployment.runner("start")
        before = deployment.pair()
        deployment.drop("large.csv", applications(0, 100_000))
        run = "python3 section1_manage.py --task-config section1_process.yaml"
        answer = deployment.exec("bash", "-c", run, check=False)
        assert "No space left on device" in answer
        assert "free some space" in answer
        assert "Traceback" not in answer
        assert deployment.pair() == before
        deployment.wait_for_health("unhealthy")
        Path(deployment.input / "large.csv").unlink()
        deployment.drop("small.csv", applications(0, 10))
        assert "10 records" in deployment.exec("bash", "-c", run)
        deployment.wait_for_health("healthy")
    finally:
        deployment.remove()
        subprocess.run(["umount", "--lazy", str(deployment.dest)], check=False)


def test_a_run_that_takes_too_long_is_ended(deploy: Deploy) -> None:
    deployment = deploy("slow", SECTION1_TIMEOUT="0.2s")
    refused = deployment.runner("start", check=False)
    assert refused.returncode == 5
    assert "took longer than 0.2s and was ended" in refused.stderr
    assert "is running and not healthy: unhealthy since" in refused.stderr.splitlines()[-1]
    assert "exit code 124" in refused.stderr
