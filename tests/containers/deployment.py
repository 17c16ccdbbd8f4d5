"""A copy of the project with a container of its own: what the container tests start, look at and stop."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
OWNER = 4711  # of the host's folders; nobody has this number
GOOD, BAD = "successful_application", "unsuccessful_application"
HEADER = "name,email,date_of_birth,mobile_no\n"
PATIENCE = 150.0  # seconds; cron's minute, a run, and three health checks on a busy machine


def no_engine() -> str:
    """Why there are no containers here; empty where there are."""
    if not shutil.which("docker"):
        return "there is no docker"
    for command in (["docker", "compose", "version"], ["docker", "info"]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            return f"`{' '.join(command)}` failed: {(done.stderr.strip().splitlines() or [''])[-1]}"
    return ""


def docker(*arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a docker command; it must not fail unless `check=False` is given."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert not check or done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
    return done


def wait_for(what: str, ready: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """Look again and again until something is there; returns it."""
    until = time.monotonic() + patience
    while True:
        if found := ready():
            return found
        assert time.monotonic() < until, f"waited {patience:.0f} s in vain: {what}"
        time.sleep(0.1)


def applications(first: int, count: int) -> str:
    """An application file with made-up rows, each different: every second one passes."""
    rows = (
        f"Nora Testcase{n},nora.{n}@example.com,19{70 + n % 20}-{1 + n % 12:02}-{1 + n % 28:02},"
        f"{'9' if n % 2 == 0 else ''}{1000000 + n % 9000000}\n"
        for n in range(first, first + count)
    )
    return HEADER + "".join(rows)


class Deployment:
    """The project in a folder of its own, its runner, and the container that the runner starts."""

    def __init__(self, folder: Path, name: str, owner: int = OWNER, **environment: str) -> None:
        self.root, self.container = folder, f"section1_{name}_{os.getpid()}"
        self.environment = {
            **os.environ,
            "COMPOSE_PROJECT_NAME": self.container,
            "SECTION1_CONTAINER": self.container,
            **environment,
        }
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
        for file in filter(None, names):
            if (ROOT / file).exists():
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / file, folder / file, follow_symlinks=False)
        self.input = folder / "section1" / "resource" / "src" / "application"
        self.dest = folder / "section1" / "resource" / "dest"
        self.log = folder / "section1" / "log" / "data_pipeline.log"
        if os.geteuid() == 0:
            self.own(folder / "section1" / "resource", owner)

    def own(self, folder: Path, owner: int = OWNER) -> None:
        """Give a folder and all in it to a user."""
        for path in (folder, *folder.rglob("*")):
            os.chown(path, owner, owner, follow_symlinks=False)

    def runner(self, *arguments: str, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run section1_runner.sh."""
        done = subprocess.run(
            ["sh", "section1_runner.sh", *arguments],
            cwd=self.root,
            env=self.environment | environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=1500,
        )
        assert not check or done.returncode == 0, f"{done.stdout}{done.stderr}{self.logged()}"
        return done

    def exec(self, *command: str, check: bool = True, options: tuple[str, ...] = ()) -> str:
        """Run a command in the container; returns what it printed."""
        done = docker("container", "exec", *options, self.container, *command, check=check)
        return done.stdout + done.stderr

    def inspect(self) -> dict[str, Any]:
        """What Docker knows of the container."""
        found: dict[str, Any] = json.loads(docker("inspect", self.container).stdout)[0]
        return found

    def health(self) -> str:
        """The container's health: starting, healthy or unhealthy."""
        return str(self.inspect()["State"]["Health"]["Status"])

    def wait_for_health(self, status: str) -> None:
        """Wait until the container is healthy or unhealthy."""
        wait_for(f"{self.container} is {status}; {self.logged()[-500:]}", lambda: self.health() == status)

    def logged(self) -> str:
        """The job's log."""
        return self.log.read_text() if self.log.exists() else ""

    def drop(self, name: str, text: str) -> None:
        """Let an application file arrive, whole."""
        partial = self.input / f".{name}"
        partial.write_text(text)
        if os.geteuid() == 0:
            self.own(partial)
        partial.rename(self.input / name)

    def pair(self) -> tuple[str, list[str], list[str]]:
        """What readers see: the run and both files, from one look at the switch."""
        run = self.dest.joinpath("current").resolve()
        good, bad = ((run / name / "applications.csv").read_text().splitlines() for name in (GOOD, BAD))
        return run.name, good, bad

    def run_id(self) -> str:
        """The run that readers see."""
        return self.dest.joinpath("current").resolve().name

    def is_running(self) -> bool:
        """Whether a run is at work right now."""
        return any(self.dest.glob("state/staging/*/spool"))

    def remove(self) -> None:
        """Leave nothing behind."""
        docker("kill", self.container, check=False)
        command = ["docker", "compose", "--file", "docker/section1_compose.yaml", "down", "--rmi", "local", "--volumes"]
        subprocess.run(command, cwd=self.root, env=self.environment, capture_output=True, check=False)


Deploy = Callable[..., Deployment]
