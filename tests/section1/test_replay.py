"""Rejected rows judged again: what passes now is published once, and dates are read as they were."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from applications import BAD, GOOD, config, ledger, leftovers, manage, mobile_rule, published, rows, run, visible, write


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Ten applications of which five have seven digits in their mobile number."""
    return write(tmp_path / "in", "a.csv", rows(0, 10)).parent


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out"


@pytest.fixture
def seven(tmp_path: Path) -> Path:
    """Mobile numbers may have seven digits."""
    return mobile_rule(tmp_path / "seven.yaml", "[0-9]{7,8}")


def again(output: Path, *arguments: str | Path) -> dict[str, Any]:
    """Replay or backfill; returns the summary."""
    done = manage(*arguments, "--output", output, "--json")
    assert done.returncode == 0, done.stderr
    summary: dict[str, Any] = json.loads(done.stdout)
    return summary


def ids(output: Path, kind: str = GOOD) -> list[str]:
    """The e-mail addresses of the published rows."""
    with open(output / kind / "applications.csv", newline="") as file:
        return [row["email"] for row in csv.DictReader(file)]


def test_what_passes_now_is_published_once(source: Path, output: Path, seven: Path) -> None:
    first = run(source, output)
    assert (first["successful"], first["unsuccessful"]) == (5, 5)
    replayed = again(output, "replay", first["run_id"], "--task-config", seven)
    assert (replayed["kind"], replayed["records"], replayed["successful"]) == ("replay", 5, 5)
    assert ids(output) == [f"nora.{number}@example.com" for number in (1, 3, 5, 7, 9)]
    before = visible(output)
    assert again(output, "replay", first["run_id"], "--task-config", seven)["status"] == "nothing_new"
    assert visible(output) == before
    assert run(source, output)["status"] == "nothing_new"
    (document,) = ledger(output, f"select document from run where run_id = '{replayed['run_id']}'")[0]
    assert json.loads(document)["parents"] == [first["run_id"]]
    assert not leftovers(output, published(output))


def test_only_part_of_the_rows_passes(source: Path, output: Path, tmp_path: Path, seven: Path) -> None:
    """What fails again is in the new run's rejected rows, and stays to be replayed."""
    first = run(source, output)
    some = mobile_rule(tmp_path / "some.yaml", "[0-9]{8}|1000003")
    assert again(output, "replay", first["run_id"], "--task-config", some)["successful"] == 1
    assert ids(output) == ["nora.3@example.com"]
    assert len(ids(output, BAD)) == 4
    assert again(output, "replay", first["run_id"], "--task-config", seven)["successful"] == 4
    assert again(output, "replay", first["run_id"], "--task-config", seven)["status"] == "nothing_new"


def test_nothing_passes(source: Path, output: Path) -> None:
    first = run(source, output)
    before = visible(output)
    assert again(output, "replay", first["run_id"])["status"] == "nothing_new"
    assert visible(output) == before


def test_replay_of_a_replay_means_its_originals(source: Path, output: Path, tmp_path: Path, seven: Path) -> None:
    first = run(source, output)
    some = mobile_rule(tmp_path / "some.yaml", "[0-9]{8}|1000003")
    second = again(output, "replay", first["run_id"], "--task-config", some)
    third = again(output, "replay", second["run_id"], "--task-config", seven)
    assert third["successful"] == 4
    found = ledger(output, "select run_id, source_file, record_number from replayed order by record_number")
    assert found == [(first["run_id"], "a.csv", number) for number in (2, 4, 6, 8, 10)]


def test_the_ledger_of_replays_is_made_anew(source: Path, output: Path, seven: Path) -> None:
    first = run(source, output)
    again(output, "replay", first["run_id"], "--task-config", seven)
    (output / "state" / "ledger.sqlite").unlink()
    assert again(output, "replay", first["run_id"], "--task-config", seven)["status"] == "nothing_new"


