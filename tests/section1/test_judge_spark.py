"""Spark's statement: tests of input columns are made before, and all else is the text of the configuration."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from section1 import judge_spark
from section1.judge_duckdb import Match

COLUMNS = ("name", "email", "birth_date", "birth_digest", "record_number")
MATCHES = (
    Match("match_0", "name", "^a\\z"),
    Match("match_1", "email", "b'"),
    Match("match_2", "name", "(?=only Java)"),
)


def select(*expressions: str) -> str:
    """A statement of two steps."""
    return f"with steps as (select *, {', '.join(expressions)} from applications) select record_number from steps"


@pytest.mark.parametrize(
    ("before", "after", "needed"),
    [
        (r"name rlike r'^a\z' as x", "match_0 as x", ("match_0",)),
        (r"`Name` RLIKE r'^a\z' as x, 'name rlike' as y", "match_0 as x, 'name rlike' as y", ("match_0",)),
        (
            "not email rlike /* b */ r\"b'\" -- it's\n and name rlike r'^a\\z' as x",
            "not match_1 -- it's\n and match_0 as x",
            ("match_0", "match_1"),
        ),
        (r"name || email rlike r'^a\z' as x", "", ("name", "email")),
        (r"'a' || name rlike r'^a\z' as x", "", ("name",)),
        (r"trim(name) rlike r'^a\z' as x", "", ("name",)),
        (r"regexp_like(name, r'^a\z') as x", "", ("name",)),
        (r"name not rlike r'^a\z' as x", "", ("name",)),
        (r"name rlike r'other' as x", "", ("name",)),
        ("year(`BIRTH_DATE`) as x /* name */", "", ("birth_date",)),
        ("name rlike r'(?=only Java)' as x", "", ("name",)),
    ],
)
def test_tests_of_input_columns_are_made_before(before: str, after: str, needed: tuple[str, ...]) -> None:
    text, columns = judge_spark.for_spark(select(before), MATCHES, COLUMNS)
    assert text == select(after or before)
    assert set(columns) == {*needed, "record_number"}


@pytest.mark.parametrize(
    ("pattern", "common"),
    [(r"^a\z", True), (r"(?:x)+\p{L}\.", True), (r"\(\?=", True), ("a&b{2}", True), ("(?=x)", False), ("a++", False),
     ("a{2}+", False), (r"(a)\1", False), ("[a&&b]", False), (r"\h", False), ("(?i)x", False)],
)  # fmt: skip
def test_patterns_that_only_java_knows_stay_with_java(pattern: str, common: bool) -> None:
    assert bool(judge_spark.COMMON.fullmatch(pattern)) == common
    if common:
        pc.match_substring_regex(pa.array([""]), pattern)


@pytest.mark.parametrize("sql", ["name, record_number", "to_json(struct(*)) as x, *"])
def test_where_a_step_may_not_pass_matches_on_the_statement_stays_whole(sql: str) -> None:
    text = rf"with a as (select {sql} from applications) select record_number, name rlike r'^a\z' as x from a"
    assert judge_spark.for_spark(text, MATCHES, COLUMNS) == (text, COLUMNS)
