"""The judging statement: what the YAML's SQL may say, and at which line a mistake is."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from small_task import FIRST, Make, maker

from batch.errors import ConfigError
from section1 import engine_duckdb, judge, lines, query, settings
from section1.days import Dated
from section1.records import Chunk, Layout
from section1.settings import ROOT, Task


@pytest.fixture
def task(tmp_path: Path) -> Make:
    """Makes small tasks."""
    return maker(tmp_path)


def refused(made: Task) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        judge.statement(made, None)
    return caught.value


def line(error: ConfigError) -> int:
    return int(error.where.rpartition(":")[2])


@pytest.mark.parametrize(
    ("text", "at", "name"),
    [
        ("select *\nfrom applications\nwhere name = ''", 3, "where"),
        ("with a as (\nselect * from applications\nwhere true\n)\nselect * from a", 3, "where"),
        ("select *\nfrom applications a\njoin applications b on true", 3, "join"),
        ("select *\nfrom applications a, applications b", 2, "join"),
        ("select *\nfrom applications\ngroup by all", 3, "group by"),
        ("select *,\ncount(*) as n\nfrom applications", 2, "the aggregate count"),
        ("select *,\n max(name) as n from applications", 2, "the aggregate max"),
        ("select *,\n any(name = '') as n from applications", 2, "the aggregate any"),
        ("select *,\nrow_number() over (order by name) as n from applications", 2, "a window over"),
        ("select *,\nlag(name) over (order by name) as n from applications", 2, "a window over"),
        ("select * from applications\nlimit 5", 2, "limit"),
        ("select * from applications\noffset 5", 2, "offset"),
        ("select\ndistinct * from applications", 2, "distinct"),
        ("select *, name as `order` from applications\norder by name", 2, "order by"),
        ("select * from applications\nsort by name", 2, "sort by"),
        ("select * from applications\ncluster by name", 2, "cluster by"),
        ("select * from applications\ndistribute by name", 2, "distribute by"),
        ("select * from applications\nhaving true", 2, "having"),
        ("select * from applications\nqualify true", 2, "qualify"),
        ("select * from applications\nunion all\nselect * from applications", 2, "union"),
        ("select * from applications\nexcept select * from applications", 2, "except"),
        ("select * from applications\nintersect select * from applications", 2, "intersect"),
        ("select * from applications\ntablesample (10 percent)", 2, "tablesample"),
        ("select * from (select * from applications)\ntablesample (10 percent)", 2, "tablesample"),
        ("select * from applications\npivot (max(name) for email in ('a'))", 2, "pivot"),
        ("select * from applications\nlateral view explode(split(name, ' ')) as c", 2, "lateral view"),
        ("select *, explode(split(name, ' ')) as x from applications", 1, "a table function"),
        ("select *, posexplode(split(name, ' ')) as x from applications", 1, "a table function"),
        ("select *, stack(2, 1, 2) as x from applications", 1, "a table function"),
        ("select * from values (1)", 1, "a table function"),
        ("select *, exists (select 1) as x from applications", 1, "a subquery"),
        ("select *, name in (select name from applications) as x from applications", 1, "a subquery"),
        ("select *, (select 1) as x from applications", 1, "a subquery"),
        ("select * replace (trim(name) as name) from applications", 1, "* replace"),
        ("with recursive a as (select * from applications) select * from a", 1, "recursive"),
        ("select * from json.applications", 1, "a name with a dot"),
    ],
)
def test_what_drops_repeats_or_compares_rows_is_refused(task: Make, text: str, at: int, name: str) -> None:
    error = refused(task(text))
    assert error.what.startswith(f"{name} is not possible: rows are judged alone")
    assert line(error) == FIRST + at - 1


@pytest.mark.parametrize(
    "call",
    [
        *("rand()", "random()", "randn()", "uuid()", "now()", "current_date", "current_date()", "current_timestamp"),
        *("localtimestamp()", "current_user()", "session_user()", "current_timezone()", "unix_timestamp()"),
        *("input_file_name()", "monotonically_increasing_id()", "spark_partition_id()", "shuffle(array(1, 2))"),
        *("version()", "user()", "uniform(1, 2)", "randstr(3)", "current_database()"),
    ],
)
def test_what_differs_from_run_to_run_is_refused(task: Make, call: str) -> None:
    error = refused(task(f"select *,\n  {call} as x\nfrom applications"))
    assert "gives another result in each run" in error.what
    assert error.hint == "Use a parameter instead."
    error = refused(task(rules={"name": "full_name <> ''", "chance": f"{call} is not null"}))
    assert "gives another result in each run" in error.what
    assert line(error) == FIRST + 2


@pytest.mark.parametrize(
    ("text", "at", "problem", "hint"),
    [
        ("select *,\n nme as x\nfrom applications", 2, "unknown column `nme`", "Did you mean `name`?"),
        ("select *, a.name as x,\n a.nme as y\nfrom applications a", 2, "unknown column `nme`", "`name`"),
        ("select *\n, b.name as x\nfrom applications a", 2, "unknown table `b`", "Known are: a."),
        ("select b.*\nfrom applications a", 1, "unknown table `b`", "Known are: a."),
        ("select *\nfrom\napplication", 3, "unknown table `application`", "Did you mean `applications`?"),
        ("with a as (select * from applications)\nselect *,\nzzz as x from a", 3, "unknown column `zzz`", "Known are"),
        ("select *,\n lenght(name) as x from applications", 2, "`lenght` is not a function", "Did you mean `length`?"),
        ("select *,\n zzz(name) as x from applications", 2, "`zzz` is not a function", "Spark's own functions"),
        ("select *\nfrom applications\nwhre name > 1", 3, "not valid SQL", "Did you mean `where`?"),
        ("selec *\nfrom applications", 2, "not valid SQL", "Did you mean `select`?"),
        ("select *, (name\nfrom applications", 2, "not valid SQL near `from`", ""),
        ("select *,\n case when name = '' thn 1 end as x from applications", 2, "not valid SQL", "`then`"),
        ("select *,\n\n 'abc as x from applications", 3, "a quote or a comment is not closed", ""),
        ("select * from applications;\nselect 1", 1, "one statement is needed here", "Leave out any `;`."),
        ("select * from applications;", 1, "one statement is needed here", "Leave out any `;`."),
        ("drop table applications", 1, "the query must be one `select`", ""),
        ("(select * from applications)", 1, "the query must be one `select`", ""),
        ("from applications", 1, "the query must be one `select`", ""),
        ("select *,\n :x as y from applications", 1, "`:x` is not possible", "Parameters are `${name}`."),
        ("select *,\n trim(name) as NAME from applications", 2, "makes column `name` twice", "a name of its own"),
        ("with a as (select *, 1 as x,\n 2 as X from applications) select * from a", 2, "makes column `x` twice", ""),
        ("with a as (select * from applications),\nA as (select * from a)\nselect * from a", 2, "`A` is already", ""),
        ("with applications as (select * from applications)\nselect * from applications", 1, "is already the name", ""),
        ("select name, email from applications", 1, "the query's result lacks birth_date,", "Begin with `select *, `."),
        ("select * except (email) from applications", 1, "the query's result lacks email", "Begin with"),
        ("select *, name as full_name, 1 as failed from applications", 1, "not be called failed", ""),
        ("select *, name as full_name, 1 as Passed_0 from applications", 1, "not be called passed_0", ""),
        ("select *, name as full_name, 1 as accepted_0 from applications", 1, "not be called accepted_0", ""),
        ("select *,\n\n date '${as_off}' as x from applications", 3, "unknown parameter `${as_off}`", "`as_of`"),
        ("select *,\n name rlike 'a$' as x from applications", 2, "a lone `$`", "`$$`"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_query_is_named_at_its_line(task: Make, text: str, at: int, problem: str, hint: str) -> None:
    error = refused(task(text))
    assert problem in error.what
    assert line(error) == FIRST + at - 1
    assert hint in error.hint


def test_a_mistake_in_line_7_of_the_shipped_query_is_named_there(tmp_path: Path) -> None:
    text = (ROOT / "section1/conf/section1_process.yaml").read_text()
    seven = "query: |\n  with first as (\n    -- a comment\n\n    select *\n    ,\n    1 as x\n    , nme as y\n"
    seven += "    from applications\n  ),"
    path = tmp_path / "task.yaml"
    path.write_text(re.sub(r"query: \|\n  with", lambda _: seven, text))
    error = refused(settings.load(str(path), []))
    lines = path.read_text().splitlines()
    assert lines.index("query: |") + 7 == lines.index("    , nme as y")
    assert error.where == f"{path}:{lines.index('    , nme as y') + 1}"
    assert error.what == "unknown column `nme`"


OTHERS = "email, born, source_file, record_number, birth_date, birth_ymd, birth_digest, birth_status"


@pytest.mark.parametrize(
    "text",
    [
        f"select trim(name) as name, {OTHERS} from applications",
        f"select email as name, {OTHERS} from applications",
        f"select 'x' as name, {OTHERS} from applications",
        f"with a as (select trim(name) as name, {OTHERS} from applications) select * from a",
        f"with a as (select * from applications) select lower(name) as name, {OTHERS} from a",
        f"select * from (select name || '' as name, {OTHERS} from applications)",
        "with a as (select * from applications) select 'a' as name, 'b' as email, 'c' as born, 'd' as source_file, "
        "1 as record_number, date '2020-01-01' as birth_date, '' as birth_ymd, '' as birth_digest, "
        "'' as birth_status",
    ],
)
def test_the_original_fields_cannot_be_changed(task: Make, text: str) -> None:
    error = refused(task(text))
    assert error.what == "the query changes `name`; rejected rows are published as they came"
    assert line(error) == FIRST


@pytest.mark.parametrize(
    "text",
    [
        "select *, applications.name as full_name from applications",
        "select *, APPLICATIONS.Name as full_name from Applications",
        "select *, a.name as full_name from applications a",
        "select a.*, a.name as full_name from applications as a",
        "with a as (select *, name as n from applications), b as (select *, a.n as full_name from a) select * from b",
        "with a as (with b as (select * from applications) select *, name as full_name from b) select * from a",
        "select *, x.name as full_name from (select * from applications) x",
        "select *, name as n, n as full_name from applications",  # a column made in the same select
        f"select name, {OTHERS}, name as full_name from applications",
        "with a as (select *, 1 as x from applications) select * except (x), name as full_name from a",
        "select *, name as full_name from applications -- where true",
        "select *, name /* limit 1 */ as full_name from applications",
        "select *, concat(name, ' where x; ') as full_name from applications",
        "with judged as (select * from applications) select *, name as full_name from judged",
        "select *, array_join(transform(split(name, ' '), w -> upper(w)), ' ') as full_name from applications",
    ],
)
def test_a_query_may_be_written_in_many_ways(task: Make, text: str) -> None:
    assert judged(task(text), [row("ann")])[0].failed == 0


@pytest.mark.parametrize(
    ("rule", "problem", "hint"),
    [
        ("nme = ''", "unknown column `nme`", "Did you mean `name`?"),
        ("applications.name = ''", "`applications.name` is not possible here", "without its table"),
        ("derived.name = ''", "`derived.name` is not possible here", "without its table"),
        ("name", "a rule must be true or false, and this is a text", ""),
        ("length(name)", "a rule must be true or false, and this is a int", ""),
        ("birth_date", "a rule must be true or false, and this is a date", ""),
        ("", "one expression is needed here", ""),
        ("true, false", "one expression is needed here", ""),
        ("true) as x, (true", "one expression is needed here", ""),
        ("(name = '') or (email = '')) and (true", "not valid SQL|one expression", ""),
        ("name = '') or (email = ''", "one expression is needed here", ""),
        ("name = '' as y", "one expression is needed here", ""),
        ("true) from applications where (true", "not valid SQL|one expression", ""),
        ("true) union select (true", "union is not possible|one expression", ""),
        ("select true", "one expression is needed here", ""),
        ("(select true)", "one expression is needed here|a subquery", ""),
        ("exists (select 1)", "a subquery is not possible", ""),
        ("name in (select 'a')", "a subquery is not possible", ""),
        ("true; drop table x", "not valid SQL|one statement", ""),
        ("true;", "not valid SQL|one statement", ""),
        ("*", "`*` is not possible here", ""),
        ("a.*", "`a.*` is not possible here", ""),
        ("count(*) > 0", "the aggregate count is not possible|`*`", ""),
        ("row_number() over (order by name) > 1", "a window over is not possible", ""),
        ("explode(array(true))", "a table function is not possible", ""),
        ("passed_name", "unknown column `passed_name`", ""),
        ("every(true)", "`every` is not a function that both engines know", ""),
        ("${word} = 1", "unknown parameter `${word}`", "Did you mean `words`?"),
        ("name rlike", "not valid SQL", ""),
        ("name rlik 'x'", "not valid SQL", "Did you mean `rlike`?"),
        ("name = 'x", "a quote or a comment is not closed", ""),
        ("name = /* x", "a quote or a comment is not closed|not valid SQL", ""),
    ],
)
def test_a_mistake_in_a_rule_or_an_output_column_is_named(task: Make, rule: str, problem: str, hint: str) -> None:
    error = refused(task(rules={"good": "true", "bad": rule}))
    assert any(part in error.what for part in problem.split("|")), error.what
    assert line(error) == FIRST + 2
    assert hint in error.hint
    if "true or false" not in problem:
        error = refused(task(successful={"good": "name", "bad": rule}))
        assert any(part in error.what for part in problem.split("|")), error.what
        assert line(error) == FIRST + 5
        error = refused(task(unsuccessful={"bad": rule}))
        assert line(error) == FIRST + 6


def test_a_rule_in_a_block_names_the_line_of_the_mistake(tmp_path: Path, task: Make) -> None:
    path = task().document.path
    block = "rules:\n  name:\n    test: |\n      full_name <> ''\n      and\n      nme > ''"
    text = path.read_text()
    assert 'rules: {"name":"full_name <> \'\'"}' in text
    path.write_text(text.replace('rules: {"name":"full_name <> \'\'"}', block))
    error = refused(settings.load(str(path), []))
    assert error.what == "unknown column `nme`"
    assert path.read_text().splitlines()[line(error) - 1].strip() == "nme > ''"


@pytest.mark.parametrize("view", query.STEPS)
def test_a_view_may_not_be_called_like_a_step_of_the_statement(task: Make, view: str) -> None:
    error = refused(task(f"select *, name as full_name from {view}", view=view))
    assert error.what == f"a view may not be called {view}"
    assert line(error) == 2


class Verdict(NamedTuple):
    failed: int
    accepted: list[str] | None
    rejected: list[str] | None


def row(*fields: str) -> tuple[str, ...]:
    return fields


def judged(made: Task, rows: list[tuple[str, ...]]) -> list[Verdict]:
    """The statement's verdicts on rows of text, as DuckDB gives them; the columns that are not given are empty."""
    import duckdb

    names = [f'"{name}"' for name in made.settings.input.columns]
    columns = ", ".join(f"{name} varchar" for name in names)
    types = {"string": "varchar", "bigint": "bigint", "date": "date", "boolean": "boolean"}
    added = {k: v for k, v in judge.schema(made.settings).items() if k not in made.settings.input.columns}
    more = ", ".join(f"{name} {types[kind]}" for name, kind in added.items())
    with duckdb.connect() as connection:
        connection.execute(f"create table {made.settings.input.view} ({columns}, {more})")
        places = ", ".join("?" * len(names))
        for number, values in enumerate(rows, 1):
            connection.execute(
                f"insert into {made.settings.input.view} by name select * from "
                f"(values ({places}, 'a,b.csv', ?)) t({', '.join(names)}, source_file, record_number)",
                [*values, *[""] * (len(names) - len(values)), number],
            )
        view, statement = made.settings.input.view, judge.statement(made, None)
        records = connection.sql(f"from {view} order by record_number").to_arrow_table()
        dated = {name: Dated(np.arange(len(records)), records) for name in made.settings.dates}
        readings = engine_duckdb.Readings(connection, statement.parts)
        found = engine_duckdb.Judge(connection, statement, view, readings).verdicts(records, dated)
    layout = Layout(tuple(made.settings.input.columns), 1 << 20)
    chunk = Chunk("", 0, 0, "a,b.csv", layout.columns, 1, len(rows), False, 0)
    good = csv_rows(lines.accepted(found.accepted))
    bad = csv_rows(lines.rejected(chunk, layout, records, found, statement, b""))
    bits = found.failed.tolist()
    return [Verdict(failed, None if failed else next(good), next(bad) if failed else None) for failed in bits]


