"""The ledger: its order is that of the rows, a second record changes nothing, damage is told."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from batch.errors import PublishError
from batch.ledger import Content, Ledger, Run


def run(run_id: str, status: str = "published", *contents: Content) -> Run:
    return Run(run_id=run_id, status=status, started="2022-01-01T00:00:00+00:00", seconds=1.0, contents=list(contents))  # type: ignore[arg-type]


def test_runs_come_in_the_order_in_which_they_were_recorded(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    for run_id, status in (("c", "published"), ("b", "failed"), ("a", "nothing_new"), ("0", "published")):
        ledger.record(run(run_id, status))
    assert [found.run_id for found in ledger.runs()] == ["c", "b", "a", "0"]
    assert [found.run_id for found in ledger.runs("published", "nothing_new", newest=2)] == ["a", "0"]
    assert ledger.published() == ["c", "0"]


def test_recording_twice_changes_nothing(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    for name in "old.csv", "new.csv":
        ledger.record(run("a", "published", Content("sha", name)), [("0", "x.csv", 7)])
    assert ledger.known_names(["old.csv", "new.csv"]) == {"old.csv"}
    assert ledger.processed(["sha", "other"]) == {"sha"}
    assert ledger.replayed("0") == {("x.csv", 7)}
    assert len(ledger.runs()) == 1


def test_all_or_nothing(tmp_path: Path) -> None:
    def origins() -> object:
        yield "0", "x.csv", 7
        raise ZeroDivisionError

    ledger = Ledger(tmp_path / "ledger.sqlite")
    with pytest.raises(ZeroDivisionError):
        ledger.record(run("a", "published", Content("sha", "x.csv")), origins())  # type: ignore[arg-type]
    assert ledger.runs() == []
    assert ledger.processed(["sha"]) == set()


def test_reading_only_writes_nothing(tmp_path: Path) -> None:
    assert Ledger(tmp_path / "ledger.sqlite", read_only=True).runs() == []
    assert not (tmp_path / "ledger.sqlite").exists()


@pytest.mark.parametrize("damage", ["bytes", "document"])
def test_damage_is_told_with_what_to_do(tmp_path: Path, damage: str) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite")
    ledger.record(run("a"))
    if damage == "bytes":
        ledger.path.write_bytes(b"not a database" * 1000)
    else:
        connection = sqlite3.connect(ledger.path)
        with connection:
            connection.execute("update run set document = '{\"run_id\": 1'")
        connection.close()
    with pytest.raises(PublishError, match="the ledger cannot be used") as caught:
        ledger.runs()
    assert str(ledger.path) in str(caught.value)
    assert "move it away" in str(caught.value)
