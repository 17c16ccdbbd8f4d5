"""Both engines publish the same bytes, and Spark fails in a way that a person can act on."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from applications import BAD, GOOD, config, manage, write
from hostile import lay_out_all

from batch.errors import EngineError
from section1 import engine_spark, job, replay, settings
from section1.engine import Work
from section1.generate import generate
from section1.judge import Statement
from section1.judge_duckdb import Parts
from section1.records import Chunk, Layout
from section1.settings import ROOT, Settings

pytestmark = pytest.mark.spark

MEMBERSHIP = ROOT.parent / "shared" / "data" / "membership"

NASTY = [
    ("Ada Lovelace", "ada@example.com", "1990-01-31", "12345678"),
    ('"Ada ""the first"" Lovelace"', "ada@example.com", "1990-01-31", "12345678"),
    ('"Lovelace, Ada"', "ada@example.net", "1990/12/31", "1234 5678"),
    ('"Ada\nLovelace"', "ada@example.com", "31-12-1990", "1234-5678"),
    ('"Ada\r\nLovelace"', '"ada@example.com"', "12/31/1990", '"12345678"'),
    ("Ada Lovelace", '"ada@example.com\n"', "1990-01-31", "12345678"),
    ("Ada Lovelace", '"ada@example.com\r"', "1990-01-31", "12345678"),
    ("Ada Lovelace", "ada@example.com", "1990-01-31", '"12345678\n"'),
    ("Ada Lovelace", "ada@example.com", '"1990-01-31\n"', "12345678"),
    ("Ada Lovelace", "ada@example.com", "1990-01-31", "\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668"),
    ("Ada Lovelace", "ada@example.com", "1990-01-31", "\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18"),
    ("Ada Lovelace", "ada@example.com", "1990-01-31", "1234\u00a05678"),
    ("Ada Lovelace", " ada@EXAMPLE.Com ", "1990-01-31", " 1234 - 5678 "),
    ("Ada Lovelace", "ada@\u212aelvin.com", "1990-01-31", "12345678"),
    ("Ada Lovelace", "ada@example.\u212aom", "1990-01-31", "12345678"),
    ("M\u017f Ada Lovelace", "ada@example.com", "1990-01-31", "12345678"),
    ("Ada Lovelace E\u017fq", "ada@example.com", "1990-01-31", "12345678"),
    ("\u212aelvin Thom\u017fon", "kelvin@example.com", "1990-01-31", "12345678"),
    ("\u0130\u0131\u00df \u1e9e", "i@example.com", "1990-01-31", "12345678"),
    ("\u00a0Ada\u00a0\u2003Lovelace\u3000", "ada@example.com", "1990-01-31", "12345678"),
    ("\u00a0", "ada@example.com", "1990-01-31", "12345678"),
    ("\ufeffAda\u200bLovelace\u2060", "ada@example.com", "1990-01-31", "12345678"),
    ("Ada\tLovelace\x0b\x0c\x1c\x1f\x85", "ada@example.com", "1990-01-31", "12345678"),
    ("\u5f20 \u4f1f", "zhang@example.com", "1990-01-31", "12345678"),
    ("\U0001d4d0\U0001d4ed\U0001d4ea \U0001f984", "ada@example.com", "1990-01-31", "12345678"),
    ("e\u0301 E\u0301", "ada@example.com", "1990-01-31", "12345678"),
    ("\u202eecalevoL adA", "ada@example.com", "1990-01-31", "12345678"),
    ("Dr. Mr Ada B. Lovelace, Ph.D., Jr.", "ada@example.com", "1990-01-31", "12345678"),
    ("Dr", "ada@example.com", "1990-01-31", "12345678"),
    ("Lovelace", "ada@example.com", "1990-01-31", "00000000"),
    ("$1 \\1 \\", "ada@example.com", "1990-01-31", "12345678"),
    ("=cmd()", "ada@example.com", "1990-01-31", "12345678"),
    ("Ada' Lovelace`", "a%_+-z.b@example.com", "1990-01-31", "12345678"),
    ("Ada Lovelace", "a..b@example.com", "1990-01-31", "12345678"),
    ("Ada Lovelace", "ada@exam_ple.com", "1990-01-31", "12345678"),
    ("Ada Lovelace", "ada@b@example.com", "1990-01-31", "12345678"),
    ("", "", "", ""),
    ('""', '""', '""', '""'),
    (" ", " ", " ", " "),
    ("Ada Lovelace", "ada@example.com", "0001-01-01", "12345678"),
    ("Ada Lovelace", "ada@example.com", "9999-12-31", "12345678"),
    ("Ada Lovelace", "ada@example.com", "1582-10-10", "12345678"),
    ("Ada Lovelace", "ada@example.com", "1900-02-29", "12345678"),
    ("Ada Lovelace", "ada@example.com", "2000-02-29", "12345678"),
    ("Ada Lovelace", "ada@example.com", "2004-01-01", "12345678"),
    ("Ada Lovelace", "ada@example.com", "2004-01-02", "12345678"),
    ("Ada Lovelace", "ada@example.com", "01/02/1990", "12345678"),
    ("Ada Lovelace", "ada@example.com", "1990-13-01", "123456789012345678901"),
    ("A" * 3000, "ada@example.com", "1990-01-31", "12345678"),
]


def tidy(folder: Path) -> None:
    """Files as they should be."""
    shutil.copytree(ROOT / "section1" / "resource" / "src" / "application", folder)


def shared(folder: Path) -> None:
    """The original challenge's files."""
    if not MEMBERSHIP.is_dir():
        pytest.skip("the original data is not here")
    shutil.copytree(MEMBERSHIP, folder)


