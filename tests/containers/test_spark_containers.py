"""`start --cluster`: the job on a master and two workers, and one of them killed in mid-run."""

from __future__ import annotations

import json
import subprocess

import pytest
from conftest import Deploy
from deployment import Deployment, applications, docker, wait_for

pytestmark = pytest.mark.container
RUN = ("python3", "section1_manage.py", "--task-config", "section1_process.yaml")


def containers(deployment: Deployment, service: str) -> list[str]:
    """The ids of a service's running containers."""
    project = deployment.environment["COMPOSE_PROJECT_NAME"]
    labels = [
        f"--filter=label=com.docker.compose.{key}={value}"
        for key, value in (("project", project), ("service", service))
    ]
    return docker("ps", "--quiet", *labels).stdout.split()


@pytest.fixture(scope="module")
def started(deploy: Deploy) -> Deployment:
    deployment = deploy("cluster")
    deployment.runner("start", "--cluster")
    return deployment


def same_as_duckdb(deployment: Deployment) -> None:
    """DuckDB makes the same files of the last run's input."""
    source = "/tmp/last"
    deployment.exec("sh", "-c", f"rm -rf {source} /tmp/duckdb && mkdir {source}")
    newest = max(deployment.input.glob("*.csv"), key=lambda path: path.stat().st_mtime).name
    names = [newest] if newest == "large.csv" else [path.name for path in deployment.input.glob("*.csv")]
    for name in names:
        deployment.exec("cp", f"section1/resource/src/application/{name}", source)
    deployment.exec(*RUN, "--engine", "duckdb", "--input", source, "--output", "/tmp/duckdb")
    for kind in ("successful", "unsuccessful"):
        file = f"{kind}_application/applications.csv"
        sums = deployment.exec("sha256sum", f"section1/resource/dest/{file}", f"/tmp/duckdb/{file}").split()
        assert sums[0] == sums[2]


def test_first_run_is_on_the_cluster(started: Deployment) -> None:
    manifest = json.loads(started.dest.joinpath("current", "manifest.json").read_text())
    assert manifest["run"]["engine"] == "spark"
    assert (len(containers(started, "master")), len(containers(started, "worker"))) == (1, 2)
    same_as_duckdb(started)
    status = started.runner("status").stdout
    assert status.count("\nworker         running, healthy") == 2
    assert status.count("\nmaster         running, healthy") == 1


def test_cluster_has_no_rights_and_no_ports(started: Deployment) -> None:
    for name in (*containers(started, "master"), *containers(started, "worker")):
        found = json.loads(docker("inspect", name).stdout)[0]
        host = found["HostConfig"]
        assert host["ReadonlyRootfs"]
        assert host["CapDrop"] == ["ALL"]
        assert host["Memory"] == host["MemorySwap"] > 0
        assert not host["PortBindings"]
        assert found["Config"]["User"].split(":")[0] != "0"


def test_worker_killed_in_mid_run_changes_nothing(started: Deployment) -> None:
    started.drop("large.csv", applications(0, 1_000_000))
    command = ["docker", "container", "exec", started.container, *RUN]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        wait_for("a part file", lambda: any(started.dest.glob("state/staging/*/spool/*.accepted")))
        docker("kill", containers(started, "worker")[0])
        assert running.poll() is None, "the run had ended before"
        said, _ = running.communicate(timeout=300)
    assert running.returncode == 0, said
    same_as_duckdb(started)
    assert not started.is_running()


def test_stop_takes_the_cluster_along(started: Deployment) -> None:
    started.runner("stop")
    assert containers(started, "master") + containers(started, "worker") == []
