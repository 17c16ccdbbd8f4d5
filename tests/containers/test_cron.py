"""Cron in the container, on a schedule of one minute: what it publishes, what goes wrong, and who hears of it."""

from __future__ import annotations

import ipaddress
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
BRIDGE = ("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Subnet}}")


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
def minutely(deploy: Deploy) -> Deployment:
    deployment = deploy("minutely", SECTION1_SCHEDULE=EVERY_MINUTE)
    deployment.runner("start")
    assert EVERY_MINUTE + " python3 section1_manage.py" in deployment.exec("crontab", "-l")
    return deployment


@pytest.fixture(scope="module")
def hourly(deploy: Deploy, webhook: Webhook) -> Deployment:
    deployment = deploy("watched")
    ours = next(ipaddress.ip_network(docker(*BRIDGE).stdout.strip()).hosts())
    address = f"http://{ours}:{webhook.server_port}/hook\n"
    secrets = deployment.root / "secrets"
    secrets.mkdir(mode=0o700)
    (secrets / "section1_webhook").write_text(address)
    (secrets / "section1_webhook").chmod(0o600)
    if os.geteuid() == 0:
        deployment.own(secrets)
    yaml = deployment.root / "section1" / "conf" / "section1_process.yaml"
    with yaml.open("a") as file:
        file.write("alerts:\n  webhook_file: secrets/section1_webhook\n")
    deployment.runner("start")
    assert address.strip() not in json.dumps(deployment.inspect())
    return deployment


def as_cron_does(deployment: Deployment, *, wait: bool = True) -> None:
    """Run the line of the crontab with its shell, without waiting for the hour."""
    line = deployment.exec("crontab", "-l").splitlines()[3].split(maxsplit=5)[5]
    detach = () if wait else ("--detach",)
    deployment.exec("docker/section1_shell.sh", "-c", line, options=detach, check=False)


def test_cron_publishes_what_arrives(minutely: Deployment) -> None:
    before = minutely.run_id()
    minutely.drop("arrived.csv", applications(0, 100))
    wait_for(f"cron publishes; {minutely.logged()[-500:]}", lambda: minutely.run_id() != before)
    _, good, bad = minutely.pair()
    assert (len(good), len(bad)) == (51, 51)
    minutely.wait_for_health("healthy")  # a check before it may have found cron's minute late


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


def test_a_failing_hour_is_told_once_and_its_end_once(hourly: Deployment, webhook: Webhook) -> None:
    webhook.calls.clear()
    away = hourly.input.with_name("away")
    hourly.input.rename(away)
    as_cron_does(hourly)
    hourly.wait_for_health("unhealthy")
    wait_for("the webhook is called", webhook.statuses)
    told = webhook.calls[0]
    assert told["job"] == "section1"
    assert "failed" in told["reason"]
    as_cron_does(hourly)
    status = hourly.runner("status", check=False)
    assert status.returncode == 1
    assert f"unhealthy since {told['since']}: " in status.stdout
    assert "cannot list the input folder" in status.stdout
    checks = len(hourly.inspect()["State"]["Health"]["Log"])
    wait_for("it is looked at again", lambda: len(hourly.inspect()["State"]["Health"]["Log"]) > min(checks, 4))
    away.rename(hourly.input)
    as_cron_does(hourly)
    hourly.wait_for_health("healthy")
    wait_for("the webhook is called again", lambda: len(webhook.calls) > 1)
    assert webhook.statuses() == ["unhealthy", "recovered"]
    assert webhook.calls[1]["since"] == told["since"]


def test_a_killed_run_is_noticed(hourly: Deployment, webhook: Webhook) -> None:
    webhook.calls.clear()
    before = hourly.pair()
    hourly.drop("to_kill.csv", applications(1_000_000, 1_000_000))
    as_cron_does(hourly, wait=False)
    wait_for("the run begins", hourly.is_running)
    hourly.exec("sh", "-c", "kill -9 $(sed 's/.*process //' section1/resource/dest/state/run.lock)")
    assert hourly.pair() == before
    wait_for("the log says so", lambda: "was killed; was that for want of memory" in hourly.logged())
    hourly.wait_for_health("unhealthy")
    as_cron_does(hourly)
    _, good, bad = hourly.pair()
    assert len(good) + len(bad) == 1_000_002
    hourly.wait_for_health("healthy")
    wait_for("both are told", lambda: len(webhook.calls) > 1)
    assert webhook.statuses() == ["unhealthy", "recovered"]
    assert "exit code 137" in webhook.calls[0]["reason"]


def test_a_hanging_cron_is_told_by_the_health_check(hourly: Deployment, webhook: Webhook) -> None:
    webhook.calls.clear()
    hourly.exec("sh", "-c", "kill -STOP $(cat /run/section1/cron.pid)")
    hourly.wait_for_health("unhealthy")
    wait_for("the webhook is called", webhook.statuses)
    assert webhook.calls[0]["reason"] == "cron is not running"
    hourly.exec("sh", "-c", "kill -CONT $(cat /run/section1/cron.pid)")
    hourly.wait_for_health("healthy")
    wait_for("the webhook is called again", lambda: len(webhook.calls) > 1)
    assert webhook.statuses() == ["unhealthy", "recovered"]


def test_a_dead_cron_is_told_and_started_again(hourly: Deployment, webhook: Webhook) -> None:
    webhook.calls.clear()
    started = hourly.inspect()["State"]["StartedAt"]
    hourly.exec("sh", "-c", "kill -KILL $(cat /run/section1/cron.pid)")
    wait_for("Docker starts it again", lambda: hourly.inspect()["State"]["StartedAt"] != started)
    hourly.wait_for_health("healthy")
    wait_for("the webhook is called", lambda: len(webhook.calls) > 1)
    assert webhook.statuses() == ["unhealthy", "recovered"]
    assert webhook.calls[0]["reason"] == "cron is not running"


def test_nobody_was_told_of_a_person(hourly: Deployment, webhook: Webhook) -> None:
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
        as_cron_does(deployment)
        assert "No space left on device" in deployment.logged()
        assert "free some space" in deployment.logged()
        assert "Traceback" not in deployment.logged()
        assert deployment.pair() == before
        deployment.wait_for_health("unhealthy")
        Path(deployment.input / "large.csv").unlink()
        deployment.drop("small.csv", applications(0, 10))
        as_cron_does(deployment)
        assert deployment.pair()[0] != before[0]
        assert len(deployment.pair()[1]) == 6
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
