"""The nightly query counts every fact of yesterday once: run as it stands in the plan, on DuckDB."""

from __future__ import annotations

import json
from typing import Any

import duckdb
import pytest
import sqlglot

Resources = dict[str, dict[str, Any]]
TODAY = "2026-03-08T02:00:00Z"
FACTS = [
    ("acme", "image/jpeg", 100, "2026-03-07T00:00:01Z", "2026-03-07"),
    ("acme", "image/jpeg", 200, "2026-03-07T23:59:59Z", "2026-03-07"),
    ("acme", "image/png", 50, "2026-03-07T12:00:00Z", "2026-03-07"),
    ("brix", "image/png", 70, "2026-03-06T23:59:59Z", "2026-03-07"),  # delivered on the next day: counted there
    ("brix", "image/png", 80, "2026-03-08T00:30:00Z", "2026-03-08"),
    ("brix", "image/png", 90, "2026-03-06T10:00:00Z", "2026-03-06"),
]


@pytest.fixture
def tables(resources: Resources) -> duckdb.DuckDBPyConnection:
    """The tables as the plan has them, columns in its order."""
    connection = duckdb.connect()
    for table in (r["values"] for r in resources.values() if r["type"] == "aws_glue_catalog_table"):
        columns = table["storage_descriptor"][0]["columns"] + table["partition_keys"]
        definition = ", ".join(f"{column['name']} {column['type'].replace('string', 'text')}" for column in columns)
        connection.execute(f"create table {table['name']} ({definition})")
    return connection


def planned(resources: Resources, kind: str) -> dict[str, Any]:
    return next(dict(r["values"]) for r in resources.values() if r["type"] == kind)


def duckdb_sql(text: str) -> str:
    text = text.replace("<aws.scheduler.scheduled-time>", TODAY)
    return sqlglot.transpile(text, read="athena", write="duckdb")[0]


def test_yesterdays_facts_are_counted_by_customer_and_type(
    resources: Resources, tables: duckdb.DuckDBPyConnection
) -> None:
    tables.executemany("insert into facts values (?, ?, ?, ?, ?)", FACTS)
    target = planned(resources, "aws_scheduler_schedule")["target"][0]
    tables.execute(duckdb_sql(json.loads(target["input"])["QueryString"]))
    counted = tables.execute("select customer_id, type, images, bytes, day from images_by_day order by all").fetchall()
    assert counted == [
        ("acme", "image/jpeg", 2, 300, "2026-03-07"),
        ("acme", "image/png", 1, 50, "2026-03-07"),
        ("brix", "image/png", 1, 70, "2026-03-07"),
    ]


def test_the_schedule_names_each_night_once(resources: Resources) -> None:
    target = planned(resources, "aws_scheduler_schedule")["target"][0]
    token = json.loads(target["input"])["ClientRequestToken"]
    assert token.endswith("<aws.scheduler.scheduled-time>") and 32 <= len(token) <= 128


def test_the_analysts_query_runs(resources: Resources, tables: duckdb.DuckDBPyConnection) -> None:
    tables.execute("insert into images_by_day values ('acme', 'image/png', 3, 9, current_date::text)")
    query = planned(resources, "aws_athena_named_query")["query"]
    assert tables.execute(duckdb_sql(query)).fetchall() == [("acme", "image/png", 3)]
