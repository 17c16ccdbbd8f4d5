"""Input and output on s3a://: the same bytes as on a path, whichever machine drives the run, and clear errors."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from applications import BAD, GOOD, HEADER, ROOT, config, folder_outputs, manage, mobile_rule, rows, run, visible
from hostile import lay_out_all
from store import Bucket, Environ, StandIn


def task(folder: Path, bucket: Bucket, *changes: tuple[str, str], driver: str = "driver", minutes: int = 120) -> Path:
    """The shipped configuration with the store's endpoint; `driver` is the working folder's name."""
    told = {"endpoint": bucket.store.endpoint, "folder": str(folder / driver), "lock_minutes": minutes}
    return config(folder / f"{driver}.yaml", ("\ninput:\n", f"\ns3: {json.dumps(told)}\ninput:\n"), *changes)


def hourly(bucket: Bucket, path: Path, *arguments: str) -> dict[str, Any]:
    """Run the job, which must succeed; its endpoint is the YAML's."""
    environment = {name: value for name, value in os.environ.items() if name != "AWS_ENDPOINT_URL_S3"}
    return run(bucket.source, bucket.output, "--task-config", path, *arguments, env=environment)


def failing(bucket: Bucket, path: Path, code: int, *arguments: str | Path, **environment: str) -> str:
    """Run the job, which must fail with this code and one message; returns the message."""
    done = manage(
        "--input", bucket.source, "--output", bucket.output, "--task-config", path, *arguments,
        env=os.environ | environment,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    (message,) = done.stderr.split("\nsection1: ")[1:] or [done.stderr.removeprefix("section1: ")]
    assert len(message.strip().splitlines()) == 2, message
    return message


@pytest.mark.parametrize(
    ("engine", "chunk_bytes"),
    [("duckdb", 4 << 10), pytest.param("spark", 64 << 10, marks=[pytest.mark.spark, pytest.mark.full])],
)
def test_the_same_bytes_as_on_a_path(engine: str, chunk_bytes: int, bucket: Bucket, tmp_path: Path) -> None:
    if engine == "spark" and shutil.which("java") is None:
        pytest.skip("Java is not installed")
    assert len(lay_out_all(tmp_path / "in")) > 100
    (tmp_path / "in" / "packed.csv.gz").write_bytes(gzip.compress((HEADER + rows(0, 3000)).encode()))
    bucket.fill(tmp_path / "in")
    path = task(tmp_path, bucket, ("\n  view:", f"\n  chunk_bytes: {chunk_bytes}\n  view:"))
    summary = hourly(bucket, path, "--engine", engine)
    assert (summary["engine"], summary["status"]) == (engine, "published")
    run(tmp_path / "in", tmp_path / "out", "--task-config", path, "--engine", "duckdb")
    there, here = bucket.outputs(), folder_outputs(tmp_path / "out")
    assert there.keys() == here.keys()
    assert [name for name in there if there[name] != here[name]] == []
    assert "unsuccessful_application/quarantine/fragments.bin" in there
    assert summary["successful_file"].startswith(f"{bucket.output}/runs/{summary['run_id']}/")


def test_only_one_side_in_a_store(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("in/a.csv", HEADER + rows(0, 20))
    path = task(tmp_path, bucket)
    run(bucket.source, tmp_path / "out", "--task-config", path)
    shutil.rmtree(tmp_path / "in", ignore_errors=True)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text(HEADER + rows(0, 20))
    run(tmp_path / "in", bucket.output, "--task-config", path)
    assert bucket.outputs() == folder_outputs(tmp_path / "out")
    assert visible(tmp_path / "out")
    assert run(bucket.source, tmp_path / "out", "--task-config", path)["status"] == "nothing_new"


def test_any_machine_may_drive_the_next_run(bucket: Bucket, tmp_path: Path) -> None:
    here, there = task(tmp_path, bucket), task(tmp_path, bucket, driver="another")
    bucket.put("in/a.csv", HEADER + rows(0, 20))
    first = hourly(bucket, here)
    assert hourly(bucket, there)["status"] == "nothing_new"
    bucket.put("in/b.csv", HEADER + rows(100, 20))
    second = hourly(bucket, there)
    assert bucket.pointer()["run_id"] == second["run_id"]
    seen = bucket.outputs()
    assert hourly(bucket, here)["status"] == "nothing_new"
    assert bucket.outputs() == seen
    assert [row[0] for row in bucket.ledger("select status from run")] == [
        "published", "nothing_new", "published", "nothing_new",
    ]  # fmt: skip
    assert bucket.names("out/runs/") == {
        f"out/runs/{summary['run_id']}/{name}"
        for summary in (first, second)
        for name in ("manifest.json", "successful_application/applications.csv",
                     "unsuccessful_application/applications.csv")
    }  # fmt: skip
    assert "out/state/run.lock" not in bucket.names()
    assert not list(tmp_path.glob("driver/*/*/runs/*")), "no copies stay in the working folder"


def test_commands_that_only_look(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("in/a.csv", HEADER + rows(0, 20))
    path = task(tmp_path, bucket)
    options = "--task-config", path, "--input", bucket.source, "--output", bucket.output
    planned = manage("dry-run", *options)
    assert planned.returncode == 0, planned.stderr
    assert "new files      1" in planned.stdout
    unwell = manage("health", *options)
    assert unwell.returncode == 1
    assert "no run has succeeded yet" in unwell.stdout
    assert not (tmp_path / "driver").exists(), "nothing was written"
    run_id = hourly(bucket, path)["run_id"]
    status = json.loads(manage("status", "--json", *options).stdout)
    assert (status["published"], status["counts"]["records"]) == (run_id, 20)
    assert manage("health", *options).returncode == 0
    planned = manage("dry-run", *options)
    assert f"readers see    {run_id}" in planned.stdout
    assert "new files      0" in planned.stdout
    bucket.store.fault = lambda _: (503, "SlowDown")
    unwell = manage("health", *options)
    assert unwell.returncode == 1
    assert "the ledger cannot be read: the store refuses GetObject: SlowDown" in unwell.stdout


def test_content_is_read_once(bucket: Bucket, tmp_path: Path) -> None:
    read: list[str] = []

    def noted(environ: Environ) -> None:
        if environ["REQUEST_METHOD"] == "GET" and environ["PATH_INFO"].endswith(".csv"):
            read.append(environ["PATH_INFO"])

    path = task(tmp_path, bucket)
    bucket.put("in/a.csv", HEADER + rows(0, 20))
    hourly(bucket, path)
    bucket.store.fault = noted
    hourly(bucket, path)
    assert read == []
    bucket.put("in/a.csv", HEADER + rows(50, 20))
    assert hourly(bucket, path)["notices"] == [
        "a.csv has new content under the name of a file that was processed before"
    ]
    assert read


def test_a_lost_ledger_is_made_anew(bucket: Bucket, tmp_path: Path) -> None:
    path = task(tmp_path, bucket)
    for name in "abc":
        bucket.put(f"in/{name}.csv", HEADER + rows(100 * ord(name), 20))
        hourly(bucket, path)
    query = "select sha256, name, run_id from content order by 1"
    before, seen = bucket.ledger(query), bucket.outputs()
    bucket.client.delete_object(Bucket=bucket.name, Key="out/state/ledger.sqlite")
    assert hourly(bucket, path)["status"] == "nothing_new"
    assert (bucket.ledger(query), bucket.outputs()) == (before, seen)
    bucket.put("out/state/ledger.sqlite", b"damaged")
    message = failing(bucket, path, 6)
    assert f"{bucket.output}/state/ledger.sqlite: the ledger cannot be used" in message
    assert f"{bucket.output}/state/ledger.sqlite: the ledger cannot be used" in failing(bucket, path, 6, "status")


def test_replay(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("in/a.csv", HEADER + rows(0, 10))
    run_id = hourly(bucket, task(tmp_path, bucket))["run_id"]
    seven = mobile_rule(tmp_path / "seven.yaml", "[0-9]{7,8}")
    seven.write_text(f"s3: {{folder: {tmp_path}/another}}\n{seven.read_text()}")
    options = "--task-config", seven, "--output", bucket.output, "--json"
    done = manage("replay", run_id, *options)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["successful"] == 5
    assert bucket.outputs()[f"{GOOD}/applications.csv"].count(b"\n") == 6
    assert len(bucket.ledger("select * from replayed")) == 5
    again = manage("replay", run_id, *options)
    assert json.loads(again.stdout)["status"] == "nothing_new", again.stderr


def test_a_run_that_goes_on_elsewhere(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("in/a.csv", HEADER + rows(0, 10))
    lock = {"label": "run X on host", "driver": "somebody", "token": "t"}
    bucket.put("out/state/run.lock", json.dumps(lock))
    path = task(tmp_path, bucket)
    assert "another run is going on: run X on host" in failing(bucket, path, 7)
    assert bucket.names("out/") == {"out/state/run.lock"}
    bucket.put("out/state/run.lock", b"damaged")
    assert "another run is going on" in failing(bucket, path, 7)


def test_a_dead_driver_s_lock(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from batch import s3_lock
    from batch.errors import BusyError, PublishError
    from batch.s3 import Store

    old = Store(bucket.output, PublishError)
    lock = {"label": "run X on host", "driver": "driver", "token": "t"}
    bucket.put("out/state/run.lock", json.dumps(lock))
    with s3_lock.exclusive(old, "the same folder's next run", "driver", 1000) as held:
        assert held.conditional
        held.check()
        with pytest.raises(BusyError, match="the same folder's next run"), s3_lock.exclusive(old, "b", "other", 1):
            pass
        monkeypatch.setattr("batch.s3._age", lambda _: 61.0)
        with s3_lock.exclusive(old, "after a minute", "other", 1):
            with pytest.raises(PublishError, match="taken over the lock"):
                held.check()
            assert b"after a minute" in bucket.get("out/state/run.lock")
    assert bucket.names("out/") == set()


def test_a_driver_that_lost_its_lock_publishes_nothing(bucket: Bucket, tmp_path: Path) -> None:
    path = task(tmp_path, bucket)
    bucket.put("in/a.csv", HEADER + rows(0, 10))
    hourly(bucket, path)
    before = bucket.outputs()
    bucket.put("in/b.csv", HEADER + rows(100, 10))

    def taken_over(environ: Environ) -> None:
        if environ["REQUEST_METHOD"] == "PUT" and environ["PATH_INFO"].endswith("manifest.json"):
            bucket.store.fault = lambda _: None
            bucket.put("out/state/run.lock", json.dumps({"label": "other", "driver": "other", "token": "other"}))

    bucket.store.fault = taken_over
    assert "another run has taken over the lock" in manage(
        "--input", bucket.source, "--output", bucket.output, "--task-config", path
    ).stderr  # fmt: skip
    assert bucket.outputs() == before
    assert b"other" in bucket.get("out/state/run.lock"), "it is not ours to remove"


@pytest.mark.parametrize("how", ["refused", "not looked at"])
def test_a_store_without_conditional_put(how: str, bucket: Bucket, tmp_path: Path) -> None:
    def unconditional(environ: Environ) -> tuple[int, str] | None:
        conditions = {"HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH"} & environ.keys()
        if environ["REQUEST_METHOD"] != "PUT" or not conditions:
            return None
        for name in conditions:
            del environ[name]
        return (501, "NotImplemented") if how == "refused" else None

    bucket.store.fault = unconditional
    path = task(tmp_path, bucket)
    for name in "ab":
        bucket.put(f"in/{name}.csv", HEADER + rows(100 * ord(name), 10))
        done = manage("--input", bucket.source, "--output", bucket.output, "--task-config", path)
        assert done.returncode == 0, done.stderr
        assert done.stderr.count("knows no conditional PUT") == 1
    assert len(bucket.ledger("select * from run where status = 'published'")) == 2
    assert "out/state/run.lock" not in bucket.names()


def denied(method: str, end: str) -> Callable[[Environ], tuple[int, str] | None]:
    """A store that refuses these requests."""
    return lambda environ: (
        (403, "AccessDenied") if environ["REQUEST_METHOD"] == method and environ["PATH_INFO"].endswith(end) else None
    )


def test_errors(store: StandIn, bucket: Bucket, tmp_path: Path) -> None:
    path = task(tmp_path, bucket)
    bucket.put("in/a.csv", HEADER + rows(0, 10))
    message = failing(bucket, path, 3, "--input", "s3a://nowhere/in")
    assert message.startswith("s3a://nowhere/in: there is no bucket nowhere\n  Make it (aws s3 mb s3://nowhere)")
    message = failing(bucket, path, 6, "--output", "s3a://nowhere/out")
    assert message.startswith("s3a://nowhere/out/state/run.lock: there is no bucket nowhere\n")
    message = failing(bucket, path, 6, AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="", AWS_CONFIG_FILE="/dev/null",
                      AWS_SHARED_CREDENTIALS_FILE="/dev/null")  # fmt: skip
    assert "there are no AWS credentials\n  Set AWS_ACCESS_KEY_ID" in message
    message = failing(bucket, path, 6, AWS_ENDPOINT_URL_S3="http://127.0.0.1:1")
    assert "the store at http://127.0.0.1:1 does not answer\n  Is it running" in message
    for wrong in ("s3://bucket/in", "s3a://", "http://bucket/in", "s3a://bucket/../in", "s3a://bucket//in"):
        message = failing(bucket, path, 2, "--input", wrong)
        assert message.startswith(f"{wrong}: is neither a path nor an address")
    assert "generate writes to folders only" in failing(bucket, path, 2, "generate", "--output", "s3a://bucket/in")
    assert "the store cannot be used: Parameter validation failed" in failing(bucket, path, 3, "--input", "s3a://!/in")
    store.fault = lambda _: (403, "ExpiredToken")
    assert "the store does not take the credentials: ExpiredToken\n" in failing(bucket, path, 6)
    store.fault = denied("PUT", "run.lock")
    assert "the credentials do not allow PutObject\n  They need s3:ListBucket" in failing(bucket, path, 6)
    store.fault = denied("GET", bucket.name)
    message = failing(bucket, path, 3, "--output", tmp_path / "out")
    assert message.startswith(f"{bucket.source}: the credentials do not allow ListObjectsV2\n")
    store.fault = denied("GET", "a.csv")
    done = manage("--input", bucket.source, "--output", bucket.output, "--task-config", path)
    assert (done.returncode, "nothing new" in done.stdout) == (0, True)
    assert "a.csv cannot be read: the credentials do not allow GetObject" in done.stderr


def test_an_object_that_changes_while_it_is_judged(bucket: Bucket, tmp_path: Path) -> None:
    path = task(tmp_path, bucket)
    bucket.put("in/a.csv", HEADER + rows(0, 10))
    hourly(bucket, path)
    before = bucket.outputs()
    for wanted, method in ((2, "GET"), (1, "HEAD")):  # of its second reading, and of the look before publishing
        bucket.put("in/b.csv", HEADER + rows(100, 10))
        (tmp_path / "driver" / bucket.name / "out" / "state" / "digests.json").unlink()
        asked = 0

        def changing(environ: Environ, wanted: int = wanted, method: str = method) -> None:
            nonlocal asked
            if environ["REQUEST_METHOD"] == method and environ["PATH_INFO"].endswith("b.csv"):
                asked += 1
                if asked == wanted:
                    bucket.client.put_object(Bucket=bucket.name, Key="in/b.csv", Body=b"changed")

        bucket.store.fault = changing
        assert "b.csv changed while it was" in failing(bucket, path, 4)
        bucket.store.fault = lambda _: None
        assert bucket.outputs() == before
    bucket.put("in/b.csv", HEADER + rows(100, 10))
    assert hourly(bucket, path)["status"] == "published"


def test_the_readme_s_reader(bucket: Bucket, tmp_path: Path) -> None:
    bucket.put("in/a.csv", HEADER + rows(0, 10))
    hourly(bucket, task(tmp_path, bucket))
    (shown,) = re.findall(r"^```python\n(.*?)^```$", (ROOT / "section1/README.md").read_text(), re.M | re.S)
    program = shown.replace('"bucket"', f'"{bucket.name}"').replace("published/", "out/")
    seen: dict[str, Any] = {}
    exec(program, seen)
    assert {GOOD: seen["successful"], BAD: seen["unsuccessful"]} == {
        name.partition("/")[0]: data for name, data in bucket.outputs().items()
    }