def nasty(folder: Path) -> None:
    """Rows that two engines could read in two ways, in files of all sorts."""
    lines = [",".join(row) for row in NASTY]
    write(folder, "lf.csv", "".join(f"{line}\n" for line in lines))
    write(folder, "open end.csv", "\n".join(reversed(lines)))
    (folder / "crlf.csv").write_bytes(
        "".join(f"{line}\r\n" for line in ["\ufeffname,email,date_of_birth,mobile_no", *lines]).encode()
    )
    (folder / 'quoted,"name.csv').write_bytes((folder / "lf.csv").read_bytes() + b"Eve,e@example.com,1990-01-31,8\n")
    fragments = ["too,few", '"unclosed,e@example.com,1990-01-31,12345678', "\n", "a,b,c,d,e", 'x"y,b,c,d']
    mixed = "".join(f"{line}\n{fragment}\n" for line, fragment in zip(lines, fragments * len(lines), strict=False))
    write(folder, "fragments.csv", mixed + "Zed,\0,c,d\n")
    (folder / "bad utf-8.csv").write_bytes((folder / "lf.csv").read_bytes() + b"\xff\xfe,b,c,d\nZed,z@example.com,,\n")


def tiny(folder: Path) -> None:
    """Three hundred files with a few rows each, so that a task has many chunks."""
    for number in range(300):
        row = ",".join(NASTY[number % len(NASTY)])
        write(folder, f"{number:03}.csv", f"{row}\nFile {number},f@example.com,1990-01-31,{number:08}\n")


def hostile(folder: Path) -> None:
    """Every crafted file that intake is tested with."""
    assert len(lay_out_all(folder)) > 100


def million(folder: Path) -> None:
    """As many rows as the engines must agree on."""
    folder.mkdir()
    generate(folder, 1_000_000, 5, 3)


def task(engine: str, source: Path, output: Path, *parameters: str, **changes: Any) -> settings.Task:
    """The shipped task for an engine, with parts of its input section replaced."""
    loaded = settings.load(
        "section1_process.yaml", list(parameters), engine=engine, source=str(source), destination=str(output)
    )
    changed = msgspec.structs.replace(loaded.settings, input=msgspec.structs.replace(loaded.settings.input, **changes))
    return settings.Task(changed, loaded.document)