def test_backfill_of_several_runs(source: Path, output: Path, seven: Path) -> None:
    """The same file name with other content in each run: rows are told apart by their run."""
    runs = [run(source, output)["run_id"]]
    for hour in (1, 2):
        write(source, "a.csv", rows(100 * hour, 10))
        runs.append(run(source, output)["run_id"])
    filled = again(output, "backfill", "--from", "2000-01-01", "--to", "2999-12-31", "--task-config", seven)
    assert (filled["kind"], filled["records"], filled["successful"]) == ("backfill", 15, 15)
    numbers = [100 * hour + number for hour in range(3) for number in (1, 3, 5, 7, 9)]
    assert ids(output) == [f"nora.{number}@example.com" for number in numbers]
    assert len(ledger(output, "select distinct run_id from replayed")) == 3
    again_filled = again(output, "backfill", "--from", "2000-01-01", "--to", "2999-12-31", "--task-config", seven)
    assert again_filled["status"] == "nothing_new"
    for run_id in runs:
        assert again(output, "replay", run_id, "--task-config", seven)["status"] == "nothing_new"


def test_backfill_of_a_range_without_runs(source: Path, output: Path, seven: Path) -> None:
    run(source, output)
    none = again(output, "backfill", "--from", "2000-01-01", "--to", "2000-01-31T23:00+08:00", "--task-config", seven)
    assert none["status"] == "nothing_new"


def test_backfill_sees_runs_that_were_not_recorded_yet(source: Path, output: Path, seven: Path) -> None:
    run(source, output)
    (output / "state" / "ledger.sqlite").unlink()
    filled = again(output, "backfill", "--from", "2000-01-01", "--to", "2999-12-31", "--task-config", seven)
    assert filled["successful"] == 5


def test_dates_are_read_by_the_evidence_of_their_run(tmp_path: Path, output: Path, seven: Path) -> None:
    """In one run the slash dates are day first, in the other month first; the rejected rows alone prove nothing."""
    for name, proof in (("day.csv", "25/12/1970"), ("month.csv", "12/25/1970")):
        text = (
            f"Nora Proof,{name}@example.com,{proof},91234567\nNora Doubt,doubt.{name}@example.com,03/04/1980,1234567\n"
        )
        write(tmp_path / "in", name, text)
        run(tmp_path / "in", output)
    again(output, "backfill", "--from", "2000-01-01", "--to", "2999-12-31", "--task-config", seven)
    with open(output / GOOD / "applications.csv", newline="") as file:
        assert [row["date_of_birth"] for row in csv.DictReader(file)] == ["19800403", "19800304"]


def test_hard_fields_survive_a_second_replay(tmp_path: Path, output: Path, seven: Path) -> None:
    """Of quotes, line ends and very long fields nothing is lost when the rows that are done are taken out."""
    long = "x" * 200_000
    fields = ['"a ""quoted"" name"', '"two\nlines"', '"lone\rreturn"', '"both\r\nends"', "plain name", f'"{long}"']
    hard = "".join(f"{field},hard@example.com,1980-05-17,12\n" for field in fields)
    write(tmp_path / "in", "hard.csv", "Nora One,one@example.com,1980-05-17,1234567\n" + hard)
    first = run(tmp_path / "in", output)
    assert first["unsuccessful"] == 7
    assert again(output, "replay", first["run_id"], "--task-config", seven)["unsuccessful"] == 6
    two = mobile_rule(tmp_path / "two.yaml", "[0-9]{2}|[0-9]{7,8}")
    last = again(output, "replay", first["run_id"], "--task-config", two)
    assert (last["records"], last["fragments"], last["successful"]) == (6, 0, 6)


def test_a_run_that_is_no_longer_kept(tmp_path: Path, source: Path, output: Path) -> None:
    task = config(tmp_path / "keep_two.yaml", ("keep_runs: 744", "keep_runs: 2"))
    for hour in range(3):
        write(source, "a.csv", rows(100 * hour, 10))
        run(source, output, "--task-config", task)
    before = visible(output)
    pruned = manage("replay", published(output)[0], "--output", output)
    assert pruned.returncode == 3
    assert f"run {published(output)[0]} is not kept any more" in pruned.stderr
    assert visible(output) == before


def test_an_unknown_run(source: Path, output: Path) -> None:
    run(source, output)
    unknown = manage("replay", "nonsense", "--output", output)
    assert unknown.returncode == 2
    assert "there is no published run nonsense" in unknown.stderr
    assert "status" in unknown.stderr
    assert ledger(output, "select count(*) from run where status = 'failed'") == [(0,)]


def test_no_date(output: Path) -> None:
    wrong = manage("backfill", "--from", "yesterday", "--to", "2022-01-01", "--output", output)
    assert wrong.returncode == 2
    assert "not a date" in wrong.stderr
