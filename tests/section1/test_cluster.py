"""The job on a standalone Spark cluster of two workers: the same bytes, also when a worker is killed in mid-run."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from applications import HEADER, config, folder_outputs, leftovers, manage, published, rows, run, write
from cluster import MEMORY, Cluster, until
from hostile import lay_out_all
from store import CREDENTIALS, Bucket
from test_engines import differences, nasty, outputs, tidy

from section1.generate import generate
from section1.settings import ROOT

pytestmark = pytest.mark.spark


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster for all tests here."""
    if shutil.which("java") is None:
        pytest.skip("Java is not installed")
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    yield cluster
    cluster.stop()


@pytest.fixture
def cluster(started: Cluster) -> Cluster:
    """The cluster with both workers, also after a test that killed one."""
    started.complete()
    return started


def task(cluster: Cluster, folder: Path, chunk_bytes: int = 8 << 20) -> Path:
    """The shipped configuration with the cluster's master; Spark writes down which executor did what."""
    (folder / "events").mkdir()
    conf = {
        "spark.driver.host": "127.0.0.1",
        "spark.executor.memory": MEMORY,
        "spark.eventLog.enabled": "true",
        "spark.eventLog.dir": f"file://{folder}/events",
        "spark.eventLog.compress": "false",
        "spark.eventLog.rolling.enabled": "false",
    }
    return config(
        folder / "cluster.yaml",
        ("\ninput:\n", f"\nspark: {json.dumps({'master': cluster.master, 'conf': conf})}\ninput:\n"),
        ("\n  view:", f"\n  chunk_bytes: {chunk_bytes}\n  view:"),
    )


def finished(folder: Path) -> list[dict[str, Any]]:
    """The attempts of tasks that Spark wrote down."""
    (log,) = (folder / "events").iterdir()
    found = (json.loads(line) for line in log.read_text().splitlines())
    return [event for event in found if event["Event"] == "SparkListenerTaskEnd"]


def same_as_duckdb(folder: Path, path: Path) -> None:
    """DuckDB publishes the same bytes, and Spark left nothing else behind."""
    run(folder / "in", folder / "duckdb", "--task-config", path, "--engine", "duckdb")
    assert differences(outputs(folder / "duckdb"), outputs(folder / "spark")) == []
    assert leftovers(folder / "spark", published(folder / "spark")) == set()


def test_the_same_bytes(cluster: Cluster, tmp_path: Path) -> None:
    tidy(tmp_path / "in")
    assert len(lay_out_all(tmp_path / "in")) > 100
    path = task(cluster, tmp_path)
    summary = run(tmp_path / "in", tmp_path / "spark", "--task-config", path)
    assert (summary["engine"], summary["status"]) == ("spark", "published"), "auto takes a cluster"
    same_as_duckdb(tmp_path, path)


@pytest.mark.full
def test_input_and_output_in_a_store(cluster: Cluster, bucket: Bucket, tmp_path: Path) -> None:
    nasty(tmp_path / "in")
    (tmp_path / "in" / "packed.csv.gz").write_bytes(gzip.compress((HEADER + rows(0, 3000)).encode()))
    bucket.fill(tmp_path / "in")
    path = task(cluster, tmp_path)
    credentials = {f"spark.executorEnv.{name}": value for name, value in CREDENTIALS.items()}
    told = json.dumps({"endpoint": bucket.store.endpoint, "folder": str(tmp_path / "driver")})
    text = path.read_text().replace('"conf": {', f'"conf": {json.dumps(credentials)[:-1]}, ', 1)
    path.write_text(f"s3: {told}\n{text}")
    summary = run(bucket.source, bucket.output, "--task-config", path)
    assert (summary["engine"], summary["status"]) == ("spark", "published")
    run(tmp_path / "in", tmp_path / "out", "--task-config", path, "--engine", "duckdb")
    assert differences(bucket.outputs(), folder_outputs(tmp_path / "out")) == []
    assert not bucket.names("out/state/staging"), "what the workers wrote there is gone"