def outputs(output: Path) -> dict[str, bytes]:
    """The published files and, of a replay, where its rows came from."""
    found = {name: (output / name / "applications.csv").read_bytes() for name in (GOOD, BAD)}
    for origins in (output / "current").resolve().glob("origins.csv"):
        rows = [line.partition(",")[2] for line in origins.read_text().splitlines()]  # a run's id differs
        found["origins"] = "\n".join(rows).encode()
    return found


def differences(left: dict[str, bytes], right: dict[str, bytes]) -> list[tuple[str, bytes, bytes]]:
    """The first lines that differ, which say more than two long texts."""
    found = []
    for name in left.keys() | right.keys():
        pairs = zip(left.get(name, b"").splitlines(), right.get(name, b"").splitlines(), strict=False)
        found += [(name, one, other) for one, other in pairs if one != other][:5]
        if left.get(name) != right.get(name) and not found:
            found.append((name, b"other length", b""))
    return found


@pytest.mark.parametrize(
    ("make", "chunk_bytes"),
    [
        (tidy, 8 << 20),
        (tidy, 4 << 10),
        (shared, 8 << 20),
        (nasty, 8 << 20),
        (nasty, 1 << 10),
        (tiny, 8 << 20),
        (hostile, 8 << 20),
        pytest.param(million, 8 << 20, marks=pytest.mark.full),
    ],
)
@pytest.mark.usefixtures("spark")
def test_engines_publish_the_same_bytes(
    make: Callable[[Path], None], chunk_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_spark, "SMALLEST_TASK", 16 << 10)  # more than one task
    source = tmp_path / "in"
    make(source)
    summaries = {}
    for engine in ("duckdb", "spark"):
        summary = job.process(task(engine, source, tmp_path / engine, chunk_bytes=chunk_bytes))
        assert (summary.engine, summary.status) == (engine, "published")
        summaries[engine] = (summary.records, summary.successful, summary.unsuccessful, summary.fragments,
                             summary.reasons, summary.shared_ids)  # fmt: skip
    assert differences(outputs(tmp_path / "duckdb"), outputs(tmp_path / "spark")) == []
    assert summaries["duckdb"] == summaries["spark"]
    assert not list((tmp_path / "spark").rglob("*.accepted"))


@pytest.mark.usefixtures("spark")
def test_engines_replay_the_same_rows(tmp_path: Path) -> None:
    source = tmp_path / "in"
    tidy(source)
    nasty(source)
    for engine in ("duckdb", "spark"):
        first = job.process(task(engine, source, tmp_path / engine, "minimum_age=60"))
        for age in (40, 18):
            again = replay.replay(task(engine, source, tmp_path / engine, f"minimum_age={age}"), first.run_id)
            assert again.kind == "replay"
            assert again.successful > 0
        assert "origins" in outputs(tmp_path / engine)
    assert differences(outputs(tmp_path / "duckdb"), outputs(tmp_path / "spark")) == []


@contextmanager
def jobs_of(spark: Any) -> Iterator[list[int]]:
    """The ids of the Spark jobs that run inside, filled in at the end."""
    found: list[int] = []
    spark.sparkContext.setJobGroup("counted", "counted")
    yield found
    found += spark.sparkContext.statusTracker().getJobIdsForGroup("counted")


