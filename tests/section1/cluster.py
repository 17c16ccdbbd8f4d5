"""A standalone Spark cluster of this machine's processes: a master and two workers from the installed pyspark."""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

QUICK_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
MEMORY = "512m"


def until(what: str, seen: Callable[[], Any], seconds: float = 60) -> Any:
    """What `seen` returns, as soon as that is something."""
    end = time.monotonic() + seconds
    while not (found := seen()):
        assert time.monotonic() < end, f"waited {seconds:.0f} s in vain: {what}"
        time.sleep(0.05)
    return found


class Cluster:
    """Everything listens on 127.0.0.1, on free ports; each worker has one core."""

    def __init__(self, folder: Path) -> None:
        import pyspark

        self.folder = folder
        self.home = Path(pyspark.__file__).parent
        self.processes: list[subprocess.Popen[bytes]] = []
        self._start("master", "master.Master", "--port", "0")
        log = folder / "master.log"
        self.master, self.page = (
            until(f"{what} in {log}", lambda found=found: found.findall(log.read_text()))[0]
            for what, found in (
                ("the master's address", re.compile(r"Starting Spark master at (spark://\S+)")),
                ("its page", re.compile(r"MasterUI' on port (\d+)")),
            )
        )
        self.workers: list[psutil.Process] = []
        self.complete()

    def _start(self, name: str, what: str, *arguments: str) -> psutil.Process:
        environment = os.environ | {
            "SPARK_HOME": str(self.home),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_LOCAL_DIRS": str(self.folder / "local"),
            "SPARK_DAEMON_MEMORY": "256m",
            "SPARK_DAEMON_JAVA_OPTS": QUICK_JAVA,
            "PYSPARK_PYTHON": sys.executable,
        }
        command = [str(self.home / "bin" / "spark-class"), f"org.apache.spark.deploy.{what}",
                   "--host", "127.0.0.1", "--webui-port", "0", *arguments]  # fmt: skip
        with (self.folder / f"{name}.log").open("wb") as log:
            self.processes.append(subprocess.Popen(command, stdout=log, stderr=log, env=environment))
        return psutil.Process(self.processes[-1].pid)

    def complete(self) -> None:
        """Start what is missing of two workers, and wait until the master knows exactly these."""
        while len(self.workers) < 2:
            arguments = ["--cores", "1", "--memory", MEMORY, "--work-dir", str(self.folder / "work"), self.master]
            self.workers.append(self._start(f"worker{len(self.processes)}", "worker.Worker", *arguments))
        until(f"two workers, {self.folder}", lambda: [w["state"] for w in self.state()["workers"]].count("ALIVE") == 2)

    def state(self) -> dict[str, Any]:
        """What the master says of its workers and applications."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.page}/json/", timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
        return found

    def kill_worker_at_work(self) -> None:
        """Kill a worker with all its processes (-9) while one of them judges records in Python."""
        worker, *others = until("a worker at work", lambda: next(filter(None, map(_at_work, self.workers)), []))
        self.workers.remove(worker)
        for process in [worker, *others]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def stop(self) -> None:
        """Leave no process behind."""
        for started in self.processes:
            if started.poll() is None:
                for process in [*psutil.Process(started.pid).children(recursive=True), started]:
                    process.kill()
            started.wait()


def _at_work(worker: psutil.Process) -> list[psutil.Process]:
    """The worker and its whole family, once its executor's Python has forked a process that judges records."""
    family = worker.children(recursive=True)
    return [worker, *family] if sum(map(_is_python, family)) > 1 else []


def _is_python(process: psutil.Process) -> bool:
    try:
        return "pyspark.daemon" in " ".join(process.cmdline())
    except psutil.Error:  # it ends just now
        return False
