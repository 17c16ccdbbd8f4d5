"""A run from end to end: one at a time, each content once, and what it leaves behind."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from applications import (
    BAD,
    GOOD,
    ROOT,
    config,
    ledger,
    leftovers,
    manage,
    published,
    rows,
    run,
    seconds_of,
    visible,
    write,
)
from blake3 import blake3

from batch.publish import Output
from section1 import job, settings


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """An input folder with two files."""
    write(tmp_path / "in", "a.csv", rows(0, 20))
    write(tmp_path / "in", "b.csv", rows(100, 20))
    return tmp_path / "in"


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out"


def names_of(output: Path) -> list[str]:
    """The names of the processed contents."""
    return [name for (name,) in ledger(output, "select name from content order by name")]


def test_the_manifest_has_the_checksums_of_the_outputs(source: Path, output: Path) -> None:
    write(source, "c.csv", rows(200, 20) + 'torn "\n')
    run(source, output)
    current = output / "current"
    told = json.loads((current / "manifest.json").read_text())["outputs"]
    files = [path for path in current.rglob("*") if path.is_file() and path.name != "manifest.json"]
    assert told == {
        str(path.relative_to(current)): {"bytes": path.stat().st_size, "blake3": blake3(path.read_bytes()).hexdigest()}
        for path in files
    }
    assert len(files) == 4, "the pair, the fragments and their index"


# One at a time


def test_second_run_is_busy_at_once(source: Path, output: Path) -> None:
    run(source, output)
    before = visible(output)
    took, libraries = [], []
    with open(output / "state" / "run.lock") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        for _ in range(9):
            seconds, second = seconds_of(ROOT / "section1_manage.py", "--input", source, "--output", output)
            assert second.returncode == 7
            took.append(seconds)
            libraries.append(seconds_of("-c", "import argparse, csv, json, logging, sqlite3, yaml, msgspec")[0])
    assert "another run is going on" in second.stderr
    assert visible(output) == before
    # where the machine is slower or busy, it is so for the libraries alone too: they take two thirds of the time
    assert min(took) < max(0.1, 1.6 * min(libraries)), (sorted(took), sorted(libraries))


def test_nothing_heavy_is_loaded_before_the_lock_is_taken(source: Path, output: Path) -> None:
    run(source, output)
    code = "import sys, section1_manage; section1_manage.main(sys.argv[1:]); print(*sys.modules)"
    with open(output / "state" / "run.lock") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        command: list[str | Path] = [sys.executable, "-c", code, "--input", source, "--output", output]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "another run" in done.stderr
    assert not loaded & {"duckdb", "pyarrow", "numpy", "pandas", "sqlglot", "pyspark", "tqdm", "cronsim"}


def test_ten_at_once(source: Path, output: Path, tmp_path: Path) -> None:
    command: list[str | Path] = [
        sys.executable,
        ROOT / "section1_manage.py",
        "--input",
        source,
        "--output",
        output,
        "--json",
    ]
    started = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) for _ in range(10)
    ]
    ended = [(process.communicate(timeout=120)[0], process.returncode) for process in started]
    said = [json.loads(out)["status"] if code == 0 else code for out, code in ended]
    assert said.count("published") == 1
    assert set(said) <= {"published", "nothing_new", 7}
    run(source, tmp_path / "alone")
    assert visible(output) == visible(tmp_path / "alone")
    assert len(published(output)) == 1
    assert not leftovers(output, published(output))


def test_readers_never_see_a_mixed_or_partial_pair(tmp_path: Path, output: Path) -> None:
    """A reader looks all the time while runs publish; every pair that it saw is one that was published."""
    seen: list[object] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            try:
                pair: object = visible(output)
            except OSError as error:
                pair = error
            if [pair] != seen[-1:]:
                seen.append(pair)

    reader = threading.Thread(target=read)
    reader.start()
    whole: list[object] = [None]
    task = config(tmp_path / "keep_one.yaml", ("keep_runs: 744", "keep_runs: 1"))
    try:
        for hour in range(5):
            write(tmp_path / "in", f"{hour}.csv", rows(1000 * hour, 2000))
            run(tmp_path / "in", output, "--task-config", task)
            whole.append(visible(output))
    finally:
        stop.set()
        reader.join()
    assert len(seen) > 2
    assert seen == [pair for pair in whole if pair in seen], "in order, and nothing else"


# Each content once


def test_content_counts_not_the_name(source: Path, output: Path) -> None:
    assert run(source, output)["records"] == 40
    (source / "a.csv").rename(source / "renamed.csv")
    os.utime(source / "b.csv")
    again = run(source, output)
    assert (again["status"], again["notices"]) == ("nothing_new", [])


def test_changed_content_under_an_old_name_is_reported(source: Path, output: Path) -> None:
    run(source, output)
    write(source, "a.csv", rows(200, 10))
    changed = run(source, output)
    assert changed["records"] == 10
    assert changed["notices"] == ["a.csv has new content under the name of a file that was processed before"]
    assert names_of(output) == ["a.csv", "a.csv", "b.csv"]


def test_the_same_content_under_two_names_counts_once(source: Path, output: Path) -> None:
    shutil.copy(source / "a.csv", source / "c.csv")
    once = run(source, output)
    assert once["records"] == 40
    assert once["notices"] == ["c.csv has the same content as a.csv; it counts once"]


def test_the_ledger_belongs_to_the_output(source: Path, output: Path, tmp_path: Path) -> None:
    run(source, output)
    assert run(source, tmp_path / "other")["records"] == 40
    assert visible(output) == visible(tmp_path / "other")


def test_running_again_publishes_nothing(source: Path, output: Path) -> None:
    first = run(source, output)
    before, figures = visible(output), metrics(output)
    again = run(source, output)
    assert again["status"] == "nothing_new"
    assert again["successful_file"] == first["successful_file"]
    assert visible(output) == before
    after = metrics(output)
    last = "membership_last_success_timestamp_seconds"
    assert after.pop(last) >= figures.pop(last)
    after.pop("membership_next_run_timestamp_seconds"), figures.pop("membership_next_run_timestamp_seconds")
    assert after == figures
    assert [status for (status,) in ledger(output, "select status from run")] == ["published", "nothing_new"]


def metrics(output: Path) -> dict[str, float]:
    lines = (output / "state" / "metrics.prom").read_text().splitlines()
    return {key: float(value) for key, _, value in (line.rpartition(" ") for line in lines if not line.startswith("#"))}


def test_a_lost_ledger_is_made_anew(source: Path, output: Path) -> None:
    run(source, output)
    write(source, "c.csv", rows(300, 10))
    run(source, output)
    before, runs = visible(output), published(output)
    contents = ledger(output, "select * from content order by 1")
    (output / "state" / "ledger.sqlite").unlink()
    assert run(source, output)["status"] == "nothing_new"
    assert published(output) == runs
    assert ledger(output, "select * from content order by 1") == contents
    assert visible(output) == before


def test_a_damaged_ledger_is_told_and_can_be_moved_away(source: Path, output: Path) -> None:
    run(source, output)
    path = output / "state" / "ledger.sqlite"
    path.write_bytes(b"this is not SQLite" * 500)
    broken = manage("--input", source, "--output", output)
    assert broken.returncode == 6
    assert f"section1: {path}: the ledger cannot be used: file is not a database" in broken.stderr
    assert "move it away" in broken.stderr
    assert "Traceback" not in broken.stderr
    path.unlink()
    assert run(source, output)["status"] == "nothing_new"


def test_old_runs_are_pruned_and_their_contents_stay_known(tmp_path: Path, source: Path, output: Path) -> None:
    task = config(tmp_path / "keep_two.yaml", ("keep_runs: 744", "keep_runs: 2"))
    for number in range(4):
        write(source, "a.csv", rows(1000 * number, 5))
        run(source, output, "--task-config", task)
    assert sorted(os.listdir(output / "runs")) == sorted(published(output)[-2:])
    write(source, "a.csv", rows(0, 5))
    assert run(source, output, "--task-config", task)["status"] == "nothing_new"


def test_a_clock_that_goes_backwards(
    tmp_path: Path, source: Path, output: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Run ids sort wrongly then: the newest run is still the last one that ran, and the older ones are pruned."""
    path = config(tmp_path / "keep_two.yaml", ("keep_runs: 744", "keep_runs: 2"))
    (source / "b.csv").unlink()
    task = settings.load(str(path), [], source=str(source), destination=str(output))
    ids = [f"2022010{day}T000000000Z-1" for day in (5, 4, 3, 2)]
    monkeypatch.setattr(job, "run_id_now", iter(ids).__next__)
    for number in range(4):
        write(source, "a.csv", rows(1000 * number, 5 + number))
        job.process(task)
    assert published(output) == ids
    assert sorted(os.listdir(output / "runs")) == sorted(ids[-2:])
    assert metrics(output)['membership_last_run{count="records"}'] == 8
    assert Output(output).published() == ids[-1]
    (output / "state" / "ledger.sqlite").unlink()
    assert run(source, output, "--task-config", path)["status"] == "nothing_new"
    assert published(output) == ids[-2:]


