"""The container as `start` leaves it: what it may do, what a person can ask of it, and that it is quick."""

from __future__ import annotations

import json
import os
import re
import time

import pytest
from deployment import OWNER, Deploy, Deployment, applications, docker

pytestmark = pytest.mark.container
LINE = "0 * * * * python3 section1_manage.py --task-config section1_process.yaml >> section1/log/data_pipeline.log 2>&1"


@pytest.fixture(scope="module")
def started(deploy: Deploy) -> Deployment:
    deployment = deploy("hourly")
    done = deployment.runner("start")
    assert "is healthy, the next run is at 20" in done.stdout
    assert deployment.log.name in done.stdout
    return deployment


def test_start_returns_with_a_published_pair(started: Deployment) -> None:
    _, good, bad = started.pair()
    assert len(good) + len(bad) == 5002
    assert started.health() == "healthy"


def test_second_start_changes_nothing(started: Deployment) -> None:
    before, pair = started.inspect(), started.pair()
    begun = time.monotonic()
    started.runner("start")
    assert time.monotonic() - begun < 15
    after = started.inspect()
    assert (after["Id"], after["State"]["StartedAt"]) == (before["Id"], before["State"]["StartedAt"])
    assert started.pair() == pair


def test_image_is_small_and_holds_no_secret(started: Deployment) -> None:
    image = started.inspect()["Image"]
    assert json.loads(docker("image", "inspect", image).stdout)[0]["Size"] <= 1_200_000_000
    inside = started.exec("ls", "-A", "/app", "/app/section1").split()
    assert not {".git", ".env"} & set(inside)
    assert "secret" not in docker("history", "--no-trunc", image).stdout.lower()


