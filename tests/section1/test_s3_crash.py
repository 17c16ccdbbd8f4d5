"""Killed at any request to the store, a run leaves readers a whole pair, and the next run completes the work."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from applications import HEADER, config, rows
from faults import Outcome, Server
from store import Bucket, StandIn

CONTENTS = "select sha256, name from content order by 1"


class Scenario(NamedTuple):
    """A run on s3a:// that two others came before, and what it gives when nothing interrupts it."""

    server: Server
    bucket: Bucket
    before: dict[str, bytes]
    work: Path
    undisturbed: Outcome
    after: dict[str, bytes]
    contents: list[Any]

    def run(self, stop: int = 0) -> Outcome:
        """Run the command line, which may be killed at a point."""
        options = "--task-config", self.work / "task.yaml"
        return self.server.run("--input", self.bucket.source, "--output", self.bucket.output, *options, stop=stop)

    def reset(self) -> None:
        """Have the store and the working folder as they were before."""
        self.bucket.restore(self.before)
        shutil.rmtree(self.work / "driver", ignore_errors=True)
        shutil.copytree(self.work / "kept", self.work / "driver")


@pytest.fixture(scope="module")
def scenario(store: StandIn, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scenario]:
    work, bucket = tmp_path_factory.mktemp("work"), store.bucket("crash")
    told = json.dumps({"endpoint": store.endpoint, "folder": str(work / "driver")})
    chunks = ("  view: applications ", "  chunk_bytes: 1024\n  view: applications ")
    config(work / "task.yaml", chunks, ("\ninput:\n", f"\ns3: {told}\ninput:\n"), ("keep_runs: 744", "keep_runs: 2"))
    server = Server()
    made = Scenario(server, bucket, {}, work, Outcome(0, "", "", []), {}, [])
    for name in "ab":
        bucket.put(f"in/{name}.csv", HEADER + rows(100 * ord(name), 20))
        done = made.run()
        assert done.code == 0, done.err
    bucket.put("in/c.csv", HEADER + rows(0, 40) + 'Nora "Unclosed,x,y\n')
    made = made._replace(before=bucket.snapshot())
    shutil.copytree(work / "driver", work / "kept")
    undisturbed = made.run()
    assert undisturbed.code == 0, undisturbed.err
    yield made._replace(undisturbed=undisturbed, after=bucket.outputs(), contents=bucket.ledger(CONTENTS))
    server.close()


def requests(points: list[str]) -> list[int]:
    """The points that are requests which change the store, and those right after them; numbered from 1."""
    changing = [
        n for n, point in enumerate(points, 1) if point.split(": ")[1].startswith(("store put", "store upload"))
    ]
    changing += [n for n, point in enumerate(points, 1) if ": store delete " in point]
    return sorted({*changing, *(n + 1 for n in changing if n < len(points))})


def check_kill(made: Scenario, stop: int, *, another_machine: bool) -> bool:
    """Kill at a point, then let the next run complete the work; returns whether readers saw the new pair."""
    label = f"killed at {stop}, {made.undisturbed.points[stop - 1]}, another machine: {another_machine}"
    made.reset()
    before = made.bucket.outputs()
    killed = made.run(stop)
    assert killed.code == -9, label
    assert killed.points == made.undisturbed.points[:stop], label
    seen = made.bucket.outputs()
    assert seen in (before, made.after), label
    if another_machine:
        shutil.rmtree(made.work / "driver")
        made.bucket.client.delete_object(Bucket=made.bucket.name, Key="out/state/run.lock")  # as its age would do
    completed = made.run()
    assert completed.code == 0, f"{label}: {completed.err}"
    assert made.bucket.outputs() == made.after, label
    assert "nothing new" in made.run().out, label
    assert made.bucket.outputs() == made.after, label
    assert made.bucket.ledger(CONTENTS) == made.contents, label
    runs = {key.split("/")[2] for key in made.bucket.names("out/runs/")}
    published = [
        row[0] for row in made.bucket.ledger("select run_id from run where status = 'published' order by rowid")
    ]
    assert len(published) == 3, label
    assert runs == set(published[-2:]), label
    assert {key for key in made.bucket.names("out/") if not key.startswith("out/runs/")} == {
        "out/current.json",
        "out/state/ledger.sqlite",
        "out/state/metrics.prom",
    }, label
    return seen == made.after


def test_the_pointer_comes_after_all_files_and_before_the_ledger(scenario: Scenario) -> None:
    made = [
        point.split(": ")[1] for point in scenario.undisturbed.points if ": store put" in point or "upload" in point
    ]
    assert made[:2] == ["store put state/run.lock"] * 2
    assert made[2] == "store upload RUN/manifest.json"
    assert made[-3:] == [
        "store put current.json",
        "store upload state/ledger.sqlite",
        "store upload state/metrics.prom",
    ]
    assert len(made) == 2 + 5 + 3


def test_killed(scenario: Scenario) -> None:
    points = scenario.undisturbed.points
    pointer = next(n for n, point in enumerate(points, 1) if "put current.json" in point)
    first_upload = next(n for n, point in enumerate(points, 1) if "store upload" in point)
    stops = [first_upload + 1, pointer, pointer + 1]
    assert [check_kill(scenario, stop, another_machine=stop == pointer + 1) for stop in stops] == [False, False, True]


@pytest.mark.full
def test_killed_at_every_request(scenario: Scenario) -> None:
    stops = requests(scenario.undisturbed.points)
    assert len(stops) > 15
    seen = {check_kill(scenario, stop, another_machine=n % 2 == 0) for n, stop in enumerate(stops)}
    assert seen == {True, False}
