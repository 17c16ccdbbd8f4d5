"""The rule on names judges them as they came, and says what one would say of the cleaned ones."""

from __future__ import annotations

import os

import duckdb
import pyarrow as pa
import sqlglot
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from batch.config import substitute
from section1 import settings as section1_settings
from section1.judge import schema
from section1.query import DIALECT

EXAMPLES = 400 if os.environ.get("FULL_TESTS") else 40
PHASES = (Phase.reuse, Phase.generate)  # to shrink an example takes minutes
TASK = section1_settings.load("section1_process.yaml", [])
AFFIXES = [word for kind in ("titles", "suffixes") for word in TASK.settings.parameters[kind]]
BLANKS = [chr(code) for code in (*range(9, 14), 32, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200C), 0x2028, 0x2029)]
BLANKS += [chr(code) for code in (0x202F, 0x205F, 0x3000, 0xFEFF)]

affix = st.builds(
    lambda word, case, dot: case(word) + dot,
    st.sampled_from(AFFIXES),
    st.sampled_from([str, str.upper, str.lower, str.swapcase]),
    st.sampled_from(["", ".", "..", ","]),
)
between = st.sampled_from([" ", " ", " ", "", "  ", ", ", ",", " ,", "-", ".", *BLANKS])
word = st.one_of(
    affix, affix, st.sampled_from([*"=+@-*(1é中\u0430\u0301\u180e_Mm", "Ada", "MDx", "xMD", "Mr-", "O'Neill", "''"])
)
names = st.lists(st.one_of(word, between), max_size=9).map("".join)


def said_of(given_names: list[str]) -> list[tuple[str, bool, bool]]:
    """Names with what the rule says of them, and what one would say of the cleaned ones."""
    task = TASK.settings
    query, rule = (substitute(text, task.parameters, lambda line: "") for text in (task.query, task.rule("name").test))
    cleaned = r"full_name rlike r'^([^=+@-].*)?\pL'"
    sql = f"select name, coalesce(({rule}), false), coalesce({cleaned}, false) from ({query})"
    records = pa.table({"name": given_names, "birth_date": pa.nulls(len(given_names), pa.date32())})
    for column in schema(task):
        if column not in records.column_names:
            records = records.append_column(column, pa.nulls(len(given_names), pa.string()))
    with duckdb.connect() as database:
        database.register("applications", records)
        return database.sql(sqlglot.transpile(sql, DIALECT, "duckdb")[0]).fetchall()


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), phases=PHASES)
@given(st.lists(names, min_size=100, max_size=200))
def test_a_name_is_one_where_the_cleaned_one_is(some: list[str]) -> None:
    for name, passes, is_one in said_of(some):
        assert passes == is_one, ascii(name)


def test_names_and_what_is_none() -> None:
    right = ["Ada", "Mr. Ada", "Mr.Ada", "Mr, Ada", "MD, Ada", "MD,Ada", "中", "1 Ada", "O'Neill", "\u200bAda"]
    wrong = [
        "",
        " ",
        "Dr",
        "Mr.",
        "Mr. Dr.",
        "Mr. MD",
        "MD",
        ", MD",
        "MD, Jr.",
        "1 PhD",
        "123",
        "=Ada",
        "Mr. =1",
        "Mr. \xa0=1",
        " +65",
        "\xa0-Ada",
    ]
    assert [name for name, passes, _ in said_of(right) if not passes] == []
    assert [name for name, passes, _ in said_of(wrong) if passes] == []