# What comes out


def test_new_files_of_which_nothing_passes(tmp_path: Path, output: Path) -> None:
    row = rows(1, 1)  # a short mobile number
    none = run(write(tmp_path / "in", "a.csv", row).parent, output)
    assert (none["status"], none["successful"], none["unsuccessful"]) == ("published", 0, 1)
    header = "first_name,last_name,date_of_birth,mobile_no,email,above_18,membership_id\n"
    assert (output / GOOD / "applications.csv").read_text() == header
    assert (output / BAD / "applications.csv").read_text().splitlines()[1] == row.strip() + ",a.csv,1,true,mobile"


def test_no_files_at_all(tmp_path: Path, output: Path) -> None:
    (tmp_path / "in").mkdir()
    assert run(tmp_path / "in", output)["status"] == "nothing_new"
    assert visible(output) is None


def test_a_failed_run_is_recorded(source: Path, output: Path) -> None:
    run(source, output)
    before = visible(output)
    missing = manage("--input", source / "missing", "--output", output)
    assert missing.returncode == 3
    (run_id, document) = ledger(output, "select run_id, document from run where status = 'failed'")[0]
    assert json.loads(document)["message"].startswith("cannot list the input folder")
    assert metrics(output)["membership_last_run_failed"] == 1
    assert visible(output) == before
    assert run_id not in os.listdir(output / "runs")
    run(source, output)
    assert metrics(output)["membership_last_run_failed"] == 0