def csv_rows(blocks: list[memoryview]) -> Iterator[list[str]]:
    """Lines as Python's own reader sees them."""
    return csv.reader(io.StringIO(b"".join(blocks).decode(), newline=""))


def test_lines_are_csv_with_every_field_as_it_was(task: Make) -> None:
    made = task(
        rules={"short": "length(name) < 5", "mail": {"test": "email <> ''", "after": ["short"]}},
        successful={"shout": "full_name", "n": "length(name)", "none": "nullif(name, name)", "yes": "name is not null"},
        unsuccessful={"shout": "full_name"},
    )
    rows = [row('a"b', "x"), row("a,b", ""), row("long enough", ""), row("a\nb", "x"), row(" ", "'"), row("\r", "x")]
    verdicts = judged(made, rows)
    assert [v.accepted for v in verdicts] == [
        ['A"B', "3", "", "true"],
        None,
        None,
        ["A\nB", "3", "", "true"],
        [" ", "1", "", "true"],
        ["\r", "1", "", "true"],
    ]
    assert [v.rejected for v in verdicts] == [
        None,
        ["a,b", "", "", "a,b.csv", "2", "A,B", "mail"],
        ["long enough", "", "", "a,b.csv", "3", "LONG ENOUGH", "short"],  # mail is not judged where short failed
        None,
        None,
        None,
    ]


