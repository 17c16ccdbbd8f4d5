"""One verdict per row: whatever the rules say, a row is accepted or rejected, and for the reasons that Python finds."""

from __future__ import annotations

import functools
import itertools
import os
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from batch.config import Document
from batch.errors import ConfigError
from section1 import engine_duckdb, judge
from section1.days import Dated
from section1.settings import Dates, Input, Outputs, Published, Rule, Settings, Task

EXAMPLES = 1000 if os.environ.get("FULL_TESTS") else 60
property_test = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))

TEXTS = (None, "", "a", "b")
DAYS = (None, date(2000, 1, 1), date(2020, 2, 29))
Row = dict[str, Any]
ROWS: list[Row] = [
    {"name": name, "email": email, "birth_date": day, "record_number": number}
    for number, (name, email, day) in enumerate(itertools.product(TEXTS, TEXTS, DAYS), 1)
]

Truth = bool | None  # None is SQL's NULL


class Test(NamedTuple):
    """A boolean expression in SQL, and what it is for a row."""

    __test__ = False

    sql: str
    of: Callable[[Row], Truth]

    def __repr__(self) -> str:
        return self.sql


def is_not(a: Truth) -> Truth:
    return None if a is None else not a


def both(a: Truth, b: Truth) -> Truth:
    """SQL's `and`: false wins over null."""
    if a is False or b is False:
        return False
    return None if a is None or b is None else True


def either(a: Truth, b: Truth) -> Truth:
    return is_not(both(is_not(a), is_not(b)))


def known(*values: Any) -> bool:
    return all(value is not None for value in values)


def strict(sql: str, of: Callable[..., bool], *columns: str) -> Test:
    """An expression over columns that is null where one of them is."""

    def value(row: Row) -> Truth:
        values = [row[column] for column in columns]
        return of(*values) if known(*values) else None

    return Test(sql, value)


def on_text(column: str, text: str) -> list[Test]:
    """Expressions over a text column."""
    return [
        strict(f"{column} = '{text}'", lambda value: value == text, column),
        strict(f"{column} <> '{text}'", lambda value: value != text, column),
        strict(f"length({column}) > 0", lambda value: len(value) > 0, column),
        strict(f"{column} rlike '[ab]'", lambda value: value in ("a", "b"), column),
        Test(f"{column} in ('{text}', null)", lambda row: True if row[column] == text else None),
        Test(f"{column} is null", lambda row: row[column] is None),
        Test(f"{column} is not null", lambda row: row[column] is not None),
    ]


def on_number(n: int) -> list[Test]:
    """Expressions over the record number."""
    return [
        strict(f"record_number > {n}", lambda number: number > n, "record_number"),
        strict(f"record_number % 7 between 2 and {n}", lambda number: 2 <= number % 7 <= n, "record_number"),
    ]


OTHERS = [
    Test("true", lambda row: True),
    Test("false", lambda row: False),
    Test("null", lambda row: None),
    strict("name = email", lambda name, email: name == email, "name", "email"),
    strict("birth_date > date '2010-01-01'", lambda day: day > date(2010, 1, 1), "birth_date"),
    strict("year(birth_date) = 2000", lambda day: day.year == 2000, "birth_date"),
]
ATOMS = [
    *OTHERS,
    *(test for column in ("name", "email") for text in ("", "a", "b", "--") for test in on_text(column, text)),
    *(test for n in (0, 3, 5, 24, 48) for test in on_number(n)),
]


def combined(inner: st.SearchStrategy[Test]) -> st.SearchStrategy[Test]:
    return st.one_of(
        st.builds(lambda a: Test(f"not ({a.sql})", lambda row: is_not(a.of(row))), inner),
        st.builds(lambda a, b: Test(f"({a.sql}) and ({b.sql})", lambda row: both(a.of(row), b.of(row))), inner, inner),
        st.builds(lambda a, b: Test(f"({a.sql}) or ({b.sql})", lambda row: either(a.of(row), b.of(row))), inner, inner),
        st.builds(
            lambda a, b: Test(f"coalesce({a.sql}, {b.sql})", lambda row: b.of(row) if a.of(row) is None else a.of(row)),
            inner,
            inner,
        ),
        st.builds(
            lambda a, b, c: Test(
                f"case when {a.sql} then {b.sql} else {c.sql} end", lambda row: b.of(row) if a.of(row) else c.of(row)
            ),
            inner,
            inner,
            inner,
        ),
        st.builds(lambda a: Test(f"({a.sql}) is null", lambda row: a.of(row) is None), inner),
    )


tests = st.recursive(st.sampled_from(ATOMS), combined, max_leaves=6)


@st.composite
def rule_sets(draw: st.DrawFn, test: st.SearchStrategy[Test] = tests) -> list[tuple[Test, list[int]]]:
    """Rules, each with the earlier rules that it comes after."""
    count = draw(st.integers(1, 6))
    return [(draw(test), sorted(draw(st.sets(st.integers(0, n - 1), max_size=3)) if n else [])) for n in range(count)]


def task(rules: dict[str, Rule]) -> Task:
    made = Settings(
        schedule="0 * * * *",
        input=Input(folder="in", patterns=["*"], view="applications", columns=["name", "email", "born"]),
        dates={"birth": Dates(column="born", shapes={"9999-99-99": "infer"})},
        query="select *, name as full_name from applications",
        rules=dict(rules),
        output=Outputs(
            folder="out",
            successful=Published(folder="good", columns={"number": "record_number", "nothing": "nullif(name, name)"}),
            unsuccessful=Published(folder="bad", columns={"number": "record_number", "nothing": "nullif(name, name)"}),
        ),
    )
    return Task(made, Document(Path("task.yaml"), {}, {}, set()))


