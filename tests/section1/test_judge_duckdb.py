"""DuckDB's parts of the statement give what Spark's whole one says, whatever was taken out of them."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import sqlglot
from small_task import Make, maker

from section1 import judge
from section1.days import Dated
from section1.engine_duckdb import Judge, Readings
from section1.query import DIALECT
from section1.settings import Task

NAMES = ["Ada", "", "bob", "=1"]
DAYS = [date(1990, 1, 31), None, date(2010, 12, 1), None, date(1890, 2, 28)]
STATUSES = ["ok", "unreadable", "ok", "ambiguous", "ok"]
YMD = [day and f"{day:%Y%m%d}" for day in DAYS]
KNOWN = pa.table(
    {
        "birth_date": pa.array(DAYS, pa.date32()),
        "birth_ymd": pa.array(YMD, pa.string()),
        "birth_digest": pa.array([text and text[::-1] for text in YMD], pa.string()),
        "birth_status": STATUSES,
    }
)
PLACES = np.arange(20) % 5
RECORDS = pa.table(
    {
        "name": [NAMES[n % 4] for n in range(20)],
        "email": [f"{n}@x" for n in range(20)],
        "born": ["" for _ in range(20)],
        "source_file": ["a.csv"] * 20,
        "record_number": range(1, 21),
    }
)


@pytest.fixture
def task(tmp_path: Path) -> Make:
    """Makes small tasks."""
    return maker(tmp_path)


def parts_give(made: Task) -> tuple[list[int], list[list[str]], list[list[str]]]:
    """What the parts give: bits, accepted and rejected fields."""
    statement = judge.statement(made, None)
    with duckdb.connect() as database:
        readings = Readings(database, statement.parts)
        found = Judge(database, statement, "applications", readings).verdicts(RECORDS, {"birth": Dated(PLACES, KNOWN)})
    return found.failed.tolist(), *(
        [column.to_pylist() for column in some] for some in (found.accepted, found.rejected)
    )


def whole_gives(made: Task) -> tuple[list[int], list[list[str]], list[list[str]]]:
    """What Spark's statement gives, in DuckDB's dialect, on the same records."""
    applications = RECORDS
    for name in KNOWN.column_names:
        applications = applications.append_column(name, KNOWN[name].take(pa.array(PLACES)))
    statement = judge.statement(made, None)
    for name, column, pattern in statement.parts.matches:
        applications = applications.append_column(name, pc.match_substring_regex(applications[column], pattern))
    with duckdb.connect() as database:
        database.register("applications", applications)
        (sql,) = sqlglot.transpile(statement.spark, DIALECT, "duckdb")
        found = database.sql(f"select * from ({sql}) order by record_number").to_arrow_table()
    fields = [
        [found[f"{kind}_{n}"].drop_null().to_pylist() for n in range(len(names))]
        for kind, names in (("accepted", statement.accepted), ("rejected", statement.rejected))
    ]
    return found["failed"].to_pylist(), *fields


ADULT = "birth_date <= add_months(date '${as_of}', -216)"
STEPS = f"""
    with a as (select *, {ADULT} as adult from applications),
    b as (select *, name as n, adult is null as odd from a)
    select * from (select b.*, adult or odd as fine from b) c
"""
LISTED = f"""
    with a as (
      select
        name, email, born, source_file, record_number, birth_date, birth_ymd, birth_digest, birth_status,
        {ADULT} as adult
      from applications
    )
    select *, adult and name <> '' as both from a
"""
TWICE = f"""
    with a as (select *, {ADULT} as adult from applications),
    b as (select * except (adult), adult as first, birth_date is null as adult from a)
    select * from b
"""
GROWN = f"""
    with a as (select *, {ADULT} as adult from applications),
    b as (select * except (adult), adult as grown, name as n from a)
    select * from b
"""
AGAIN = """
    with a as (select * except (birth_date), birth_date as birth_date, name as n from applications)
    select * from a
"""


def plus(columns: str) -> str:
    """A query that adds these columns."""
    return f"select *, {columns} from applications"


@pytest.mark.parametrize(
    ("query", "test", "once"),
    [
        (plus(f"{ADULT} as adult"), "adult", {"adult", "passed_1"}),
        (plus(f"applications.{ADULT} as Adult"), "ADULT", {"adult", "passed_1"}),
        (plus(f"{ADULT} as adult, not adult as minor"), "not minor", {"adult", "minor", "passed_1"}),
        (plus("birth_date as born_on, birth_ymd as text"), "born_on is not null", {"born_on", "text", "passed_1"}),
        (STEPS, "fine", {"adult", "odd", "fine", "passed_1"}),
        (LISTED, "both", {"adult"}),
        (TWICE, "adult or first", set()),
        (GROWN, "grown", {"adult", "grown", "passed_1"}),
        (AGAIN, "birth_date is null or n = name", set()),
        (plus("name rlike r'^[A-Z]' as upper_case"), "upper_case", set()),
        (plus("1 as one"), "one = 1", set()),
        (plus("coalesce(birth_ymd, name) as mixed"), "mixed <> ''", set()),
    ],
)
def test_the_parts_give_what_the_whole_says(task: Make, query: str, test: str, once: set[str]) -> None:
    made = task(
        query,
        rules={
            "letter": "name rlike r'^[A-Za-z]'",
            "test": test,
            "read": "birth_status = 'ok'",
            "later": {"test": f"({test}) and record_number <> 20", "after": ["letter", "read"]},
        },
        successful={"name": "name", "ymd": "birth_ymd", "digest": "concat(name, birth_digest)", "n": "record_number"},
        unsuccessful={"ymd": "birth_ymd", "named": "concat(name, birth_status)", "test": test},
    )
    statement = judge.statement(made, None)
    assert parts_give(made) == whole_gives(made)
    (readings,) = statement.parts.readings.values()
    assert once | {"passed_2", "accepted_1", "rejected_0"} <= set(readings.gives)
    assert "passed_0" not in readings.gives
    assert statement.parts.groups[0].gives[0].startswith("match_"), "a test that is a match needs no SQL"


def test_what_is_left_reads_only_the_columns_that_it_names(task: Make) -> None:
    made = task(
        "select *, upper(name) as loud from applications",
        rules={"loud": "loud <> ''", "read": "birth_status = 'ok'"},
        successful={"mail": "email", "day": "birth_ymd"},
        unsuccessful={"day": "birth_ymd"},
    )
    tests, accepted, rejected = judge.statement(made, None).parts.groups
    assert [tests.reads, accepted.reads] == [("name",), ("name", "email")]
    assert not rejected.sql
    assert parts_give(made) == whole_gives(made)


def test_nothing_may_be_left(task: Make) -> None:
    made = task("select * from applications", rules={"read": "birth_status = 'ok'"}, successful={"day": "birth_ymd"})
    assert [query.sql for query in judge.statement(made, None).parts.groups] == ["", "", ""]
    assert parts_give(made) == whole_gives(made)