def test_a_wrong_configuration_is_no_failed_run(source: Path, output: Path, tmp_path: Path) -> None:
    task = config(tmp_path / "never.yaml", ('schedule: "0 * * * *"', 'schedule: "x"'))
    wrong = manage("--input", source, "--output", output, "--task-config", task)
    assert wrong.returncode == 2
    assert f"{task}:3: not a schedule" in wrong.stderr
    assert not list((output / "state").glob("*.sqlite"))


def test_nothing_is_readable_for_others(source: Path, output: Path) -> None:
    write(source, "torn.csv", 'Nora "Unclosed,x,y\n')
    run(source, output, umask=0)
    found = {path: path.lstat().st_mode for path in [output, *output.rglob("*")]}
    for path, mode in found.items():
        if stat.S_ISDIR(mode):
            assert stat.S_IMODE(mode) == 0o750, path
        elif stat.S_ISREG(mode):
            assert stat.S_IMODE(mode) == 0o640, path
    assert {path.name for path in found} >= {"applications.csv", "manifest.json", "fragments.bin", "ledger.sqlite"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 512 KiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting is not possible here")
    yield folder
    subprocess.run(["umount", folder], check=True)


def test_a_full_disk(small_disk: Path, source: Path) -> None:
    output = small_disk / "out"
    run(source, output)
    before = visible(output)
    write(source, "large.csv", rows(1000, 10_000))
    full = manage("--input", source, "--output", output)
    assert full.returncode == 6
    assert full.stderr.count("section1: ") == 1
    assert "No space left on device\n" in full.stderr
    assert "Traceback" not in full.stderr
    assert visible(output) == before
    assert not leftovers(output, published(output))
    (source / "large.csv").unlink()
    write(source, "small.csv", rows(1000, 10))
    assert run(source, output)["records"] == 10


def test_run_ids_sort_by_time() -> None:
    begun = datetime.now(UTC)
    run_id = job.run_id_now()
    assert run_id.endswith(f"Z-{os.getpid()}")
    assert abs((datetime.strptime(run_id[:18] + "000+0000", "%Y%m%dT%H%M%S%f%z") - begun).total_seconds()) < 1