def test_job_has_no_rights(started: Deployment) -> None:
    status = started.exec("cat", "/proc/1/status")
    for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb"):
        assert re.search(rf"Cap{kind}:\t0+\n", status)
    assert "NoNewPrivs:\t1" in status
    assert re.search(r"Uid:\t(\d+)", status)[1] != "0"  # type: ignore[index]
    assert started.exec("id", "-u").strip() == (str(OWNER) if os.geteuid() == 0 else str(os.geteuid()))
    for place in ("/x", "/app/x", "/app/section1/conf/x", "/usr/x"):
        assert "Read-only file system" in started.exec("touch", place, check=False)
    host = started.inspect()["HostConfig"]
    assert host["ReadonlyRootfs"]
    assert host["Memory"] == host["MemorySwap"] == 2 << 30
    assert host["PidsLimit"] == 512
    assert host["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "3"}
    assert not host["PortBindings"]


def test_host_folders_keep_their_owner(started: Deployment) -> None:
    folders = (started.root / "section1" / "resource", started.log.parent)
    owners = {path.lstat().st_uid for folder in folders for path in (folder, *folder.rglob("*"))}
    assert owners == {started.input.stat().st_uid}
    assert started.dest.joinpath("current", "manifest.json").stat().st_mode & 0o777 == 0o640


def test_crontab_is_visible(started: Deployment) -> None:
    assert LINE in started.exec("crontab", "-l").splitlines()
    assert "only -l works" in started.exec("crontab", "-e", check=False)
    assert "supercronic" in docker("top", started.container).stdout


def test_commands_of_the_original_work(started: Deployment) -> None:
    answer = started.exec("bash", "-c", "python3 section1_manage.py --task-config section1_process.yaml")
    assert "nothing new" in answer
    answer = started.exec("bash", "-c", "python3 -m pytest -q tests/batch/test_lock.py tests/section1/test_rules.py")
    assert " passed" in answer


def test_spark_runs_in_the_container_from_its_archive(started: Deployment) -> None:
    options = "-XX:SharedArchiveFile=/app/.venv/spark.jsa -Xlog:class+load=info:file=/tmp/classes.log"
    started.exec(
        "python3",
        "section1_manage.py",
        "--engine=spark",
        "--output=/tmp/on_spark",
        options=("--env", f"SPARK_SUBMIT_OPTS={options}"),
    )
    assert "SharedArchiveFile=/app/.venv/spark.jsa" in started.exec("printenv", "SPARK_SUBMIT_OPTS")
    archived = int(started.exec("grep", "-c", r"shared objects file (top)", "/tmp/classes.log"))
    from_jars = int(started.exec("grep", "-c", "source: file:", "/tmp/classes.log"))
    assert archived > 20 * from_jars, "the archive of classes does not fit: docker/spark_archive.py"
    for kind in ("successful", "unsuccessful"):
        file = f"{kind}_application/applications.csv"
        here = started.exec("sha256sum", f"section1/resource/dest/{file}", f"/tmp/on_spark/{file}").split()
        assert here[0] == here[2]


def test_spark_without_java_says_so(started: Deployment) -> None:
    answer = started.exec(
        "/app/.venv/bin/python3",
        "section1_manage.py",
        "--engine=spark",
        "--output=/tmp/no_java",
        check=False,
        options=("--env", "PATH=/nowhere"),
    )
    assert "Spark needs Java 17 or newer, and there is none" in answer
    assert "Traceback" not in answer


def test_status_and_logs(started: Deployment) -> None:
    text = started.runner("status").stdout
    assert re.search(r"^container +running, healthy, started 20", text, re.MULTILINE)
    assert re.search(r"^health +healthy: the last success began at 20", text, re.MULTILINE)
    assert re.search(r"^next run +20", text, re.MULTILINE)
    assert '"message": "record: published"' in started.runner("logs").stdout


def test_log_is_rotated(started: Deployment) -> None:
    rotate = started.exec("crontab", "-l").splitlines()[-1].split(maxsplit=5)[5]
    begun = "a line of the first day\n"
    started.exec("sh", "-c", f"printf '{begun}' >> section1/log/data_pipeline.log")
    started.exec("sh", "-c", rotate)
    started.exec("sh", "-c", rotate.replace("logrotate ", "logrotate --force "))
    rotated = started.log.with_name("data_pipeline.log.1")
    assert begun in rotated.read_text()
    assert begun not in started.logged()


def test_kill_in_mid_run_leaves_the_old_pair(started: Deployment) -> None:
    before = started.pair()
    started.drop("large.csv", applications(0, 1_000_000))
    run = "python3 section1_manage.py --task-config section1_process.yaml"
    docker("container", "exec", "--detach", started.container, "bash", "-c", run)
    while not started.is_running():
        time.sleep(0.01)
    docker("kill", started.container)
    assert started.is_running(), "the run had ended before it was killed"
    assert started.pair() == before
    started.runner("start")
    run_id, good, bad = started.pair()
    assert run_id != before[0]
    assert len(good) + len(bad) == 1_000_002
    assert not started.is_running()


def test_stop_and_start_again(started: Deployment) -> None:
    pair = started.pair()
    assert "stopped" in started.runner("stop").stdout
    assert docker("inspect", started.container, check=False).returncode != 0
    assert "nothing to stop" in started.runner("stop").stdout
    gone = started.runner("status", check=False)
    assert gone.returncode == 1
    assert "none; start it: sh section1_runner.sh start" in gone.stdout
    assert started.pair() == pair


def test_roots_folders_stay_roots(deploy: Deploy) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root")
    deployment = deploy("roots")
    deployment.own(deployment.root / "section1" / "resource", 0)
    deployment.runner("start")
    assert deployment.exec("id", "-u").strip() == "10001"
    for folder in (deployment.dest, deployment.log.parent, deployment.input):
        assert (folder.stat().st_uid, folder.stat().st_gid) == (0, 0)
    deployment.drop("more.csv", applications(0, 10))
    answer = deployment.exec("bash", "-c", "python3 section1_manage.py --task-config section1_process.yaml")
    assert "10 records" in answer


def test_port_is_only_on_this_machine_and_a_taken_one_is_said(deploy: Deploy) -> None:
    import socket

    deployment = deploy("port")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        refused = deployment.runner("start", check=False, SECTION1_UI_PORT=str(port))
    assert refused.returncode == 5
    assert refused.stderr.splitlines()[-1].startswith(f"section1_runner: port {port} is taken")
    assert len(refused.stderr.splitlines()) == 1
    deployment.runner("start", SECTION1_UI_PORT=str(port))
    assert docker("port", deployment.container).stdout.strip() == f"4040/tcp -> 127.0.0.1:{port}"