def test_the_headers_name_the_columns(task: Make) -> None:
    made = judge.statement(task(successful={"a": "name", "B": "email"}, unsuccessful={"c": "name"}), None)
    assert lines.accepted_header(made) == b"a,B\n"
    layout = Layout(("name", "email", "born"), 1 << 20)
    assert lines.rejected_header(made, layout) == b"name,email,born,source_file,record_number,c,failed_rules\n"


def test_columns_may_be_keywords_and_have_capitals(task: Make) -> None:
    made = task(
        "select *, `order` as full_name, upper(Name) as loud from applications",
        rules={"order": "`order` <> ''", "Select": "NAME <> ''", "loud": "`select` = 'x' or loud <> ''"},
        successful={"order": "`order`", "from": "`select`", "Name": "Name"},
        columns="Name, order, select, born",
    )
    verdicts = judged(made, [row("a", "b", "c"), row("", "", "x")])
    assert verdicts[0].accepted == ["b", "c", "a"]
    assert verdicts[1].rejected == ["", "", "x", "", "a,b.csv", "2", "order;Select"]


@pytest.mark.parametrize("text", ["full_name <> '' -- and false", "full_name <> '' /* and */", "full_name <> ''\n"])
def test_a_comment_in_a_rule_ends_with_it(task: Make, text: str) -> None:
    made = task(rules={"a": text, "b": "email <> ''"}, successful={"name": f"case when {text}\n then 'x' end"})
    assert [v.failed for v in judged(made, [row("a", "b"), row("", "b"), row("", "")])] == [0, 1, 3]


def test_a_query_may_end_in_a_comment_without_a_line_end(task: Make) -> None:
    path = task().document.path
    text = path.read_text()
    start, end = text.index("query: |"), text.index("rules:")
    path.write_text(
        f'{text[:start]}query: "select *, name as full_name from applications -- all of them"\n{text[end:]}'
    )
    assert judged(settings.load(str(path), []), [row("a")])[0].failed == 0
