"""Killed or failing at any point, a run leaves readers a complete pair, and the next run completes the work."""

from __future__ import annotations

import gzip
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import applications
import pytest
from applications import HEADER, ledger, leftovers, published, rows, visible, write
from faults import STEPS, Outcome, Server

from section1 import judge, settings

KEPT = 3


class Scenario(NamedTuple):
    """A command line on a copy of an output folder, and what it gives when nothing interrupts it."""

    server: Server
    before: Path  # the output folder as it was; it may not exist
    work: Path
    arguments: list[str | Path]
    undisturbed: Outcome
    after: Path

    def reset(self) -> None:
        """Have the output folder as it was before."""
        shutil.rmtree(self.work, ignore_errors=True)
        if self.before.exists():
            shutil.copytree(self.before, self.work, symlinks=True)

    def run(self, stop: int = 0, error: str = "", *, lasting: bool = False) -> Outcome:
        """Run the command line."""
        return self.server.run(*self.arguments, stop=stop, error=error, lasting=lasting)

    def check_readers(self, label: str) -> None:
        """Readers see the whole old pair or the whole new one."""
        assert visible(self.work) in (visible(self.before), visible(self.after)), label

    def check_completed(self, label: str) -> None:
        """The next run completes the work, and the one after that has nothing to do."""
        assert self.run().code == 0, label
        assert visible(self.work) == visible(self.after), label
        assert "nothing new" in self.run().out, label
        assert visible(self.work) == visible(self.after), label
        assert len(published(self.work)) == len(published(self.after)), label
        for query in (
            "select sha256, name from content order by 1",
            "select source_file, record_number from replayed order by 1, 2",
        ):
            assert ledger(self.work, query) == ledger(self.after, query), label
        assert not leftovers(self.work, published(self.work)[-KEPT:]), label
        named = {os.readlink(self.work / name) for name in (applications.GOOD, applications.BAD)}
        assert named == {f"current/{applications.GOOD}", f"current/{applications.BAD}"}, label


def scenario(
    server: Server,
    folder: Path,
    task: Path,
    *arguments: str | Path,
    engine: str = "duckdb",
    as_of: str = "2022-01-01",
) -> Scenario:
    """Run a command line undisturbed on a copy of `folder/before`."""
    options = "--task-config", task, "--engine", engine, "--sql-kwargs", f"as_of={as_of}"
    before, work, after = folder / "before", folder / "work", folder / "after"
    made = Scenario(server, before, work, [*arguments, *options, "--output", work], Outcome(0, "", "", []), after)
    kept = settings.load(str(task), [f"as_of={as_of}"], engine=engine)
    judge.statement(kept)  # it would be made and written the first time only
    made.reset()
    undisturbed = made.run()
    assert undisturbed.code == 0, undisturbed.err
    shutil.copytree(work, after, symlinks=True)
    return made._replace(undisturbed=undisturbed)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    served = Server()
    yield served
    served.close()


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("conf") / "small_chunks.yaml"
    chunks = ("  view: applications ", "  chunk_bytes: 1024\n  view: applications ")
    return applications.config(path, chunks, ("keep_runs: 744", f"keep_runs: {KEPT}"))