def test_one_scan_in_one_job(spark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plans: list[str] = []

    def spied(*arguments: Any) -> Any:
        frame = plan(*arguments)
        plans.append(frame._jdf.queryExecution().executedPlan().toString())
        return frame

    plan = engine_spark.plan
    monkeypatch.setattr(engine_spark, "plan", spied)
    source = tmp_path / "in"
    tidy(source)
    with jobs_of(spark) as jobs:
        job.process(task("spark", source, tmp_path / "out", chunk_bytes=16 << 10))
    (text,) = plans
    assert [text.count(word) for word in ("Range (", "MapInArrow read(", "MapInArrow write(")] == [1, 1, 1]
    assert not any(word in text for word in ("Exchange", "Sort", "Join", "Union", "Aggregate", "InMemory"))
    assert len(jobs) == 1


def chunks(*lengths: int) -> list[Chunk]:
    """Chunks of these lengths."""
    return [Chunk("", 0, length, "", (), 1, 1, True, 0) for length in lengths]


def test_tasks_are_neither_tiny_nor_too_few() -> None:
    lengths = [8 << 20] * 25 + [1000] * 1000
    groups = engine_spark.grouped(chunks(*lengths), cores=4)
    assert [position for group in groups for position in group] == list(range(len(lengths)))
    loads = [sum(lengths[position] + engine_spark.CHUNK for position in group) for group in groups]
    assert len(groups) == 27  # some of the small files ride along with the last piece of the large one
    assert max(loads) <= sum(loads) / 4 / engine_spark.TASKS_PER_CORE
    assert engine_spark.grouped(chunks(1, 1, 1), cores=64) == [range(3)]
    assert len(engine_spark.grouped(chunks(*[8 << 20] * 64), cores=1)) == 32  # as far as the plan knows: more may come
    assert engine_spark.grouped(chunks(), cores=64) == []


@pytest.mark.parametrize("numbers", [[[3, 2, 4]], [[1, 2], [4]], [[2, 3]], [[2, 3], []], [[2, 3, 4], [5]]])
def test_verdicts_in_another_order_are_refused(numbers: list[list[int]], tmp_path: Path) -> None:
    import pyarrow as pa

    source = tmp_path / "a.csv"
    source.write_bytes(b"name\nAda\nBob\nCy\nDee\n")
    chunks = [Chunk(str(source), 9, 4, "a.csv", ("name",), 2, 1, True, 0),
              Chunk(str(source), 13, 7, "a.csv", ("name",), 3, 2, True, 0)]  # fmt: skip
    statement = Statement("", (), Parts((), {}, ()), ((),), ("name",), (), ("rule",))
    work = Work(Layout(("name",), 10), {}, {}, statement, "", str(tmp_path))

    def batches(numbers: list[list[int]]) -> list[pa.RecordBatch]:
        kinds = pa.schema({"record_number": pa.int64(), "failed": pa.int64(), "accepted_0": pa.string()})
        rows = [[{"record_number": n, "failed": n % 2, "accepted_0": None if n % 2 else "x"} for n in some]
                for some in numbers]  # fmt: skip
        return [pa.RecordBatch.from_pylist(some, kinds) for some in rows]

    for cut in ([[2, 3, 4]], [[2], [3], [4]], [[2, 3], [], [4]]):
        verdicts = engine_spark.written(work, 0, chunks, batches(cut))
        assert [verdict.failed for verdict in verdicts] == [{0: 1}, {1: 1, 0: 1}]
        assert (tmp_path / f"{verdicts[0].part}.accepted").read_bytes() == b"x\nx\n"
        assert (tmp_path / f"{verdicts[0].part}.rejected").read_bytes() == b"Cy,a.csv,3,rule\n"
    with pytest.raises(ValueError, match="another order"):
        engine_spark.written(work, 0, chunks, batches(numbers))


@pytest.mark.parametrize("engine", ["duckdb", "spark"])
@pytest.mark.usefixtures("spark")
def test_a_failing_rule_is_one_line_without_values(
    engine: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    name = "Pat O'Secret \"Hidden\nName"
    quoted = name.replace('"', '""')
    write(tmp_path / "in", "a.csv", f'"{quoted}",ada@example.com,1990-01-31,12345678\n')
    path = config(tmp_path / "changed.yaml", ("\nrules:\n", "\nrules:\n  number: cast(name as int) = 1\n"))
    loaded = settings.load(str(path), [], engine=engine, source=str(tmp_path / "in"), destination=str(tmp_path / "out"))
    with pytest.raises(EngineError) as caught:
        job.process(loaded)
    shown = str(caught.value) + capfd.readouterr().err
    assert "refused the statement" in shown
    assert len(str(caught.value).splitlines()) == 2
    for word in ("Pat", "Secret", "Hidden", "Name", "Traceback", "at org.", "Exception in"):
        assert word not in shown


@pytest.mark.usefixtures("spark")
def test_a_failing_worker_is_named_without_values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "in"
    tidy(source)
    collected = engine_spark.plan

    def without_files(spark: Any, given: Settings, work: Work, chunks: list[Chunk]) -> Any:
        return collected(spark, given, msgspec.structs.replace(work, folder=str(tmp_path / "not shared")), chunks)

    monkeypatch.setattr(engine_spark, "plan", without_files)
    with pytest.raises(EngineError, match=r"worker of Spark failed: FileNotFoundError at .*parts\.py:\d+"):
        job.process(task("spark", source, tmp_path / "out"))


def old_java(folder: Path) -> None:
    """A Java that is too old for Spark."""
    java = folder / "java"
    java.write_text('#!/bin/sh\necho \'openjdk version "11.0.2" 2019-01-15\' >&2\n[ "$1" = -version ]\n')
    java.chmod(0o755)


@pytest.mark.parametrize(
    ("make", "message"),
    [(None, "Spark needs Java 17 or newer, and there is none"), (old_java, "Spark needs Java 17 or newer, this is 11")],
)
def test_java_is_missing_or_too_old(make: Callable[[Path], None] | None, message: str, tmp_path: Path) -> None:
    tidy(tmp_path / "in")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bash", "env", "dirname", "sh", "ps", "grep"):
        (programs / name).symlink_to(str(shutil.which(name)))
    if make:
        make(programs)
    environment = {"PATH": str(programs), "HOME": str(tmp_path)}
    done = manage("--engine", "spark", "--input", tmp_path / "in", "--output", tmp_path / "out", env=environment)
    assert done.returncode == 5
    *_, last, hint = done.stderr.splitlines()
    assert message in last
    assert "apt-get install openjdk-17-jre-headless" in hint
    assert "--engine duckdb" in hint
    assert "Traceback" not in done.stderr


def unwilling_java(folder: Path) -> None:
    """A Java that is new enough and ends with an exception as Spark does."""
    java = folder / "java"
    java.write_text("""#!/bin/sh
[ "$1" != -version ] || { echo 'openjdk version "17.0.9" 2023-10-17' >&2; exit 0; }
cat >&2 <<'END'
WARNING: Using incubator modules
Exception in thread "main" java.lang.ExceptionInInitializerError
\tat org.apache.spark.deploy.SparkSubmit.main(SparkSubmit.scala)
Caused by: java.net.UnknownHostException: nobody: Name or service not known
\tat java.base/java.net.InetAddress.getLocalHost(InetAddress.java:1671)
\t... 17 more
END
exit 1
""")
    java.chmod(0o755)


def test_why_java_ended_is_said(tmp_path: Path) -> None:
    tidy(tmp_path / "in")
    unwilling_java(tmp_path)
    environment = os.environ | {"JAVA_HOME": "", "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = manage("--engine", "spark", "--input", tmp_path / "in", "--output", tmp_path / "out", env=environment)
    assert done.returncode == 5
    assert "Spark did not start: java.net.UnknownHostException: nobody: Name or service not known\n" in done.stderr


def test_a_killed_driver_leaves_no_java_behind(tmp_path: Path) -> None:
    tidy(tmp_path / "in")
    command = [sys.executable, str(ROOT / "section1_manage.py"), "--engine", "spark",
               "--input", str(tmp_path / "in"), "--output", str(tmp_path / "out")]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as run:
        driver = psutil.Process(run.pid)
        workers = until(60, lambda: [p for p in driver.children(recursive=True) if "pyspark.daemon" in cmdline(p)])
        family = driver.children(recursive=True)
        assert workers
        run.kill()
    assert until(30, lambda: not any(map(alive, family)))
    assert not (tmp_path / "out" / "current").exists()


def cmdline(process: psutil.Process) -> str:
    """A process's command line; empty once it is gone."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def alive(process: psutil.Process) -> bool:
    """Whether a process still runs."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def until(seconds: float, seen: Callable[[], Any]) -> Any:
    """What `seen` returns, as soon as that is something."""
    end = time.monotonic() + seconds
    while not (found := seen()) and time.monotonic() < end:
        time.sleep(0.05)
    return found