@pytest.mark.full
def test_a_worker_killed_in_mid_run_changes_nothing(cluster: Cluster, tmp_path: Path) -> None:
    source, path = tmp_path / "in", task(cluster, tmp_path, 256 << 10)
    source.mkdir()
    generate(source, 200_000, 3, 7)
    command = [sys.executable, ROOT / "section1_manage.py", "--task-config", path,
               "--input", source, "--output", tmp_path / "spark"]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        until("a part file", lambda: list(tmp_path.glob("spark/state/staging/*/spool/*.accepted")))
        cluster.kill_worker_at_work()
        assert running.poll() is None, "the run had ended before"
        _, said = running.communicate(timeout=300)
    assert running.returncode == 0, said
    same_as_duckdb(tmp_path, path)
    assert {event["Task End Reason"]["Reason"] for event in finished(tmp_path)} == {"Success", "ExecutorLostFailure"}


@pytest.mark.full
def test_files_of_very_different_sizes_are_spread_over_both_workers(cluster: Cluster, tmp_path: Path) -> None:
    source, path = tmp_path / "in", task(cluster, tmp_path, 1 << 20)
    source.mkdir()
    generate(source, 350_000, 1, 3)[0].rename(source / "large.csv")
    for number in range(300):
        write(source, f"small {number}.csv", rows(10 * number, 15))
    assert (source / "large.csv").stat().st_size > 19 << 20
    run(source, tmp_path / "spark", "--task-config", path)
    same_as_duckdb(tmp_path, path)
    tasks: Counter[str] = Counter()
    for event in finished(tmp_path):
        tasks[event["Task Info"]["Executor ID"]] += 1
    assert len(tasks) == 2
    assert max(tasks.values()) <= 0.7 * sum(tasks.values())


@pytest.mark.parametrize("master", ["spark://127.0.0.1:1,127.0.0.1:2", "spark://nowhere"])
def test_a_master_that_is_not_there(master: str, tmp_path: Path) -> None:
    tidy(tmp_path / "in")
    done = manage(
        "--input", tmp_path / "in", "--output", tmp_path / "out", env=os.environ | {"SECTION1_MASTER": master}
    )
    assert done.returncode == 5
    assert f"Spark's master {master} cannot be reached\n" in done.stderr


@pytest.mark.full
def test_a_cluster_without_room_is_not_waited_for_long(cluster: Cluster, tmp_path: Path) -> None:
    tidy(tmp_path / "in")
    path = task(cluster, tmp_path)
    path.write_text(path.read_text().replace(f'"spark.executor.memory": "{MEMORY}"', '"spark.executor.memory": "64g"'))
    program = (
        "import sys, section1_manage, section1.spark_session as s; s.PATIENCE = 1; sys.exit(section1_manage.main())"
    )
    command = [sys.executable, "-c", program, "--task-config", path,
               "--input", tmp_path / "in", "--output", tmp_path / "out"]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 5
    assert f"no worker of {cluster.master} took the job within 1 s" in done.stderr


def test_a_failing_rule_shows_no_values_to_the_cluster(cluster: Cluster, tmp_path: Path) -> None:
    write(tmp_path / "in", "a.csv", "Pat O'Secret,ada@example.com,1990-01-31,12345678\n")
    path = task(cluster, tmp_path)
    path.write_text(path.read_text().replace("\nrules:\n", "\nrules:\n  number: cast(name as int) = 1\n"))
    done = manage("--input", tmp_path / "in", "--output", tmp_path / "out", "--task-config", path)
    assert done.returncode == 5
    assert "Spark refused the statement: CAST_INVALID_INPUT" in done.stderr
    printed = [file for file in cluster.folder.rglob("*") if file.suffix == ".log" or file.name in ("stdout", "stderr")]
    assert any(file.name == "stderr" for file in printed)
    for text in (done.stderr, *(file.read_text() for file in printed)):
        assert "Secret" not in text
