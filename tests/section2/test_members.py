"""Section 1's published runs become members: each run once, whole or not at all, unchanged rows not written."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_shop import DEFINITIONS

from batch.errors import BusyError, DataError, InputError
from batch.postgres import Database
from batch.postgres_load import Written
from section2 import members, settings

Sql = Callable[..., list[tuple[Any, ...]]]
HEADER = "first_name,last_name,date_of_birth,mobile_no,email,above_18,membership_id\n"
ANN = "Ann,Doe,19540310,01234567,ann@example.com,true,Doe_2b72a\n"
TWIN = "Amy,Doe,19540310,87654321,amy@example.com,true,Doe_2b72a\n"


class Published:
    """A folder as section 1 leaves it."""

    def __init__(self, root: Path) -> None:
        self.root, self.current = root, ""

    def publish(self, rows: str, *, switch: bool = True, header: str = HEADER, successes: int | None = None) -> str:
        """One more run; without `switch` it was interrupted before readers saw it."""
        number = sum(1 for _ in self.root.glob("runs/*"))
        run_id = f"run{number}"
        folder = self.root / "runs" / run_id / "successful_application"
        folder.mkdir(parents=True)
        (folder / "applications.csv").write_text(header + rows)
        accepted = rows.count("\n") if successes is None else successes
        run = {
            "run_id": run_id,
            "status": "published",
            "started": f"2022-01-01T{number:02}:00:00+00:00",
            "previous": self.current,
            "counts": {"records": accepted + 7, "accepted": accepted, "rejected": 7},
        }
        (folder.parent / "manifest.json").write_text(json.dumps({"run": run, "evidence": []}))
        if switch:
            (self.root / "current").unlink(missing_ok=True)
            os.symlink(f"runs/{run_id}", self.root / "current")
            self.current = run_id
        return run_id


@pytest.fixture
def section1(tmp_path: Path) -> Published:
    return Published(tmp_path)


def load(shop: Database, section1: Published, *, first: bool = False) -> list[members.Loaded]:
    with settings.connected(shop, "owner" if first else "loader") as connection:
        return members.load_members(connection, section1.root, first=first)


def test_every_run_is_loaded_once(shop: Database, sql: Sql, section1: Published) -> None:
    section1.publish(ANN)
    section1.publish(TWIN)
    assert [run.written for run in load(shop, section1)] == [Written(1, 0, 0), Written(1, 0, 0)]
    assert load(shop, section1) == []
    section1.publish(ANN.replace("Doe,", "Roe,") + TWIN)
    assert [run.written for run in load(shop, section1)] == [Written(0, 1, 1)]
    assert sql("select first_name, last_name, mobile_no, membership_id from member order by member_id") == [
        ("Ann", "Roe", "01234567", "Doe_2b72a"),
        ("Amy", "Doe", "87654321", "Doe_2b72a"),
    ]
    assert sql(
        "select run_id, records, successful, unsuccessful, inserted, updated, unchanged, rejected from member_load"
    ) == [
        ("run0", 8, 1, 7, 1, 0, 0, 0),
        ("run1", 8, 1, 7, 1, 0, 0, 0),
        ("run2", 9, 2, 7, 0, 1, 1, 0),
    ]


def test_an_email_in_other_letters_is_the_same_member_and_nothing_unchanged_is_written(
    shop: Database, sql: Sql, section1: Published
) -> None:
    section1.publish(ANN + TWIN)
    load(shop, section1)
    before = sql("select ctid, xmin, xmax from member order by member_id")
    section1.publish(ANN + TWIN)
    assert load(shop, section1)[0].written == Written(0, 0, 2)
    assert sql("select ctid, xmin, xmax from member order by member_id") == before
    section1.publish(ANN.replace("ann@example", "ANN@Example"))
    assert load(shop, section1)[0].written == Written(0, 1, 0)
    assert sql("select count(*), max(email) filter (where email ~ 'ANN') from member") == [(2, "ANN@Example.com")]


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (ANN.replace("Ann", "Eve").replace("ann@", "ANN@"), "email_given_twice"),
        (TWIN.replace("amy@example.com", "amy"), "email"),
        (TWIN.replace("amy@example.com", ""), "email"),
        (TWIN.replace("87654321", "8765432"), "mobile_no"),
        (TWIN.replace("87654321", ""), "mobile_no"),
        (TWIN.replace("19540310", "19540230"), "date_of_birth"),
        (TWIN.replace("19540310", "18190310"), "date_of_birth"),
        (TWIN.replace("19540310", "1954-03-10"), "date_of_birth"),
        (TWIN.replace("true", "false"), "above_18"),
        (TWIN.replace("Doe_2b72a", "Doe"), "membership_id"),
        (TWIN.replace(",Doe,", ",,"), "last_name"),
    ],
)
def test_what_the_database_does_not_take_is_reported_by_record(
    shop: Database, sql: Sql, section1: Published, row: str, reason: str, first: bool
) -> None:
    run_id = section1.publish(ANN + row)
    (loaded,) = load(shop, section1, first=first)
    assert (loaded.written, loaded.rejected) == (Written(1, 0, 0), [(2, reason)])
    assert loaded.line().endswith(f"1 rejected: record 2 ({reason})")
    assert sql("select * from member_rejection") == [(run_id, 2, reason)]
    assert sql("select rejected from member_load") == [(1,)]


def test_the_first_load_leaves_every_index_and_key_and_is_for_an_empty_table(
    shop: Database, sql: Sql, section1: Published
) -> None:
    before = sql(DEFINITIONS)
    section1.publish(ANN)
    section1.publish(TWIN)
    assert [run.written for run in load(shop, section1, first=True)] == [Written(1, 0, 0), Written(1, 0, 0)]
    assert sql(DEFINITIONS) == before
    section1.publish(ANN)
    with pytest.raises(DataError, match="there are members already"):
        load(shop, section1, first=True)
    assert sql("select count(*) from member_load") == [(2,)]


def test_every_reason_is_the_schemas_own(shop: Database, sql: Sql, section1: Published) -> None:
    """A row that is not rejected never breaks a constraint: the last hour and the first day are taken."""
    section1.publish(ANN.replace("19540310", "19000101") + TWIN.replace("19540310", "20991231"))
    assert load(shop, section1)[0].written == Written(2, 0, 0)


@pytest.mark.parametrize(
    ("rows", "header", "successes", "problem"),
    [
        (ANN + "Ann,Doe\n", HEADER, 2, "line 3"),
        (ANN, HEADER.replace("email", "e_mail"), 1, "column name mismatch"),
        (ANN, HEADER, 2, "the manifest says 2 successes and the file has 1"),
        ('Ann,"Doe\n', HEADER, 1, "unterminated"),
    ],
)
def test_a_file_that_is_not_what_section_1_publishes_changes_nothing(
    shop: Database, sql: Sql, section1: Published, rows: str, header: str, successes: int, problem: str
) -> None:
    section1.publish(TWIN)
    section1.publish(rows, header=header, successes=successes)
    with pytest.raises(DataError, match=problem) as refused:
        load(shop, section1)
    assert "runs/run1/successful_application/applications.csv" in str(refused.value)
    assert "ann@example.com" not in str(refused.value)
    assert sql("select email from member") == [("amy@example.com",)]  # the run before it was loaded
    assert sql("select run_id from member_load") == [("run0",)]


def test_a_run_that_no_reader_has_seen_is_left_alone(shop: Database, section1: Published) -> None:
    section1.publish(ANN)
    section1.publish(TWIN, switch=False)
    assert [run.run_id for run in load(shop, section1)] == ["run0"]


def test_nothing_published_and_damaged_manifests_are_named(shop: Database, section1: Published) -> None:
    with pytest.raises(InputError, match="has published nothing here") as refused:
        load(shop, section1)
    assert "section1_runner.sh run" in str(refused.value)
    run_id = section1.publish(ANN)
    (section1.root / "runs" / run_id / "manifest.json").write_text("{")
    with pytest.raises(InputError, match="manifest cannot be read") as refused:
        load(shop, section1)
    assert run_id in str(refused.value)


def test_a_copied_folder_is_named(shop: Database, section1: Published) -> None:
    run_id = section1.publish(ANN)
    shutil.copytree(section1.root / "runs" / run_id, section1.root / "runs" / "copy")
    with pytest.raises(InputError, match=f"runs/copy/manifest.json: this is the manifest of run {run_id}"):
        load(shop, section1)


def test_two_loads_at_a_time_do_not_meet(shop: Database, section1: Published) -> None:
    section1.publish(ANN)
    with settings.connected(shop, "loader") as connection, connection.cursor() as cursor:
        cursor.execute("select pg_advisory_lock(%s)", [members.LOCK])
        with pytest.raises(BusyError):
            load(shop, section1)
    assert len(load(shop, section1)) == 1
