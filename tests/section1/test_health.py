"""The job is well while its last success is young, no run failed after it, and cron is alive."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from applications import manage, write

from batch.ledger import Run
from batch.publish import Output
from section1 import health, settings
from section1.settings import Settings

START = datetime(2022, 1, 1, 12, 0, 5, tzinfo=UTC)
DUE = "2022-01-01T13:00:00+00:00"


@pytest.fixture
def hourly() -> Settings:
    return settings.load("section1_process.yaml", []).settings


@pytest.fixture
def output(tmp_path: Path) -> Output:
    made = Output(tmp_path / "dest")
    made.prepare()
    return made


def record(output: Output, status: str, minutes: int = 0, kind: str = "run", message: str = "") -> None:
    started = (START + timedelta(minutes=minutes)).isoformat()
    output.ledger.record(
        Run(run_id=f"{kind}-{minutes}", kind=kind, status=status, started=started, seconds=1, message=message)  # type: ignore[arg-type]
    )


def after(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


@pytest.mark.parametrize("status", ["published", "nothing_new"])
def test_a_success_holds_for_one_and_a_half_periods(output: Output, hourly: Settings, status: str) -> None:
    record(output, status)
    for minutes in (0, 60, 89):
        assert health.check(output, hourly, after(minutes)).healthy
    late = health.check(output, hourly, after(91))
    assert not late.healthy
    assert late.since == DUE
    assert late.line() == f"unhealthy since {DUE}: no run has succeeded since the one that was due then"


def test_a_failed_run_counts_at_once_and_since_the_first(output: Output, hourly: Settings) -> None:
    record(output, "published")
    record(output, "failed", 60, message="the disk is full")
    record(output, "failed", 120, message="the disk is still full")
    found = health.check(output, hourly, after(80))
    assert found.line() == f"unhealthy since {after(60).isoformat()}: run run-60 failed: the disk is full"
    record(output, "nothing_new", 180)
    assert health.check(output, hourly, after(181)).healthy


def test_what_failed_is_said(output: Output, hourly: Settings) -> None:
    record(output, "failed", message="the disk is full")
    assert health.check(output, hourly, after(1)).line().endswith(": run run-0 failed: the disk is full")


def test_a_replay_is_no_hourly_run(output: Output, hourly: Settings) -> None:
    record(output, "published", kind="replay")
    assert health.check(output, hourly, after(1)).reason == "no run has succeeded yet"


def test_a_damaged_ledger_is_trouble(output: Output, hourly: Settings) -> None:
    output.ledger.path.write_bytes(b"no database" * 100)
    assert health.check(output, hourly).reason == "the ledger cannot be read"


def test_since_is_that_of_the_incident(output: Output, hourly: Settings, tmp_path: Path) -> None:
    record(output, "published")
    health.tell(health.check(output, hourly, after(91)), output, hourly, tmp_path)
    record(output, "published", 120)
    record(output, "failed", 180)
    assert health.check(output, hourly, after(181)).since == DUE, "nobody saw it recover in between"
    record(output, "published", 240)
    health.tell(health.check(output, hourly, after(241)), output, hourly, tmp_path)
    record(output, "failed", 300)
    assert health.check(output, hourly, after(301)).since > DUE


def test_in_the_container_a_killed_run_and_a_dead_cron_count(
    output: Output, hourly: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(health.RUNTIME, str(tmp_path))
    record(output, "published")
    assert health.check(output, hourly, after(1)).reason == "cron is not running"
    cron = subprocess.Popen(["sleep", "600"])
    try:
        (tmp_path / "cron.pid").write_text(f"{cron.pid}\n")
        assert health.check(output, hourly, after(1)).healthy
        for code, well in (("0", True), ("7", True), ("137", False), ("124", False)):
            (tmp_path / "last_run").write_text(f"{code} {after(60).isoformat()}\n")
            assert health.check(output, hourly, after(61)).healthy == well
        assert health.check(output, hourly, after(61)).reason == "the run that began then ended with exit code 124"
        record(output, "nothing_new", 62)
        assert health.check(output, hourly, after(63)).healthy
        cron.send_signal(19)
        os.waitid(os.P_PID, cron.pid, os.WSTOPPED)
        assert health.check(output, hourly, after(63)).reason == "cron is not running"
    finally:
        cron.kill()
        cron.wait()


def test_the_environments_schedule_is_that_of_the_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECTION1_SCHEDULE", "*/5 * * * *")
    assert settings.load("section1_process.yaml", []).settings.schedule == "*/5 * * * *"


def test_the_command_says_it_in_one_line(tmp_path: Path) -> None:
    source, dest = tmp_path / "in", tmp_path / "dest"
    write(source, "a.csv", "")
    arguments = ("--input", source, "--output", dest)
    before = manage("health", "--notify", *arguments)
    assert before.returncode == 1
    assert before.stdout.startswith("unhealthy since 20")
    assert not dest.exists()
    manage(*arguments)
    now = manage("health", *arguments)
    assert now.returncode == 0
    assert now.stdout.startswith("healthy: the last success began at 20")
    assert len(now.stdout.splitlines()) == 1
    assert '"healthy":true' in manage("health", "--json", *arguments).stdout