@functools.cache
def connection() -> duckdb.DuckDBPyConnection:
    """A database with ROWS."""
    made = duckdb.connect(config={"threads": 1})
    made.execute("create table applications (name varchar, email varchar, birth_date date, record_number bigint)")
    made.executemany("insert into applications values ($name, $email, $birth_date, $record_number)", ROWS)
    for column in ("born", "source_file", "birth_ymd", "birth_digest", "birth_status"):
        made.execute(f"alter table applications add column {column} varchar default ''")
    return made


def verdicts(statement: judge.Statement) -> list[tuple[int, bool, bool]]:
    """For each of ROWS: the bits, and whether it has fields for the accepted and for the rejected."""
    records = connection().execute("select * from applications order by record_number").to_arrow_table()
    known = records.slice(0, len(DAYS)).select([name for name in records.column_names if name.startswith("birth_")])
    dated = {"birth": Dated(np.arange(len(records)) % len(DAYS), known)}
    readings = engine_duckdb.Readings(connection(), statement.parts)
    found = engine_duckdb.Judge(connection(), statement, "applications", readings).verdicts(records, dated)
    accepted, rejected = (set(fields[0].to_pylist()) for fields in (found.accepted, found.rejected))
    return [(bits, str(n) in accepted, str(n) in rejected) for n, bits in enumerate(found.failed.tolist(), 1)]


@property_test
@given(rule_sets())
def test_a_row_has_one_verdict_and_the_bits_that_python_finds(rules: list[tuple[Test, list[int]]]) -> None:
    named = {f"r{n}": Rule(test=test.sql, after=[f"r{e}" for e in after]) for n, (test, after) in enumerate(rules)}
    statement = judge.statement(task(named), None)
    found = verdicts(statement)
    assert len(found) == len(ROWS)
    for row, (bits, accepted, rejected) in zip(ROWS, found, strict=True):
        passed = [test.of(row) is True for test, _ in rules]
        failed = [not passed[n] and all(passed[earlier] for earlier in after) for n, (_, after) in enumerate(rules)]
        assert bits == sum(1 << n for n, fails in enumerate(failed) if fails), row
        assert (accepted, rejected) == (all(passed), not all(passed)), row
        assert statement.failed_rules(bits) == [f"r{n}" for n, fails in enumerate(failed) if fails]


PIECES = (
    *("name", "email", "birth_date", "record_number", "full_name", "true", "false", "null", "'a'", "''", "1", "0.5"),
    *("and", "or", "not", "=", "<>", "<", "is null", "in", "like", "rlike", "between", "||", "+", "/", "%", "(", ")"),
    *("case when", "then", "else", "end", "coalesce(", "length(", "cast(", "as boolean)", "if(", ",", "--", "/*", "*/"),
    *("from applications", "where", "union select", "select", "as x", ";", "limit 1", "over ()", "count(*)", "'"),
    *("rand()", "exists (select 1)", "explode(array(1))", "failed", "passed_r0", "accepted_0", "*", '"', "`", "\\"),
)


@st.composite
def texts(draw: st.DrawFn) -> str:
    """A rule with pieces put in or left out anywhere."""
    words = draw(tests).sql.split(" ")
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(words)))
        words[at : at + draw(st.integers(0, 2))] = draw(st.lists(st.sampled_from(PIECES), max_size=2))
    return " ".join(words)


@property_test
@given(st.lists(texts(), min_size=1, max_size=2))
def test_no_text_puts_a_row_in_both_outputs_or_in_neither(rules: list[str]) -> None:
    """A text is refused, or fails as a whole, or gives each row one verdict."""
    try:
        statement = judge.statement(task({f"r{n}": Rule(test=text) for n, text in enumerate(rules)}), None)
        found = verdicts(statement)
    except (ConfigError, duckdb.Error):
        event("refused")
        return
    event("judged")
    assert len(found) == len(ROWS)
    assert all((bits == 0, bits != 0) == (accepted, rejected) for bits, accepted, rejected in found)


CHANCE = ("rand() < 0.5", "uuid() > 'a'", "birth_date < current_date()", "now() is null", "random() is not null")


@property_test
@given(tests, tests, st.sampled_from(CHANCE), st.sampled_from(["({}) and {}", "coalesce({}, {})", "not ({} or {})"]))
def test_a_rule_that_leaves_it_to_chance_is_refused(a: Test, b: Test, chance: str, form: str) -> None:
    for text in (form.format(a.sql, chance), form.format(chance, b.sql), f"case when {chance} then {a.sql} end"):
        with pytest.raises(ConfigError, match="gives another result in each run"):
            judge.statement(task({"r": Rule(test=text)}), None)


def test_each_rule_stands_in_the_statement_once() -> None:
    rules = {f"r{n}": Rule(test=f"name <> 'marker {n}.'", after=["r0"] if n else []) for n in range(60)}
    statement = judge.statement(task(rules), None)
    tests = statement.parts.groups[0].sql
    for n in range(60):
        assert statement.spark.count(f"'marker {n}.'") == 1
        assert tests.count(f"'marker {n}.'") == 1


def test_sixty_rules_have_a_bit_each() -> None:
    rules = {f"r{n}": Rule(test=f"record_number <> {n + 1}") for n in range(60)}
    statement = judge.statement(task(rules), None)
    found = verdicts(statement)
    assert [statement.failed_rules(bits) for bits, _, _ in found] == [[f"r{n}"] for n in range(len(ROWS))]
    rules = {f"r{n}": Rule(test="null") for n in range(60)}
    assert {bits for bits, _, _ in verdicts(judge.statement(task(rules), None))} == {(1 << 60) - 1}