@pytest.fixture(scope="module")
def hourly(server: Server, task: Path, tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    """Two runs are published; new are a file, a packed one, one with a bad line, and content under an old name."""
    folder = tmp_path_factory.mktemp("hourly")
    source = folder / "source"
    for hour in range(KEPT):
        write(source, f"hour{hour}.csv", rows(1000 * hour, 30))
        arguments = "--task-config", task, "--input", source, "--output", folder / "before"
        assert server.run(*arguments).code == 0
    write(source, "new.csv", rows(5000, 330))
    write(source, "hour0.csv", rows(6000, 60))
    write(source, "torn.csv", rows(7000, 20) + 'Nora "Unclosed,x,y\n' + rows(7500, 20))
    (source / "packed.csv.gz").write_bytes(gzip.compress((HEADER + rows(8000, 40)).encode(), mtime=0))
    return scenario(server, folder, task, "--input", source)


@pytest.fixture(scope="module")
def first(server: Server, task: Path, tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    """Nothing was published yet."""
    folder = tmp_path_factory.mktemp("first")
    write(folder / "source", "new.csv", rows(0, 60))
    return scenario(server, folder, task, "--input", folder / "source")


@pytest.fixture(scope="module")
def replayed(server: Server, task: Path, tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    """A run and a replay are published; another replay lets more rows pass."""
    folder = tmp_path_factory.mktemp("replayed")
    early = "".join(row.replace(",19", ",20") for row in rows(0, 80).splitlines(keepends=True))
    write(folder / "source", "young.csv", early)
    common = "--task-config", task, "--output", folder / "before"
    assert server.run(*common, "--input", folder / "source", "--sql-kwargs", "as_of=2089-01-01").code == 0
    run_id = published(folder / "before")[0]
    assert server.run("replay", run_id, *common, "--sql-kwargs", "as_of=2098-01-01").code == 0
    return scenario(server, folder, task, "replay", run_id, as_of="2103-01-01")


@pytest.fixture(scope="module")
def on_spark(task: Path, server: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    """A run is published; another one follows on Spark."""
    if shutil.which("java") is None:
        pytest.skip("Java is not installed")
    folder = tmp_path_factory.mktemp("spark")
    write(folder / "source", "old.csv", rows(0, 20))
    arguments = "--task-config", task, "--input", folder / "source"
    assert server.run(*arguments, "--output", folder / "before").code == 0
    write(folder / "source", "new.csv", rows(1000, 60) + 'Nora "Unclosed,x,y\n')
    served = Server(spark=True)
    yield scenario(served, folder, task, "--input", folder / "source", engine="spark")
    served.close()


def sample(points: list[str], count: int) -> list[int]:
    """So many of the points, the same number from each step, evenly spread; numbered from 1."""
    chosen = []
    for step in STEPS:
        numbers = [number for number, label in enumerate(points, 1) if label.startswith(step)]
        share = max(1, count // len(STEPS))
        chosen += [numbers[len(numbers) * part // share] for part in range(min(share, len(numbers)))]
    return chosen


def effects(points: list[str]) -> list[int]:
    """The points that change something on the disk, numbered from 1; the others only read."""
    return [n for n, point in enumerate(points, 1) if not re.search("sqlite (schema|select)|pread|verdict", point)]


def check_kills(made: Scenario, stops: list[int]) -> set[bool]:
    """Kill at each of the points; returns whether readers saw the old pair, the new one, or now this, now that."""
    seen = set()
    for stop in stops:
        label = f"killed at {stop}, {made.undisturbed.points[stop - 1]}"
        made.reset()
        killed = made.run(stop)
        assert killed.code == -9, label
        assert killed.points == made.undisturbed.points[:stop], label
        made.check_readers(label)
        seen.add(visible(made.work) == visible(made.after))
        made.check_completed(label)
    return seen


def test_points_are_many_and_spread_over_all_steps(hourly: Scenario) -> None:
    points = hourly.undisturbed.points
    assert len(effects(points)) >= 200
    for step in STEPS:
        assert sum(point.startswith(step) for point in points) >= 10, step
    switch, commit = points.index("publish: replace .current.partial"), points.index("record: sqlite commit")
    assert points.index("publish: rename RUN") < switch < commit - 3, "there are points between switch and record"


def test_killed(hourly: Scenario) -> None:
    assert check_kills(hourly, sample(hourly.undisturbed.points, 25)) == {True, False}


def test_first_run_killed(first: Scenario) -> None:
    check_kills(first, sample(first.undisturbed.points, 5))


def test_replay_killed(replayed: Scenario) -> None:
    check_kills(replayed, sample(replayed.undisturbed.points, 5))


def test_failing(hourly: Scenario) -> None:
    check_failures(hourly, sample(hourly.undisturbed.points, 15))


@pytest.mark.spark
def test_killed_on_spark(on_spark: Scenario, server: Server) -> None:
    points = on_spark.undisturbed.points
    check_kills_on_spark(on_spark, server, [points.index("judge: verdict") + 1])


@pytest.mark.full
@pytest.mark.spark
def test_killed_on_spark_at_twenty_points(on_spark: Scenario, server: Server) -> None:
    stops = sample(on_spark.undisturbed.points, 20)
    assert len(set(stops)) == 20
    check_kills_on_spark(on_spark, server, stops)


def check_kills_on_spark(made: Scenario, embedded: Server, stops: list[int]) -> None:
    """Kill at each of the points; no process of Spark survives, and an embedded run completes the work."""
    after = made._replace(server=embedded, arguments=[*made.arguments, "--engine", "duckdb"])
    for stop in stops:
        label = f"killed at {stop}, {made.undisturbed.points[stop - 1]}"
        made.reset()
        killed = made.run(stop)
        assert killed.code == -9, label
        assert len(killed.points) == stop, label
        made.check_readers(label)
        assert not made.server.wait_for_others(20), label
        after.check_completed(label)


@pytest.mark.full
def test_killed_at_every_effect(hourly: Scenario) -> None:
    check_kills(hourly, effects(hourly.undisturbed.points))


@pytest.mark.full
def test_first_run_and_replay_killed_at_many_points(first: Scenario, replayed: Scenario) -> None:
    check_kills(first, sample(first.undisturbed.points, 40))
    check_kills(replayed, sample(replayed.undisturbed.points, 40))


@pytest.mark.full
def test_failing_at_many_points(hourly: Scenario) -> None:
    check_failures(hourly, sample(hourly.undisturbed.points, 120))


def check_failures(made: Scenario, stops: list[int]) -> None:
    """The disk is full from a point on, or one call fails: each kind at every third of the points."""
    points = made.undisturbed.points
    for turn, stop in enumerate(stop for stop in stops if "verdict" not in points[stop - 1]):
        error = ("ENOSPC", "EIO", "EACCES")[turn % 3]
        label = f"{error} at {stop}, {points[stop - 1]}"
        made.reset()
        failed = made.run(stop, error, lasting=error == "ENOSPC")
        check_message(failed, label)
        if "digest" in points[stop - 1] and error != "ENOSPC":  # that file is left for the next run, and said so
            assert "cannot be read" in failed.err, label
            assert made.run().code == 0, label
            contents = "select sha256 from content order by 1"
            assert ledger(made.work, contents) == ledger(made.after, contents), label
        else:
            made.check_readers(label)
            made.check_completed(label)


def check_message(failed: Outcome, label: str) -> None:
    """One message and the exit code of publishing or input; or the point was one that does no harm."""
    assert "Traceback" not in failed.err, label
    assert "internal error" not in failed.err, label
    messages = [line for line in failed.err.splitlines() if line.startswith("section1: ")]
    if failed.code:
        assert failed.code in (3, 6), f"{label}: {failed.err}"
        assert len(messages) == 1, label
    else:
        assert not messages, label
